//! What is written on pages (Notion docs, "Retrieve block children"), of each page that the search finds edited: a page's
//! time moves when one of its blocks is edited. Blocks are gone through level by level in depth, a page after the other,
//! and the place is carried in the cursor; a call reads some lists of children, never a whole page at any price.
//!
//! Bounds: levels by the configuration, blocks of a page by [`MAX_BLOCKS`]. Pages and databases within pages are pages of
//! their own. Which blocks were removed Notion does not tell: a full run does not find them any more.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, log};

use crate::api::{self, Listing};
use crate::{config, search};

/// Pages of one search: their ids are carried in the cursor.
const PAGES_AT_ONCE: u32 = 20;

/// Lists of children that one call reads.
const LISTS_AT_ONCE: usize = 10;

/// Blocks of one page; what is beyond is left out, with a line in the log.
const MAX_BLOCKS: u32 = 20_000;

/// Where reading stands.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// The search's own cursor; none at the very start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    search: Option<Box<RawValue>>,
    /// Whether the search has more.
    #[serde(default)]
    more: bool,
    /// Pages that are still to be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pages: Vec<String>,
    /// The page under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// Blocks of the page under way that were read.
    #[serde(default)]
    count: u32,
    /// Lists of children that are still to be read, the next one last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lists: Vec<List>,
}

/// A block, its level, and the cursor within its children.
#[derive(Debug, Serialize, Deserialize)]
struct List(String, u8, Option<String>);

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(rename = "last_edited_time", borrow, default)]
    edited: Text<'a>,
    #[serde(default)]
    has_children: Option<bool>,
}

/// The next page of blocks.
pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let depth = config::depth(connection)?;
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let is_idle = cursor.lists.is_empty() && cursor.pages.is_empty();
    if is_idle {
        find(&mut cursor, request)?;
    }
    let mut changes = Vec::new();
    for _ in 0..LISTS_AT_ONCE {
        let list = match cursor.lists.pop() {
            Some(list) => list,
            None => match cursor.pages.pop() {
                Some(page) => {
                    cursor.page = Some(page.clone());
                    cursor.count = 0;
                    List(page, 1, None)
                }
                None => break,
            },
        };
        children(&mut cursor, list, depth, &mut changes)?;
    }
    let is_through = cursor.lists.is_empty() && cursor.pages.is_empty();
    if is_through {
        cursor.page = None;
        cursor.count = 0;
    }
    let more = !is_through || cursor.more;
    Page::at(changes, &cursor, more)
}

/// Searches for pages that were edited.
fn find(cursor: &mut Cursor, request: &ReadRequest) -> Result<(), Error> {
    let asked = ReadRequest {
        cursor: cursor.search.take().map(|text| text.get().to_owned()),
        page_hint: PAGES_AT_ONCE,
        ..request.clone()
    };
    let found = search::read("page", &asked, PAGES_AT_ONCE)?;
    cursor.more = found.more;
    cursor.search = found
        .cursor
        .map(RawValue::from_string)
        .transpose()
        .map_err(|error| Error::internal(format!("the search's cursor: {error}")))?;
    cursor.pages = found
        .changes
        .into_iter()
        .filter_map(|change| match change {
            Change::Upsert(item) if api::is_id(&item.id) => Some(item.id),
            _ => None,
        })
        .collect();
    cursor.pages.reverse();
    Ok(())
}

