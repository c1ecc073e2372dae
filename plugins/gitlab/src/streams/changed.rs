//! What a project lists by the time of its last change: issues ("List project issues"), merge requests ("List project merge requests")
//! and pipelines ("List project pipelines").
//!
//! A list is read oldest change first, and not by the number of the page: a record that changes meanwhile moves to the end and would
//! pull another over the edge of a page that was read already, and gitlab.com ends such lists after 50,000 records. Each page begins
//! where the one before ended; only a page that is all of one time is followed by its number.

use serde::Deserialize;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, time};

use super::projects::Switch;
use crate::api::{self, Api};

/// A new pass begins a minute before the newest change that is known: GitLab reads from replicas that may lag.
const AGAIN_MS: u64 = 60_000;

/// A list under a project.
#[derive(Debug)]
pub(crate) struct List {
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    /// What a project has to have switched on.
    pub(crate) switch: Switch,
}

const ISSUES: List = List {
    path: "issues",
    query: &[("scope", "all"), ("state", "all")],
    switch: Switch::Issues,
};
const MERGE_REQUESTS: List = List {
    path: "merge_requests",
    query: &[("scope", "all"), ("state", "all")],
    switch: Switch::MergeRequests,
};
const PIPELINES: List = List {
    path: "pipelines",
    query: &[],
    switch: Switch::Jobs,
};

pub(crate) fn list(stream: &str) -> Option<&'static List> {
    match stream {
        "issues" => Some(&ISSUES),
        "merge_requests" => Some(&MERGE_REQUESTS),
        "pipelines" => Some(&PIPELINES),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
}

/// The record as a change.
pub(crate) fn upsert(text: &str) -> Result<Change, Error> {
    let head: Head<'_> = serde_json::from_str(text)
        .map_err(|error| Error::invalid_data(format!("not a record of GitLab's: {error}")))?;
    Ok(Change::Upsert(record::item(
        head.id.to_string(),
        text,
        head.updated_at.timestamp(),
    )))
}

/// Where a page begins: at which time, in milliseconds, and at which page from there.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    from: Option<u64>,
    page: u32,
}

impl Place {
    fn of(walk: &Walk) -> Result<Self, Error> {
        let Some(token) = walk.token() else {
            return Ok(Self {
                from: walk.from(),
                page: 1,
            });
        };
        let wrong = || Error::invalid_data("the cursor has no place in a list").at("/at/token");
        let (from, page) = token.split_once('/').ok_or_else(wrong)?;
        let from = match from {
            "" => None,
            from => Some(from.parse().map_err(|_| wrong())?),
        };
        Ok(Self {
            from,
            page: page.parse().map_err(|_| wrong())?,
        })
    }

