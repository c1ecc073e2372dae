//! Repositories: those that the configuration names (GitHub REST docs, "Get a repository"), or those of an owner that
//! the token sees ("List repositories for the authenticated user").

use serde::Deserialize;
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
    let at = cursor.at.take().unwrap_or_else(|| Place {
        etag: mark.etag,
        ..place(owner, mine())
    });
    let tag = if at.pages == 0 { at.etag.as_deref() } else { None };
    let response = api::get(at.url.clone()).if_none_match(tag).send()?.ok()?;
    let mut changes = Vec::new();
    if !response.is_not_modified() {
        for element in record::each::<Head<'_>>(response.text()?) {
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
    let mut url = Some(mine());
    while let Some(this) = url {
        let response = api::get(this.clone()).send()?.ok()?;
        for element in record::each::<Head<'_>>(response.text()?) {
            let (head, _) = element?;
            if head.is_of(owner) && config::is_full_name(head.full_name.as_str()) {
                names.push(head.full_name.as_str().to_owned());
            }
        }
        url = response
            .link("next")
            .and_then(|next| api::follow(&this, &next))
            .filter(|next| *next != this);
        if names.len() > MAX_OF_OWNER {
            let message =
                format!("has more than {MAX_OF_OWNER} repositories; name those to read in `repositories`");
            return Err(Error::config(message, "/owner"));
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn url(full_name: &str) -> String {
    format!("{}/repos/{full_name}", api::ROOT)
}

fn mine() -> String {
    format!(
        "{}/user/repos?sort=full_name&per_page={}",
        api::ROOT,
        api::PER_PAGE
    )
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
