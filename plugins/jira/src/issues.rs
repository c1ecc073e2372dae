//! Issues, by the time of their last change, oldest change first (Jira docs, "Search for issues using JQL").
//!
//! JQL compares `updated` by the minute and reads a date without a zone in the zone of whoever asks, so the time is given
//! in milliseconds since the epoch, and a pass begins five minutes before the newest known change: that covers the rest
//! of the minute and the search's lag. What is seen twice is an upsert.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging};

use crate::{api, config};

/// Issues of a page; Jira gives fewer where they are long.
const PER_PAGE: u32 = 100;

/// How long before the newest known change a pass begins, in milliseconds.
const AGAIN_MS: u64 = 300_000;

/// Comments and worklogs come with an issue only in part; worklogs are a stream.
const FIELDS: &str = "*all,-comment,-worklog";

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    issues: &'a RawValue,
    #[serde(rename = "nextPageToken", borrow, default)]
    next: Text<'a>,
    #[serde(rename = "isLast", default)]
    is_last: Option<bool>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    fields: Fields<'a>,
}

#[derive(Default, Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    updated: Text<'a>,
}

/// The next page.
pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let config = config::read(connection)?;
    let mut asked = api::request(connection, "GET", "search/jql")?
        .query("jql", &jql(config.projects()?, walk.from(), walk.until()))
        .query("fields", FIELDS)
        .query("maxResults", &paging::size(request, PER_PAGE).to_string());
    if let Some(token) = walk.token() {
        asked = asked.query("nextPageToken", token);
    }
    let response = asked.send()?;
    if walk.token().is_some() && api::is_stale(&response) {
        return walk.again();
    }
    let response = api::ok(response)?;
    let answer: Answer<'_> = response.json()?;
    let mut changes = Vec::with_capacity(PER_PAGE as usize);
    for element in record::each::<Head<'_>>(answer.issues.get()) {
        let (head, text) = element?;
        let modified = head.fields.updated.timestamp();
        walk.saw(modified);
        if request.window.is_some() && !walk.covers(modified) {
            continue;
        }
        changes.push(Change::Upsert(record::item(head.id.as_str(), text, modified)));
    }
    let next = match (answer.is_last, answer.next.as_str()) {
        (Some(true), _) => "",
        (Some(false), "") => {
            return Err(Error::invalid_data(
                "Jira says that there is more and gives nothing to go on from",
            ));
        }
        (_, next) => next,
    };
    walk.page(changes, next)
}

/// The query; Jira refuses one without a bound.
fn jql(projects: &[String], from: Option<u64>, until: Option<u64>) -> String {
    let mut terms = Vec::new();
    if !projects.is_empty() {
        let keys: Vec<String> = projects.iter().map(|key| format!("\"{key}\"")).collect();
        terms.push(format!("project in ({})", keys.join(", ")));
    }
    terms.push(match from {
        Some(from) => format!("updated >= {from}"),
        None => "updated >= \"1970/01/02\"".to_owned(),
    });
    if let Some(until) = until {
        // A minute more, in case the vendor means the minute's beginning; the window itself is cut here.
        terms.push(format!("updated < {}", until.saturating_add(60_000)));
    }
    format!("{} ORDER BY updated ASC", terms.join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    const CONFIG: &str = r#"{"site":"doors.atlassian.net"}"#;

    fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
        read(
            &testing::connection(config),
            &testing::read_request("issues", cursor),
        )
    }

    fn asked(at: usize) -> String {
        testing::requests()[at]
            .url()
            .replace("%20", " ")
            .replace("%3E%3D", ">=")
            .replace("%22", "\"")
            .replace("%2F", "/")
    }

    #[test]
    fn a_pass_follows_the_token_and_the_next_begins_before_the_newest_change() {
        testing::serve(|request| match request.url().contains("nextPageToken=next-1") {
            false => testing::answer(200, &[], include_str!("../fixtures/issues.json")),
            true => testing::answer(
                200,
                &[],
                r#"{"issues":[{"id":"10002","key":"DOOR-2","fields":{"updated":"2024-05-01T13:00:30.250+0200"}}],"isLast":true}"#,
            ),
        });
        let first = step(CONFIG, None).unwrap();
        assert!(first.more);
        assert!(
            matches!(&first.changes[..], [Change::Upsert(item)] if item.id == "10001" && item.modified == Some(1_714_557_600_000))
        );
        let last = step(CONFIG, first.cursor).unwrap();
        assert_eq!(
            (last.more, last.cursor.as_deref()),
            (false, Some(r#"{"since":1714561230250}"#))
        );
        step(
            r#"{"site":"doors.atlassian.net","projects":["DOOR","LOCK"]}"#,
            last.cursor,
        )
        .unwrap();
        assert!(asked(0).starts_with(
            "https://doors.atlassian.net/rest/api/3/search/jql?jql=updated >= \"1970/01/02\" ORDER BY updated ASC&fields="
        ), "{}", asked(0));
        assert!(
            asked(2).contains("project in %28\"DOOR\"%2C \"LOCK\"%29 AND updated >= 1714560930250 ORDER BY"),
            "{}",
            asked(2)
        );
    }

    #[test]
    fn a_window_cuts_both_ends() {
        assert_eq!(
            jql(&[], Some(1_000), Some(5_000)),
            "updated >= 1000 AND updated < 65000 ORDER BY updated ASC"
        );
        testing::serve(|_| {
            testing::answer(
                200,
                &[],
                r#"{"issues":[{"id":"1","fields":{"updated":"1970-01-01T00:00:04.000+0000"}},{"id":"2","fields":{"updated":"1970-01-01T00:00:05.000+0000"}}],"isLast":true}"#,
            )
        });
        let mut request = testing::read_request("issues", Some(r#"{"since":9000000}"#.to_owned()));
        request.window = Some(sluice_sdk::Window {
            start: 1_000,
            end: 5_000,
        });
        let page = read(&testing::connection(CONFIG), &request).unwrap();
        assert_eq!(
            (page.changes.len(), page.changes[0].id(), page.cursor),
            (1, "1", request.cursor)
        );
    }

    #[test]
    fn a_token_that_ended_begins_the_pass_again() {
        testing::serve(|_| {
            testing::answer(
                400,
                &[],
                r#"{"errorMessages":["The provided next page token is invalid or expired."],"errors":{}}"#,
            )
        });
        let again = step(CONFIG, Some(r#"{"at":{"token":"old","from":5}}"#.to_owned())).unwrap();
        assert_eq!(
            (again.more, again.cursor.as_deref()),
            (true, Some(r#"{"at":{"from":5,"restarts":1}}"#))
        );
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in [
            "<html>",
            "{}",
            r#"{"issues":{}}"#,
            r#"{"issues":[{"id":"1"},7]}"#,
            r#"{"issues":[],"isLast":false}"#,
            r#"{"issues":[],"nextPageToken":"a"}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let cursor = Some(r#"{"at":{"token":"a"}}"#.to_owned());
            assert!(
                matches!(step(CONFIG, cursor), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }
}
