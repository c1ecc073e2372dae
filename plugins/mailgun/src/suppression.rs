//! Addresses that get no mail, by why ("Suppressions"): bounces, complaints, unsubscribes. Mailgun cannot filter them by time: every pass
//! reads a list whole. A page always has a next one; the list ends with an empty page.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Error, Page, ReadRequest, paging};

use crate::api::Api;

const PER_PAGE: &str = "1000";

/// Where a pass stands: the query of the next page. Empty between passes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
}

#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(borrow)]
    items: &'a RawValue,
    #[serde(borrow, default)]
    paging: Paging<'a>,
}

#[derive(Default, Deserialize)]
struct Paging<'a> {
    #[serde(borrow, default)]
    next: Text<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    address: Text<'a>,
}

pub(crate) fn read(api: &Api, request: &ReadRequest, list: &str) -> Result<Page, Error> {
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    let path = format!("v3/{}/{list}", api.domain);
    let asked = match &cursor.query {
        // The path stays this list's, whatever address the next page had.
        Some(query) => api.get(&format!("{path}?{query}")),
        None => api.get(&path).query("limit", PER_PAGE),
    };
    let response = asked.send()?.ok()?;
    let listing: Listing<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(listing.items.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.address.as_str(), text, None)));
    }
    let next = match changes.is_empty() {
        true => "",
        false => listing
            .paging
            .next
            .as_str()
            .split_once('?')
            .map_or("", |(_, query)| query),
    };
    let query = paging::token(next, cursor.query.as_deref())?;
    let more = query.is_some();
    Page::at(changes, &Cursor { query }, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        let api = Api::of(&testing::connection(r#"{"domain":"mg.doors.example"}"#)).unwrap();
        read(&api, &testing::read_request("bounces", cursor), "bounces")
    }

    #[test]
    fn a_list_is_read_to_its_empty_page() {
        testing::serve(|request| match request.url() {
            "https://api.mailgun.net/v3/mg.doors.example/bounces?limit=1000" => {
                testing::answer(200, &[], include_str!("../fixtures/bounces.json"))
            }
            "https://api.mailgun.net/v3/mg.doors.example/bounces?page=next&address=cellar%40doors.example&limit=1000" => {
                testing::answer(
                    200,
                    &[],
                    r#"{"items":[],"paging":{"next":"https://elsewhere.example/x?page=next"}}"#,
                )
            }
            other => panic!("{other}"),
        });
        let first = step(None).unwrap();
        assert_eq!(
            (first.changes[0].id(), first.more),
            ("cellar@doors.example", true)
        );
        let second = step(first.cursor).unwrap();
        assert_eq!(
            (second.changes.len(), second.more, second.cursor.as_deref()),
            (0, false, Some("{}"))
        );
    }

    #[test]
    fn bad_pages_are_errors() {
        for body in ["<html>", "{}", r#"{"items":[7]}"#] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step(None), Err(Error::InvalidData(_))), "{body}");
        }
    }
}
