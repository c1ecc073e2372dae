//! Pages and data sources, by Notion's search (Notion docs, "Search by title" without a title): newest edit first, down to
//! where the pass before began to know. What is edited while a pass is read moves to the front, where the next pass finds
//! it. Notion rounds times down to the minute and its search lags, so a pass goes ten minutes further back.

use serde::{Deserialize, Serialize};
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Error, Page, ReadRequest, paging};

use crate::api::{self, Listing};

/// How far a pass goes behind the newest known edit, in milliseconds.
const AGAIN_MS: u64 = 600_000;

#[derive(Serialize)]
struct Asked<'a> {
    filter: Filter<'a>,
    sort: Sort,
    page_size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_cursor: Option<&'a str>,
}

#[derive(Serialize)]
struct Filter<'a> {
    property: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
struct Sort {
    direction: &'static str,
    timestamp: &'static str,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(rename = "last_edited_time", borrow, default)]
    edited: Text<'a>,
    #[serde(default)]
    in_trash: Option<bool>,
    #[serde(default)]
    archived: Option<bool>,
}

/// The next page of what Notion calls `object`, at most `most` records.
pub(crate) fn read(object: &str, request: &ReadRequest, most: u32) -> Result<Page, Error> {
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let asked = Asked {
        filter: Filter {
            property: "object",
            value: object,
        },
        sort: Sort {
            direction: "descending",
            timestamp: "last_edited_time",
        },
        page_size: paging::size(request, most),
        start_cursor: walk.token(),
    };
    let response = api::request("POST", "search").json(&asked)?.send()?;
    if walk.token().is_some() && api::is_stale(&response) {
        return walk.again();
    }
    let response = api::ok(response)?;
    let listing: Listing<'_> = response.json()?;
    let mut changes = Vec::with_capacity(most as usize);
    let mut is_known = false;
    for element in record::each::<Head<'_>>(listing.results.get()) {
        let (head, text) = element?;
        let (id, edited) = (head.id.as_str(), head.edited.timestamp());
        walk.saw(edited);
        is_known = walk
            .from()
            .zip(edited)
            .is_some_and(|(from, edited)| edited < from);
        if !walk.covers(edited) {
            continue;
        }
        changes.push(match head.in_trash.or(head.archived) {
            Some(true) => Change::Delete(id.to_owned()),
            _ => Change::Upsert(record::item(id, text, edited)),
        });
    }
    let next = if is_known { "" } else { listing.next()? };
    walk.page(changes, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{Window, testing};

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        read("page", &testing::read_request("pages", cursor), api::PER_PAGE)
    }

    fn asked(at: usize) -> serde_json::Value {
        serde_json::from_slice(testing::requests()[at].content().unwrap()).unwrap()
    }

    fn ids(page: &Page) -> Vec<&str> {
        page.changes.iter().map(Change::id).collect()
    }

    const PAGES: &str = include_str!("../fixtures/search-pages.json");
    const OLDER: &str = r#"{"object":"list","results":[{"id":"c","last_edited_time":"2024-05-01T09:40:00.000Z"},{"id":"d","last_edited_time":"2024-05-01T08:00:00.000Z"}],"has_more":true,"next_cursor":"further"}"#;

    #[test]
    fn a_pass_goes_down_to_what_is_known() {
        testing::serve(|request| {
            let body = std::str::from_utf8(request.content().unwrap()).unwrap();
            match body.contains("start_cursor") {
                false => testing::answer(200, &[], PAGES),
                true => testing::answer(200, &[], OLDER),
            }
        });
        let since = Some(r#"{"since":1714556400000}"#.to_owned());
        let first = step(since).unwrap();
        assert!(first.more);
        assert!(matches!(
            &first.changes[..],
            [Change::Upsert(item), Change::Delete(gone)]
                if item.id == "0d000000-0000-0000-0000-00000000000a" && item.modified == Some(1_714_557_600_000)
                    && gone == "0d000000-0000-0000-0000-00000000000b"
        ));
        let last = step(first.cursor).unwrap();
        assert_eq!(
            (ids(&last), last.more),
            (vec!["c"], false),
            "10:40 minus ten minutes is 09:30"
        );
        assert_eq!(last.cursor.as_deref(), Some(r#"{"since":1714557600000}"#));
        assert_eq!(
            asked(0),
            serde_json::json!({
                "filter": {"property": "object", "value": "page"},
                "sort": {"direction": "descending", "timestamp": "last_edited_time"},
                "page_size": 100,
            })
        );
        assert_eq!(asked(1)["start_cursor"], "next-1");
        assert_eq!(
            testing::requests()[0].header_value("notion-version"),
            Some(api::VERSION)
        );
    }

    #[test]
    fn a_window_leaves_out_what_is_newer_and_ends_at_what_is_older() {
        testing::serve(|_| testing::answer(200, &[], OLDER));
        let mut request = testing::read_request("pages", None);
        request.window = Some(Window {
            start: 1_714_552_200_000,
            end: 1_714_557_000_000,
        });
        let page = read("page", &request, 100).unwrap();
        assert_eq!((ids(&page), page.more), (vec!["c"], false));
        assert_eq!(page.cursor.as_deref(), Some("{}"));
    }

    #[test]
    fn a_cursor_that_ended_begins_the_pass_again() {
        testing::serve(|_| {
            testing::answer(
                400,
                &[],
                r#"{"object":"error","status":400,"code":"validation_error","message":"The start_cursor provided is invalid: x"}"#,
            )
        });
        let page = step(Some(r#"{"at":{"token":"x"}}"#.to_owned())).unwrap();
        assert!(page.more && page.changes.is_empty());
        assert!(matches!(step(None), Err(Error::InvalidData(_))));
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in [
            "<html>",
            "{}",
            r#"{"results":{}}"#,
            r#"{"results":[{"id":"1"},7]}"#,
            r#"{"results":[],"has_more":true,"next_cursor":null}"#,
            r#"{"results":[],"has_more":true,"next_cursor":"a"}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let cursor = Some(r#"{"at":{"token":"a"}}"#.to_owned());
            assert!(matches!(step(cursor), Err(Error::InvalidData(_))), "{body}");
        }
    }
}
