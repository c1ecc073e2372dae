//! Walks over pages as GitHub gives them.

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
    assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/repositories/0")));
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
        include_str!("../../fixtures/commits.json"),
        walk::<Commits>,
        "C_kwDOAAE1",
    );
    check(
        include_str!("../../fixtures/releases.json"),
        walk::<Releases>,
        "71",
    );
    check(
        include_str!("../../fixtures/workflow-runs.json"),
        walk::<WorkflowRuns>,
        "81",
    );
    testing::serve(|_| testing::answer(409, &[], r#"{"message":"Git Repository is empty."}"#));
    assert!(pass(CONFIG, None, walk::<Commits>).0.is_empty());
}
