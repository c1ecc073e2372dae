//! A small Bulk API, asked through the stream's walk as the host asks it.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::{streams, walk};
use sluice_sdk::http::Request;
use sluice_sdk::{Page, testing};

const CONFIG: &str = r#"{"instance":"doors.my.salesforce.com","bulk_from":2}"#;
const ROOT: &str = "https://doors.my.salesforce.com/services/data/v62.0";

#[derive(Default)]
struct Vendor {
    states: Vec<&'static str>,
    /// What is answered to the results, in order: the status, the locator and the body.
    sets: Vec<(u16, &'static str, String)>,
    made: u32,
    refuses: bool,
}

type Shared = Rc<RefCell<Vendor>>;

fn serve(vendor: Vendor) -> Shared {
    let shared = Rc::new(RefCell::new(vendor));
    let served = shared.clone();
    testing::serve(move |request| served.borrow_mut().answer(request));
    shared
}

impl Vendor {
    fn answer(&mut self, request: &Request) -> Result<Response, http::Error> {
        let url = request.url().strip_prefix(ROOT).unwrap();
        match (request.method(), url) {
            ("GET", "/query?q=SELECT%20COUNT%28%29%20FROM%20Account") => {
                testing::answer(200, &[], r#"{"totalSize":3,"done":true,"records":[]}"#)
            }
            ("GET", "/sobjects/Account/describe") => {
                testing::answer(200, &[], include_str!("../../fixtures/describe.json"))
            }
            ("POST", "/jobs/query") if self.refuses => testing::answer(
                400,
                &[],
                r#"[{"errorCode":"FEATURENOTENABLED","message":"Async API not enabled"}]"#,
            ),
            ("POST", "/jobs/query") => {
                self.made += 1;
                testing::answer(200, &[], include_str!("../../fixtures/job.json"))
            }
            ("GET", "/jobs/query/750000000000001AAA") => {
                let state = match self.states.len() {
                    1 => self.states[0],
                    _ => self.states.remove(0),
                };
                testing::answer(
                    200,
                    &[],
                    &format!(r#"{{"id":"750000000000001AAA","state":"{state}"}}"#),
                )
            }
            ("GET", url) if url.starts_with("/jobs/query/750000000000001AAA/results?maxRecords=5000") => {
                let (status, locator, body) = match url.contains("&locator=MjAwMA") {
                    true => self.sets[1].clone(),
                    false => self.sets[0].clone(),
                };
                let rows = body.lines().count().saturating_sub(1).to_string();
                let headers = [("Sforce-Locator", locator), ("Sforce-NumberOfRecords", &rows)];
                testing::answer(status, &headers, &body)
            }
            ("DELETE", "/jobs/query/750000000000001AAA") => testing::answer(204, &[], ""),
            ("GET", url) if url.starts_with("/queryAll?q=") => {
                testing::answer(200, &[], r#"{"done":true,"totalSize":0,"records":[]}"#)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn step(cursor: Option<String>) -> Result<Page, Error> {
    walk::read(
        streams::named("accounts").unwrap(),
        &testing::connection(CONFIG),
        &testing::read_request("accounts", cursor),
    )
}

fn set(ids: &[&str]) -> String {
    let mut body = "\"Id\",\"IsDeleted\",\"SystemModstamp\",\"AnnualRevenue\"\n".to_owned();
    for id in ids {
        body.push_str(&format!("\"{id}\",\"false\",\"2024-05-01T10:00:00.000Z\",\"\"\n"));
    }
    body
}

fn ready(sets: Vec<(u16, &'static str, String)>) -> Vendor {
    Vendor {
        states: vec!["JobComplete"],
        sets,
        ..Vendor::default()
    }
}

#[test]
fn a_big_object_is_read_by_a_job_that_is_deleted_at_the_end() {
    serve(ready(vec![
        (
            200,
            "MjAwMA",
            include_str!("../../fixtures/results.csv").to_owned(),
        ),
        (200, "null", set(&["0013"])),
    ]));
    let made = step(None).unwrap();
    assert!(made.more && made.changes.is_empty() && made.total_hint == Some(3));
    let first = step(made.cursor).unwrap();
    assert!(matches!(
        &first.changes[..],
        [Change::Upsert(item), Change::Delete(id)]
            if item.id == "001000000000001AAA" && item.modified == Some(1_714_557_600_000) && id == "001000000000002AAA"
    ));
    let again = step(first.cursor.clone()).unwrap();
    let second = step(first.cursor).unwrap();
    assert_eq!(again.changes, second.changes, "a crash repeats the set");
    assert_eq!(second.changes[0].id(), "0013");
    let ended = step(second.cursor).unwrap();
    assert_eq!(
        (ended.changes.len(), ended.more, ended.cursor.as_deref()),
        (0, true, Some(r#"{"newest":1714561200000}"#))
    );
    assert_eq!(testing::requests().last().unwrap().method(), "DELETE");
    let last = step(ended.cursor).unwrap();
    assert!(!last.more);
    assert!(
        testing::requests()
            .last()
            .unwrap()
            .url()
            .contains("SystemModstamp%20%3E%3D%202024-05-01T10%3A50%3A00Z"),
        "the job's time, and ten minutes before it"
    );
}

#[test]
fn its_records_are_those_of_the_rest_api() {
    serve(ready(vec![(
        200,
        "null",
        include_str!("../../fixtures/results.csv").to_owned(),
    )]));
    let made = step(None).unwrap();
    let page = step(made.cursor).unwrap();
    let Change::Upsert(item) = &page.changes[0] else {
        panic!("{page:?}")
    };
    let rest: serde_json::Value = serde_json::from_str(include_str!("../../fixtures/accounts.json")).unwrap();
    let ours: serde_json::Value = serde_json::from_str(&item.data).unwrap();
    for (name, value) in ours.as_object().unwrap() {
        assert_eq!(value, &rest["records"][0][name], "{name}");
    }
}

#[test]
fn a_running_job_is_waited_for() {
    serve(Vendor {
        states: vec!["UploadComplete", "InProgress", "JobComplete"],
        sets: vec![(200, "null", set(&[]))],
        ..Vendor::default()
    });
    let made = step(None).unwrap();
    for _ in 0..2 {
        let error = step(made.cursor.clone()).unwrap_err();
        assert!(matches!(error, Error::RateLimited(wait) if wait.retry_after_ms == Some(15_000)));
    }
    assert!(step(made.cursor).unwrap().more);
}

#[test]
fn what_fails_twice_is_read_by_queries() {
    for (state, status) in [("Failed", 200), ("Aborted", 200), ("JobComplete", 404)] {
        let vendor = serve(Vendor {
            states: vec![state],
            sets: vec![(status, "null", "[]".to_owned())],
            ..Vendor::default()
        });
        let made = step(None).unwrap();
        let failed = step(made.cursor).unwrap();
        assert!(failed.more && failed.changes.is_empty());
        let made = step(failed.cursor).unwrap();
        let failed = step(made.cursor).unwrap();
        let by_query = step(failed.cursor).unwrap();
        assert!(!by_query.more);
        assert_eq!(vendor.borrow().made, 2);
        assert!(testing::requests().last().unwrap().url().contains("/queryAll?q="));
    }
}

#[test]
fn an_organization_without_bulk_is_read_by_queries_at_once() {
    serve(Vendor {
        refuses: true,
        ..Vendor::default()
    });
    assert!(!step(None).unwrap().more);
    assert!(testing::requests().last().unwrap().url().contains("/queryAll?q="));
}

#[test]
fn small_objects_and_windows_make_no_job() {
    serve(Vendor::default());
    let config = r#"{"instance":"doors.my.salesforce.com","bulk_from":4}"#;
    let stream = streams::named("accounts").unwrap();
    let mut request = testing::read_request("accounts", None);
    assert!(
        !walk::read(stream, &testing::connection(config), &request)
            .unwrap()
            .more
    );
    request.page_hint = 5;
    assert!(
        !walk::read(stream, &testing::connection(CONFIG), &request)
            .unwrap()
            .more,
        "a test of the connection"
    );
    request.page_hint = 100;
    request.window = Some(sluice_sdk::Window { start: 0, end: 5_000 });
    assert!(
        !walk::read(stream, &testing::connection(CONFIG), &request)
            .unwrap()
            .more
    );
    assert!(
        testing::requests()
            .iter()
            .all(|request| request.method() == "GET")
    );
}

#[test]
fn results_that_cannot_be_true_are_refused() {
    let bad = |locator: &'static str, body: &str| {
        serve(ready(vec![(200, locator, body.to_owned())]));
        let made = step(None).unwrap();
        step(made.cursor).unwrap_err()
    };
    assert!(matches!(bad("a b", &set(&["1"])), Error::InvalidData(_)));
    assert!(matches!(
        bad("null", "\"Id\",\"Name\"\n\"1\",\"x\"\n"),
        Error::InvalidData(_)
    ));
    let short = "\"Id\",\"IsDeleted\",\"SystemModstamp\"\n\"1\",\"false\"\n";
    assert!(matches!(bad("null", short), Error::InvalidData(_)));
    testing::serve(|request| match request.url().contains("/results") {
        true => testing::answer(
            200,
            &[("sforce-numberofrecords", "7"), ("sforce-locator", "null")],
            &set(&["1"]),
        ),
        false => testing::answer(200, &[], r#"{"state":"JobComplete"}"#),
    });
    let cursor = r#"{"bulk":{"id":"750000000000001AAA","made":1,"kinds":{},"jobs":1}}"#;
    assert!(matches!(step(Some(cursor.to_owned())), Err(Error::Transient(_))));
    let poisoned = r#"{"bulk":{"id":"../../query","made":1,"kinds":{},"jobs":1}}"#;
    assert!(matches!(
        step(Some(poisoned.to_owned())),
        Err(Error::InvalidData(_))
    ));
}
