//! Repositories: those that the configuration names (GitHub REST docs, "Get a repository"), or those of an owner that
//! the token sees ("List repositories for the authenticated user"; "List repositories accessible to the app installation").

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::http::Response;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, http};

use crate::api;
use crate::config::{self, Scope};
use crate::cursor::{Cursor, Mark, Place};

/// Repositories asked for in one step: one round of concurrent requests.
const AT_ONCE: usize = 8;

/// The most repositories of one owner: a cursor remembers something about each, and has 64 KiB.
const MAX_OF_OWNER: usize = 250;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
    #[serde(borrow, default)]
    full_name: Text<'a>,
    #[serde(borrow, default)]
    owner: Option<Owner<'a>>,
}

#[derive(Deserialize)]
struct Owner<'a> {
    #[serde(borrow, default)]
    login: Text<'a>,
}

impl Head<'_> {
    fn is_of(&self, owner: &str) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|of| of.login.as_str().eq_ignore_ascii_case(owner))
    }

    fn upsert(&self, text: &str) -> Change {
        Change::Upsert(record::item(
            self.id.to_string(),
            text,
            self.updated_at.timestamp(),
        ))
    }
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    match config::scope(connection)? {
        Scope::Named(names) => named(&names, cursor),
        Scope::Owner(owner) => owned(&owner, cursor, request),
    }
}

/// The next few of the named ones, each with the tag of its last answer.
fn named(names: &[String], mut cursor: Cursor) -> Result<Page, Error> {
    let from = match cursor.at.take() {
        Some(place) => names
            .iter()
            .position(|name| *name == place.repository)
            .unwrap_or_default(),
        None => 0,
    };
    let batch = names.get(from..).unwrap_or_default().iter().take(AT_ONCE);
    let tag = |name: &String| cursor.marks.get(name).and_then(|mark| mark.etag.as_deref());
    let requests = batch
        .clone()
        .map(|name| api::get(url(name)).if_none_match(tag(name)))
        .collect();
    let mut changes = Vec::new();
    for ((at, name), response) in (from..).zip(batch).zip(http::send_all(requests)) {
        let response = response?
            .ok()
            .map_err(|error| error.blame_config(format!("/repositories/{at}")))?;
        if response.is_not_modified() {
            continue;
        }
        changes.push(response.json::<Head<'_>>()?.upsert(response.text()?));
        let mark = Mark {
            since: None,
            etag: response.etag().map(str::to_owned),
        };
        cursor.marks.insert(name.clone(), mark);
    }
    let next = names.get(from + AT_ONCE);
    cursor.at = next.map(|name| place(name, url(name)));
    cursor.marks.retain(|name, _| names.contains(name));
    let more = cursor.at.is_some();
    Ok(Page {
        changes,
        cursor: Some(record::text(&cursor)?),
        more,
        total_hint: Some(names.len() as u64),
    })
}

/// The next page of what the token sees, reduced to the owner's.
fn owned(owner: &str, mut cursor: Cursor, request: &ReadRequest) -> Result<Page, Error> {
    let mark = cursor.marks.get(owner).cloned().unwrap_or_default();
    let (at, response) = match cursor.at.take() {
        Some(at) => {
            let response = api::get(at.url.clone()).send()?;
            (at, response)
        }
        None => {
            let (url, response) = first(mark.etag.as_deref())?;
            (place(owner, url), response)
        }
    };
    let response = response.ok()?;
    let mut changes = Vec::new();
    if !response.is_not_modified() {
        for element in record::each::<Head<'_>>(records(response.text()?)?) {
            let (head, text) = element?;
            if head.is_of(owner) {
                changes.push(head.upsert(text));
            }
        }
        let next = response.link("next").and_then(|next| api::follow(&at.url, &next));
        if next.as_deref() == Some(&at.url) {
            return Ok(Page {
                changes,
                cursor: request.cursor.clone(),
                more: true,
                total_hint: None,
            });
        }
        // A first page that is the same says nothing about a second one.
        let etag = if at.pages == 0 && next.is_none() {
            response.etag().map(str::to_owned)
        } else {
            None
        };
        cursor.marks = [(owner.to_owned(), Mark { since: None, etag })].into();
        cursor.at = next.map(|url| Place {
            pages: at.pages + 1,
            ..place(owner, url)
        });
    }
    let more = cursor.at.is_some();
    Ok(Page {
        changes,
        cursor: Some(record::text(&cursor)?),
        more,
        total_hint: None,
    })
}

