//! People and integrations (Notion docs, "List all users"): the whole list each time, Notion tells no changes.

use serde::Deserialize;
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Error, Page, ReadRequest};

use crate::api::{self, Listing};

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

/// The next page.
pub(crate) fn read(request: &ReadRequest) -> Result<Page, Error> {
    let walk = Walk::begin(request, 0)?;
    let mut asked = api::request("GET", "users").query("page_size", &api::PER_PAGE.to_string());
    if let Some(cursor) = walk.token() {
        asked = asked.query("start_cursor", cursor);
    }
    let response = asked.send()?;
    if walk.token().is_some() && api::is_stale(&response) {
        return walk.again();
    }
    let response = api::ok(response)?;
    let listing: Listing<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(listing.results.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.id.as_str(), text, None)));
    }
    walk.page(changes, listing.next()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_list_is_followed_to_its_end() {
        testing::serve(|request| match request.url() {
            "https://api.notion.com/v1/users?page_size=100" => {
                testing::answer(200, &[], include_str!("../fixtures/users.json"))
            }
            "https://api.notion.com/v1/users?page_size=100&start_cursor=u2" => testing::answer(
                200,
                &[],
                r#"{"results":[{"id":"u2"}],"has_more":false,"next_cursor":null}"#,
            ),
            other => panic!("{other}"),
        });
        let first = read(&testing::read_request("users", None)).unwrap();
        assert!(first.more && first.changes[0].id() == "0d000000-0000-0000-0000-0000000000aa");
        let last = read(&testing::read_request("users", first.cursor)).unwrap();
        assert_eq!((last.more, last.cursor.as_deref()), (false, Some("{}")));
    }
}
