//! Cloud recordings of a person ("List all recordings"). Zoom lists at most a month of days at once, by the day of the meeting: a pass goes
//! from month to month until Zoom's today. A recording is ready some time after its meeting, so the next pass begins some days
//! before the last one's end. What was deleted shows in full runs, and by webhook.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging, time};

use crate::{api, config};

const DAY_MS: u64 = 86_400_000;

/// The days of one request.
const DAYS: u64 = 28;

/// How many days are read again.
const AGAIN_DAYS: u64 = 3;

/// How many days are read at first where the configuration does not say.
const FIRST_DAYS: u64 = 30;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// The day until which earlier passes have read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// The month under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Place {
    from: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(borrow)]
    meetings: &'a RawValue,
    #[serde(borrow, default)]
    next_page_token: Text<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    uuid: Text<'a>,
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let user = super::users::of(request)?;
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let place = match cursor.at.take() {
        Some(place) => place,
        None => Place {
            from: first(connection, user, &cursor)?,
            token: None,
        },
    };
    let to = place.from.saturating_add((DAYS - 1) * DAY_MS);
    let mut asked = api::get(&format!("users/{user}/recordings"))
        .query("from", &day(place.from))
        .query("to", &day(to))
        .query("page_size", api::PER_PAGE);
    if let Some(token) = &place.token {
        asked = asked.query("next_page_token", token);
    }
    let response = api::ok(asked.send()?).map_err(|error| error.blame_config("/users"))?;
    let listing: Listing<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(listing.meetings.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.uuid.as_str(), text, None)));
    }
    let token = paging::token(listing.next_page_token.as_str(), place.token.as_deref())?;
    if token.is_some() {
        cursor.at = Some(Place { token, ..place });
        return Page::at(changes, &cursor, true);
    }
    let today = today(response.date())?;
    if to < today {
        cursor.at = Some(Place {
            from: to + DAY_MS,
            token: None,
        });
        return Page::at(changes, &cursor, true);
    }
    cursor.until = Some(today);
    Page::at(changes, &cursor, false)
}

/// The day that a new pass begins with.
fn first(connection: &Connection, user: &str, cursor: &Cursor) -> Result<u64, Error> {
    if let Some(until) = cursor.until {
        return Ok(until.saturating_sub(AGAIN_DAYS * DAY_MS));
    }
    if let Some(start) = config::read(connection)?.start()? {
        return Ok(start);
    }
    // The only clock is Zoom's.
    let response = api::ok(api::get(&format!("users/{user}")).send()?)?;
    Ok(today(response.date())?.saturating_sub(FIRST_DAYS * DAY_MS))
}

fn today(date: Option<u64>) -> Result<u64, Error> {
    let date = date.ok_or_else(|| Error::invalid_data("Zoom's answer has no date"))?;
    Ok(date - date % DAY_MS)
}

fn day(at: u64) -> String {
    time::format(at).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    const DATE: (&str, &str) = ("date", "Wed, 01 May 2024 12:00:00 GMT");

    fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
        let mut request = testing::read_request("recordings", cursor);
        request.partition = Some("u1".to_owned());
        read(&testing::connection(config), &request)
    }

    fn months() -> Vec<String> {
        let requests = testing::requests();
        let query = |request: &sluice_sdk::http::Request| request.url().split_once('?').unwrap().1.to_owned();
        requests.iter().map(query).collect()
    }

    #[test]
    fn a_pass_goes_from_month_to_month_until_today() {
        testing::serve(|_| testing::answer(200, &[DATE], include_str!("../../fixtures/recordings.json")));
        let config = r#"{"start_date":"2024-03-20"}"#;
        let first = step(config, None).unwrap();
        assert!(first.more && first.changes[0].id() == "Lfpb91lDTZmDoors0001==");
        let second = step(config, first.cursor).unwrap();
        assert!(!second.more);
        assert_eq!(
            months(),
            [
                "from=2024-03-20&to=2024-04-16&page_size=300",
                "from=2024-04-17&to=2024-05-14&page_size=300"
            ]
        );
        let again = step(config, second.cursor).unwrap();
        assert!(!again.more);
        assert_eq!(months()[2], "from=2024-04-28&to=2024-05-25&page_size=300");
    }

    #[test]
    fn without_a_first_day_it_is_the_last_thirty() {
        testing::serve(|request| match request.url().contains("/recordings") {
            true => testing::answer(200, &[DATE], r#"{"meetings":[],"next_page_token":""}"#),
            false => testing::answer(200, &[DATE], "{}"),
        });
        assert!(step("{}", None).unwrap().more);
        assert!(
            testing::requests()[1]
                .url()
                .contains("from=2024-04-01&to=2024-04-28")
        );
    }

    #[test]
    fn bad_pages_are_errors() {
        for body in ["<html>", "{}", r#"{"meetings":[7]}"#] {
            testing::serve(move |_| testing::answer(200, &[DATE], body));
            let page = step(r#"{"start_date":"2024-05-01"}"#, None);
            assert!(matches!(page, Err(Error::InvalidData(_))), "{body}");
        }
        testing::serve(|_| testing::answer(200, &[], r#"{"meetings":[]}"#));
        assert!(matches!(
            step(r#"{"start_date":"2024-05-01"}"#, None),
            Err(Error::InvalidData(_))
        ));
    }
}
