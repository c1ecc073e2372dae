//! Addresses that get no mail, by why ("Bounces API", "Blocks API", "Invalid E-mails API", "Spam reports API", "Retrieve all global
//! suppressions"). SendGrid filters each list by when an address came on it, newest first, and does not tell which ones were taken
//! off: full runs find that out.

use serde::Deserialize;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Error, Page, ReadRequest};

use crate::api;

/// What a list gives at once.
const PER_PAGE: u64 = 500;

/// A new pass begins five minutes before the newest address that is known: SendGrid's lists lag behind its mail.
const AGAIN_MS: u64 = 300_000;

/// The lists, named as in `connector.toml` and as SendGrid's paths.
pub(crate) const LISTS: [&str; 5] = [
    "bounces",
    "blocks",
    "invalid_emails",
    "spam_reports",
    "unsubscribes",
];

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    email: Text<'a>,
    #[serde(borrow, default)]
    created: Id<'a>,
}

/// SendGrid's seconds, in milliseconds.
pub(crate) fn milliseconds(seconds: &Id<'_>) -> Option<u64> {
    match seconds {
        Id::Number(seconds) => seconds.checked_mul(1_000),
        _ => None,
    }
}

pub(crate) fn read(request: &ReadRequest) -> Result<Page, Error> {
    let stream = request.stream_name.as_str();
    if !LISTS.contains(&stream) {
        return Err(Error::unsupported(format!("there is no stream `{stream}`")));
    }
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let offset: u64 = match walk.token() {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| Error::invalid_data("the cursor has no place in a list").at("/at/token"))?,
    };
    let mut asked = api::get(&format!("suppression/{stream}"))
        .query("limit", &PER_PAGE.to_string())
        .query("offset", &offset.to_string());
    if let Some(from) = walk.from() {
        asked = asked.query("start_time", &(from / 1_000).to_string());
    }
    if let Some(until) = walk.until() {
        asked = asked.query("end_time", &until.div_ceil(1_000).to_string());
    }
    let response = api::ok(asked.send()?)?;
    let (mut changes, mut count) = (Vec::new(), 0_u64);
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        let created = milliseconds(&head.created);
        walk.saw(created);
        count += 1;
        if walk.covers(created) {
            changes.push(Change::Upsert(record::item(head.email.as_str(), text, created)));
        }
    }
    let next = match count < PER_PAGE {
        true => String::new(),
        false => offset.saturating_add(count).to_string(),
    };
    walk.page(changes, &next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{Window, testing};

    fn step(stream: &str, cursor: Option<String>) -> Result<Page, Error> {
        read(&testing::read_request(stream, cursor))
    }

    #[test]
    fn a_list_is_read_to_its_end_and_then_from_its_newest_address_on() {
        testing::serve(|request| {
            let full: Vec<String> = (0..500)
                .map(|n| format!(r#"{{"email":"{n}@doors.example","created":{}}}"#, 1_000 + n))
                .collect();
            match request.url().contains("offset=0") {
                true => testing::answer(200, &[], &format!("[{}]", full.join(","))),
                false => testing::answer(200, &[], include_str!("../fixtures/bounces.json")),
            }
        });
        let first = step("bounces", None).unwrap();
        assert_eq!((first.changes.len(), first.more), (500, true));
        let second = step("bounces", first.cursor).unwrap();
        assert_eq!(
            (second.changes[0].id(), second.more),
            ("cellar@doors.example", false)
        );
        assert_eq!(second.cursor.as_deref(), Some(r#"{"since":1714557600000}"#));
        drop(step("bounces", second.cursor));
        let urls: Vec<String> = testing::requests()
            .iter()
            .map(|request| request.url().to_owned())
            .collect();
        assert_eq!(
            urls[1],
            "https://api.sendgrid.com/v3/suppression/bounces?limit=500&offset=500"
        );
        assert!(
            urls[2].ends_with("limit=500&offset=0&start_time=1714557300"),
            "{}",
            urls[2]
        );
    }

    #[test]
    fn a_window_has_two_ends() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/bounces.json")));
        let mut request = testing::read_request("blocks", None);
        request.window = Some(Window {
            start: 1_000,
            end: 2_500,
        });
        assert!(read(&request).unwrap().changes.is_empty());
        assert!(testing::requests()[0].url().ends_with("start_time=1&end_time=3"));
    }

    #[test]
    fn bad_pages_are_errors_and_unknown_lists_unsupported() {
        for body in ["<html>", "{}", "[7]"] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(
                matches!(step("bounces", None), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
        assert!(matches!(step("contacts", None), Err(Error::Unsupported(_))));
        assert!(step("bounces", Some(r#"{"at":{"token":"x"}}"#.to_owned())).is_err());
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let names: Vec<&str> = manifest
            .streams
            .iter()
            .map(|stream| stream.name.as_str())
            .collect();
        assert_eq!(names, LISTS);
    }
}
