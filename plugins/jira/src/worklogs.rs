//! Worklogs: Jira tells the numbers of those that were changed, and of those that were deleted, since a time, oldest first,
//! a thousand at once, and not those of the last minute (Jira docs, "Get IDs of updated worklogs", "Get IDs of deleted
//! worklogs", "Get worklogs"). A pass reads the changed ones, then the deleted ones.

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest};

use crate::api;

/// How long before what is known a pass begins, in milliseconds.
const AGAIN_MS: u64 = 120_000;

/// Where reading stands; times in milliseconds.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The newest change that is known.
    #[serde(default)]
    updated: u64,
    /// The newest deletion that is known. At first the time when the first pass began: what was deleted before was never
    /// read.
    #[serde(default)]
    deleted: u64,
    /// The pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Whether it is at the deleted ones.
    is_deleted: bool,
    since: u64,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    values: Vec<Value<'a>>,
    #[serde(rename = "lastPage", default)]
    is_last: Option<bool>,
}

#[derive(Deserialize)]
struct Value<'a> {
    #[serde(rename = "worklogId", borrow, default)]
    id: Id<'a>,
    #[serde(rename = "updatedTime", borrow, default)]
    at: Id<'a>,
}

/// The next page.
pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let is_first = cursor.at.is_none() && request.cursor.is_none();
    let place = cursor.at.take().unwrap_or(Place {
        is_deleted: false,
        since: match &request.window {
            Some(window) => window.start,
            None => cursor.updated.saturating_sub(AGAIN_MS),
        },
    });
    let which = if place.is_deleted { "deleted" } else { "updated" };
    let asked = api::request(connection, "GET", &format!("worklog/{which}"))?
        .query("since", &place.since.to_string());
    let response = api::ok(asked.send()?)?;
    if is_first && request.window.is_none() {
        cursor.deleted = response.date().unwrap_or_default();
    }
    let answer: Answer<'_> = response.json()?;
    let mut newest = place.since;
    let mut ids = Vec::new();
    for value in &answer.values {
        let (Id::Number(id), Id::Number(at)) = (&value.id, &value.at) else {
            return Err(Error::invalid_data(
                "Jira tells of a worklog without its number or time",
            ));
        };
        newest = newest.max(*at);
        if request.window.as_ref().is_none_or(|window| *at < window.end) {
            ids.push(*id);
        }
    }
    let changes = match place.is_deleted {
        true => ids.iter().map(|id| Change::Delete(id.to_string())).collect(),
        false => worklogs(connection, &ids)?,
    };
    let is_past = request.window.as_ref().is_some_and(|window| newest >= window.end);
    let is_through = answer.is_last.unwrap_or(true) || is_past;
    if !is_through {
        // The next page begins with the time that this one ended with. A thousand of one millisecond would be it again.
        let since = newest.max(place.since.saturating_add(u64::from(newest == place.since)));
        cursor.at = Some(Place { since, ..place });
        return Page::at(changes, &cursor, true);
    }
    if request.window.is_none() {
        let known = if place.is_deleted {
            &mut cursor.deleted
        } else {
            &mut cursor.updated
        };
        *known = (*known).max(newest);
    }
    if place.is_deleted {
        return Page::at(changes, &cursor, false);
    }
    cursor.at = Some(Place {
        is_deleted: true,
        since: match &request.window {
            Some(window) => window.start,
            None => cursor.deleted.saturating_sub(AGAIN_MS),
        },
    });
    Page::at(changes, &cursor, true)
}

