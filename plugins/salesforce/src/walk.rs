//! One pass over an object, oldest change first, with what was deleted ("QueryAll"): a deletion changes `SystemModstamp`
//! like any other change, and a deleted record stays in the recycle bin for 15 days. What left it before a pass saw it is
//! not noticed.
//!
//! The first pass over a big object is a job of the Bulk API ([`bulk`]), and the passes after it go on from when that was made.
//!
//! A transaction becomes visible after the time that its records carry. A pass therefore begins ten minutes, the longest
//! that a transaction may take, before the newest change it knows, and sees what is younger again.

use serde::{Deserialize, Serialize};
use sluice_sdk::http::{Request, Response};
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, log};

use crate::api::{self, Answer};
use crate::bulk::{self, Job, Step};
use crate::config::{self, Config};
use crate::soql;
use crate::streams::Stream;

/// Ten minutes, in milliseconds ("Execution Governors and Limits", maximum execution time).
const AGAIN_MS: u64 = 600_000;

/// Who would like fewer records than this is looking, not reading: a job would be made for nothing.
const FEW: u32 = 20;

/// How often a pass may begin again because its locator was no longer good: they last two days, and an organization
/// has only so many.
const MAX_RESTARTS: u8 = 3;

/// Where reading an object stands.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The newest change that is known, in milliseconds. It moves with every page: the order makes that safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<u64>,
    /// The locator of the next records of the pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restarts: Option<u8>,
    /// The job under way that reads everything at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bulk: Option<Job>,
    /// How many jobs came to nothing in this pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jobs: Option<u8>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "Id", borrow, default)]
    id: Id<'a>,
    #[serde(rename = "SystemModstamp", borrow, default)]
    modified: Text<'a>,
    #[serde(rename = "IsDeleted", default)]
    is_deleted: Option<bool>,
}

/// The next page.
pub(crate) fn read(stream: &Stream, connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let config = config::read(connection)?;
    let instance = config.instance()?;
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let more_fields = config.fields(stream.more_fields)?;
    if request.window.is_none() {
        if let Some(job) = cursor.bulk.take() {
            return by_job(stream, &instance, cursor, job);
        }
        let is_fresh = cursor.newest.is_none() && cursor.at.is_none() && request.page_hint >= FEW;
        if is_fresh && let Some(page) = make_job(stream, &instance, &config, &mut cursor)? {
            return Ok(page);
        }
    }
    let asked = match &cursor.at {
        Some(locator) if !api::is_locator(locator) => {
            return Err(Error::invalid_data("the cursor has no locator of a query").at("/at"));
        }
        Some(locator) => api::more(&instance, locator),
        None => first(stream, &instance, more_fields, &cursor, request),
    };
    let response = asked.send()?;
    if is_stale(&response) && cursor.at.is_some() {
        return again(cursor);
    }
    let response = api::ok(response).map_err(|error| blame_fields(error, stream))?;
    let answer: Answer<'_> = response.json()?;
    let mut changes = Vec::with_capacity(2_000);
    for element in record::each::<Head<'_>>(answer.records.get()) {
        let (head, text) = element?;
        let id = head.id.to_string();
        let modified = soql::parse(head.modified.as_str());
        // A window leaves the place of the other passes as it is.
        if request.window.is_none() {
            cursor.newest = cursor.newest.max(modified);
        }
        changes.push(match head.is_deleted {
            Some(true) => Change::Delete(id),
            _ => Change::Upsert(record::item(id, text, modified)),
        });
    }
    let next = answer.next(cursor.at.as_deref())?;
    let total_hint = match (&answer.total, &cursor.at) {
        (Id::Number(total), None) => Some(*total),
        _ => None,
    };
    cursor.at = next;
    if cursor.at.is_none() {
        cursor.restarts = None;
        cursor.jobs = None;
    }
    Ok(Page {
        changes,
        more: cursor.at.is_some(),
        cursor: Some(record::text(&cursor)?),
        total_hint,
    })
}

/// Makes the job that reads a big object at first; none where ordinary queries do.
fn make_job(
    stream: &Stream,
    instance: &str,
    config: &Config,
    cursor: &mut Cursor,
) -> Result<Option<Page>, Error> {
    let jobs = cursor.jobs.unwrap_or_default();
    if !bulk::may_try_again(jobs) {
        return Ok(None);
    }
    let count = bulk::count(stream, instance)?;
    if count.is_some_and(|count| count < config.bulk_from()) {
        return Ok(None);
    }
    let fields = fields(stream, config.fields(stream.more_fields)?);
    let made = bulk::make(stream, instance, &fields, jobs).map_err(|error| blame_fields(error, stream))?;
    let Some(job) = made else {
        return Ok(None);
    };
    cursor.bulk = Some(job);
    let page = Page::at(Vec::new(), cursor, true)?;
    Ok(Some(Page {
        total_hint: count,
        ..page
    }))
}

