//! One pass over a list of every repository, page by page.
//!
//! A list that GitHub can sort by change, oldest first, and filter by time (issues) is not paged by number: while it is
//! read, a changed record moves to the end and pulls another one over the edge of a page that was read already. It is
//! read *forward*: each page is asked for from the time where the one before ended. Lists that are newest first can't
//! lose a record that way, only show one twice, so they are read *backward* by their `Link` header until what is older
//! than the last pass.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, http::Response, log, record};

use crate::config::{self, Scope};
use crate::cursor::{Cursor, Mark, Place};
use crate::{api, streams};

/// A list under a repository.
pub(crate) trait Listing {
    /// The members of a record that the walk needs.
    type Head<'a>: Deserialize<'a>;
    /// How the list is sorted and where to stop.
    const ORDER: Order;
    /// The URL of the first page, of what changed since then (in milliseconds) where the API can tell.
    fn first(repository: &str, since: Option<u64>) -> String;
    /// What a record is to this stream.
    fn entry(head: Self::Head<'_>) -> Entry;
    /// The array of records within a page.
    fn records(page: &str) -> Result<&str, Error> {
        Ok(page)
    }
}

/// How a list is sorted, and what the next pass can skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By change, oldest first, filtered by time.
    Forward,
    /// By change, newest first: an unchanged first page means that nothing changed.
    BackwardByChange,
    /// By another time, newest first; records up to this much older (in milliseconds) than the last pass are read again.
    Backward { again_ms: u64 },
    /// Everything, every time.
    Whole,
}

/// A record's identity.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Empty where the vendor sent none: the host sets the record aside.
    pub(crate) id: String,
    /// When it was changed last.
    pub(crate) modified: Option<u64>,
    /// The time that the list is sorted by.
    pub(crate) position: Option<u64>,
    /// Whether it is of this stream: the list of issues has pull requests in it.
    pub(crate) belongs: bool,
}

impl Entry {
    /// What tells the record from others while the walk goes on: its id, or its text where it has none. Two pages of
    /// records without ids are two pages, not one that came twice.
    fn known_by(&self, text: &str) -> String {
        if !self.id.is_empty() {
            return self.id.clone();
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        format!("#{:016x}", hasher.finish())
    }
}

/// The next page.
pub(crate) fn read<L: Listing>(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let repositories = repositories(connection, request, &mut cursor)?;
    let place = match cursor.at.take() {
        Some(place) if repositories.contains(&place.repository) => place,
        _ => match repositories.first() {
            Some(first) => start::<L>(first, &cursor, request),
            None => return finish(cursor, Vec::new()),
        },
    };
    let tag = if place.pages == 0 {
        place.etag.as_deref()
    } else {
        None
    };
    let response = api::get(place.url.clone()).if_none_match(tag).send()?;
    let at = repositories
        .iter()
        .position(|name| *name == place.repository)
        .unwrap_or_default();
    if is_empty_list(&response, &place) {
        let mark = Mark {
            since: place.since,
            etag: place.etag,
        };
        cursor.marks.insert(place.repository, mark);
        return next_repository::<L>(cursor, &repositories, at, request, Vec::new());
    }
    let response = response
        .ok()
        .map_err(|error| error.blame_config(format!("/repositories/{at}")))?;

    let step = step::<L>(&response, &place, request)?;
    let total_hint = (place.pages == 0 && repositories.len() == 1)
        .then(|| response.link("last").and_then(|last| api::total(&last)))
        .flatten();
    let page = match step.next {
        Next::Circle => Page {
            changes: Vec::new(),
            cursor: request.cursor.clone(),
            more: true,
            total_hint: None,
        },
        Next::Page(next) => {
            cursor.at = Some(next);
            Page {
                changes: step.changes,
                cursor: Some(record::text(&cursor)?),
                more: true,
                total_hint: None,
            }
        }
        Next::End(mark) => {
            cursor.marks.insert(place.repository, mark);
            next_repository::<L>(cursor, &repositories, at, request, step.changes)?
        }
    };
    Ok(Page { total_hint, ..page })
}

/// The repositories of this pass, in a stable order.
fn repositories(
    connection: &Connection,
    request: &ReadRequest,
    cursor: &mut Cursor,
) -> Result<Vec<String>, Error> {
    if let Some(partition) = &request.partition {
        return Ok(vec![partition.clone()]);
    }
    match config::scope(connection)? {
        Scope::Named(names) => Ok(names),
        Scope::Owner(owner) => {
            if cursor.at.is_none() {
                cursor.list = streams::repositories::names_of(&owner)?;
                let current = &cursor.list;
                cursor.marks.retain(|name, _| current.contains(name));
            }
            Ok(cursor.list.clone())
        }
    }
}

fn start<L: Listing>(repository: &str, cursor: &Cursor, request: &ReadRequest) -> Place {
    let mark = cursor.marks.get(repository).cloned().unwrap_or_default();
    let (since, etag) = match &request.window {
        Some(window) => (Some(mark.since.unwrap_or_default().max(window.start)), None),
        None => (mark.since, mark.etag),
    };
    Place {
        repository: repository.to_owned(),
        url: L::first(repository, since),
        since,
        newest: None,
        etag,
        pages: 0,
        edge: None,
        seen: Vec::new(),
    }
}

/// Whether the answer says that there is nothing to read: not modified; 409, a repository without a commit ("List
/// commits"); 410, its issues are switched off ("List repository issues").
fn is_empty_list(response: &Response, place: &Place) -> bool {
    match response.status {
        304 => true,
        409 | 410 => {
            log::info(&format!(
                "{}: nothing to read there ({})",
                place.repository, response.status
            ));
            true
        }
        _ => false,
    }
}

/// A page's changes and what follows it.
struct Step {
    changes: Vec<Change>,
    next: Next,
}

enum Next {
    /// The vendor gave the page before once more.
    Circle,
    Page(Place),
    /// The end of this repository.
    End(Mark),
}

fn step<L: Listing>(response: &Response, place: &Place, request: &ReadRequest) -> Result<Step, Error> {
    let records = L::records(response.text()?)?;
    let mut changes = Vec::with_capacity(128);
    let (mut first, mut last) = (None, String::new());
    let (mut newest, mut oldest, mut begin, mut end) = (place.newest, None, None, None);
    let mut edge_ids = Vec::new();
    for element in record::each::<L::Head<'_>>(records) {
        let (head, text) = element?;
        let entry = L::entry(head);
        let known_by = entry.known_by(text);
        first.get_or_insert_with(|| known_by.clone());
        last.clone_from(&known_by);
        newest = newest.max(entry.position);
        oldest = entry.position;
        begin = begin.or(entry.position);
        if entry.position != end {
            end = entry.position;
            edge_ids.clear();
        }
        let seen = place.seen.contains(&known_by);
        if L::ORDER == Order::Forward {
            edge_ids.push(known_by);
        }
        if entry.belongs && in_window(&entry, request) && !seen {
            changes.push(Change::Upsert(record::item(entry.id, text, entry.modified)));
        }
    }

