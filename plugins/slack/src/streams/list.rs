//! Lists that Slack can neither sort nor filter by change: every pass reads them whole, page by page.

use serde::{Deserialize, Serialize};
use sluice_sdk::record::{self, Id};
use sluice_sdk::{Change, Error, Page, ReadRequest};

use crate::api::{self, Answer, Listing};

/// How often a pass may begin again because its cursor was no longer good.
const MAX_RESTARTS: u8 = 2;

/// A method that lists.
pub(crate) struct List {
    pub(crate) method: &'static str,
    pub(crate) query: &'static [(&'static str, &'static str)],
    pub(crate) array: Array,
    /// What `updated` means, in milliseconds.
    pub(crate) modified: fn(&Id<'_>) -> Option<u64>,
}

/// The member of the answer that has the records.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Array {
    Members,
    Channels,
}

/// Where a pass stands; empty between passes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(default)]
    restarts: u8,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    updated: Id<'a>,
}

/// The next page.
pub(crate) fn read(list: &List, request: &ReadRequest) -> Result<Page, Error> {
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    let mut call = api::get(list.method).query("limit", api::PER_PAGE);
    for (name, value) in list.query {
        call = call.query(name, value);
    }
    if let Some(next) = &cursor.next {
        call = call.query("cursor", next);
    }
    let response = match api::send(call)? {
        Answer::Refused(refusal) if refusal.is_about_the_cursor() && cursor.restarts < MAX_RESTARTS => {
            let again = Cursor {
                next: None,
                restarts: cursor.restarts + 1,
            };
            return Page::at(Vec::new(), &again, true);
        }
        answer => answer.ok()?,
    };
    let listing: Listing<'_> = response.json()?;
    let array = match list.array {
        Array::Members => listing.members.ok_or_else(|| api::no_array("members"))?,
        Array::Channels => listing.channels.ok_or_else(|| api::no_array("channels"))?,
    };
    let mut changes = Vec::with_capacity(200);
    for element in record::each::<Head<'_>>(array.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(
            head.id.to_string(),
            text,
            (list.modified)(&head.updated),
        )));
    }
    match listing.next(cursor.next.as_deref())? {
        Some(next) => Page::at(
            changes,
            &Cursor {
                next: Some(next),
                ..cursor
            },
            true,
        ),
        None => Page::at(changes, &Cursor::default(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::channels::CHANNELS;
    use crate::streams::users::USERS;
    use sluice_sdk::testing;

    fn step(list: &List, cursor: Option<String>) -> Result<Page, Error> {
        read(list, &testing::read_request("any", cursor))
    }

    fn ids(page: &Page) -> Vec<&str> {
        page.changes.iter().map(Change::id).collect()
    }

    #[test]
    fn a_pass_follows_the_cursor_to_the_end() {
        testing::serve(|request| match request.url() {
            "https://slack.com/api/users.list?limit=200" => {
                testing::answer(200, &[], include_str!("../../fixtures/users.json"))
            }
            "https://slack.com/api/users.list?limit=200&cursor=dXNlcjpVMQ%3D%3D" => testing::answer(
                200,
                &[],
                r#"{"ok":true,"members":[{"id":"U2"}],"response_metadata":{"next_cursor":""}}"#,
            ),
            other => panic!("{other}"),
        });
        let first = step(&USERS, None).unwrap();
        assert_eq!((ids(&first), first.more), (vec!["U1MONA"], true));
        assert!(
            matches!(&first.changes[0], Change::Upsert(item) if item.modified == Some(1_714_557_600_000))
        );
        let second = step(&USERS, first.cursor).unwrap();
        assert_eq!((ids(&second), second.more), (vec!["U2"], false));
        assert_eq!(second.cursor.as_deref(), Some(r#"{"restarts":0}"#));
    }

    #[test]
    fn channels_of_both_kinds_are_asked_for() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://slack.com/api/conversations.list?limit=200&types=public_channel%2Cprivate_channel"
            );
            testing::answer(200, &[], include_str!("../../fixtures/channels.json"))
        });
        let page = step(&CHANNELS, None).unwrap();
        assert_eq!((ids(&page), page.more), (vec!["C0GENERAL"], false));
    }

    #[test]
    fn a_stale_cursor_begins_again_but_not_for_ever() {
        testing::serve(|_| testing::answer(200, &[], r#"{"ok":false,"error":"invalid_cursor"}"#));
        let mut cursor = Some(r#"{"next":"old"}"#.to_owned());
        for _ in 0..MAX_RESTARTS {
            let page = step(&USERS, cursor.clone()).unwrap();
            assert!(page.more && page.cursor != cursor);
            cursor = page.cursor;
        }
        assert!(matches!(step(&USERS, cursor), Err(Error::InvalidData(_))));
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in [
            "<html>",
            r#"{"ok":true}"#,
            r#"{"ok":true,"members":{}}"#,
            r#"{"ok":true,"members":[{"id":"U1"},7]}"#,
            r#"{"ok":true,"members":[],"response_metadata":{"next_cursor":"a"}}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let cursor = Some(r#"{"next":"a"}"#.to_owned());
            assert!(
                matches!(step(&USERS, cursor), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }
}