/// Reads a list of children; those that have children themselves are put on top of what is to be read.
fn children(cursor: &mut Cursor, list: List, depth: u8, changes: &mut Vec<Change>) -> Result<(), Error> {
    let List(block, level, start) = list;
    if !api::is_id(&block) {
        return Err(Error::invalid_data("the cursor names something that is no block").at("/lists"));
    }
    let page = cursor.page.clone().unwrap_or_else(|| block.clone());
    let mut asked = api::request("GET", &format!("blocks/{block}/children"))
        .query("page_size", &api::PER_PAGE.to_string());
    if let Some(start) = &start {
        asked = asked.query("start_cursor", start);
    }
    let response = asked.send()?;
    // Taken away, or taken from the integration, since it was seen.
    if response.status == 404 {
        return Ok(());
    }
    if start.is_some() && api::is_stale(&response) {
        cursor.lists.push(List(block, level, None));
        return Ok(());
    }
    let response = api::ok(response)?;
    let listing: Listing<'_> = response.json()?;
    let mut deeper = Vec::new();
    for element in record::each::<Head<'_>>(listing.results.get()) {
        let (head, text) = element?;
        let (id, edited) = (head.id.as_str(), head.edited.timestamp());
        cursor.count = cursor.count.saturating_add(1);
        let data = record::with_member(text, "page_id", &page)?;
        changes.push(Change::Upsert(record::item(id, &data, edited)));
        let is_page = matches!(head.kind.as_str(), "child_page" | "child_database");
        if head.has_children == Some(true) && !is_page && level < depth && api::is_id(id) {
            deeper.push(List(id.replace('-', ""), level + 1, None));
        }
    }
    let next = sluice_sdk::paging::token(listing.next()?, start.as_deref())?;
    if cursor.count >= MAX_BLOCKS && (next.is_some() || !deeper.is_empty() || !cursor.lists.is_empty()) {
        log::warn("a page has more blocks than are read of one page: the rest is left out");
        cursor.lists.clear();
        return Ok(());
    }
    if next.is_some() {
        cursor.lists.push(List(block, level, next));
    }
    deeper.reverse();
    cursor.lists.append(&mut deeper);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    const A: &str = "0d00000000000000000000000000000a";

    fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
        read(
            &testing::connection(config),
            &testing::read_request("blocks", cursor),
        )
    }

    fn block(n: u32, kind: &str, has_children: bool) -> String {
        format!(
            r#"{{"object":"block","id":"0d000000-0000-0000-0000-{n:012}","type":"{kind}","has_children":{has_children},"last_edited_time":"2024-05-01T10:00:00.000Z"}}"#
        )
    }

    fn list(blocks: &[String], next: Option<&str>) -> String {
        let next = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
        format!(
            r#"{{"object":"list","results":[{}],"has_more":{},"next_cursor":{next}}}"#,
            blocks.join(","),
            next != "null"
        )
    }

    fn search_of(id: &str) -> String {
        format!(
            r#"{{"results":[{{"id":"{id}","last_edited_time":"2024-05-01T10:00:00.000Z"}}],"has_more":false,"next_cursor":null}}"#
        )
    }

    fn all(config: &str) -> Vec<String> {
        let (mut cursor, mut ids) = (None, Vec::new());
        loop {
            let page = step(config, cursor.clone()).unwrap();
            ids.extend(page.changes.iter().map(|change| change.id().to_owned()));
            assert!(page.cursor != cursor, "a page with more moves the cursor");
            cursor = page.cursor;
            if !page.more {
                return ids;
            }
        }
    }

    #[test]
    fn blocks_within_blocks_are_read_and_pages_within_pages_are_not() {
        testing::serve(|request| {
            let url = request.url();
            let answer = if url.ends_with("/search") {
                search_of(A)
            } else if url.contains("start_cursor=more") {
                list(&[block(4, "paragraph", false)], None)
            } else if url.contains(A) {
                let blocks = [
                    block(1, "toggle", true),
                    block(2, "child_page", true),
                    block(3, "table", true),
                ];
                list(&blocks, Some("more"))
            } else if url.contains("0d000000000000000000000000000001/") {
                list(&[block(11, "paragraph", false)], None)
            } else if url.contains("0d000000000000000000000000000003/") {
                list(&[block(31, "table_row", false)], None)
            } else {
                panic!("{url}")
            };
            testing::answer(200, &[], &answer)
        });
        let ids: Vec<String> = all("{}")
            .iter()
            .map(|id| {
                id.trim_start_matches("0d000000-0000-0000-0000-0")
                    .trim_start_matches('0')
                    .to_owned()
            })
            .collect();
        assert_eq!(ids, ["1", "2", "3", "11", "31", "4"]);
        let page = step("{}", None).unwrap();
        let Change::Upsert(item) = &page.changes[3] else {
            panic!("{:?}", page.changes)
        };
        assert!(
            item.data.ends_with(&format!(r#","page_id":"{A}"}}"#)),
            "{}",
            item.data
        );
        assert_eq!(
            page.cursor.as_deref(),
            Some(r#"{"search":{"since":1714557600000},"more":false,"count":0}"#)
        );
    }

    /// A vendor whose blocks never end, in depth and in length, is bounded and keeps the cursor small.
    #[test]
    fn depth_and_length_are_bounded() {
        testing::serve(|request| {
            let url = request.url();
            if url.ends_with("/search") {
                return testing::answer(200, &[], &search_of(A));
            }
            let blocks: Vec<String> = (0..100).map(|n| block(n, "toggle", true)).collect();
            let start = url
                .split_once("start_cursor=")
                .map_or(0, |(_, at)| at.parse::<u32>().unwrap());
            testing::answer(200, &[], &list(&blocks, Some(&(start + 1).to_string())))
        });
        let mut cursor = None;
        let (mut blocks, mut longest) = (0, 0);
        loop {
            let page = step(r#"{"depth":8}"#, cursor).unwrap();
            blocks += page.changes.len();
            longest = longest.max(page.cursor.as_ref().unwrap().len());
            cursor = page.cursor;
            if !page.more {
                break;
            }
        }
        assert_eq!(blocks, MAX_BLOCKS as usize);
        assert!(longest < 60_000, "{longest}");
    }

    #[test]
    fn a_page_that_went_away_is_passed_over() {
        testing::serve(|request| match request.url().ends_with("/search") {
            true => testing::answer(200, &[], &search_of(A)),
            false => testing::answer(404, &[], r#"{"code":"object_not_found","message":"m"}"#),
        });
        let page = step("{}", None).unwrap();
        assert!(page.changes.is_empty() && !page.more);
        let foreign = Some(r#"{"lists":[["../users",1,null]]}"#.to_owned());
        assert!(matches!(step("{}", foreign), Err(Error::InvalidData(_))));
    }
}
