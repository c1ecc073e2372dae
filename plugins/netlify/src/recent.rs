//! Deploys and submissions of a site, which Netlify lists newest first (Netlify API, "listSiteDeploys", "listSiteSubmissions"). A pass
//! ends where it comes to what was there two days before the newest that is known: a deploy changes for as long as it is built.

use serde::Deserialize;
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Connection, Error, Item, Page, ReadRequest, paging};

use crate::{api, lists};

const MOST: u32 = 100;
const MOST_PAGES: u32 = 100_000;
const AGAIN_MS: u64 = 2 * 86_400_000;

#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow, default)]
    pub(crate) id: Text<'a>,
    #[serde(borrow, default)]
    created_at: Text<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
}

pub(crate) fn change(head: &Head<'_>, text: &str) -> Change {
    Change::Upsert(Item {
        id: head.id.as_str().to_owned(),
        data: text.to_owned(),
        modified: head.updated_at.timestamp().or(head.created_at.timestamp()),
    })
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let site = lists::site(connection, request)?;
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let page: u32 = match walk.token() {
        None => 1,
        Some(token) => token
            .parse()
            .map_err(|_| Error::invalid_data("not a number of a page"))?,
    };
    let what = &request.stream_name;
    let response = api::get(&format!("sites/{site}/{what}"))
        .query("page", &page.to_string())
        .query("per_page", &paging::size(request, MOST).to_string())
        .send()?;
    let response = api::ok(response).map_err(|error| error.blame_config("/sites"))?;
    let mut changes = Vec::new();
    let mut is_through = false;
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        let made = head.created_at.timestamp();
        walk.saw(made);
        is_through |= !walk.covers(made);
        changes.push(change(&head, text));
    }
    if is_through || !api::has_more(&response) {
        return walk.page(changes, "");
    }
    if page >= MOST_PAGES {
        return Err(Error::invalid_data("Netlify's list does not end"));
    }
    walk.page(changes, &(page + 1).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const NEXT: (&str, &str) = ("link", "<https://api.netlify.com/x?page=2>; rel=\"next\"");

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        let mut request = testing::read_request("deploys", cursor);
        request.partition = Some("3970e0fe-8564-4903-9a55-c5f8de49fb8b".to_owned());
        read(&testing::connection("{}"), &request)
    }

    #[test]
    fn a_pass_ends_where_it_meets_what_it_knows() {
        testing::serve(|request| match request.url().contains("page=1&") {
            true => answer(200, &[NEXT], include_str!("../fixtures/deploys.json")),
            false => answer(
                200,
                &[],
                r#"[{"id":"d-old","created_at":"2025-01-01T00:00:00.000Z"}]"#,
            ),
        });
        let first = step(None).unwrap();
        assert!(first.more);
        let last = step(first.cursor).unwrap();
        assert_eq!((last.more, last.changes[0].id()), (false, "d-old"));
        // The next pass meets a deploy of three days before on its first page.
        let again = step(last.cursor.clone()).unwrap();
        assert_eq!((again.more, again.cursor), (false, last.cursor));
        assert_eq!(testing::requests().len(), 3);
    }

    #[test]
    fn nonsense_is_refused_and_a_site_that_is_gone_is_the_configurations() {
        testing::serve(|_| answer(404, &[], r#"{"message":"Not Found"}"#));
        assert!(matches!(step(None), Err(Error::Config(_))));
        for body in ["{}", "<html>", "[7]"] {
            testing::serve(move |_| answer(200, &[], body));
            assert!(step(None).is_err(), "{body}");
        }
        assert!(step(Some(r#"{"at":{"token":"x"}}"#.to_owned())).is_err());
    }
}
