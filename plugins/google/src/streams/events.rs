//! Events of calendars (Calendar API, `events.list` and "Synchronize resources efficiently"): a calendar is a partition with
//! a cursor of its own, or, where none is named, they come one after another under one cursor. Both are one format: what a
//! cursor of all calendars knows of the partition's is taken up, so nothing is listed again when the host begins to name them.
//!
//! The first pass over a calendar lists it and ends with a sync token; the next ones ask with that token for what
//! changed. Where Google no longer takes the token (410), the calendar is listed again. Both ask with the same
//! parameters, as they must, and for deleted events too, so that a new listing still shows what was deleted lately.
//!
//! An id is unique within a calendar only, and one event is in the calendars of all who were invited. So a record's id is
//! `calendar/id`, and each record says its calendar.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::http::{self, Request};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Item, Page, ReadRequest, log, time};

use crate::{api, config};

/// Google's own default ("events.list", `maxResults`). It gives up to 2,500, but an event with a crowd of attendees has tens of
/// kilobytes.
const PER_PAGE: &str = "250";

/// How often a calendar may begin again in one pass.
const MAX_RESTARTS: u8 = 2;

/// Where reading stands.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// The sync token that the last pass over each calendar ended with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<String, String>,
    /// The place of the pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    calendar: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    #[serde(default)]
    restarts: u8,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    items: Option<&'a RawValue>,
    #[serde(rename = "nextPageToken", borrow, default)]
    page: Text<'a>,
    #[serde(rename = "nextSyncToken", borrow, default)]
    sync: Text<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    updated: Text<'a>,
    #[serde(rename = "recurringEventId", borrow, default)]
    series: Text<'a>,
}

/// The next page.
pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let configured = config::calendars(connection)?;
    let calendars = match &request.partition {
        None => configured.clone(),
        Some(name) if configured.contains(name) => vec![name.clone()],
        Some(_) => {
            return Err(Error::config(
                "the calendar is no longer among those that are read",
                "/calendars",
            ));
        }
    };
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    cursor.tokens.retain(|calendar, _| calendars.contains(calendar));
    let place = cursor
        .at
        .take()
        .filter(|place| calendars.contains(&place.calendar))
        .or_else(|| calendars.first().map(|first| begin(first)));
    let Some(place) = place else {
        return Page::at(Vec::new(), &cursor, false);
    };
    let at = calendars
        .iter()
        .position(|calendar| *calendar == place.calendar)
        .unwrap_or_default();
    let response = list(&place, &cursor, request).send()?;
    let is_ours = cursor.tokens.contains_key(&place.calendar) || place.page.is_some();
    // 410 is a sync token that ended, 400 a page token.
    if is_ours && (response.status == 410 || response.status == 400 && place.page.is_some()) {
        return again(cursor, place);
    }
    let response = api::ok(response).map_err(|error| {
        let named = configured.iter().position(|name| *name == place.calendar);
        error.blame_config(format!("/calendars/{}", named.unwrap_or(at)))
    })?;
    let list: List<'_> = response.json()?;
    // A page without `items` is one where nothing changed.
    let items = list.items.map_or("[]", RawValue::get);
    let mut elements = Vec::with_capacity(256);
    for element in record::each::<Head<'_>>(items) {
        elements.push(element?);
    }
    let changes = changes(&place.calendar, &elements)?;
    if let Some(page) = api::token(&list.page, place.page.as_deref())? {
        cursor.at = Some(Place {
            page: Some(page),
            ..place
        });
        return Page::at(changes, &cursor, true);
    }
    // The token of a list that is cut by time would go on telling of that time alone.
    if let Some(sync) = api::token(&list.sync, None)?.filter(|_| request.window.is_none()) {
        cursor.tokens.insert(place.calendar, sync);
    }
    cursor.at = calendars.get(at + 1).map(|next| begin(next));
    let more = cursor.at.is_some();
    Page::at(changes, &cursor, more)
}

