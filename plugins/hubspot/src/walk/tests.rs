use super::*;
use crate::streams;
use sluice_sdk::{Window, testing};

fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
    read(
        streams::named("contacts").unwrap(),
        &testing::connection(config),
        &testing::read_request("contacts", cursor),
    )
}

/// No associations, and properties that are named: only the walk's own requests.
const BARE: &str = r#"{"associations":false,"contact_properties":["email"]}"#;

fn is_newest(request: &sluice_sdk::http::Request) -> bool {
    content(request).contains("DESCENDING")
}

fn content(request: &sluice_sdk::http::Request) -> String {
    String::from_utf8(request.content().unwrap_or_default().to_vec()).unwrap()
}

/// The filters of the searches that were sent, without those for the newest change.
fn filters() -> Vec<serde_json::Value> {
    testing::requests()
        .iter()
        .filter(|request| request.method() == "POST" && !is_newest(request))
        .map(|request| {
            let body: serde_json::Value = serde_json::from_str(&content(request)).unwrap();
            let filters = body["filterGroups"][0]["filters"].as_array().unwrap().clone();
            filters
                .iter()
                .map(|filter| {
                    let word = |name: &str| filter[name].as_str().unwrap().to_owned();
                    format!("{} {} {}", word("propertyName"), word("operator"), word("value"))
                })
                .collect::<Vec<_>>()
                .join(", ")
                .into()
        })
        .collect()
}

