//! People of the account ("List users"): Zoom lists one status at a time. The other streams have one partition for each active one.

use serde::{Deserialize, Serialize};
use sluice_sdk::record::{self, Id};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging};

use crate::{api, config};

const STATUSES: [&str; 3] = ["active", "pending", "inactive"];

/// The most people, in pages of 300: each is a partition with a cursor of its own.
const MAX_PAGES: usize = 10;

/// Where a pass stands; empty between passes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// The place in the list of statuses.
    #[serde(default)]
    status: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
}

pub(crate) fn read(request: &ReadRequest) -> Result<Page, Error> {
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    let status = STATUSES
        .get(cursor.status)
        .ok_or_else(|| Error::invalid_data("the cursor names no status").at("/status"))?;
    let mut changes = Vec::new();
    let next = page(status, cursor.token.as_deref(), |id, text| {
        changes.push(Change::Upsert(record::item(id, text, None)));
    })?;
    let token = paging::token(&next, cursor.token.as_deref())?;
    let status = cursor.status + usize::from(token.is_none());
    let more = status < STATUSES.len();
    let cursor = match more {
        true => Cursor { status, token },
        false => Cursor::default(),
    };
    Page::at(changes, &cursor, more)
}

/// Whose meetings and recordings are read.
pub(crate) fn partitions(connection: &Connection) -> Result<Vec<String>, Error> {
    let config = config::read(connection)?;
    let named = config.users()?;
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    paging::all(MAX_PAGES, |token| {
        let mut ids = Vec::new();
        let next = page("active", token, |id, _| ids.push(id))?;
        ids.retain(|id| api::is_user(id));
        Ok((ids, next))
    })
}

/// The person that a partition is of.
pub(crate) fn of(request: &ReadRequest) -> Result<&str, Error> {
    let user = request.partition.as_deref().filter(|user| api::is_user(user));
    user.ok_or_else(|| Error::invalid_data("not the id of a person"))
}

/// A page of people; gives the next one's token.
fn page(status: &str, token: Option<&str>, mut each: impl FnMut(String, &str)) -> Result<String, Error> {
    let mut asked = api::get("users")
        .query("status", status)
        .query("page_size", api::PER_PAGE);
    if let Some(token) = token {
        asked = asked.query("next_page_token", token);
    }
    let response = api::ok(asked.send()?)?;
    let listing: api::Listing<'_> = response.json()?;
    for element in record::each::<Head<'_>>(api::array(listing.users, "users")?) {
        let (head, text) = element?;
        each(head.id.to_string(), text);
    }
    Ok(listing.next_page_token.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn serve() {
        testing::serve(|request| {
            let url = request.url();
            let body = match (url.contains("status=active"), url.contains("next_page_token")) {
                (true, false) => include_str!("../../fixtures/users.json").to_owned(),
                (true, true) => r#"{"users":[{"id":"u2"}],"next_page_token":""}"#.to_owned(),
                (false, _) => r#"{"users":[]}"#.to_owned(),
            };
            testing::answer(200, &[], &body)
        });
    }

    #[test]
    fn people_of_each_status_are_read() {
        serve();
        let (mut ids, mut cursor) = (Vec::new(), None);
        for left in (0..4).rev() {
            let page = read(&testing::read_request("users", cursor)).unwrap();
            ids.extend(page.changes.iter().map(|change| change.id().to_owned()));
            assert_eq!(page.more, left > 0);
            cursor = page.cursor;
        }
        assert_eq!(ids, ["uMonaDoors0000000001", "u2"]);
        assert!(
            testing::requests()[1]
                .url()
                .ends_with("&next_page_token=tokDoors2")
        );
        assert_eq!(
            partitions(&testing::connection("{}")).unwrap(),
            ["uMonaDoors0000000001", "u2"]
        );
        let named = testing::connection(r#"{"users":["mona@doors.example"]}"#);
        assert_eq!(partitions(&named).unwrap(), ["mona@doors.example"]);
    }

    #[test]
    fn bad_pages_and_cursors_are_errors() {
        for body in [
            "<html>",
            "{}",
            r#"{"users":{}}"#,
            r#"{"users":[],"next_page_token":"a"}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let cursor = Some(r#"{"status":0,"token":"a"}"#.to_owned());
            let page = read(&testing::read_request("users", cursor));
            assert!(matches!(page, Err(Error::InvalidData(_))), "{body}");
        }
        let cursor = Some(r#"{"status":9}"#.to_owned());
        assert!(read(&testing::read_request("users", cursor)).is_err());
    }
}
