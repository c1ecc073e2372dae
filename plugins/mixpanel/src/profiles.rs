//! Profiles of people (Mixpanel docs, "Query Profiles"). Mixpanel can't be asked for what changed, so a pass reads all, page by
//! page of one session: what the first page found.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::http::{self};
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, log};

use crate::{api, config};

/// How often a pass may begin again because its session has ended.
const MAX_RESTARTS: u8 = 2;

/// The longest session id that is carried on.
const MAX_SESSION_BYTES: usize = 1_024;

/// The place of the pass under way; all none between passes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The page to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restarts: Option<u8>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    results: &'a RawValue,
    #[serde(default)]
    page_size: Option<u64>,
    #[serde(borrow, default)]
    session_id: Text<'a>,
    #[serde(borrow, default)]
    total: Id<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "$distinct_id", borrow, default)]
    id: Id<'a>,
}

/// The next page.
pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let config = config::read(connection)?;
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    let at = cursor.page.unwrap_or_default();
    let form = match &cursor.session {
        Some(session) => format!("session_id={}&page={at}", http::encode(session)),
        None => String::new(),
    };
    let response = api::query(&config, "/engage", form).send()?;
    if cursor.session.is_some() && response.status == 400 {
        match api::ok(response) {
            Err(error @ Error::RateLimited(_)) => return Err(error),
            _ => return again(&cursor),
        }
    }
    let response = api::ok(response)?;
    let answer: Answer<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(answer.results.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.id.to_string(), text, None)));
    }
    let total_hint = match (&answer.total, at) {
        (Id::Number(total), 0) => Some(*total),
        _ => None,
    };
    let is_full = answer
        .page_size
        .is_some_and(|size| size > 0 && changes.len() as u64 >= size);
    let session = answer.session_id.as_str();
    if is_full && (session.is_empty() || session.len() > MAX_SESSION_BYTES) {
        return Err(Error::invalid_data(
            "Mixpanel gives a full page of profiles and no session to go on with",
        ));
    }
    let next = match is_full {
        true => Cursor {
            session: Some(session.to_owned()),
            page: Some(at + 1),
            restarts: cursor.restarts,
        },
        false => Cursor::default(),
    };
    let page = Page::at(changes, &next, is_full)?;
    Ok(Page { total_hint, ..page })
}

fn again(cursor: &Cursor) -> Result<Page, Error> {
    let restarts = cursor.restarts.unwrap_or_default() + 1;
    if restarts > MAX_RESTARTS {
        return Err(Error::transient("Mixpanel ends the session again and again"));
    }
    log::info("Mixpanel no longer knows the session: the profiles are read again");
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

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        let config = r#"{"project_id":7,"start_date":"2024-05-01"}"#;
        read(
            &testing::connection(config),
            &testing::read_request("profiles", cursor),
        )
    }

    #[test]
    fn full_pages_go_on_in_their_session() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://mixpanel.com/api/query/engage?project_id=7"
            );
            match request.content().unwrap() {
                b"" => testing::answer(200, &[], include_str!("../fixtures/profiles.json")),
                b"session_id=door-session%2F1&page=1" => testing::answer(
                    200,
                    &[],
                    r#"{"page":1,"page_size":2,"session_id":"door-session/1","status":"ok","results":[]}"#,
                ),
                other => panic!("{other:?}"),
            }
        });
        let first = step(None).unwrap();
        let ids: Vec<&str> = first.changes.iter().map(Change::id).collect();
        assert_eq!(
            (ids, first.more, first.total_hint),
            (vec!["mona", "1234"], true, Some(2))
        );
        let second = step(first.cursor).unwrap();
        assert_eq!((second.more, second.cursor.as_deref()), (false, Some("{}")));
    }

    #[test]
    fn a_session_that_ended_begins_again_but_not_for_ever() {
        testing::serve(|request| match request.content().unwrap() {
            b"" => testing::answer(200, &[], include_str!("../fixtures/profiles.json")),
            _ => testing::answer(400, &[], r#"{"error":"invalid session_id"}"#),
        });
        let mut cursor = None;
        for _ in 0..MAX_RESTARTS {
            let first = step(cursor).unwrap();
            let again = step(first.cursor).unwrap();
            assert!(again.more && again.changes.is_empty());
            cursor = again.cursor;
        }
        let first = step(cursor).unwrap();
        assert!(matches!(step(first.cursor), Err(Error::Transient(_))));
    }

    #[test]
    fn bad_pages_are_errors() {
        for body in [
            "<html>",
            "{}",
            r#"{"results":{}}"#,
            r#"{"results":[{"$distinct_id":"a"}],"page_size":1}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step(None), Err(Error::InvalidData(_))), "{body}");
        }
    }
}
