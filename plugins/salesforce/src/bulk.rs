//! The first reading of a big object: a query job of Bulk API 2.0 ("Bulk API 2.0 Query"). The job is made, waited for, its results
//! are read set by set, and it is deleted; each of these is a step whose outcome is the cursor, so a crash goes on with the
//! same job. A crash between the making of a job and its commit leaves one behind that nobody reads; Salesforce deletes its
//! results after seven days.
//!
//! Results come in any order, so what the passes after it go on from is when the job was made.
//!
//! Where a job fails twice, or the organization has no Bulk API, the object is read by ordinary queries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_sdk::http::{self, Response};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Error, log};

use crate::rows::{self, Kind, Rows};
use crate::streams::Stream;
use crate::{api, soql};

/// Records of one set of results, below the 10,000 that the host takes as a page.
const AT_ONCE: &str = "5000";

/// How long a running job is left alone, in milliseconds.
const WAIT_MS: u64 = 15_000;

/// How many jobs are made before ordinary queries are.
const MAX_JOBS: u8 = 2;

/// How much of a refusal is read for its words.
const MAX_REFUSAL_BYTES: usize = 16_384;

/// A job, and how far its results were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    id: String,
    /// When it was made, in milliseconds.
    pub(crate) made: u64,
    /// The kinds of the columns that are no texts, each as a letter.
    kinds: BTreeMap<String, char>,
    /// The locator of the next set; none before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Whether all of them were read, and the job is to be deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    read: bool,
    /// How many jobs there were, with this one.
    pub(crate) jobs: u8,
}

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Some records, and the job to go on with.
    On(Vec<Change>, Job),
    /// Everything was read and the job is gone.
    Done { made: u64 },
    /// The job came to nothing; there were that many.
    Failed { jobs: u8 },
}

/// How many records an object has; none where counting them takes Salesforce too long.
pub(crate) fn count(stream: &Stream, instance: &str) -> Result<Option<u64>, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "totalSize")]
        total: u64,
    }
    let response = api::query(instance, &format!("SELECT COUNT() FROM {}", stream.object)).send()?;
    if api::code(&response).is_some_and(|(code, _)| code == "QUERY_TIMEOUT") {
        return Ok(None);
    }
    let answer: Answer = api::ok(response)?.json()?;
    Ok(Some(answer.total))
}

/// Makes the job ("Create a Query Job"). None where the organization can't have one.
pub(crate) fn make(stream: &Stream, instance: &str, fields: &[&str], jobs: u8) -> Result<Option<Job>, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Wanted<'a> {
        operation: &'static str,
        query: &'a str,
        content_type: &'static str,
        column_delimiter: &'static str,
        line_ending: &'static str,
    }
    #[derive(Deserialize)]
    struct Made<'a> {
        #[serde(borrow, default)]
        id: Text<'a>,
        #[serde(rename = "createdDate", borrow, default)]
        created: Text<'a>,
    }
    let kinds = kinds(stream, instance, fields)?;
    let query = format!("SELECT {} FROM {}", fields.join(", "), stream.object);
    let wanted = Wanted {
        operation: "queryAll",
        query: &query,
        content_type: "CSV",
        column_delimiter: "COMMA",
        line_ending: "LF",
    };
    let response = http::post(api::jobs(instance, "")).json(&wanted)?.send()?;
    if let Some((code, words)) = api::code(&response)
        && matches!(
            code.as_str(),
            "FEATURENOTENABLED" | "API_DISABLED_FOR_ORG" | "EXCEEDEDQUOTA" | "INVALIDENTITY"
        )
    {
        log::info(&format!(
            "no Bulk query (`{code}`: {words}): the object is read by ordinary queries"
        ));
        return Ok(None);
    }
    let response = api::ok(response)?;
    let made: Made<'_> = response.json()?;
    let created = soql::parse(made.created.as_str());
    let (id, Some(created)) = (made.id.as_str(), created) else {
        return Err(Error::invalid_data(
            "Salesforce does not say when the job was made",
        ));
    };
    if !is_id(id) {
        return Err(Error::invalid_data("Salesforce's job has no usable `id`"));
    }
    Ok(Some(Job {
        id: id.to_owned(),
        made: created,
        kinds,
        at: None,
        read: false,
        jobs: jobs + 1,
    }))
}

/// The kinds of the fields, by the object's description ("sObject Describe"). A related record's field is a text.
fn kinds(stream: &Stream, instance: &str, fields: &[&str]) -> Result<BTreeMap<String, char>, Error> {
    #[derive(Deserialize)]
    struct Description<'a> {
        #[serde(borrow)]
        fields: Vec<Field<'a>>,
    }
    #[derive(Deserialize)]
    struct Field<'a> {
        #[serde(borrow, default)]
        name: Text<'a>,
        #[serde(rename = "type", borrow, default)]
        kind: Text<'a>,
    }
    let response = api::ok(api::describe(instance, stream.object).send()?)?;
    let described: Description<'_> = response.json()?;
    let mut kinds = BTreeMap::new();
    for wanted in fields {
        let mut fields = described.fields.iter();
        let found = fields.find(|field| field.name.as_str().eq_ignore_ascii_case(wanted));
        let kind = found.map_or(Kind::Text, |field| Kind::of(field.kind.as_str()));
        if kind != Kind::Text {
            kinds.insert(wanted.to_ascii_lowercase(), kind.letter());
        }
    }
    Ok(kinds)
}

