//! Shared links (HTTP documentation, `/sharing/list_shared_links`). Dropbox does not tell what changed, so a pass reads all of
//! them, and the host sees which are gone.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Error, Page, ReadRequest, log};

use crate::api;

/// How often a pass may begin again because Dropbox no longer took its cursor.
const MAX_RESTARTS: u8 = 3;

/// The longest cursor of Dropbox's that is carried on.
const MAX_CURSOR_BYTES: usize = 8_192;

/// The place of the pass under way; all none between passes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restarts: Option<u8>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    links: &'a RawValue,
    #[serde(borrow, default)]
    cursor: Text<'a>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    url: Text<'a>,
}

/// The next page.
pub(crate) fn read(request: &ReadRequest) -> Result<Page, Error> {
    #[derive(Serialize)]
    struct Arguments<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<&'a str>,
    }
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let arguments = Arguments {
        cursor: cursor.at.as_deref(),
    };
    let response = api::call("/2/sharing/list_shared_links", &arguments)?.send()?;
    if cursor.at.is_some() && api::is_refused_as(&response, "reset") {
        let restarts = cursor.restarts.unwrap_or_default() + 1;
        if restarts > MAX_RESTARTS {
            return Err(Error::transient(
                "Dropbox ends its cursors again and again before they are used",
            ));
        }
        log::info("Dropbox no longer takes the cursor: the links are listed again");
        let cursor = Cursor {
            at: None,
            restarts: Some(restarts),
        };
        return Page::at(Vec::new(), &cursor, true);
    }
    let response = api::ok(response)?;
    let list: List<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(list.links.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.url.as_str(), text, None)));
    }
    let next = list.cursor.as_str();
    if !list.has_more {
        return Page::at(changes, &Cursor::default(), false);
    }
    if next.is_empty() || next.len() > MAX_CURSOR_BYTES || cursor.at.as_deref() == Some(next) {
        return Err(Error::invalid_data(
            "Dropbox says that there are more links and gives nothing to go on from",
        ));
    }
    cursor.at = Some(next.to_owned());
    Page::at(changes, &cursor, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        read(&testing::read_request("shared_links", cursor))
    }

    #[test]
    fn all_links_are_read_and_then_again() {
        testing::serve(|request| match request.content().unwrap() {
            b"{}" => testing::answer(200, &[], include_str!("../fixtures/links.json")),
            br#"{"cursor":"k2"}"# => testing::answer(
                200,
                &[],
                r#"{"links":[{"url":"https://www.dropbox.com/s/b"}],"has_more":false}"#,
            ),
            other => panic!("{other:?}"),
        });
        let first = step(None).unwrap();
        assert_eq!(
            (first.changes[0].id(), first.more),
            ("https://www.dropbox.com/scl/fi/doorplan/plan.txt?dl=0", true)
        );
        let second = step(first.cursor).unwrap();
        assert_eq!(
            (second.changes.len(), second.more, second.cursor.as_deref()),
            (1, false, Some("{}"))
        );
    }

    #[test]
    fn a_cursor_that_ended_begins_again_but_not_for_ever() {
        testing::serve(|request| match request.content().unwrap() {
            b"{}" => testing::answer(200, &[], r#"{"links":[],"cursor":"k2","has_more":true}"#),
            _ => testing::answer(409, &[], include_str!("../fixtures/reset.json")),
        });
        let mut cursor = None;
        for _ in 0..MAX_RESTARTS {
            let first = step(cursor).unwrap();
            cursor = step(first.cursor).unwrap().cursor;
        }
        let first = step(cursor).unwrap();
        assert!(matches!(step(first.cursor), Err(Error::Transient(_))));
    }

    #[test]
    fn a_list_without_an_end_is_an_error() {
        for body in [
            r#"{"links":[],"has_more":true}"#,
            r#"{"links":7}"#,
            "<html>",
            r#"{"links":[7],"has_more":false}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step(None), Err(Error::InvalidData(_))), "{body}");
        }
    }
}