#[test]
fn a_pass_goes_by_ids_and_the_next_begins_where_it_began() {
    testing::serve(|request| {
        let body = if request.method() == "GET" {
            include_str!("../../fixtures/archived.json")
        } else if is_newest(request) {
            r#"{"total":3,"results":[{"id":"103","updatedAt":"2024-05-01T10:00:00.250Z"}],"paging":{"next":{"after":"1"}}}"#
        } else if content(request).contains(r#""value":"0""#) {
            include_str!("../../fixtures/contacts.json")
        } else {
            r#"{"total":1,"results":[{"id":"103","updatedAt":"2024-05-01T12:00:00.000Z","properties":{}}]}"#
        };
        testing::answer(200, &[], body)
    });
    let first = step(BARE, None).unwrap();
    assert_eq!((first.more, first.total_hint), (true, Some(3)));
    assert!(matches!(
        &first.changes[..],
        [Change::Upsert(one), Change::Upsert(two)]
            if one.id == "101" && one.modified == Some(1_714_557_600_250) && two.id == "102"
    ));
    let second = step(BARE, first.cursor).unwrap();
    assert!(!second.more, "the first pass has nothing to delete");
    // Later changes were seen, but only up to the pass's beginning is it sure that none was passed over.
    assert_eq!(second.cursor.as_deref(), Some(r#"{"since":1714557600250}"#));

    let third = step(BARE, second.cursor).unwrap();
    let fourth = step(BARE, third.cursor).unwrap();
    assert!(third.more && fourth.more);
    let last = step(BARE, fourth.cursor).unwrap();
    assert!(!last.more && matches!(&last.changes[..], [Change::Delete(id)] if id == "55"));
    assert_eq!(
        filters(),
        [
            "hs_object_id GT 0",
            "hs_object_id GT 102",
            "hs_object_id GT 0, lastmodifieddate GTE 1714557300250",
            "hs_object_id GT 102, lastmodifieddate GTE 1714557300250",
        ]
    );
}

/// More records share one instant than a search gives: the ids lead through them.
#[test]
fn an_import_of_more_than_a_search_gives_is_read_whole() {
    const RECORDS: u64 = 10_450;
    testing::serve(|request| {
        let asked: serde_json::Value = serde_json::from_str(&content(request)).unwrap();
        if is_newest(request) {
            return testing::answer(
                200,
                &[],
                r#"{"results":[{"id":"1","updatedAt":"2024-05-01T10:00:00Z"}]}"#,
            );
        }
        assert!(asked.get("after").is_none());
        let above: u64 = asked["filterGroups"][0]["filters"][0]["value"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let last = (above + 100).min(RECORDS);
        let results: Vec<String> = (above + 1..=last)
            .map(|id| format!(r#"{{"id":"{id}","updatedAt":"2024-05-01T10:00:00Z","properties":{{}}}}"#))
            .collect();
        let paging = if last < RECORDS {
            r#","paging":{"next":{"after":"100"}}"#
        } else {
            ""
        };
        testing::answer(
            200,
            &[],
            &format!(r#"{{"results":[{}]{paging}}}"#, results.join(",")),
        )
    });
    let (mut cursor, mut seen) = (None, std::collections::BTreeSet::new());
    loop {
        let page = step(BARE, cursor).unwrap();
        seen.extend(page.changes.iter().map(|change| change.id().to_owned()));
        cursor = page.cursor;
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len() as u64, RECORDS);
}

#[test]
fn records_carry_their_associations() {
    testing::serve(|request| {
        let body = if request.url().contains("/associations/contacts/companies/") {
            r#"{"results":[{"from":{"id":"101"},"to":[{"toObjectId":901,"associationTypes":[]}]}]}"#
        } else if request.url().contains("/associations/") {
            r#"{"results":[]}"#
        } else if request.method() == "GET" {
            include_str!("../../fixtures/properties.json")
        } else {
            r#"{"results":[{"id":"101","properties":{"email":null},"updatedAt":"2024-05-01T10:00:00Z"}]}"#
        };
        testing::answer(200, &[], body)
    });
    let page = step("{}", None).unwrap();
    let [Change::Upsert(item)] = &page.changes[..] else {
        panic!("{:?}", page.changes)
    };
    assert!(
        item.data.ends_with(
            r#","associations":{"companies":[{"toObjectId":901,"associationTypes":[]}],"deals":[]}}"#
        ),
        "{}",
        item.data
    );
    let search = testing::requests()
        .into_iter()
        .find(|request| request.url().ends_with("/search") && !is_newest(request))
        .unwrap();
    assert!(content(&search).contains("door_score"));
}

/// A search takes no long body: with many properties it only finds, and the records are read by their ids.
#[test]
fn many_properties_are_read_by_ids() {
    let names: Vec<String> = (0..200).map(|n| format!("door_property_{n}")).collect();
    let config = serde_json::json!({"associations": false, "contact_properties": names}).to_string();
    testing::serve(|request| {
        let body = content(request);
        match request.url().ends_with("/batch/read") {
            true => {
                assert!(
                    body.contains("door_property_199")
                        && body.contains(r#""inputs":[{"id":"101"},{"id":"102"}]"#)
                );
                testing::answer(
                    207,
                    &[],
                    r#"{"status":"COMPLETE","results":[{"id":"102","updatedAt":"2024-05-01T10:00:00Z","properties":{"door_property_199":"7"}}],"numErrors":1,"errors":[{"category":"OBJECT_NOT_FOUND"}]}"#,
                )
            }
            false => {
                assert!(body.len() < 3_000, "{}", body.len());
                testing::answer(200, &[], include_str!("../../fixtures/contacts.json"))
            }
        }
    });
    let page = step(&config, None).unwrap();
    assert!(
        matches!(&page.changes[..], [Change::Upsert(item)] if item.id == "102" && item.data.contains("door_property_199"))
    );
    assert!(
        page.cursor.unwrap().contains(r#""id":102"#),
        "the place is that of the search"
    );
    testing::serve(|request| match request.url().ends_with("/batch/read") {
        true => testing::answer(200, &[], r#"{"results":[{"id":"7"}]}"#),
        false => testing::answer(200, &[], include_str!("../../fixtures/contacts.json")),
    });
    assert!(matches!(step(&config, None), Err(Error::InvalidData(_))));
}

#[test]
fn a_window_cuts_both_ends_and_deletions_too() {
    testing::serve(|request| {
        let body = match request.method() {
            "GET" => {
                r#"{"results":[{"id":"1","archivedAt":"1970-01-01T00:00:02Z"},{"id":"2","archivedAt":"1970-01-01T00:00:05Z"}]}"#
            }
            _ => r#"{"results":[]}"#,
        };
        testing::answer(200, &[], body)
    });
    let mut request = testing::read_request("deals", Some(r#"{"since":9000000}"#.to_owned()));
    request.window = Some(Window {
        start: 1_000,
        end: 5_000,
    });
    let deals = streams::named("deals").unwrap();
    let connection = testing::connection(r#"{"associations":false,"deal_properties":["amount"]}"#);
    let page = read(deals, &connection, &request).unwrap();
    assert!(page.more);
    request.cursor = page.cursor;
    let page = read(deals, &connection, &request).unwrap();
    assert!(!page.more && matches!(&page.changes[..], [Change::Delete(id)] if id == "1"));
    assert_eq!(page.cursor.as_deref(), Some(r#"{"since":9000000}"#));
    assert_eq!(
        filters(),
        ["hs_object_id GT 0, hs_lastmodifieddate GTE 1000, hs_lastmodifieddate LT 5000"]
    );
}

#[test]
fn bad_pages_are_errors_and_never_a_partial_page() {
    for body in [
        "<html>",
        "{}",
        r#"{"results":{}}"#,
        r#"{"results":[{"id":"1"},7]}"#,
        r#"{"results":[],"paging":{"next":{"after":"100"}}}"#,
    ] {
        testing::serve(move |_| testing::answer(200, &[], body));
        let under_way = Some(r#"{"at":{"id":7}}"#.to_owned());
        assert!(
            matches!(step(BARE, under_way), Err(Error::InvalidData(_))),
            "{body}"
        );
    }
    testing::serve(|_| testing::answer(200, &[], r#"{"results":[],"paging":{"next":{"after":"9"}}}"#));
    let circle = Some(r#"{"at":{"archived":"9"}}"#.to_owned());
    assert!(matches!(step(BARE, circle), Err(Error::InvalidData(_))));
    testing::serve(|_| testing::answer(200, &[], r#"{"results":[{"properties":{}}]}"#));
    let page = step(BARE, Some(r#"{"at":{"id":7}}"#.to_owned())).unwrap();
    assert_eq!(page.changes[0].id(), "", "the host sets it aside");
}