fn by_job(stream: &Stream, instance: &str, mut cursor: Cursor, job: Job) -> Result<Page, Error> {
    let changes = match bulk::step(stream, instance, job)? {
        Step::On(changes, job) => {
            cursor.bulk = Some(job);
            changes
        }
        // What changed meanwhile is read at once.
        Step::Done { made } => {
            cursor = Cursor {
                newest: Some(made),
                ..Cursor::default()
            };
            Vec::new()
        }
        Step::Failed { jobs } => {
            cursor.jobs = Some(jobs);
            Vec::new()
        }
    };
    Page::at(changes, &cursor, true)
}

/// The fields that are asked for.
pub(crate) fn fields<'a>(stream: &Stream, more: &'a [String]) -> Vec<&'a str> {
    let mut fields: Vec<&'a str> = stream.fields.to_vec();
    for field in more {
        // A field that is named twice fails the query; Salesforce's names know no case.
        if !fields.iter().any(|known| known.eq_ignore_ascii_case(field)) {
            fields.push(field);
        }
    }
    fields
}

fn first(
    stream: &Stream,
    instance: &str,
    more_fields: &[String],
    cursor: &Cursor,
    request: &ReadRequest,
) -> Request {
    let fields = fields(stream, more_fields);
    let since = cursor.newest.map(|newest| newest.saturating_sub(AGAIN_MS));
    let (since, until) = match &request.window {
        Some(window) => (Some(window.start), Some(window.end)),
        None => (since, None),
    };
    api::query_all(instance, &soql::changed(stream.object, &fields, since, until))
}

/// Whether the locator has ended.
fn is_stale(response: &Response) -> bool {
    api::code(response)
        .is_some_and(|(code, _)| matches!(code.as_str(), "INVALID_QUERY_LOCATOR" | "INVALID_LOCATOR"))
}

/// Goes on from the newest change that was read, with a new query.
fn again(cursor: Cursor) -> Result<Page, Error> {
    let restarts = cursor.restarts.unwrap_or_default() + 1;
    if restarts > MAX_RESTARTS {
        return Err(Error::transient(
            "Salesforce ends the query again and again before it is read",
        ));
    }
    log::info("the query's locator has ended: asked again from the newest change that was read");
    let cursor = Cursor {
        at: None,
        restarts: Some(restarts),
        ..cursor
    };
    Ok(Page {
        changes: Vec::new(),
        cursor: Some(record::text(&cursor)?),
        more: true,
        total_hint: None,
    })
}

