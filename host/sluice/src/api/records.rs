//! Reading the data back: records as they are, the change feed, and what was set aside.

use axum::extract::State;
use axum::response::Response;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_service::record::{self, Op, Quarantined, Record};
use sluice_service::{connection, page::Listed};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::page::{List, limit, listed, page};
use super::problem::Problem;
use super::text::Raw;

/// A record as it is now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Record)]
pub(super) struct RecordView {
    id: String,
    /// When the vendor says it was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    /// When it was written here.
    #[schema(format = "date-time")]
    at: String,
    /// Its number in the connection's change feed.
    seq: u64,
    /// To the byte as it came: numbers keep every digit.
    #[schema(value_type = Object)]
    data: Raw,
}

/// A row of the change feed: the latest of its record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub(super) struct ChangeView {
    seq: u64,
    stream: String,
    id: String,
    /// `added`, `updated` or `deleted`.
    op: &'static str,
    #[schema(format = "date-time")]
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Raw>,
}

/// A part of the change feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Changes)]
pub(super) struct ChangesView {
    items: Vec<ChangeView>,
    /// Ask with it as `after` for what follows.
    next: u64,
    /// Whether there was nothing more at the time.
    end: bool,
}

/// A record that was refused, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantined)]
pub(super) struct QuarantinedView {
    id: String,
    code: String,
    reason: String,
    /// RFC 6901, where in the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// As text: it may not even be JSON.
    data: String,
}

/// A record as it once was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Version)]
pub(super) struct VersionView {
    /// Names the version.
    seq: u64,
    /// When it was written here.
    #[schema(format = "date-time")]
    at: String,
    /// When another took its place; absent for the one that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    overtaken: Option<String>,
    /// The run that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// Absent where it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Raw>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    stream: Option<String>,
    /// A number of the change feed, or with `latest` a page token.
    after: Option<String>,
    limit: Option<u32>,
    latest: bool,
}

/// The change feed, or with `latest` the records as they are now.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Wanted>,
) -> Result<Response, Problem> {
    let holder = connection::holder(&app.service, caller.org, &which).await?;
    if asked.latest {
        let stream = asked
            .stream
            .ok_or_else(|| Problem::new("request.query", "`latest` needs a `stream`"))?;
        let name = format!("records\0{}\0{stream}", holder);
        let page = page(&name, asked.limit, asked.after.as_deref())?;
        let records = record::list(&app.service, caller.org, holder, &stream, &page).await?;
        return Ok(json(&listed(&name, records, view)));
    }
    let after = number("after", asked.after.as_deref())?;
    let limit = limit(asked.limit)?;
    let rows = record::changes(
        &app.service,
        caller.org,
        holder,
        asked.stream.as_deref(),
        after,
        limit,
    )
    .await?;
    // Rows may be cut by their size too, so a short answer is not the end: only an empty one is.
    let (end, next) = (rows.is_empty(), rows.last().map_or(after, |row| row.seq));
    let items = rows.into_iter().map(|row| ChangeView {
        seq: row.seq,
        stream: row.stream,
        id: row.id,
        op: match row.op {
            Op::Added => "added",
            Op::Updated => "updated",
            Op::Deleted => "deleted",
        },
        at: row.at.to_string(),
        data: row.data.map(Raw::new),
    });
    Ok(json(&ChangesView {
        items: items.collect(),
        next,
        end,
    }))
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At((which, stream, id)): At<(String, String, String)>,
) -> Result<Response, Problem> {
    let holder = connection::holder(&app.service, caller.org, &which).await?;
    let record = record::get(&app.service, caller.org, holder, &stream, &id).await?;
    let record =
        record.ok_or_else(|| Problem::new("record.not_found", format!("`{stream}` has no record `{id}`")))?;
    Ok(json(&view(record)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Versions {
    limit: Option<u32>,
}

/// What a record was.
pub(super) async fn history(
    State(app): State<App>,
    caller: Caller,
    At((which, stream, id)): At<(String, String, String)>,
    Asked(asked): Asked<Versions>,
) -> Result<Response, Problem> {
    let holder = connection::holder(&app.service, caller.org, &which).await?;
    versions(&app, caller.org, holder, (&stream, &id), limit(asked.limit)?).await
}

/// Which version is to be there again.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Restore)]
#[serde(deny_unknown_fields)]
pub(super) struct RestoreRequest {
    /// Of one of the record's versions.
    seq: u64,
}

pub(super) async fn restore(
    State(app): State<App>,
    caller: Caller,
    At((which, stream, id)): At<(String, String, String)>,
    Json(wanted): Json<RestoreRequest>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &which).await?;
    record::restore(&app.service, caller.org, found.id, (&stream, &id), wanted.seq).await?;
    versions(&app, caller.org, found.id, (&stream, &id), 100).await
}

async fn versions(
    app: &App,
    org: OrgId,
    connection: ConnectionId,
    (stream, id): (&str, &str),
    limit: u32,
) -> Result<Response, Problem> {
    let found = record::history(&app.service, org, connection, (stream, id), limit).await?;
    if found.is_empty() {
        return Err(Problem::new(
            "record.not_found",
            format!("`{stream}` has no record `{id}`"),
        ));
    }
    let items = found.into_iter().map(|version| VersionView {
        seq: version.seq,
        at: version.at.to_string(),
        overtaken: version.overtaken.map(|at| at.to_string()),
        run: version.run.map(|run| run.to_string()),
        data: version.data.map(Raw::new),
    });
    Ok(json(&List {
        items: items.collect(),
        next: None,
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfStream {
    stream: String,
    after: Option<String>,
    limit: Option<u32>,
}

/// What was set aside of a stream.
pub(super) async fn quarantine(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<OfStream>,
) -> Result<Response, Problem> {
    let holder = connection::holder(&app.service, caller.org, &which).await?;
    let name = format!("quarantine\0{}\0{}", holder, asked.stream);
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let place = page
        .after
        .as_deref()
        .map(|hex| HEXLOWER.decode(hex.as_bytes()))
        .transpose();
    let after = place.map_err(|error| Problem::new("request.page_token", error))?;
    let wanted = sluice_store::Page {
        after,
        limit: page.bounded(),
    };
    let part = app
        .service
        .store()
        .list_quarantined(caller.org, holder, &asked.stream, wanted)
        .await?;
    let listing = Listed {
        items: part.items,
        next: part.next.map(|place| HEXLOWER.encode(&place)),
    };
    Ok(json(&listed(&name, listing, |row: Quarantined| {
        QuarantinedView {
            id: row.id,
            code: row.reason_code,
            reason: row.reason,
            pointer: row.pointer,
            data: row.data,
        }
    })))
}

fn view(record: Record) -> RecordView {
    RecordView {
        id: record.id,
        modified: record.modified.map(|at| at.to_string()),
        at: record.at.to_string(),
        seq: record.seq,
        data: Raw::new(record.data),
    }
}

/// A place in a feed.
pub(super) fn number(name: &str, text: Option<&str>) -> Result<u64, Problem> {
    text.map_or(Ok(0), str::parse)
        .map_err(|_| Problem::new("request.query", format!("`{name}` is not a number of the feed")))
}
