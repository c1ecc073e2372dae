//! Transactions (Transaction Search API, "List transactions"). PayPal answers 31 days at a time, and at most 10,000 transactions of
//! them: the time since the last pass is read in steps, which are halved where they have too many.
//!
//! A pass ends where PayPal's data ends (`last_refreshed_datetime`), which is up to three hours ago. What is restated later is read
//! again by the host's look-back.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Error, Item, Page, ReadRequest, time};

use crate::api;
use crate::config::Config;

const PER_PAGE: u64 = 500;
const DAY_MS: u64 = 86_400_000;
/// 31 days are the most, and a day less is surely less.
const SPAN_MS: u64 = 30 * DAY_MS;
/// Steps are not made shorter: 10,000 transactions in a minute are more than PayPal takes.
const LEAST_MS: u64 = 60_000;
/// "The previous three years", without the days of leap years.
const OLDEST_MS: u64 = 3 * 365 * DAY_MS - DAY_MS;
/// A pass begins so long before the last one ended: what is late by then is in the look-back.
const AGAIN_MS: u64 = 3 * 3_600_000;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// Up to when the passes before have read, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
}

/// A step of the pass under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    from: u64,
    to: u64,
    page: u64,
    span: u64,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    transaction_details: &'a RawValue,
    #[serde(default)]
    total_pages: u64,
    #[serde(borrow, default)]
    last_refreshed_datetime: Text<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    transaction_info: Info<'a>,
}

#[derive(Deserialize)]
struct Info<'a> {
    #[serde(borrow, default)]
    transaction_id: Text<'a>,
    #[serde(borrow, default)]
    transaction_event_code: Text<'a>,
    #[serde(borrow, default)]
    transaction_updated_date: Text<'a>,
}

/// The next page; `now` in milliseconds.
pub(crate) fn read(config: &Config, request: &ReadRequest, now: u64) -> Result<Page, Error> {
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let window = request.window.as_ref();
    let end = window.map_or(now, |window| window.end.min(now));
    let begin = match (window, cursor.until) {
        (Some(window), _) => window.start,
        (None, Some(until)) => until.saturating_sub(AGAIN_MS),
        (None, None) => config.since()?.unwrap_or_default(),
    };
    let oldest = now.saturating_sub(OLDEST_MS);
    let place = cursor.at.take();
    let place = place.unwrap_or_else(|| step(begin.max(oldest), end, SPAN_MS));
    if place.from >= place.to {
        return Page::at(Vec::new(), &cursor, false);
    }
    let response = api::get(config, "/v1/reporting/transactions")
        .query("start_date", &time::format(place.from))
        .query("end_date", &time::format(place.to))
        .query("fields", "all")
        .query("page_size", &PER_PAGE.to_string())
        .query("page", &place.page.to_string())
        .send()?;
    if response.status == 400 && api::name(&response) == "RESULTSET_TOO_LARGE" {
        let span = (place.to - place.from) / 2;
        if span < LEAST_MS {
            return Err(Error::invalid_data(
                "PayPal has more transactions of a minute than it lists",
            ));
        }
        cursor.at = Some(step(place.from, end, span));
        return Page::at(Vec::new(), &cursor, true);
    }
    let response = api::ok(response)?;
    let list: List<'_> = response.json()?;
    let changes = record::each::<Head<'_>>(list.transaction_details.get())
        .map(|element| {
            let (head, text) = element?;
            change(&head.transaction_info, text)
        })
        .collect::<Result<Vec<_>, Error>>()?;
    if place.page < list.total_pages {
        cursor.at = Some(Place {
            page: place.page + 1,
            ..place
        });
        return Page::at(changes, &cursor, true);
    }
    // What is later than PayPal's data is not missing, it is not there yet.
    let known = moment(list.last_refreshed_datetime.as_str()).map_or(end, |at| at.min(end));
    if place.to < known {
        cursor.at = Some(step(place.to, end, place.span));
        return Page::at(changes, &cursor, true);
    }
    if window.is_none() {
        cursor.until = cursor.until.max(Some(known));
    }
    Page::at(changes, &cursor, false)
}

fn step(from: u64, end: u64, span: u64) -> Place {
    Place {
        from,
        to: end.min(from.saturating_add(span)),
        page: 1,
        span,
    }
}

/// A transaction's id is not unique: one that affects the balance and one that does not may share it; their event codes differ.
fn change(info: &Info<'_>, text: &str) -> Result<Change, Error> {
    let (id, code) = (info.transaction_id.as_str(), info.transaction_event_code.as_str());
    let data = record::with_member(text, "transaction_id", id)?;
    Ok(Change::Upsert(Item {
        id: record::key(&[id, code]),
        data: record::with_member(&data, "transaction_event_code", code)?,
        modified: moment(info.transaction_updated_date.as_str()),
    }))
}