    /// The place after a page that ends at this time.
    fn after(&self, last: Option<u64>) -> String {
        // A millisecond earlier, because GitLab keeps shorter times than it tells.
        let last = last.map(|last| last.saturating_sub(1));
        match last > self.from {
            true => format!("{}/1", last.unwrap_or_default()),
            false => format!(
                "{}/{}",
                self.from.map(|from| from.to_string()).unwrap_or_default(),
                self.page.saturating_add(1)
            ),
        }
    }
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest, list: &List) -> Result<Page, Error> {
    let project: u64 = request
        .partition
        .as_deref()
        .and_then(|partition| partition.parse().ok())
        .ok_or_else(|| Error::invalid_data("not the number of a project"))?;
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let place = Place::of(&walk)?;
    let path = format!("projects/{project}/{}", list.path);
    let mut asked = list
        .query
        .iter()
        .fold(Api::of(connection)?.get(&path), |asked, (name, value)| {
            asked.query(name, value)
        })
        .query("order_by", "updated_at")
        .query("sort", "asc")
        .query("per_page", &api::PER_PAGE.to_string())
        .query("page", &place.page.to_string());
    if let Some(from) = place.from {
        asked = asked.query("updated_after", &time::format_ms(from));
    }
    if let Some(until) = walk.until() {
        asked = asked.query("updated_before", &time::format_ms(until));
    }
    let response = asked
        .send()?
        .ok()
        .map_err(|error| error.blame_config("/projects"))?;
    let mut changes = Vec::with_capacity(100);
    let mut last = None;
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        let modified = head.updated_at.timestamp();
        walk.saw(modified);
        last = last.max(modified);
        if walk.covers(modified) {
            changes.push(Change::Upsert(record::item(head.id.to_string(), text, modified)));
        }
    }
    let next = match api::goes_on(&response) {
        true => place.after(last),
        false => String::new(),
    };
    walk.page(changes, &next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn request(cursor: Option<String>) -> ReadRequest {
        let mut request = testing::read_request("issues", cursor);
        request.partition = Some("7".to_owned());
        request
    }

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        let connection = testing::connection(r#"{"host":"gitlab.com","projects":[7]}"#);
        read(&connection, &request(cursor), &ISSUES)
    }

    /// Two records a page, of a list whose times are these seconds.
    fn serve(seconds: Vec<u64>) {
        testing::serve(move |request| {
            let of = |name: &str| {
                let query = request.url().split_once('?').unwrap().1;
                query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix(&format!("{name}=")))
                    .map(|value| value.replace("%3A", ":"))
            };
            let after = of("updated_after").map_or(0, |after| time::parse(&after).unwrap());
            let page: usize = of("page").unwrap().parse().unwrap();
            let found: Vec<(usize, u64)> = seconds
                .iter()
                .map(|second| second * 1_000)
                .enumerate()
                .filter(|(_, at)| *at >= after)
                .collect();
            let some = found.iter().skip((page - 1) * 2).take(2);
            let records: Vec<String> = some
                .map(|(id, at)| format!(r#"{{"id":{id},"updated_at":"{}"}}"#, time::format(*at)))
                .collect();
            let next = if found.len() > page * 2 { "2" } else { "" };
            testing::answer(200, &[("x-next-page", next)], &format!("[{}]", records.join(",")))
        });
    }

    fn pass(mut cursor: Option<String>) -> (Vec<String>, Option<String>) {
        let mut ids = Vec::new();
        for _ in 0..50 {
            let page = step(cursor.clone()).unwrap();
            assert!(!page.more || page.cursor != cursor);
            ids.extend(page.changes.iter().map(|change| change.id().to_owned()));
            cursor = page.cursor;
            if !page.more {
                ids.dedup();
                return (ids, cursor);
            }
        }
        panic!("the pass does not end")
    }

    #[test]
    fn a_pass_goes_from_time_to_time_and_the_next_one_only_over_what_is_new() {
        serve(vec![100, 200, 200, 200, 200, 200, 300]);
        let (mut ids, cursor) = pass(None);
        ids.sort();
        ids.dedup();
        assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6"]);
        assert!(
            testing::requests()[1]
                .url()
                .contains("page=1&updated_after=1970-01-01T00%3A03%3A19.999Z")
        );
        serve(vec![100, 200, 200, 200, 200, 200, 300, 400]);
        let (ids, cursor) = pass(cursor);
        assert_eq!(ids, ["6", "7"]);
        assert_eq!(cursor.as_deref(), Some(r#"{"since":400000}"#));
    }

    #[test]
    fn the_documented_list_is_read_and_a_window_has_two_ends() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../../fixtures/issues.json")));
        let page = step(None).unwrap();
        let [Change::Upsert(item)] = &page.changes[..] else {
            panic!("{:?}", page.changes)
        };
        assert_eq!((item.id.as_str(), item.modified), ("76", Some(1_714_557_600_000)));
        let mut windowed = request(None);
        windowed.window = Some(sluice_sdk::Window { start: 0, end: 1_000 });
        let connection = testing::connection(r#"{"host":"gitlab.com","projects":[7]}"#);
        let page = read(&connection, &windowed, &PIPELINES).unwrap();
        assert!(page.changes.is_empty());
        assert_eq!(
            testing::requests()[1].url(),
            "https://gitlab.com/api/v4/projects/7/pipelines?order_by=updated_at&sort=asc&per_page=100&page=1&updated_after=1970-01-01T00%3A00%3A00.000Z&updated_before=1970-01-01T00%3A00%3A01.000Z"
        );
    }

    #[test]
    fn bad_pages_and_cursors_are_errors() {
        for body in ["<html>", "{}", r#"[{"id":1},7]"#] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step(None), Err(Error::InvalidData(_))), "{body}");
        }
        for token in ["x", "1", "1/x", "x/1"] {
            let cursor = format!(r#"{{"at":{{"token":"{token}"}}}}"#);
            assert!(
                matches!(step(Some(cursor)), Err(Error::InvalidData(_))),
                "{token}"
            );
        }
    }
}
