//! Sites and forms, read whole, and which sites there are to read under (Netlify API, "listSites", "listSiteForms").

use serde::{Deserialize, Serialize};
use sluice_sdk::record::{self, Id};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging};

use crate::api;

/// The most that Netlify gives at once.
const MOST: u32 = 100;
/// More pages are not walked: a number of a page has no end of its own.
const MOST_PAGES: u32 = 1_000;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
}

#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(default)]
    page: u32,
}

pub(crate) fn sites(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let named = api::sites(connection)?;
    let page = request.cursor::<Cursor>()?.unwrap_or_default().page.max(1);
    let per_page = paging::size(request, MOST).to_string();
    let asked = api::get("sites")
        .query("page", &page.to_string())
        .query("per_page", &per_page);
    let response = api::ok(asked.send()?)?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        let id = head.id.to_string();
        if named.is_empty() || named.contains(&id) {
            changes.push(Change::Upsert(record::item(id, text, None)));
        }
    }
    if !api::has_more(&response) {
        return Page::at(changes, &Cursor::default(), false);
    }
    if page >= MOST_PAGES {
        return Err(Error::invalid_data("Netlify's list of sites does not end"));
    }
    Page::at(changes, &Cursor { page: page + 1 }, true)
}

/// The sites under which the other streams are read.
pub(crate) fn partitions(connection: &Connection) -> Result<Vec<String>, Error> {
    let named = api::sites(connection)?;
    if !named.is_empty() {
        return Ok(named);
    }
    let mut number = 0;
    paging::all(MOST_PAGES as usize, |_| {
        number += 1;
        let asked = api::get("sites")
            .query("page", &number.to_string())
            .query("per_page", "100");
        let response = api::ok(asked.send()?)?;
        let mut ids = Vec::new();
        for element in record::each::<Head<'_>>(response.text()?) {
            ids.push(element?.0.id.to_string());
        }
        ids.retain(|id| api::is_id(id));
        let next = if api::has_more(&response) {
            format!("{}", number + 1)
        } else {
            String::new()
        };
        Ok((ids, next))
    })
}

pub(crate) fn forms(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let site = site(connection, request)?;
    let response = api::ok(api::get(&format!("sites/{site}/forms")).send()?)?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.id.to_string(), text, None)));
    }
    Ok(Page::last(changes))
}

/// The site of a partition, if it is still one that is read.
pub(crate) fn site(connection: &Connection, request: &ReadRequest) -> Result<String, Error> {
    let site = request.partition.clone().unwrap_or_default();
    let named = api::sites(connection)?;
    match api::is_id(&site) && (named.is_empty() || named.contains(&site)) {
        true => Ok(site),
        false => Err(Error::config(
            "the site is no longer among those that are read",
            "/sites",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const NEXT: (&str, &str) = (
        "link",
        "<https://api.netlify.com/api/v1/sites?page=2>; rel=\"next\"",
    );
    const SITE: &str = "3970e0fe-8564-4903-9a55-c5f8de49fb8b";

    fn serve() {
        testing::serve(|request| match request.url() {
            url if url.ends_with("/forms") => answer(200, &[], include_str!("../fixtures/forms.json")),
            url if url.contains("?page=1&") => answer(200, &[NEXT], include_str!("../fixtures/sites.json")),
            _ => answer(200, &[], r#"[{"id":"11111111-8564-4903-9a55-c5f8de49fb8b"}]"#),
        });
    }

    #[test]
    fn sites_are_read_to_the_end_and_are_partitions() {
        serve();
        let all = testing::connection("{}");
        let first = sites(&all, &testing::read_request("sites", None)).unwrap();
        assert!(first.more);
        let last = sites(&all, &testing::read_request("sites", first.cursor)).unwrap();
        assert_eq!((last.more, last.changes.len()), (false, 1));
        assert_eq!(
            partitions(&all).unwrap(),
            [SITE, "11111111-8564-4903-9a55-c5f8de49fb8b"]
        );
        let named = testing::connection(&format!(r#"{{"sites":["{SITE}"]}}"#));
        assert_eq!(partitions(&named).unwrap(), [SITE]);
        let mut request = testing::read_request("forms", None);
        request.partition = Some(SITE.to_owned());
        assert_eq!(
            forms(&named, &request).unwrap().changes[0].id(),
            "5235a7a00d61eec2d6001302"
        );
        request.partition = Some("../x".to_owned());
        assert!(matches!(forms(&all, &request), Err(Error::Config(_))));
    }

    #[test]
    fn a_list_without_an_end_is_refused() {
        testing::serve(|_| answer(200, &[NEXT], "[]"));
        assert!(partitions(&testing::connection("{}")).is_err());
        let request = testing::read_request("sites", Some(r#"{"page":1000}"#.to_owned()));
        assert!(sites(&testing::connection("{}"), &request).is_err());
    }
}
