//! A small Dropbox: answers by their cursor, in the order they are given.

use super::*;
use proptest::prelude::*;
use sluice_sdk::testing;
use std::collections::BTreeSet;

fn step(cursor: Option<String>) -> Result<Page, Error> {
    read(
        &testing::connection(r#"{"folder":"/Doors"}"#),
        &testing::read_request("files", cursor),
    )
}

fn file(path: &str) -> String {
    format!(r#"{{".tag":"file","name":"x","path_lower":"{path}","id":"id:{path}","size":1}}"#)
}

fn folder(path: &str) -> String {
    format!(r#"{{".tag":"folder","name":"x","path_lower":"{path}","id":"id:{path}"}}"#)
}

fn deleted(path: &str) -> String {
    format!(r#"{{".tag":"deleted","name":"x","path_lower":"{path}"}}"#)
}

fn list(entries: &[String], cursor: &str, more: bool) -> String {
    format!(
        r#"{{"entries":[{}],"cursor":"{cursor}","has_more":{more}}}"#,
        entries.join(",")
    )
}

/// Answers each request by the cursor in it: `first` stands for none.
fn serve(answers: Vec<(&'static str, u16, String)>) {
    testing::serve(move |request| {
        let body: serde_json::Value = serde_json::from_slice(request.content().unwrap()).unwrap();
        let at = match request.url().ends_with("/list_folder") {
            true => {
                assert_eq!(
                    (&body["path"], &body["recursive"]),
                    (&"/Doors".into(), &true.into())
                );
                "first"
            }
            false => body["cursor"].as_str().unwrap(),
        };
        let (_, status, body) = answers
            .iter()
            .find(|(cursor, ..)| *cursor == at)
            .unwrap_or_else(|| panic!("{at}"));
        testing::answer(*status, &[], body)
    });
}

fn reset() -> String {
    include_str!("../../fixtures/reset.json").to_owned()
}

/// A whole pass: `+path` and `-path` in the order they came, and the cursor.
fn pass(mut cursor: Option<String>) -> (Vec<String>, Option<String>) {
    let mut read = Vec::new();
    for _ in 0..50 {
        let page = step(cursor.clone()).unwrap();
        assert!(
            !page.more || page.cursor != cursor,
            "a page with more moves the cursor"
        );
        read.extend(page.changes.iter().map(|change| match change {
            Change::Upsert(item) => format!("+{}", item.id),
            Change::Delete(id) => format!("-{id}"),
        }));
        cursor = page.cursor;
        if !page.more {
            return (read, cursor);
        }
    }
    panic!("the pass does not end");
}

#[test]
fn the_first_pass_lists_and_the_next_ones_follow_the_cursor() {
    serve(vec![
        ("first", 200, include_str!("../../fixtures/list.json").to_owned()),
        ("c2", 200, list(&[file("/doors/b")], "c3", false)),
        ("c3", 200, list(&[], "c4", false)),
    ]);
    let first = step(None).unwrap();
    let Change::Upsert(item) = &first.changes[1] else {
        panic!("{first:?}")
    };
    assert_eq!(
        (item.id.as_str(), item.modified),
        ("/doors/plan.txt", Some(1_714_557_600_000))
    );
    assert!(item.data.starts_with(r#"{".tag": "file""#));
    let (read, cursor) = pass(first.cursor);
    assert_eq!(read, ["+/doors/b"]);
    let (read, _) = pass(cursor);
    assert!(read.is_empty());
}

#[test]
fn a_folder_that_is_gone_takes_along_what_was_in_it() {
    let long = format!("/doors/a/{}", "x".repeat(600));
    serve(vec![
        (
            "first",
            200,
            list(
                &[
                    folder("/doors/a"),
                    file("/doors/a/1"),
                    folder("/doors/a/b"),
                    file("/doors/a/b/2"),
                    file("/doors/ab"),
                    file(&long),
                ],
                "c1",
                false,
            ),
        ),
        (
            "c1",
            200,
            list(
                &[deleted("/doors/a"), deleted("/doors/none"), file("/doors/a")],
                "c2",
                false,
            ),
        ),
        ("c2", 200, list(&[deleted("/doors/a")], "c3", false)),
    ]);
    let (first, cursor) = pass(None);
    let long_id = first.last().unwrap()[1..].to_owned();
    assert_eq!(long_id.len(), 512);
    let (mut read, cursor) = pass(cursor);
    assert_eq!(read.pop().as_deref(), Some("+/doors/a"), "in Dropbox's order");
    let gone: BTreeSet<String> = read.into_iter().collect();
    let expected = [
        "-/doors/a".to_owned(),
        "-/doors/a/1".to_owned(),
        "-/doors/a/b".to_owned(),
        "-/doors/a/b/2".to_owned(),
        format!("-{long_id}"),
    ];
    assert_eq!(gone, BTreeSet::from(expected));
    let (read, _) = pass(cursor);
    assert_eq!(read, ["-/doors/a"]);
}

#[test]
fn a_file_takes_the_place_of_a_folder_and_a_folder_keeps_what_is_in_it() {
    serve(vec![
        (
            "first",
            200,
            list(&[folder("/doors/a"), file("/doors/a/1")], "c1", false),
        ),
        ("c1", 200, list(&[folder("/doors/a")], "c2", false)),
        ("c2", 200, list(&[file("/doors/a")], "c3", false)),
    ]);
    let (_, cursor) = pass(None);
    let (read, cursor) = pass(cursor);
    assert_eq!(read, ["+/doors/a"]);
    let (read, _) = pass(cursor);
    assert_eq!(read, ["-/doors/a/1", "+/doors/a"]);
}

#[test]
fn after_a_reset_what_is_not_shown_again_is_deleted() {
    serve(vec![
        (
            "first",
            200,
            list(&[file("/doors/a"), file("/doors/b")], "c1", false),
        ),
        ("c1", 409, reset()),
    ]);
    let (_, cursor) = pass(None);
    serve(vec![
        ("first", 200, list(&[file("/doors/b")], "d1", true)),
        ("d1", 200, list(&[file("/doors/c")], "d2", false)),
        ("c1", 409, reset()),
    ]);
    let (read, cursor) = pass(cursor);
    assert_eq!(read, ["+/doors/b", "+/doors/c", "-/doors/a"]);
    assert_eq!(cursor.as_deref(), Some(r#"{"list":"d2","generation":2}"#));
}

#[test]
fn beginning_again_has_an_end() {
    serve(vec![("first", 200, list(&[], "c1", true)), ("c1", 409, reset())]);
    let mut cursor = step(None).unwrap().cursor;
    for _ in 0..MAX_RESTARTS {
        let again = step(cursor).unwrap();
        assert!(again.more);
        cursor = again.cursor;
    }
    assert!(matches!(step(cursor), Err(Error::Transient(_))));
}

#[test]
fn a_big_folder_is_deleted_over_several_pages() {
    let files: Vec<String> = (0..MAX_CHANGES + 500)
        .map(|n| file(&format!("/doors/a/{n}")))
        .collect();
    serve(vec![
        ("first", 200, list(&files, "c1", false)),
        (
            "c1",
            200,
            list(
                &[file("/doors/z"), deleted("/doors/a"), file("/doors/a/new")],
                "c2",
                false,
            ),
        ),
    ]);
    let (_, cursor) = pass(None);
    let first = step(cursor).unwrap();
    assert_eq!((first.changes.len(), first.more), (MAX_CHANGES, true));
    assert!(first.cursor.as_deref().unwrap().contains(r#""list":"c1""#));
    let (read, cursor) = pass(first.cursor);
    assert_eq!(read.len(), 1 + 501 + 1);
    assert_eq!(read.last().unwrap(), "+/doors/a/new");
    assert_eq!(cursor.as_deref(), Some(r#"{"list":"c2","generation":1}"#));
}

#[test]
fn a_folder_that_is_not_there_is_the_configurations() {
    serve(vec![(
        "first",
        409,
        r#"{"error_summary":"path/not_found/..","error":{".tag":"path","path":{".tag":"not_found"}}}"#
            .to_owned(),
    )]);
    let error = step(None).unwrap_err();
    assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/folder")));
}

#[test]
fn bad_pages_are_errors_and_never_a_partial_page() {
    for body in [
        "<html>",
        "{}",
        r#"{"entries":{},"cursor":"c","has_more":false}"#,
        r#"{"entries":[7],"cursor":"c","has_more":false}"#,
        r#"{"entries":[],"has_more":false}"#,
        r#"{"entries":[],"cursor":"","has_more":true}"#,
    ] {
        testing::serve(move |_| testing::answer(200, &[], body));
        assert!(matches!(step(None), Err(Error::InvalidData(_))), "{body}");
    }
    testing::serve(|_| testing::answer(200, &[], r#"{"entries":[],"cursor":"c","has_more":true}"#));
    let first = step(None).unwrap();
    assert!(
        matches!(step(first.cursor), Err(Error::InvalidData(_))),
        "in circles"
    );
    testing::serve(|_| {
        testing::answer(
            200,
            &[],
            r#"{"entries":[{".tag":"file","path_lower":null}],"cursor":"c","has_more":false}"#,
        )
    });
    assert_eq!(step(None).unwrap().changes[0].id(), "", "the host sets it aside");
}

/// A pass of a connection that keeps files of up to five bytes: what it asked to download, and of each record what it refers to.
fn keeping_pass(cursor: Option<String>) -> (Vec<String>, Vec<(String, serde_json::Value)>, Option<String>) {
    let (mut cursor, mut records) = (cursor, Vec::new());
    let before = testing::requests().len();
    for _ in 0..50 {
        let connection = testing::connection(r#"{"folder":"/Doors","keep_up_to_bytes":5}"#);
        let page = read(&connection, &testing::read_request("files", cursor)).unwrap();
        for change in &page.changes {
            if let Change::Upsert(item) = change {
                let data: serde_json::Value = serde_json::from_str(&item.data).unwrap();
                records.push((item.id.clone(), data["kept"]["bytes"].clone()));
            }
        }
        cursor = page.cursor;
        if !page.more {
            let asked = testing::requests().into_iter().skip(before);
            let asked = asked.filter_map(|request| Some(request.header_value("dropbox-api-arg")?.to_owned()));
            return (asked.collect(), records, cursor);
        }
    }
    panic!("the pass does not end");
}

#[test]
fn files_of_a_folder_are_kept_once_for_each_revision() {
    fn revised(path: &str, rev: &str, size: u64, more: &str) -> String {
        format!(
            r#"{{".tag":"file","name":"x","path_lower":"{path}","rev":"{rev}","size":{size},"sharing_info":{{}}{more}}}"#
        )
    }
    let answers = |lists: Vec<(&'static str, String)>| {
        testing::serve(move |request| {
            if let Some(arguments) = request.header_value("dropbox-api-arg") {
                return match arguments.contains("gone") {
                    true => testing::answer(
                        409,
                        &[],
                        r#"{"error_summary":"path/not_found/..","error":{".tag":"path"}}"#,
                    ),
                    false => testing::answer(200, &[("content-type", "application/octet-stream")], "bytes"),
                };
            }
            let body: serde_json::Value = serde_json::from_slice(request.content().unwrap()).unwrap();
            let at = body["cursor"].as_str().unwrap_or("first");
            assert!(at != "first" || body["limit"] == LIMIT_OF_KEPT);
            let (_, list) = lists
                .iter()
                .find(|(cursor, _)| *cursor == at)
                .unwrap_or_else(|| panic!("{at}"));
            testing::answer(200, &[], list)
        });
    };
    let first = [
        folder("/doors"),
        revised("/doors/a", "r1", 5, ""),
        revised("/doors/large", "r2", 6, ""),
        revised("/doors/paper", "r3", 5, r#","is_downloadable":false"#),
        revised("/doors/lost", "gone", 5, ""),
    ];
    answers(vec![
        ("first", list(&first, "c1", false)),
        (
            "c1",
            list(
                &[revised("/doors/a", "r1", 5, ""), revised("/doors/b", "r1", 5, "")],
                "c2",
                false,
            ),
        ),
        ("c2", list(&[revised("/doors/a", "r9", 5, "")], "c3", false)),
        ("c3", list(&[revised("/doors/a", "r10", 6, "")], "c4", false)),
    ]);
    let (asked, records, cursor) = keeping_pass(None);
    assert_eq!(asked, [r#"{"path":"rev:r1"}"#, r#"{"path":"rev:gone"}"#]);
    let kept: Vec<_> = records
        .iter()
        .filter(|(_, bytes)| *bytes == 5)
        .map(|(id, _)| id.as_str())
        .collect();
    assert_eq!((kept, records.len()), (vec!["/doors/a"], 5));
    // The same revision is there; another path is another file.
    let (asked, records, cursor) = keeping_pass(cursor);
    assert_eq!((asked.len(), records.len()), (1, 2));
    assert!(records.iter().all(|(_, bytes)| *bytes == 5), "{records:?}");
    let (asked, _, cursor) = keeping_pass(cursor);
    assert_eq!(asked, [r#"{"path":"rev:r9"}"#]);
    assert!(sluice_sdk::files::get("p/doors/a").is_some());
    // It has outgrown what is kept.
    let (asked, records, _) = keeping_pass(cursor);
    assert_eq!((asked.len(), &records[0].1), (0, &serde_json::Value::Null));
    assert!(sluice_sdk::files::get("p/doors/a").is_none());
}

#[test]
fn a_page_has_its_share_of_files_and_the_next_one_goes_on() {
    let large = |path: &str, rev: &str| {
        format!(r#"{{".tag":"file","name":"x","path_lower":"{path}","rev":"{rev}","size":20000000}}"#)
    };
    let entries = [
        large("/doors/a", "r1"),
        large("/doors/b", "r2"),
        large("/doors/c", "r3"),
    ];
    testing::serve(move |request| match request.header_value("dropbox-api-arg") {
        Some(_) => testing::answer(200, &[("content-type", "application/octet-stream")], "bytes"),
        None => testing::answer(200, &[], &list(&entries, "c1", false)),
    });
    let connection = testing::connection(r#"{"keep_up_to_bytes":100000000}"#);
    let (mut cursor, mut pages) = (None, Vec::new());
    loop {
        let page = read(&connection, &testing::read_request("files", cursor)).unwrap();
        pages.push(page.changes.len());
        cursor = page.cursor;
        if !page.more {
            break;
        }
    }
    let fetched = testing::requests()
        .iter()
        .filter(|request| request.url().ends_with("/download"))
        .count();
    assert_eq!((pages, fetched), (vec![1, 2, 3], 3));
    assert_eq!(cursor.as_deref(), Some(r#"{"list":"c1","generation":1}"#));
}

/// Two revisions of one path in one answer do not take turns at being fetched.
#[test]
fn of_a_path_that_is_told_of_twice_the_last_is_kept() {
    let told = |path: &str, rev: &str| {
        format!(r#"{{".tag":"file","name":"x","path_lower":"{path}","rev":"{rev}","size":20000000}}"#)
    };
    let entries = [
        told("/doors/a", "r1"),
        told("/doors/b", "r2"),
        told("/doors/a", "r3"),
        told("/doors/c", "r4"),
        folder("/doors/b"),
    ];
    testing::serve(move |request| match request.header_value("dropbox-api-arg") {
        Some(_) => testing::answer(200, &[("content-type", "application/octet-stream")], "bytes"),
        None => testing::answer(200, &[], &list(&entries, "c1", false)),
    });
    let connection = testing::connection(r#"{"keep_up_to_bytes":100000000}"#);
    let mut cursor = None;
    for _ in 0..10 {
        let page = read(&connection, &testing::read_request("files", cursor)).unwrap();
        cursor = page.cursor;
        if !page.more {
            break;
        }
    }
    assert_eq!(cursor.as_deref(), Some(r#"{"list":"c1","generation":1}"#));
    let requests = testing::requests();
    let asked: Vec<_> = requests
        .iter()
        .filter_map(|request| request.header_value("dropbox-api-arg"))
        .collect();
    assert_eq!(asked, [r#"{"path":"rev:r3"}"#, r#"{"path":"rev:r4"}"#]);
    assert!(
        sluice_sdk::files::get("p/doors/b").is_none(),
        "it is a folder by now"
    );
}

#[derive(Debug, Clone)]
enum Told {
    File(usize),
    Folder(usize),
    Deleted(usize),
}

const PATHS: [&str; 7] = [
    "/doors/a",
    "/doors/a/b",
    "/doors/a/b/c",
    "/doors/a/d",
    "/doors/ab",
    "/doors/e",
    "/doors/e/f",
];

proptest! {
    /// Whatever Dropbox tells, the records are the local state that its documentation says to keep.
    #[test]
    fn the_records_are_the_local_state(
        told in proptest::collection::vec((0..3_usize, 0..PATHS.len()).prop_map(|(kind, path)| match kind {
            0 => Told::File(path),
            1 => Told::Folder(path),
            _ => Told::Deleted(path),
        }), 0..40),
    ) {
        for key in sluice_sdk::storage::list_keys("", None, 1_000) {
            sluice_sdk::storage::delete(&key).unwrap();
        }
        let mut state: BTreeSet<&str> = BTreeSet::new();
        for entry in &told {
            let (Told::File(path) | Told::Folder(path) | Told::Deleted(path)) = entry;
            let path = PATHS[*path];
            let within = format!("{path}/");
            if !matches!(entry, Told::Folder(_)) {
                state.retain(|other| !other.starts_with(&within));
            }
            if matches!(entry, Told::Deleted(_)) {
                state.remove(path);
            } else {
                state.insert(path);
            }
        }
        let entries: Vec<String> = told.iter().map(|entry| match entry {
            Told::File(path) => file(PATHS[*path]),
            Told::Folder(path) => folder(PATHS[*path]),
            Told::Deleted(path) => deleted(PATHS[*path]),
        }).collect();
        serve(vec![
            ("first", 200, list(&[], "c1", false)),
            ("c1", 200, list(&entries, "c2", false)),
        ]);
        let (_, cursor) = pass(None);
        let (read, _) = pass(cursor);
        let mut records: BTreeSet<String> = BTreeSet::new();
        for change in read {
            let (kind, path) = change.split_at(1);
            if kind == "+" { records.insert(path.to_owned()); } else { records.remove(path); }
        }
        prop_assert_eq!(records, state.into_iter().map(str::to_owned).collect::<BTreeSet<_>>());
    }
}