/// Lists the calendar again from its beginning.
fn again(mut cursor: Cursor, place: Place) -> Result<Page, Error> {
    if place.restarts >= MAX_RESTARTS {
        return Err(Error::transient(
            "Google ends its tokens again and again before they are used",
        ));
    }
    log::info("Google no longer takes the token: the calendar is listed again");
    cursor.tokens.remove(&place.calendar);
    cursor.at = Some(Place {
        restarts: place.restarts + 1,
        ..begin(&place.calendar)
    });
    Page::at(Vec::new(), &cursor, true)
}

fn begin(calendar: &str) -> Place {
    Place {
        calendar: calendar.to_owned(),
        page: None,
        restarts: 0,
    }
}

fn list(place: &Place, cursor: &Cursor, request: &ReadRequest) -> Request {
    let calendar = http::encode(&place.calendar);
    let mut asked = api::get(format!("{}/calendar/v3/calendars/{calendar}/events", api::ROOT))
        .query("maxResults", PER_PAGE)
        .query("showDeleted", "true");
    match (&request.window, cursor.tokens.get(&place.calendar)) {
        (Some(window), _) => {
            asked = asked
                .query("timeMin", &time::format(window.start))
                .query("timeMax", &time::format(window.end));
        }
        (None, Some(token)) => asked = asked.query("syncToken", token),
        (None, None) => {}
    }
    match &place.page {
        Some(page) => asked.query("pageToken", page),
        None => asked,
    }
}