/// Goes on with a job.
pub(crate) fn step(stream: &Stream, instance: &str, job: Job) -> Result<Step, Error> {
    if !is_id(&job.id) || job.at.as_deref().is_some_and(|at| !is_locator(at)) {
        return Err(Error::invalid_data("the cursor has no job of Salesforce's").at("/bulk"));
    }
    if job.read {
        delete(instance, &job);
        return Ok(Step::Done { made: job.made });
    }
    if job.at.is_none() && !is_ready(instance, &job)? {
        delete(instance, &job);
        return Ok(Step::Failed { jobs: job.jobs });
    }
    results(stream, instance, job)
}

/// Whether there are results ("Get Information About a Query Job"); false where there never will be.
fn is_ready(instance: &str, job: &Job) -> Result<bool, Error> {
    #[derive(Deserialize)]
    struct State<'a> {
        #[serde(borrow, default)]
        state: Text<'a>,
        #[serde(rename = "errorMessage", borrow, default)]
        words: Text<'a>,
    }
    let response = http::get(api::jobs(instance, &job.id)).send()?;
    if response.status == 404 {
        log::info("the Bulk job is no longer there");
        return Ok(false);
    }
    let response = api::ok(response)?;
    let state: State<'_> = response.json()?;
    match state.state.as_str() {
        "JobComplete" => Ok(true),
        "UploadComplete" | "InProgress" => Err(Error::rate_limited(
            "Salesforce is still at work on the Bulk query",
            Some(WAIT_MS),
        )),
        "Failed" | "Aborted" => {
            let words = record::words(state.words.as_str(), 300);
            log::warn(&format!("the Bulk job is `{}`: {words}", state.state.as_str()));
            Ok(false)
        }
        other => Err(Error::invalid_data(format!(
            "Salesforce's job has the unknown state `{}`",
            record::words(other, 40)
        ))),
    }
}

/// A set of results ("Get Results for a Query Job").
fn results(stream: &Stream, instance: &str, mut job: Job) -> Result<Step, Error> {
    let path = api::jobs(instance, &format!("{}/results", job.id));
    let mut asked = http::get(path)
        .query("maxRecords", AT_ONCE)
        .header("accept", "text/csv");
    if let Some(at) = &job.at {
        asked = asked.query("locator", at);
    }
    let incoming = http::open(asked)?;
    let headers = incoming.headers();
    if incoming.status() != 200 {
        let response = whole(&incoming, headers)?;
        // The results are kept for seven days.
        if matches!(response.status, 400 | 404) {
            log::info("the results of the Bulk job are no longer there");
            delete(instance, &job);
            return Ok(Step::Failed { jobs: job.jobs });
        }
        api::ok(response)?;
        return Err(Error::transient("Salesforce's results are no results"));
    }
    let header = |name: &str| {
        let mut headers = headers.iter();
        headers
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    };
    let changes = records(stream, &job, Rows::new(incoming))?;
    // A body that ends early is still CSV: only the number tells.
    let told = header("sforce-numberofrecords").and_then(|text| text.parse::<usize>().ok());
    if told.is_some_and(|told| told != changes.len()) {
        return Err(Error::transient(
            "the results have another number of records than was said",
        ));
    }
    match header("sforce-locator") {
        None | Some("" | "null") => job.read = true,
        Some(next) if !is_locator(next) || job.at.as_deref() == Some(next) => {
            return Err(Error::invalid_data(
                "Salesforce's `Sforce-Locator` leads nowhere: it is the same again, or no locator",
            ));
        }
        Some(next) => job.at = Some(next.to_owned()),
    }
    Ok(Step::On(changes, job))
}

fn records(stream: &Stream, job: &Job, mut rows: Rows) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    let Some(columns) = rows.next()? else {
        return Ok(changes);
    };
    let place = |name: &str| columns.iter().position(|column| column == name);
    let (Some(id_at), Some(modified_at), Some(deleted_at)) =
        (place("Id"), place("SystemModstamp"), place("IsDeleted"))
    else {
        return Err(Error::invalid_data(
            "the results have not the columns that were asked for",
        ));
    };
    let kind = |column: &String| {
        let letter = job.kinds.get(&column.to_ascii_lowercase()).copied();
        letter.map_or(Kind::Text, Kind::from_letter)
    };
    let kinds: Vec<Kind> = columns.iter().map(kind).collect();
    while let Some(row) = rows.next()? {
        let cell = |at: usize| row.get(at).map_or("", String::as_str);
        let id = cell(id_at);
        if cell(deleted_at) == "true" {
            changes.push(Change::Delete(id.to_owned()));
            continue;
        }
        let path = api::path(stream.object, id);
        let text = rows::record(stream.object, &path, &columns, &kinds, &row)?;
        let modified = soql::parse(cell(modified_at));
        changes.push(Change::Upsert(record::item(id, &text, modified)));
    }
    Ok(changes)
}

/// Whether another job is to be made after one came to nothing.
pub(crate) const fn may_try_again(jobs: u8) -> bool {
    jobs < MAX_JOBS
}

/// Deletes the job ("Delete a Query Job"). One that stays is deleted by Salesforce.
fn delete(instance: &str, job: &Job) {
    let outcome = http::delete(api::jobs(instance, &job.id))
        .send()
        .and_then(api::ok);
    if outcome.is_err() {
        log::info("the Bulk job was not deleted: Salesforce keeps it for seven days");
    }
}

fn whole(incoming: &http::Incoming, headers: http::Headers) -> Result<Response, Error> {
    let mut body = Vec::new();
    while body.len() < MAX_REFUSAL_BYTES
        && let Some(piece) = incoming.read(8_192)?
    {
        body.extend(piece);
    }
    Ok(Response {
        status: incoming.status(),
        headers,
        body,
    })
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_locator(text: &str) -> bool {
    (1..=500).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_=+/.".contains(&byte))
}

#[cfg(test)]
mod tests;
