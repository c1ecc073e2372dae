//! Transactions (Plaid docs, `/transactions/sync`). Plaid keeps the place: a cursor leads to what was added, changed and removed since.
//! What changes while the pages of one pass are read makes Plaid end the pass; it is then read again from its own beginning.

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, log, paging};

use crate::api;

/// The most that Plaid gives at once.
const MOST: u32 = 500;
/// How often a pass may begin again.
const MAX_RESTARTS: u8 = 5;
/// What Plaid says where the pass has to begin again.
const CHANGED: &str = "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// Where the last pass ended; none at the very start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    done: Option<String>,
    /// Where the pass under way stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default)]
    restarts: u8,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    added: &'a RawValue,
    #[serde(borrow)]
    modified: &'a RawValue,
    #[serde(borrow)]
    removed: &'a RawValue,
    #[serde(borrow)]
    next_cursor: Text<'a>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    transaction_id: Text<'a>,
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let mut body = json!({ "count": paging::size(request, MOST) });
    let from = cursor.at.as_ref().or(cursor.done.as_ref());
    if let (Some(from), Some(body)) = (from, body.as_object_mut()) {
        body.insert("cursor".to_owned(), json!(from));
    }
    let response = api::of_item(connection, "/transactions/sync", body)?;
    if api::says(&response, CHANGED) {
        return again(cursor);
    }
    let response = api::ok(response)?;
    let answer: Answer<'_> = response.json()?;
    let mut changes = Vec::new();
    for list in [answer.added, answer.modified] {
        for element in record::each::<Head<'_>>(list.get()) {
            let (head, text) = element?;
            changes.push(Change::Upsert(record::item(
                head.transaction_id.as_str(),
                text,
                None,
            )));
        }
    }
    for element in record::each::<Head<'_>>(answer.removed.get()) {
        let (head, _) = element?;
        changes.push(Change::Delete(head.transaction_id.as_str().to_owned()));
    }
    if answer.has_more {
        let next = paging::token(answer.next_cursor.as_str(), cursor.at.as_deref())?;
        cursor.at =
            Some(next.ok_or_else(|| Error::invalid_data("Plaid says that more follows, but not where"))?);
        return Page::at(changes, &cursor, true);
    }
    // It is empty as long as Plaid has not asked the bank yet.
    let next = paging::token(answer.next_cursor.as_str(), None)?;
    let end = Cursor {
        done: next.or(cursor.done),
        ..Cursor::default()
    };
    Page::at(changes, &end, false)
}

/// From the beginning of the pass: what it brought already comes again and changes nothing.
fn again(mut cursor: Cursor) -> Result<Page, Error> {
    if cursor.at.is_none() || cursor.restarts >= MAX_RESTARTS {
        return Err(Error::transient(
            "transactions change faster than Plaid gives them",
        ));
    }
    log::info("transactions changed while they were read: the pass begins again");
    cursor.at = None;
    cursor.restarts += 1;
    Page::at(Vec::new(), &cursor, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::connection;
    use sluice_sdk::testing::{self, answer};

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        read(&connection(), &testing::read_request("transactions", cursor))
    }

    fn asked() -> Vec<serde_json::Value> {
        let requests = testing::requests();
        let body = |request: &sluice_sdk::http::Request| -> serde_json::Value {
            serde_json::from_slice(request.content().unwrap()).unwrap()
        };
        requests
            .iter()
            .map(|request| body(request)["cursor"].clone())
            .collect()
    }

    #[test]
    fn a_pass_is_read_to_its_end_and_the_next_goes_on_there() {
        testing::serve(|request| {
            let body = String::from_utf8(request.content().unwrap().to_vec()).unwrap();
            assert!(body.contains(r#""access_token":"access-token""#), "{body}");
            match body.contains("cursor-1") {
                true => answer(
                    200,
                    &[],
                    r#"{"added":[],"modified":[],"removed":[],"next_cursor":"cursor-2","has_more":false}"#,
                ),
                false => answer(200, &[], include_str!("../fixtures/sync.json")),
            }
        });
        let first = step(None).unwrap();
        let ids: Vec<String> = first
            .changes
            .iter()
            .map(|change| match change {
                Change::Upsert(item) => format!("+{}", item.id),
                Change::Delete(id) => format!("-{id}"),
            })
            .collect();
        assert_eq!(
            ids,
            [
                "+lPNjeW1nR6CDn5okmGQ6hEpMo4lLNoSrzqDje",
                "+yhnUVvtcGGcCKU0bcz8PDQr5ZUxUXebUvbKC0",
                "-CmdQTNgems8BT1B7ibkoUXVPyAeehT3Tmzk0l"
            ]
        );
        assert!(first.more);
        let last = step(first.cursor).unwrap();
        assert_eq!(
            (last.more, last.cursor.as_deref()),
            (false, Some(r#"{"done":"cursor-2","restarts":0}"#))
        );
        step(last.cursor).unwrap();
        assert_eq!(asked(), [json!(null), json!("cursor-1"), json!("cursor-2")]);
    }

    #[test]
    fn a_pass_that_changed_begins_again_and_that_has_an_end() {
        testing::serve(|request| {
            let body = String::from_utf8(request.content().unwrap().to_vec()).unwrap();
            match body.contains("cursor-1") {
                true => answer(400, &[], include_str!("../fixtures/mutation.json")),
                false => answer(200, &[], include_str!("../fixtures/sync.json")),
            }
        });
        let mut cursor = Some(r#"{"done":"cursor-0"}"#.to_owned());
        let mut steps = 0;
        let error = loop {
            match step(cursor) {
                Ok(page) => {
                    assert!(page.more);
                    cursor = page.cursor;
                }
                Err(error) => break error,
            }
            steps += 1;
            assert!(steps < 50);
        };
        assert!(matches!(error, Error::Transient(_)));
        assert_eq!(asked()[2], json!("cursor-0"), "from where the last pass ended");
    }

    #[test]
    fn nothing_yet_is_no_place_and_circles_are_refused() {
        testing::serve(|_| {
            answer(
                200,
                &[],
                r#"{"added":[],"modified":[],"removed":[],"next_cursor":"","has_more":false}"#,
            )
        });
        assert_eq!(step(None).unwrap().cursor.as_deref(), Some(r#"{"restarts":0}"#));
        testing::serve(|_| {
            answer(
                200,
                &[],
                r#"{"added":[],"modified":[],"removed":[],"next_cursor":"x","has_more":true}"#,
            )
        });
        let first = step(None).unwrap();
        assert!(matches!(step(first.cursor), Err(Error::InvalidData(_))));
        for body in [
            "{}",
            "<html>",
            r#"{"added":{},"modified":[],"removed":[],"next_cursor":"x","has_more":false}"#,
        ] {
            testing::serve(move |_| answer(200, &[], body));
            assert!(step(None).is_err(), "{body}");
        }
    }
}