/// A cancelled event is gone. A cancelled one of a series says that this one does not take place, and is kept: without it
/// the series would show it ("Events", `status`); unless the series itself is gone by the same page.
fn changes(calendar: &str, elements: &[(Head<'_>, &str)]) -> Result<Vec<Change>, Error> {
    let is_gone = |head: &Head<'_>| head.status.as_str() == "cancelled" && head.series.as_str().is_empty();
    let gone: HashSet<&str> = elements
        .iter()
        .filter(|(head, _)| is_gone(head))
        .map(|(head, _)| head.id.as_str())
        .collect();
    let of_gone_series =
        |head: &Head<'_>| head.status.as_str() == "cancelled" && gone.contains(head.series.as_str());
    let change = |(head, text): &(Head<'_>, &str)| {
        let id = match head.id.as_str() {
            "" => String::new(),
            id => format!("{calendar}/{id}"),
        };
        if is_gone(head) || of_gone_series(head) {
            return Ok(Change::Delete(id));
        }
        Ok(Change::Upsert(Item {
            id,
            data: record::with_member(text, "calendar", calendar)?,
            modified: head.updated.timestamp(),
        }))
    };
    elements.iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{Window, testing};

    const TWO: &str = r#"{"calendars":["primary","team@example.com"]}"#;

    fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
        read(
            &testing::connection(config),
            &testing::read_request("events", cursor),
        )
    }

    fn pass(config: &str, mut cursor: Option<String>) -> (Vec<String>, Option<String>) {
        let mut read = Vec::new();
        for _ in 0..50 {
            let page = step(config, cursor.clone()).unwrap();
            assert!(
                !page.more || page.cursor != cursor,
                "a page with more moves the cursor"
            );
            read.extend(page.changes.iter().map(|change| match change {
                Change::Upsert(item) => format!("+{}", item.id),
                Change::Delete(id) => format!("-{id}"),
            }));
            cursor = page.cursor;
            if !page.more {
                return (read, cursor);
            }
        }
        panic!("the pass does not end");
    }

    fn urls() -> Vec<String> {
        let requests = testing::requests();
        let base = "https://www.googleapis.com/calendar/v3/calendars/";
        requests
            .iter()
            .map(|request| {
                request
                    .url()
                    .strip_prefix(base)
                    .unwrap()
                    .replace("&maxResults=250", "")
            })
            .collect()
    }

    #[test]
    fn each_calendar_is_listed_once_and_then_asked_for_changes() {
        testing::serve(|request| {
            let body = match request.url() {
                url if url.contains("team%40") => r#"{"items":[{"id":"t1"}],"nextSyncToken":"team-1"}"#,
                url if url.contains("syncToken=mine-1") => {
                    r#"{"items":[{"id":"a","status":"cancelled"}],"nextSyncToken":"mine-2"}"#
                }
                url if url.contains("pageToken=p2") => r#"{"items":[{"id":"b"}],"nextSyncToken":"mine-1"}"#,
                _ => r#"{"items":[{"id":"a"}],"nextPageToken":"p2"}"#,
            };
            testing::answer(200, &[], body)
        });
        let (read, cursor) = pass(TWO, None);
        assert_eq!(read, ["+primary/a", "+primary/b", "+team@example.com/t1"]);
        let (read, cursor) = pass(TWO, cursor);
        assert_eq!(read, ["-primary/a", "+team@example.com/t1"]);
        assert_eq!(
            urls(),
            [
                "primary/events?maxResults=250&showDeleted=true",
                "primary/events?maxResults=250&showDeleted=true&pageToken=p2",
                "team%40example.com/events?maxResults=250&showDeleted=true",
                "primary/events?maxResults=250&showDeleted=true&syncToken=mine-1",
                "team%40example.com/events?maxResults=250&showDeleted=true&syncToken=team-1",
            ]
        );
        assert_eq!(
            cursor.as_deref(),
            Some(r#"{"tokens":{"primary":"mine-2","team@example.com":"team-1"}}"#)
        );
    }

    #[test]
    fn a_token_that_ended_starts_the_calendar_over() {
        testing::serve(|request| match request.url().contains("syncToken=old") {
            true => testing::answer(410, &[], include_str!("../../fixtures/gone.json")),
            false => testing::answer(200, &[], r#"{"items":[{"id":"a"}],"nextSyncToken":"new"}"#),
        });
        let (read, cursor) = pass("{}", Some(r#"{"tokens":{"primary":"old"}}"#.to_owned()));
        assert_eq!(read, ["+primary/a"]);
        assert_eq!(cursor.as_deref(), Some(r#"{"tokens":{"primary":"new"}}"#));
    }

    #[test]
    fn starting_over_has_an_end() {
        testing::serve(|request| match request.url().contains("pageToken") {
            true => testing::answer(410, &[], "{}"),
            false => testing::answer(200, &[], r#"{"items":[],"nextPageToken":"p2"}"#),
        });
        let mut cursor = None;
        for _ in 0..MAX_RESTARTS {
            let first = step("{}", cursor).unwrap();
            cursor = step("{}", first.cursor).unwrap().cursor;
        }
        let first = step("{}", cursor).unwrap();
        assert!(matches!(step("{}", first.cursor), Err(Error::Transient(_))));
        testing::serve(|_| testing::answer(410, &[], "{}"));
        assert!(
            step("{}", None).is_err(),
            "a listing without a token is never gone"
        );
    }

    #[test]
    fn a_cancelled_event_is_gone_and_a_cancelled_one_of_a_series_is_kept() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../../fixtures/events.json")));
        let page = step("{}", None).unwrap();
        let [
            Change::Upsert(one),
            Change::Delete(gone),
            Change::Upsert(left_out),
        ] = &page.changes[..]
        else {
            panic!("{:?}", page.changes)
        };
        assert_eq!(
            (one.id.as_str(), one.modified),
            ("primary/door1", Some(1_714_557_600_123))
        );
        let value: serde_json::Value = serde_json::from_str(&one.data).unwrap();
        assert_eq!(value["calendar"], "primary");
        assert_eq!(value["summary"], "Oil the door");
        assert_eq!(gone, "primary/door2");
        assert_eq!(left_out.id, "primary/door3_20240508T080000Z");
    }

    #[test]
    fn a_series_that_is_gone_takes_its_cancelled_days_along() {
        let body = r#"{"items":[
            {"id":"s_1","status":"cancelled","recurringEventId":"s"},
            {"id":"s_2","status":"confirmed","recurringEventId":"s"},
            {"id":"t_1","status":"cancelled","recurringEventId":"t"},
            {"id":"s","status":"cancelled"}],"nextSyncToken":"n"}"#;
        testing::serve(move |_| testing::answer(200, &[], body));
        let page = step("{}", None).unwrap();
        let kinds: Vec<bool> = page
            .changes
            .iter()
            .map(|change| matches!(change, Change::Delete(_)))
            .collect();
        assert_eq!(kinds, [true, false, false, true]);
    }

    #[test]
    fn a_partition_is_one_calendar_and_takes_up_its_part_of_an_old_cursor() {
        testing::serve(|request| {
            assert!(
                request.url().contains("/calendars/team%40example.com/events?")
                    && request.url().contains("syncToken=team-1")
            );
            testing::answer(200, &[], r#"{"items":[{"id":"t2"}],"nextSyncToken":"team-2"}"#)
        });
        let old = r#"{"tokens":{"primary":"mine-1","team@example.com":"team-1"},"at":{"calendar":"primary","page":"p2"}}"#;
        let mut request = testing::read_request("events", Some(old.to_owned()));
        request.partition = Some("team@example.com".to_owned());
        let page = read(&testing::connection(TWO), &request).unwrap();
        assert_eq!(page.changes[0].id(), "team@example.com/t2");
        assert_eq!(
            (page.more, page.cursor.as_deref()),
            (false, Some(r#"{"tokens":{"team@example.com":"team-2"}}"#))
        );
        request.partition = Some("gone@example.com".to_owned());
        let error = read(&testing::connection(TWO), &request).unwrap_err();
        assert!(matches!(error, Error::Config(_)));
    }

    #[test]
    fn a_partition_that_is_not_there_is_blamed_by_its_place_in_the_configuration() {
        testing::serve(|_| testing::answer(404, &[], "{}"));
        let mut request = testing::read_request("events", None);
        request.partition = Some("team@example.com".to_owned());
        let error = read(&testing::connection(TWO), &request).unwrap_err();
        assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/calendars/1")));
    }

    #[test]
    fn what_is_not_there_is_blamed_on_the_configuration() {
        testing::serve(|request| match request.url().contains("primary") {
            true => testing::answer(200, &[], r#"{"nextSyncToken":"s"}"#),
            false => testing::answer(404, &[], r#"{"error":{"code":404,"message":"Not Found"}}"#),
        });
        let first = step(TWO, None).unwrap();
        let error = step(TWO, first.cursor).unwrap_err();
        assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/calendars/1")));
    }

    #[test]
    fn a_window_cuts_both_ends_and_leaves_the_token() {
        testing::serve(|request| {
            assert!(
                request
                    .url()
                    .ends_with("&timeMin=1970-01-01T00%3A00%3A01Z&timeMax=1970-01-01T00%3A00%3A05Z")
            );
            testing::answer(200, &[], r#"{"items":[],"nextSyncToken":"of the window"}"#)
        });
        let mut request =
            testing::read_request("events", Some(r#"{"tokens":{"primary":"mine"}}"#.to_owned()));
        request.window = Some(Window {
            start: 1_000,
            end: 5_000,
        });
        let page = read(&testing::connection("{}"), &request).unwrap();
        assert_eq!(page.cursor, request.cursor);
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in [
            "<html>",
            r#"{"items":{}}"#,
            r#"{"items":[{"id":"a"},7]}"#,
            r#"{"items":[["a"]]}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step("{}", None), Err(Error::InvalidData(_))), "{body}");
        }
        testing::serve(|_| testing::answer(200, &[], r#"{"items":[{"summary":"no id"}]}"#));
        assert_eq!(
            step("{}", None).unwrap().changes[0].id(),
            "",
            "the host sets it aside"
        );
        testing::serve(|_| testing::answer(200, &[], r#"{"items":[],"nextPageToken":"same"}"#));
        let first = step("{}", None).unwrap();
        assert!(
            matches!(step("{}", first.cursor), Err(Error::InvalidData(_))),
            "in circles"
        );
    }
}
