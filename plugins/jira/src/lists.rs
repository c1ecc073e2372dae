//! Projects and people (Jira docs, "Get projects paginated", "Get all users"): whole lists each time, by number.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest};

use crate::api;

const PROJECTS_AT_ONCE: u64 = 50;
const USERS_AT_ONCE: u64 = 200;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(rename = "accountId", borrow, default)]
    account: Text<'a>,
}

pub(crate) fn projects(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        values: &'a RawValue,
        #[serde(rename = "isLast", default)]
        is_last: Option<bool>,
    }
    let walk = Walk::begin(request, 0)?;
    let start = start(&walk)?;
    let asked = api::request(connection, "GET", "project/search")?
        .query("startAt", &start.to_string())
        .query("maxResults", &PROJECTS_AT_ONCE.to_string())
        .query("orderBy", "key")
        .query("expand", "description,lead");
    let response = api::ok(asked.send()?)?;
    let answer: Answer<'_> = response.json()?;
    let changes = changes(answer.values, |head| head.id.as_str().to_owned())?;
    let read = changes.len() as u64;
    let is_last = answer.is_last.unwrap_or(read < PROJECTS_AT_ONCE) || read == 0;
    end(walk, changes, start, read, is_last)
}

/// Jira leaves out whom the account may not see after it has counted, so that only an empty page is the last one.
pub(crate) fn users(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let walk = Walk::begin(request, 0)?;
    let start = start(&walk)?;
    let asked = api::request(connection, "GET", "users/search")?
        .query("startAt", &start.to_string())
        .query("maxResults", &USERS_AT_ONCE.to_string());
    let response = api::ok(asked.send()?)?;
    let list: &RawValue = response.json()?;
    let changes = changes(list, |head| head.account.as_str().to_owned())?;
    let is_last = changes.is_empty();
    end(walk, changes, start, USERS_AT_ONCE, is_last)
}

fn start(walk: &Walk) -> Result<u64, Error> {
    walk.token().map_or(Ok(0), |text| {
        text.parse()
            .map_err(|_| Error::invalid_data("the cursor has no number to go on from").at("/at/token"))
    })
}

fn changes(list: &RawValue, id: impl Fn(&Head<'_>) -> String) -> Result<Vec<Change>, Error> {
    record::each::<Head<'_>>(list.get())
        .map(|element| {
            let (head, text) = element?;
            Ok(Change::Upsert(record::item(id(&head), text, None)))
        })
        .collect()
}

fn end(walk: Walk, changes: Vec<Change>, start: u64, read: u64, is_last: bool) -> Result<Page, Error> {
    let next = if is_last {
        String::new()
    } else {
        start.saturating_add(read).to_string()
    };
    walk.page(changes, &next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn connection() -> Connection {
        testing::connection(r#"{"site":"doors.atlassian.net"}"#)
    }

    #[test]
    fn projects_are_followed_to_the_last_page() {
        testing::serve(|request| match request.url().contains("startAt=0") {
            true => testing::answer(200, &[], include_str!("../fixtures/projects.json")),
            false => testing::answer(
                200,
                &[],
                r#"{"values":[{"id":"10001","key":"LOCK"}],"isLast":true}"#,
            ),
        });
        let first = projects(&connection(), &testing::read_request("projects", None)).unwrap();
        assert!(first.more && first.changes[0].id() == "10000");
        let last = projects(&connection(), &testing::read_request("projects", first.cursor)).unwrap();
        assert!(!last.more && testing::requests()[1].url().contains("startAt=1&"));
    }

    #[test]
    fn people_are_read_until_a_page_is_empty() {
        testing::serve(|request| match request.url().contains("startAt=0") {
            true => testing::answer(200, &[], include_str!("../fixtures/users.json")),
            false => testing::answer(200, &[], "[]"),
        });
        let first = users(&connection(), &testing::read_request("users", None)).unwrap();
        assert!(first.more && first.changes[0].id() == "acc-mona");
        let last = users(&connection(), &testing::read_request("users", first.cursor)).unwrap();
        assert_eq!((last.more, last.cursor.as_deref()), (false, Some("{}")));
        assert!(testing::requests()[1].url().contains("startAt=200"));
        let foreign = Some(r#"{"at":{"token":"x&y"}}"#.to_owned());
        let refused = users(&connection(), &testing::read_request("users", foreign));
        assert!(matches!(refused, Err(Error::InvalidData(_))));
    }
}