    let edge = first.map(|first| (first, last));
    let next = response
        .link("next")
        .and_then(|next| api::follow(&place.url, &next));
    let enough = match L::ORDER {
        Order::Forward => request.window.is_some_and(|window| oldest >= Some(window.end)),
        Order::BackwardByChange => oldest.is_some() && oldest < place.since,
        Order::Backward { again_ms } => {
            oldest.is_some() && oldest < place.since.map(|since| since.saturating_sub(again_ms))
        }
        Order::Whole => false,
    };
    // A tag vouches for the whole list where every change shows on the first page.
    let tag = match L::ORDER {
        _ if place.pages > 0 => place.etag.clone(),
        Order::BackwardByChange => response.etag().map(str::to_owned),
        _ if next.is_none() => response.etag().map(str::to_owned),
        _ => None,
    };
    let Some(next) = next.filter(|_| !enough) else {
        let since = newest.max(place.since);
        // A tag belongs to its URL, which says `since`.
        let etag =
            tag.filter(|_| L::first(&place.repository, since) == L::first(&place.repository, place.since));
        return Ok(Step {
            changes,
            next: Next::End(Mark { since, etag }),
        });
    };
    if next == place.url || edge.is_none() || edge == place.edge {
        return Ok(Step {
            changes,
            next: Next::Circle,
        });
    }
    let mut after = Place {
        url: next,
        newest,
        etag: tag,
        pages: place.pages + 1,
        edge,
        ..place.clone()
    };
    if L::ORDER == Order::Forward {
        let moved = if begin < end { end } else { None };
        advance::<L>(&mut after, place, moved, edge_ids);
    }
    Ok(Step {
        changes,
        next: Next::Page(after),
    })
}

/// Forward: the next page begins at the time where this one ended, and shows the records of that time once more. Only
/// if the whole page is of one time is its `Link` followed.
fn advance<L: Listing>(after: &mut Place, place: &Place, end: Option<u64>, ids: Vec<String>) {
    if end.is_some() && end > place.since {
        after.url = L::first(&place.repository, end);
        after.since = end;
        after.seen = ids;
    } else {
        after.seen.extend(ids);
        // Thousands of records of one second: the older ones are on earlier pages and not shown again.
        let surplus = after.seen.len().saturating_sub(2 * api::PER_PAGE as usize);
        after.seen.drain(..surplus);
    }
}

fn in_window(entry: &Entry, request: &ReadRequest) -> bool {
    match (&request.window, entry.modified) {
        (Some(window), Some(modified)) => (window.start..window.end).contains(&modified),
        _ => true,
    }
}

fn next_repository<L: Listing>(
    mut cursor: Cursor,
    repositories: &[String],
    at: usize,
    request: &ReadRequest,
    changes: Vec<Change>,
) -> Result<Page, Error> {
    let Some(next) = repositories.get(at + 1) else {
        return finish(cursor, changes);
    };
    cursor.at = Some(start::<L>(next, &cursor, request));
    Ok(Page {
        changes,
        cursor: Some(record::text(&cursor)?),
        more: true,
        total_hint: None,
    })
}

fn finish(mut cursor: Cursor, changes: Vec<Change>) -> Result<Page, Error> {
    cursor.list.clear();
    Ok(Page {
        changes,
        cursor: Some(record::text(&cursor)?),
        more: false,
        total_hint: None,
    })
}

#[cfg(test)]
mod tests;