/// The full names of an owner's repositories, for the streams below them.
pub(crate) fn names_of(owner: &str) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let (mut this, mut response) = first(None)?;
    loop {
        response = response.ok()?;
        for element in record::each::<Head<'_>>(records(response.text()?)?) {
            let (head, _) = element?;
            if head.is_of(owner) && config::is_full_name(head.full_name.as_str()) {
                names.push(head.full_name.as_str().to_owned());
            }
        }
        if names.len() > MAX_OF_OWNER {
            let message =
                format!("has more than {MAX_OF_OWNER} repositories; name those to read in `repositories`");
            return Err(Error::config(message, "/owner"));
        }
        let next = response.link("next").and_then(|next| api::follow(&this, &next));
        let Some(next) = next.filter(|next| *next != this) else {
            break;
        };
        response = api::get(next.clone()).send()?;
        this = next;
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn url(full_name: &str) -> String {
    format!("{}/repos/{full_name}", api::ROOT)
}

/// The first page of what the token sees, and where it was. The token of an app's installation is nobody's: GitHub refuses
/// it the list of a user and has another list for it.
fn first(tag: Option<&str>) -> Result<(String, Response), Error> {
    let lists = ["user/repos?sort=full_name&", "installation/repositories?"];
    let [mine, installed] = lists.map(|list| format!("{}/{list}per_page={}", api::ROOT, api::PER_PAGE));
    let response = api::get(mine.clone()).if_none_match(tag).send()?;
    if api::is_refused(&response) {
        let other = api::get(installed.clone()).if_none_match(tag).send()?;
        if !api::is_refused(&other) {
            return Ok((installed, other));
        }
    }
    Ok((mine, response))
}

/// The array of repositories within a page: an installation's list is `{"total_count": 1, "repositories": [..]}`.
fn records(page: &str) -> Result<&str, Error> {
    #[derive(Deserialize)]
    struct Reached<'a> {
        #[serde(borrow)]
        repositories: &'a RawValue,
    }
    if !page.trim_start().starts_with('{') {
        return Ok(page);
    }
    let reached: Reached<'_> = serde_json::from_str(page)
        .map_err(|error| Error::invalid_data(format!("not a list of repositories: {error}")))?;
    Ok(reached.repositories.get())
}

fn place(repository: &str, url: String) -> Place {
    Place {
        repository: repository.to_owned(),
        url,
        since: None,
        newest: None,
        etag: None,
        pages: 0,
        edge: None,
        seen: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_repositories_of_an_installation_are_read_from_its_own_list() {
        testing::serve(|request| match request.url() {
            "https://api.github.com/installation/repositories?per_page=100" => {
                let next =
                    "<https://api.github.com/installation/repositories?per_page=100&page=2>; rel=\"next\"";
                let page = include_str!("../../fixtures/installation-repositories.json");
                testing::answer(200, &[("link", next)], page)
            }
            "https://api.github.com/installation/repositories?per_page=100&page=2" => {
                testing::answer(200, &[], r#"{"total_count":3,"repositories":[]}"#)
            }
            _ => testing::answer(
                403,
                &[],
                r#"{"message":"Resource not accessible by integration"}"#,
            ),
        });
        assert_eq!(names_of("acme").unwrap(), ["acme/web"]);
        let connection = testing::connection(r#"{"owner":"acme","installation_id":"42"}"#);
        let page = read(&connection, &testing::read_request("repositories", None)).unwrap();
        assert_eq!(page.changes.iter().map(Change::id).collect::<Vec<_>>(), ["101"]);
        let page = read(&connection, &testing::read_request("repositories", page.cursor)).unwrap();
        assert!(page.changes.is_empty() && !page.more);
    }

    #[test]
    fn a_users_list_is_read_as_before() {
        testing::serve(|request| {
            assert!(
                request
                    .url()
                    .starts_with("https://api.github.com/user/repos?sort=full_name&per_page=100")
            );
            if request.header_value("if-none-match") == Some("\"1\"") {
                return testing::answer(304, &[], "");
            }
            let body = r#"[{"id":7,"full_name":"acme/web","owner":{"login":"Acme"}},{"id":8,"owner":{"login":"x"}}]"#;
            testing::answer(200, &[("etag", "\"1\"")], body)
        });
        let connection = testing::connection(r#"{"owner":"acme"}"#);
        let page = read(&connection, &testing::read_request("repositories", None)).unwrap();
        assert_eq!(page.changes.iter().map(Change::id).collect::<Vec<_>>(), ["7"]);
        let page = read(&connection, &testing::read_request("repositories", page.cursor)).unwrap();
        assert!(page.changes.is_empty() && !page.more);
        testing::serve(|_| testing::answer(403, &[], r#"{"message":"SSO needed"}"#));
        assert!(matches!(names_of("acme"), Err(Error::Auth(detail)) if detail.message.contains("SSO")));
    }

    #[test]
    fn a_page_that_is_no_list_is_an_error() {
        for body in ["", "{}", r#"{"repositories":{}}"#, "<html>"] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(names_of("acme"), Err(Error::InvalidData(_))), "{body}");
        }
    }
}