/// The worklogs of these numbers; those that are gone, or not for this account, are left out by Jira.
fn worklogs(connection: &Connection, ids: &[u64]) -> Result<Vec<Change>, Error> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        id: Id<'a>,
        #[serde(borrow, default)]
        updated: Text<'a>,
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let asked = api::request(connection, "POST", "worklog/list")?.json(&json!({ "ids": ids }))?;
    let response = api::ok(asked.send()?)?;
    let list: &RawValue = response.json()?;
    record::each::<Head<'_>>(list.get())
        .map(|element| {
            let (head, text) = element?;
            Ok(Change::Upsert(record::item(
                head.id.to_string(),
                text,
                head.updated.timestamp(),
            )))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{Window, testing};

    fn step(cursor: Option<String>, window: Option<Window>) -> Result<Page, Error> {
        let mut request = testing::read_request("worklogs", cursor);
        request.window = window;
        read(
            &testing::connection(r#"{"site":"doors.atlassian.net"}"#),
            &request,
        )
    }

    fn ids(page: &Page) -> Vec<&str> {
        page.changes.iter().map(Change::id).collect()
    }

    const DATE: (&str, &str) = ("date", "Wed, 01 May 2024 10:30:00 GMT");

    fn serve() {
        testing::serve(|request| {
            let url = request.url();
            let body = if url.ends_with("/worklog/list") {
                let body = std::str::from_utf8(request.content().unwrap()).unwrap();
                match body {
                    r#"{"ids":[103,104]}"# => include_str!("../fixtures/worklogs.json"),
                    r#"{"ids":[105]}"# => r#"[{"id":"105","updated":"2024-05-01T10:05:00.000+0000"}]"#,
                    other => panic!("{other}"),
                }
            } else if url.ends_with("updated?since=0") {
                include_str!("../fixtures/worklog-ids.json")
            } else if url.contains("/updated?") {
                r#"{"values":[{"worklogId":105,"updatedTime":1714557900000}],"lastPage":true}"#
            } else {
                r#"{"values":[{"worklogId":99,"updatedTime":1714559500000}],"lastPage":true}"#
            };
            testing::answer(200, &[DATE], body)
        });
    }

    fn urls() -> Vec<String> {
        testing::requests()
            .iter()
            .filter(|request| request.method() == "GET")
            .map(|request| request.url().rsplit('/').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn changed_ones_then_deleted_ones() {
        serve();
        let first = step(None, None).unwrap();
        assert_eq!((ids(&first), first.more), (vec!["103", "104"], true));
        assert!(
            matches!(&first.changes[0], Change::Upsert(item) if item.modified == Some(1_714_557_600_000))
        );
        let second = step(first.cursor, None).unwrap();
        assert_eq!((ids(&second), second.more), (vec!["105"], true));
        let third = step(second.cursor, None).unwrap();
        assert!(matches!(&third.changes[..], [Change::Delete(id)] if id == "99") && !third.more);
        // The first deletion that counts is one after the first pass began.
        assert_eq!(
            third.cursor.as_deref(),
            Some(r#"{"updated":1714557900000,"deleted":1714559500000}"#)
        );
        step(third.cursor, None).unwrap();
        assert_eq!(
            urls(),
            [
                "updated?since=0",
                "updated?since=1714557601000",
                "deleted?since=1714559280000",
                "updated?since=1714557780000",
            ]
        );
    }

    #[test]
    fn a_window_leaves_the_known_times_alone() {
        serve();
        let window = Window {
            start: 1_714_557_000_000,
            end: 1_714_557_900_000,
        };
        let known = Some(r#"{"updated":7,"deleted":8}"#.to_owned());
        let first = step(known, Some(window)).unwrap();
        assert_eq!(
            (ids(&first).len(), first.more),
            (0, true),
            "105 is at the window's end"
        );
        let last = step(first.cursor, Some(window)).unwrap();
        assert_eq!((ids(&last).len(), last.more), (0, false));
        assert_eq!(last.cursor.as_deref(), Some(r#"{"updated":7,"deleted":8}"#));
    }

    #[test]
    fn a_list_that_stands_still_moves_on() {
        testing::serve(|_| testing::answer(200, &[], r#"{"values":[],"lastPage":false}"#));
        let page = step(Some(r#"{"at":{"is_deleted":true,"since":7}}"#.to_owned()), None).unwrap();
        assert!(page.more && page.cursor.as_deref().unwrap().contains(r#""since":8"#));
    }

    #[test]
    fn bad_answers_are_errors() {
        for body in [
            "<html>",
            r#"{"values":{}}"#,
            r#"{"values":[{"worklogId":"x"}]}"#,
            r#"{"values":[7]}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step(None, None), Err(Error::InvalidData(_))), "{body}");
        }
        testing::serve(|request| match request.method() {
            "GET" => testing::answer(
                200,
                &[],
                r#"{"values":[{"worklogId":1,"updatedTime":2}],"lastPage":true}"#,
            ),
            _ => testing::answer(200, &[], r#"{"no":"list"}"#),
        });
        assert!(matches!(step(None, None), Err(Error::InvalidData(_))));
    }
}
