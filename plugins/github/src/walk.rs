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
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::streams::workflow_runs::WorkflowRuns;
    use crate::streams::{commits::Commits, issues::Issues, pull_requests::PullRequests, releases::Releases};
    use sluice_sdk::http::Request;
    use sluice_sdk::{Window, testing, time};

    /// The vendor's list: number to time of change, in seconds. `per_page` is kept small so that pages are many.
    type List = BTreeMap<u64, u64>;

    const PER_PAGE: usize = 3;

    fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
        let (_, query) = request.url().split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// A page of `list` as GitHub gives it, with its tag.
    fn page(list: &List, request: &Request, ascending: bool) -> Result<Response, sluice_sdk::http::Error> {
        let since = parameter(request, "since").and_then(time::parse).unwrap_or(0) / 1_000;
        let mut order: Vec<(u64, u64)> = list
            .iter()
            .map(|(id, at)| (*at, *id))
            .filter(|(at, _)| *at >= since)
            .collect();
        order.sort_unstable();
        if !ascending {
            order.reverse();
        }
        let number: usize = parameter(request, "page").map_or(1, |page| page.parse().unwrap());
        let slice: Vec<String> = order
            .iter()
            .skip((number - 1) * PER_PAGE)
            .take(PER_PAGE)
            .map(|(at, id)| {
                let at = time::format(at * 1_000);
                let pull = if id % 10 == 0 { r#","pull_request":{}"# } else { "" };
                format!(r#"{{"id":{id},"updated_at":"{at}","created_at":"{at}"{pull}}}"#)
            })
            .collect();
        let body = format!("[{}]", slice.join(","));
        let tag = format!(
            "\"{:x}-{}\"",
            body.len(),
            body.bytes().map(u64::from).sum::<u64>()
        );
        if request.header_value("if-none-match") == Some(&tag) {
            return testing::answer(304, &[], "");
        }
        let base = request.url().split("&page=").next().unwrap();
        let next = format!("<{base}&page={}>; rel=\"next\"", number + 1);
        let mut headers = vec![("etag", tag.as_str())];
        if number * PER_PAGE < order.len() {
            headers.push(("link", &next));
        }
        testing::answer(200, &headers, &body)
    }

    fn one(config: &str, cursor: Option<String>, read: Reader) -> Result<Page, Error> {
        read(
            &testing::connection(config),
            &testing::read_request("issues", cursor),
        )
    }

    type Reader = fn(&Connection, &ReadRequest) -> Result<Page, Error>;
    const CONFIG: &str = r#"{"repositories":["acme/web"]}"#;

    /// Reads a whole pass; gives the ids in the order they came, and the cursor.
    fn pass(config: &str, mut cursor: Option<String>, reader: Reader) -> (Vec<String>, Option<String>) {
        let mut ids = Vec::new();
        for _ in 0..200 {
            let page = one(config, cursor.clone(), reader).unwrap();
            assert!(
                !page.more || page.cursor != cursor,
                "a page with more moves the cursor"
            );
            ids.extend(page.changes.iter().map(|change| change.id().to_owned()));
            cursor = page.cursor;
            if !page.more {
                return (ids, cursor);
            }
        }
        panic!("the pass does not end");
    }

    fn ids(range: impl Iterator<Item = u64>) -> Vec<String> {
        range.map(|id| id.to_string()).collect()
    }

    #[test]
    fn a_forward_pass_reads_everything_once_and_the_next_ones_only_what_is_new() {
        // Times repeat, so that pages end in the middle of a second.
        let list: List = (1..=29)
            .filter(|id| id % 10 != 0)
            .map(|id| (id, 1_000 + id / 4))
            .collect();
        let expected = ids(list.keys().copied());
        let shared = std::rc::Rc::new(std::cell::RefCell::new(list));
        let served = shared.clone();
        testing::serve(move |request| page(&served.borrow(), request, true));
        let (read, cursor) = pass(CONFIG, None, walk::<Issues>);
        assert_eq!(read, expected);
        let (_, cursor) = pass(CONFIG, cursor, walk::<Issues>);
        let (read, cursor) = pass(CONFIG, cursor, walk::<Issues>);
        assert!(read.is_empty(), "304: {read:?}");
        shared.borrow_mut().insert(5, 2_000);
        let (read, _) = pass(CONFIG, cursor, walk::<Issues>);
        assert!(read.contains(&"5".to_owned()) && read.len() <= 4, "{read:?}");
    }

    fn walk<L: Listing>(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        read::<L>(connection, request)
    }

    #[test]
    fn a_change_during_a_forward_pass_loses_nothing() {
        let list: List = (1..=19)
            .filter(|id| id % 10 != 0)
            .map(|id| (id, 1_000 + id))
            .collect();
        let expected: std::collections::BTreeSet<String> = ids(list.keys().copied()).into_iter().collect();
        let mut list = list;
        let mut asked = 0;
        testing::serve(move |request| {
            let answer = page(&list, request, true);
            asked += 1;
            // What was read moves to the end after every page.
            if asked <= 4 {
                list.insert(asked, 3_000 + asked);
            }
            answer
        });
        let (read, _) = pass(CONFIG, None, walk::<Issues>);
        assert_eq!(
            read.into_iter().collect::<std::collections::BTreeSet<_>>(),
            expected
        );
    }

    #[test]
    fn many_records_of_one_second_are_read_by_page() {
        let list: List = (1..=9).map(|id| (id, 1_000)).collect();
        let expected = ids(list.keys().copied());
        testing::serve(move |request| page(&list, request, true));
        assert_eq!(pass(CONFIG, None, walk::<Issues>).0, expected);
    }

    #[test]
    fn pull_requests_are_no_issues() {
        let list: List = [(9, 1), (10, 2), (11, 3)].into();
        testing::serve(move |request| page(&list, request, true));
        assert_eq!(pass(CONFIG, None, walk::<Issues>).0, ["9", "11"]);
    }

    #[test]
    fn a_backward_pass_stops_at_the_last_one() {
        let mut list: List = (1..=12).map(|id| (id, 1_000 + id)).collect();
        let served = std::rc::Rc::new(std::cell::RefCell::new(list.clone()));
        let shared = served.clone();
        testing::serve(move |request| page(&served.borrow(), request, false));
        let (read, cursor) = pass(CONFIG, None, walk::<PullRequests>);
        assert_eq!(read, ids((1..=12).rev()));
        let (read, cursor) = pass(CONFIG, cursor, walk::<PullRequests>);
        assert!(read.is_empty());
        list.insert(2, 5_000);
        *shared.borrow_mut() = list;
        let (read, _) = pass(CONFIG, cursor, walk::<PullRequests>);
        assert_eq!(read, ["2", "12", "11"]);
    }

    #[test]
    fn a_vendor_that_goes_in_circles_does_not_move_the_cursor() {
        for reader in [walk::<Issues> as Reader, walk::<PullRequests>, walk::<Releases>] {
            let list: List = (1..=9).map(|id| (id, 1_000 + id)).collect();
            testing::serve(move |request| {
                let first = request
                    .url()
                    .split("&page=")
                    .next()
                    .unwrap()
                    .split("&since=")
                    .next()
                    .unwrap();
                let mut answer = page(&list, &sluice_sdk::http::get(first), true)?;
                let number: usize = parameter(request, "page").map_or(1, |page| page.parse().unwrap());
                answer.headers.retain(|(name, _)| name != "link");
                let next = format!("<{first}&page={}>; rel=\"next\"", number + 1);
                answer.headers.push(("link".to_owned(), next));
                Ok(answer)
            });
            let first = one(CONFIG, None, reader).unwrap();
            let second = one(CONFIG, first.cursor.clone(), reader).unwrap();
            assert!(second.more && second.cursor == first.cursor && second.changes.is_empty());
        }
    }

    #[test]
    fn repositories_are_read_one_after_another() {
        let list: List = (1..=4).map(|id| (id, 1_000 + id)).collect();
        testing::serve(move |request| match request.url().contains("/acme/web/") {
            true => page(&list, request, true),
            false => testing::answer(410, &[], r#"{"message":"Issues are disabled"}"#),
        });
        let config = r#"{"repositories":["acme/none","acme/web"]}"#;
        assert_eq!(pass(config, None, walk::<Issues>).0, ids(1..=4));
    }

    #[test]
    fn what_is_not_there_is_blamed_on_the_configuration() {
        testing::serve(|_| testing::answer(404, &[], r#"{"message":"Not Found"}"#));
        let error = one(CONFIG, None, walk::<Issues>).unwrap_err();
        assert!(
            matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/repositories/0"))
        );
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in ["<html>", "", "{}", r#"[{"id":1},{"id":2"#] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(
                matches!(one(CONFIG, None, walk::<Issues>), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
        testing::serve(|_| testing::answer(200, &[], r#"[{"title":"no id"}]"#));
        let page = one(CONFIG, None, walk::<Issues>).unwrap();
        assert_eq!(page.changes[0].id(), "", "the host sets it aside");
    }

    #[test]
    fn pages_without_ids_are_no_circle_and_each_record_is_set_aside_once() {
        for (reader, times) in [
            (walk::<PullRequests> as Reader, [9, 8, 7, 6]),
            (walk::<Issues>, [6, 7, 8, 9]),
            (walk::<Issues>, [6, 6, 6, 6]),
        ] {
            testing::serve(move |request| {
                let at = |second: u64| time::format(second * 1_000);
                let since = parameter(request, "since").and_then(time::parse).unwrap_or(0) / 1_000;
                let list: Vec<String> = (0_u64..)
                    .zip(times)
                    .filter(|(_, time)| *time >= since)
                    .map(|(n, time)| format!(r#"{{"title":"{n}","updated_at":"{}"}}"#, at(time)))
                    .collect();
                let base = request.url().split("&page=").next().unwrap();
                let number: usize = parameter(request, "page").map_or(1, |page| page.parse().unwrap());
                let next = format!("<{base}&page={}>; rel=\"next\"", number + 1);
                let headers: &[_] = if number * 2 < list.len() {
                    &[("link", next.as_str())]
                } else {
                    &[]
                };
                let page = list
                    .iter()
                    .skip((number - 1) * 2)
                    .take(2)
                    .cloned()
                    .collect::<Vec<_>>();
                testing::answer(200, headers, &format!("[{}]", page.join(",")))
            });
            assert_eq!(pass(CONFIG, None, reader).0, ["", "", "", ""], "{times:?}");
        }
    }

    #[test]
    fn a_window_cuts_both_ends() {
        let list: List = (1..=9).map(|id| (id, 1_000 + id)).collect();
        testing::serve(move |request| page(&list, request, true));
        let mut request = testing::read_request("issues", None);
        request.window = Some(Window {
            start: 1_003_000,
            end: 1_006_000,
        });
        let mut read = Vec::new();
        loop {
            let page = walk::<Issues>(&testing::connection(CONFIG), &request).unwrap();
            read.extend(page.changes.iter().map(|change| change.id().to_owned()));
            request.cursor = page.cursor;
            if !page.more {
                break;
            }
        }
        assert_eq!(read, ["3", "4", "5"]);
    }

    #[test]
    fn the_fixtures_are_read() {
        let check = |body: &'static str, reader: Reader, id: &str| {
            testing::serve(move |_| testing::answer(200, &[("etag", "\"1\"")], body));
            assert_eq!(pass(CONFIG, None, reader).0, [id]);
        };
        check(
            include_str!("../fixtures/commits.json"),
            walk::<Commits>,
            "C_kwDOAAE1",
        );
        check(include_str!("../fixtures/releases.json"), walk::<Releases>, "71");
        check(
            include_str!("../fixtures/workflow-runs.json"),
            walk::<WorkflowRuns>,
            "81",
        );
        testing::serve(|_| testing::answer(409, &[], r#"{"message":"Git Repository is empty."}"#));
        assert!(pass(CONFIG, None, walk::<Commits>).0.is_empty());
    }
}
