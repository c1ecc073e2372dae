//! The calendars of the account's list (Calendar API, `calendarList.list`), listed once and then asked for what changed by a
//! sync token. Where Google no longer takes the token (410), they are listed again, with what was taken off the list.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Error, Page, ReadRequest, log};

use crate::api;

/// How often a pass may begin again.
const MAX_RESTARTS: u8 = 2;

/// Where reading stands.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// What the last whole pass ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// The page of the pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restarts: Option<u8>,
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
    #[serde(default)]
    deleted: Option<bool>,
}

/// The next page.
pub(crate) fn read(request: &ReadRequest) -> Result<Page, Error> {
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    // The parameters have to be the same with and without a token.
    let mut asked = api::get(format!("{}/calendar/v3/users/me/calendarList", api::ROOT))
        .query("maxResults", "250")
        .query("showHidden", "true")
        .query("showDeleted", "true");
    if let Some(token) = &cursor.token {
        asked = asked.query("syncToken", token);
    }
    if let Some(page) = &cursor.page {
        asked = asked.query("pageToken", page);
    }
    let response = asked.send()?;
    let is_ours = cursor.token.is_some() || cursor.page.is_some();
    if is_ours && (response.status == 410 || response.status == 400 && cursor.page.is_some()) {
        return again(&cursor);
    }
    let response = api::ok(response)?;
    let list: List<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(list.items.map_or("[]", RawValue::get)) {
        let (head, text) = element?;
        let id = head.id.as_str().to_owned();
        changes.push(match head.deleted {
            Some(true) => Change::Delete(id),
            // Google does not tell when an entry was changed.
            _ => Change::Upsert(record::item(id, text, None)),
        });
    }
    cursor.page = api::token(&list.page, cursor.page.as_deref())?;
    let more = cursor.page.is_some();
    if !more {
        cursor.token = api::token(&list.sync, None)?.or(cursor.token);
        cursor.restarts = None;
    }
    Page::at(changes, &cursor, more)
}

/// Lists again from the beginning.
fn again(cursor: &Cursor) -> Result<Page, Error> {
    let restarts = cursor.restarts.unwrap_or_default() + 1;
    if restarts > MAX_RESTARTS {
        return Err(Error::transient(
            "Google ends its tokens again and again before they are used",
        ));
    }
    log::info("Google no longer takes the token: the calendars are listed again");
    let cursor = Cursor {
        restarts: Some(restarts),
        ..Cursor::default()
    };
    Page::at(Vec::new(), &cursor, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn step(cursor: Option<&str>) -> Result<Page, Error> {
        read(&testing::read_request("calendars", cursor.map(str::to_owned)))
    }

    #[test]
    fn they_are_listed_once_and_then_asked_for_changes() {
        testing::serve(|request| match request.url().contains("&syncToken=CLtoken1") {
            true => testing::answer(200, &[], r#"{"nextSyncToken":"CLtoken2"}"#),
            false => testing::answer(200, &[], include_str!("../../fixtures/calendars.json")),
        });
        let first = step(None).unwrap();
        let ids: Vec<&str> = first.changes.iter().map(Change::id).collect();
        assert_eq!(
            ids,
            [
                "mona@example.com",
                "doors@group.calendar.google.com",
                "gates@group.calendar.google.com"
            ]
        );
        assert!(matches!(first.changes[2], Change::Delete(_)) && !first.more);
        let second = step(first.cursor.as_deref()).unwrap();
        assert_eq!(second.cursor.as_deref(), Some(r#"{"token":"CLtoken2"}"#));
        assert_eq!(
            testing::requests()[0].url(),
            "https://www.googleapis.com/calendar/v3/users/me/calendarList?maxResults=250&showHidden=true&showDeleted=true"
        );
    }

    #[test]
    fn a_token_that_ended_starts_over_but_not_for_ever() {
        testing::serve(|request| {
            match request.url().contains("syncToken=") || request.url().contains("pageToken=") {
                true => testing::answer(410, &[], include_str!("../../fixtures/gone.json")),
                false => testing::answer(200, &[], r#"{"items":[],"nextPageToken":"p2"}"#),
            }
        });
        let mut cursor = Some(r#"{"token":"old"}"#.to_owned());
        for _ in 0..MAX_RESTARTS {
            let again = step(cursor.as_deref()).unwrap();
            assert!(again.more && again.changes.is_empty());
            cursor = step(again.cursor.as_deref()).unwrap().cursor;
        }
        assert!(matches!(step(cursor.as_deref()), Err(Error::Transient(_))));
    }

    #[test]
    fn bad_pages_are_errors() {
        for body in ["<html>", r#"{"items":{}}"#, r#"{"items":[7]}"#] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step(None), Err(Error::InvalidData(_))), "{body}");
        }
    }
}