/// A field that is not there, or not for this user, was named by the configuration: the standard ones are everywhere.
fn blame_fields(error: Error, stream: &Stream) -> Error {
    match error {
        Error::InvalidData(detail) if detail.message.contains("`INVALID_FIELD`") => {
            Error::config(detail.message, format!("/{}", stream.more_fields))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use sluice_sdk::{Window, http, testing};

    const CONFIG: &str = r#"{"login_host":"login.salesforce.com","instance":"doors.my.salesforce.com"}"#;

    /// Lets the vendor answer, for whom the objects are small.
    fn serve(mut vendor: impl FnMut(&Request) -> Result<Response, http::Error> + 'static) {
        testing::serve(move |request| match request.url().contains("COUNT") {
            true => testing::answer(200, &[], r#"{"totalSize":2,"done":true,"records":[]}"#),
            false => vendor(request),
        });
    }

    fn requests() -> Vec<Request> {
        let all = testing::requests();
        all.into_iter()
            .filter(|request| !request.url().contains("COUNT"))
            .collect()
    }

    fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
        read(
            streams::named("accounts").unwrap(),
            &testing::connection(config),
            &testing::read_request("accounts", cursor),
        )
    }

    /// The queries that were sent, without their lists of fields.
    fn asked() -> Vec<String> {
        let requests = requests();
        requests
            .iter()
            .map(|request| {
                let url = request
                    .url()
                    .replace("%20", " ")
                    .replace("%3E%3D", ">=")
                    .replace("%3A", ":");
                let from = url.find("FROM").unwrap_or_else(|| url.find("/query/").unwrap());
                url[from..].to_owned()
            })
            .collect()
    }

    #[test]
    fn a_pass_follows_the_query_and_the_next_begins_before_the_newest_change() {
        serve(
            |request| match request.url().ends_with("/query/01g000000000001-2000") {
                true => testing::answer(
                    200,
                    &[],
                    r#"{"done":true,"records":[{"Id":"0012","SystemModstamp":"2024-05-01T11:00:00.000+0000","IsDeleted":true}]}"#,
                ),
                false => testing::answer(200, &[], include_str!("../fixtures/accounts.json")),
            },
        );
        let first = step(CONFIG, None).unwrap();
        assert_eq!((first.more, first.total_hint), (true, Some(2)));
        assert!(matches!(
            &first.changes[..],
            [Change::Upsert(item)] if item.id == "001000000000001AAA" && item.modified == Some(1_714_557_600_000)
        ));
        let second = step(CONFIG, first.cursor).unwrap();
        assert!(!second.more && matches!(&second.changes[..], [Change::Delete(id)] if id == "0012"));
        assert_eq!(second.cursor.as_deref(), Some(r#"{"newest":1714561200000}"#));
        step(CONFIG, second.cursor).unwrap();
        assert_eq!(
            asked(),
            [
                "FROM Account ORDER BY SystemModstamp ASC%2C Id ASC",
                "/query/01g000000000001-2000",
                "FROM Account WHERE SystemModstamp >= 2024-05-01T10:50:00Z ORDER BY SystemModstamp ASC%2C Id ASC",
            ]
        );
        assert!(
            requests()[0]
                .url()
                .starts_with("https://doors.my.salesforce.com/services/data/v62.0/queryAll?q=SELECT%20Id%2C")
        );
    }

    #[test]
    fn a_locator_that_ended_goes_on_from_what_was_read_but_not_for_ever() {
        serve(|request| match request.url().contains("/query/") {
            true => testing::answer(
                400,
                &[],
                r#"[{"errorCode":"INVALID_QUERY_LOCATOR","message":"gone"}]"#,
            ),
            false => testing::answer(200, &[], include_str!("../fixtures/accounts.json")),
        });
        let mut cursor = None;
        for _ in 0..MAX_RESTARTS {
            let read = step(CONFIG, cursor).unwrap();
            let again = step(CONFIG, read.cursor).unwrap();
            assert!(again.more && again.changes.is_empty());
            cursor = again.cursor;
        }
        assert!(cursor.as_deref().unwrap().contains(r#""newest":1714557600000"#));
        let read = step(CONFIG, cursor).unwrap();
        assert!(matches!(step(CONFIG, read.cursor), Err(Error::Transient(_))));
    }

    #[test]
    fn fields_of_the_configuration_are_asked_for_once() {
        serve(|_| testing::answer(200, &[], r#"{"done":true,"records":[]}"#));
        let config = r#"{"instance":"doors.my.salesforce.com","account_fields":["Region__c","name"]}"#;
        step(config, None).unwrap();
        let url = requests()[0].url().to_owned();
        assert!(
            url.contains("ShippingCountry%2C%20Region__c%20FROM%20Account"),
            "{url}"
        );
        serve(|_| {
            testing::answer(
                400,
                &[],
                r#"[{"errorCode":"INVALID_FIELD","message":"No such column"}]"#,
            )
        });
        let error = step(config, None).unwrap_err();
        assert!(
            matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/account_fields"))
        );
    }

    #[test]
    fn a_window_cuts_both_ends() {
        let body =
            r#"{"done":true,"records":[{"Id":"0019","SystemModstamp":"2024-05-01T10:00:00.000+0000"}]}"#;
        serve(move |_| testing::answer(200, &[], body));
        let mut request = testing::read_request("accounts", Some(r#"{"newest":9000000}"#.to_owned()));
        request.window = Some(Window {
            start: 1_000,
            end: 5_000,
        });
        let page = read(
            streams::named("accounts").unwrap(),
            &testing::connection(CONFIG),
            &request,
        )
        .unwrap();
        assert_eq!((page.changes.len(), page.cursor), (1, request.cursor));
        assert!(
            asked()[0].contains(
                "SystemModstamp >= 1970-01-01T00:00:01Z AND SystemModstamp %3C 1970-01-01T00:00:05Z"
            )
        );
    }

    #[test]
    fn a_vendor_that_goes_in_circles_is_an_error() {
        serve(|_| testing::answer(200, &[], include_str!("../fixtures/accounts.json")));
        let first = step(CONFIG, None).unwrap();
        assert!(matches!(step(CONFIG, first.cursor), Err(Error::InvalidData(_))));
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in [
            "<html>",
            "",
            "[]",
            "{}",
            r#"{"records":{}}"#,
            r#"{"records":[{"Id":"1"},7]}"#,
        ] {
            serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step(CONFIG, None), Err(Error::InvalidData(_))), "{body}");
        }
        serve(|_| testing::answer(200, &[], r#"{"records":[{"Name":"no id"}]}"#));
        assert_eq!(
            step(CONFIG, None).unwrap().changes[0].id(),
            "",
            "the host sets it aside"
        );
        let cursor = Some(r#"{"at":"../sobjects"}"#.to_owned());
        assert!(matches!(step(CONFIG, cursor), Err(Error::InvalidData(_))));
    }

    #[test]
    fn contacts_are_read() {
        serve(|request| {
            assert!(request.url().contains("FROM%20Contact"));
            testing::answer(200, &[], include_str!("../fixtures/contacts.json"))
        });
        let page = read(
            streams::named("contacts").unwrap(),
            &testing::connection(CONFIG),
            &testing::read_request("contacts", None),
        )
        .unwrap();
        assert_eq!(page.changes[0].id(), "003000000000001AAA");
        assert!(!page.more);
    }
}
