//! What became of mails ("Events"), oldest first. Events come in late and not in order: a pass begins half an hour before the newest one
//! that is known, as Mailgun recommends ("Event polling"). A page always has a next one; the list ends with an empty page.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Error, Page, ReadRequest};

use crate::api::Api;

/// The most that a page has.
const PER_PAGE: &str = "300";

/// Half an hour.
const AGAIN_MS: u64 = 1_800_000;

#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(borrow)]
    items: &'a RawValue,
    #[serde(borrow, default)]
    paging: Paging<'a>,
}

#[derive(Default, Deserialize)]
struct Paging<'a> {
    #[serde(borrow, default)]
    next: Text<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(default)]
    timestamp: Option<f64>,
}

/// Mailgun's seconds with a fraction, in milliseconds.
pub(crate) fn milliseconds(seconds: Option<f64>) -> Option<u64> {
    let milliseconds = (seconds? * 1_000.0).round();
    // 10^15 milliseconds are some 30,000 years.
    let is_time = (0.0..1e15).contains(&milliseconds);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within bounds"
    )]
    is_time.then_some(milliseconds as u64)
}

/// The same the other way, as a text.
fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)
}

pub(crate) fn read(api: &Api, request: &ReadRequest) -> Result<Page, Error> {
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let list = format!("v3/{}/events", api.domain);
    let asked = match walk.token() {
        Some(token) if is_token(token) => api.get(&format!("{list}/{token}")),
        Some(_) => return Err(Error::invalid_data("the cursor has no place in a list").at("/at/token")),
        None => {
            let mut asked = api.get(&list).query("ascending", "yes").query("limit", PER_PAGE);
            if let Some(from) = walk.from() {
                asked = asked.query("begin", &seconds(from));
            }
            if let Some(until) = walk.until() {
                asked = asked.query("end", &seconds(until));
            }
            asked
        }
    };
    let response = asked.send()?.ok()?;
    let listing: Listing<'_> = response.json()?;
    let (mut changes, mut is_empty) = (Vec::new(), true);
    for element in record::each::<Head<'_>>(listing.items.get()) {
        let (head, text) = element?;
        let at = milliseconds(head.timestamp);
        walk.saw(at);
        is_empty = false;
        if walk.covers(at) {
            changes.push(Change::Upsert(record::item(head.id.as_str(), text, at)));
        }
    }
    let next = listing.paging.next.as_str();
    let next = match is_empty {
        true => "",
        false => next.rsplit('/').next().unwrap_or_default(),
    };
    if !next.is_empty() && !is_token(next) {
        return Err(Error::invalid_data("Mailgun's list has no place to go on at"));
    }
    walk.page(changes, next)
}

/// Nothing else becomes part of a path.
fn is_token(text: &str) -> bool {
    (1..=4_096).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{Window, testing};

    fn api() -> Api {
        Api::of(&testing::connection(r#"{"domain":"mg.doors.example"}"#)).unwrap()
    }

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        read(&api(), &testing::read_request("events", cursor))
    }

    #[test]
    fn a_pass_ends_with_an_empty_page_and_the_next_begins_half_an_hour_before() {
        testing::serve(|request| match request.url().ends_with("/events/W3siZG9vcnMi") {
            false => testing::answer(200, &[], include_str!("../fixtures/events.json")),
            true => testing::answer(
                200,
                &[],
                r#"{"items":[],"paging":{"next":"https://api.mailgun.net/v3/mg.doors.example/events/W3sibGFzdCI="}}"#,
            ),
        });
        let first = step(None).unwrap();
        assert_eq!(
            (first.changes[0].id(), first.more),
            ("ncV2XwymRUKbPek_MIM-Gw", true)
        );
        let second = step(first.cursor).unwrap();
        assert_eq!((second.changes.len(), second.more), (0, false));
        assert_eq!(second.cursor.as_deref(), Some(r#"{"since":1714557600123}"#));
        drop(step(second.cursor));
        let urls: Vec<String> = testing::requests()
            .iter()
            .map(|request| request.url().to_owned())
            .collect();
        assert_eq!(
            urls[0],
            "https://api.mailgun.net/v3/mg.doors.example/events?ascending=yes&limit=300"
        );
        assert!(urls[2].ends_with("&begin=1714555800.123"), "{}", urls[2]);
    }

    #[test]
    fn a_window_has_two_ends() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/events.json")));
        let mut request = testing::read_request("events", None);
        request.window = Some(Window { start: 0, end: 1_500 });
        assert!(read(&api(), &request).unwrap().changes.is_empty());
        assert!(testing::requests()[0].url().ends_with("&begin=0.000&end=1.500"));
    }

    #[test]
    fn bad_pages_and_tokens_are_errors() {
        for body in [
            "<html>",
            "{}",
            r#"{"items":[7]}"#,
            r#"{"items":[{"id":"a"}],"paging":{"next":"https://x/events/a?b"}}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step(None), Err(Error::InvalidData(_))), "{body}");
        }
        assert!(step(Some(r#"{"at":{"token":"../x"}}"#.to_owned())).is_err());
        assert_eq!(milliseconds(Some(1_521_472_262.908_181)), Some(1_521_472_262_908));
        assert_eq!(
            (
                milliseconds(Some(-1.0)),
                milliseconds(Some(f64::NAN)),
                milliseconds(Some(1e300))
            ),
            (None, None, None)
        );
    }
}