/// PayPal's reports write a zone without its colon: `2026-01-06T09:59:59+0000`.
fn moment(text: &str) -> Option<u64> {
    let (rest, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
    match rest.bytes().nth_back(2) {
        Some(b'+' | b'-') => time::parse(&format!("{rest}:{minutes}")),
        _ => time::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};
    use sluice_sdk::{Window, http};

    const NOW: u64 = 1_767_700_000_000; // 2026-01-06T11:46:40Z

    fn config(since: &str) -> Config {
        let text = format!(r#"{{"host":"api-m.sandbox.paypal.com","since":"{since}"}}"#);
        crate::config::of(&testing::connection(&text)).unwrap()
    }

    fn pass(since: &str, mut cursor: Option<String>) -> (usize, Option<String>) {
        let mut read = 0;
        for _ in 0..50 {
            let request = testing::read_request("transactions", cursor.clone());
            let page = super::read(&config(since), &request, NOW).unwrap();
            assert!(!page.more || page.cursor != cursor);
            read += page.changes.len();
            cursor = page.cursor;
            if !page.more {
                return (read, cursor);
            }
        }
        panic!("the pass does not end");
    }

    fn asked() -> Vec<String> {
        let requests = testing::requests();
        let of = |request: &http::Request| {
            let (_, query) = request.url().split_once('?').unwrap();
            query.replace("%3A", ":").replace("&fields=all&page_size=500", "")
        };
        requests.iter().map(of).collect()
    }

    #[test]
    fn the_time_is_read_in_steps_up_to_where_the_data_ends() {
        testing::serve(|request| {
            match request.url().contains("end_date=2025-12-31") && request.url().ends_with("page=1") {
                true => answer(200, &[], include_str!("../fixtures/transactions.json")),
                false => answer(
                    200,
                    &[],
                    r#"{"transaction_details":[],"total_pages":0,"last_refreshed_datetime":"2026-01-06T09:59:59+0000"}"#,
                ),
            }
        });
        let (read, cursor) = pass("2025-12-01", None);
        assert_eq!(read, 2);
        assert_eq!(
            asked(),
            [
                "start_date=2025-12-01T00:00:00Z&end_date=2025-12-31T00:00:00Z&page=1",
                "start_date=2025-12-01T00:00:00Z&end_date=2025-12-31T00:00:00Z&page=2",
                "start_date=2025-12-31T00:00:00Z&end_date=2026-01-06T11:46:40Z&page=1",
            ]
        );
        testing::serve(|_| answer(200, &[], r#"{"transaction_details":[],"total_pages":0}"#));
        pass("2025-12-01", cursor);
        assert_eq!(asked().len(), 1, "{:?}", asked());
    }

    #[test]
    fn a_step_with_too_many_is_halved_and_halving_ends() {
        testing::serve(|request| match request.url().contains("end_date=2026-01-06") {
            true => answer(400, &[], r#"{"name":"RESULTSET_TOO_LARGE"}"#),
            false => answer(200, &[], r#"{"transaction_details":[],"total_pages":1}"#),
        });
        let mut cursor = None;
        let mut last = Ok(());
        for _ in 0..200 {
            let request = testing::read_request("transactions", cursor.clone());
            match read(&config("2026-01-01"), &request, NOW) {
                Ok(page) => cursor = page.cursor,
                Err(error) => {
                    last = Err(error);
                    break;
                }
            }
        }
        assert!(matches!(last, Err(Error::InvalidData(_))), "{last:?}");
    }

    #[test]
    fn two_transactions_may_have_one_id() {
        testing::serve(|_| answer(200, &[], include_str!("../fixtures/transactions.json")));
        let request = testing::read_request("transactions", None);
        let page = read(&config("2026-01-01"), &request, NOW).unwrap();
        let ids: Vec<&str> = page.changes.iter().map(Change::id).collect();
        assert_eq!(ids, ["5TY05013RG002845M/T0006", "5TY05013RG002845M/T0106"]);
        let Change::Upsert(item) = &page.changes[0] else {
            panic!()
        };
        assert_eq!(item.modified, time::parse("2025-12-30T10:00:05Z"));
    }

    #[test]
    fn a_window_leaves_the_place_and_nonsense_is_refused() {
        testing::serve(|_| answer(200, &[], r#"{"transaction_details":[],"total_pages":1}"#));
        let mut request =
            testing::read_request("transactions", Some(r#"{"until":1767600000000}"#.to_owned()));
        request.window = Some(Window {
            start: NOW - DAY_MS,
            end: NOW - 1_000,
        });
        let page = read(&config("2026-01-01"), &request, NOW).unwrap();
        assert_eq!(page.cursor, request.cursor);
        for body in ["{}", "<html>", r#"{"transaction_details":[{}]}"#] {
            testing::serve(move |_| answer(200, &[], body));
            let request = testing::read_request("transactions", None);
            assert!(read(&config("2026-01-01"), &request, NOW).is_err(), "{body}");
        }
    }
}
