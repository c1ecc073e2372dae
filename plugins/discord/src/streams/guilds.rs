//! The servers that the bot is in ("Get Current User Guilds"), in the order of their ids.

use serde::{Deserialize, Serialize};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging};

use crate::{api, config};

/// What Discord gives at once.
const PER_PAGE: usize = 200;

/// The most servers, in pages.
const MAX_PAGES: usize = 5;

/// Where a pass stands; empty between passes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    let config = config::read(connection)?;
    let named = config.guilds()?;
    let mut changes = Vec::new();
    let next = page(cursor.after.as_deref(), |id, text| {
        if named.is_empty() || named.iter().any(|named| named == id) {
            changes.push(Change::Upsert(record::item(id, text, None)));
        }
    })?;
    let after = paging::token(&next, cursor.after.as_deref())?;
    let more = after.is_some();
    Page::at(changes, &Cursor { after }, more)
}

/// The ids of the servers that are read.
pub(crate) fn wanted(connection: &Connection) -> Result<Vec<String>, Error> {
    let config = config::read(connection)?;
    let named = config.guilds()?;
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    paging::all(MAX_PAGES, |after| {
        let mut ids = Vec::new();
        let next = page(after, |id, _| ids.push(id.to_owned()))?;
        ids.retain(|id| api::is_id(id));
        Ok((ids, next))
    })
}

/// A page; gives the id that the next one begins after, empty at the end.
fn page(after: Option<&str>, mut each: impl FnMut(&str, &str)) -> Result<String, Error> {
    let mut asked = api::get("users/@me/guilds").query("limit", &PER_PAGE.to_string());
    if let Some(after) = after {
        asked = asked.query("after", after);
    }
    let response = asked.send()?.ok()?;
    let (mut last, mut count) = (String::new(), 0);
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        each(head.id.as_str(), text);
        last = head.id.as_str().to_owned();
        count += 1;
    }
    Ok(if count < PER_PAGE { String::new() } else { last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_full_page_is_followed_by_another() {
        testing::serve(|request| {
            let many: Vec<String> = (0..200)
                .map(|n| format!(r#"{{"id":"{}"}}"#, 100_000_000_000_000_000_u64 + n))
                .collect();
            match request.url() {
                "https://discord.com/api/v10/users/@me/guilds?limit=200" => {
                    testing::answer(200, &[], &format!("[{}]", many.join(",")))
                }
                "https://discord.com/api/v10/users/@me/guilds?limit=200&after=100000000000000199" => {
                    testing::answer(200, &[], include_str!("../../fixtures/guilds.json"))
                }
                other => panic!("{other}"),
            }
        });
        let connection = testing::connection("{}");
        let first = read(&connection, &testing::read_request("guilds", None)).unwrap();
        assert_eq!((first.changes.len(), first.more), (200, true));
        let second = read(&connection, &testing::read_request("guilds", first.cursor)).unwrap();
        assert_eq!(
            (second.changes[0].id(), second.more),
            ("197038439483310086", false)
        );
        assert_eq!(wanted(&connection).unwrap().len(), 201);
        let named = testing::connection(r#"{"guilds":["197038439483310086"]}"#);
        assert_eq!(wanted(&named).unwrap(), ["197038439483310086"]);
        let page = read(&named, &testing::read_request("guilds", None)).unwrap();
        assert!(page.changes.is_empty());
    }
}
