//! Links between streams, and what of them waits for a person.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_service::connection;
use sluice_service::link::{self, Conflict, Link, LinkSettings, LinkState, Take};
use sluice_service::page::Page;
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::page::{List, Paging, listed, page};
use super::problem::Problem;
use super::text::Raw;
use super::traces::{exchange, line, paged};

/// Two streams that are kept saying the same.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Link)]
pub(super) struct LinkView {
    id: String,
    name: String,
    source: EndBody,
    target: EndBody,
    /// docs/operator/links.md has all of them.
    #[schema(value_type = Object)]
    settings: LinkSettings,
    /// `up-to-date`, `working`, `failing` or `paused`.
    #[schema(value_type = String)]
    state: LinkState,
    /// Records that it knows, those of them that wait for a person, and writes that vendors took.
    pairs: u64,
    conflicts: u64,
    written: u64,
    #[schema(format = "date-time")]
    created: String,
    /// Tries in a row that failed.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<LinkError>,
    /// When it is worked on next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    next: Option<String>,
    /// To be given when its settings are set.
    revision: u64,
}

/// A side of a link.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkEnd)]
#[serde(deny_unknown_fields)]
pub(super) struct EndBody {
    /// Id or, in a request, name.
    connection: String,
    stream: String,
}

/// Why a link failed last, or a pair waits.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LinkError {
    code: String,
    message: String,
}

/// A link to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewLink)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    name: String,
    source: EndBody,
    target: EndBody,
    #[schema(value_type = Object)]
    settings: Value,
}

/// Settings to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LinkChange)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[schema(value_type = Object)]
    settings: Value,
    /// That of the settings which these are to replace.
    revision: u64,
}

/// A pair that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conflict)]
pub(super) struct ConflictView {
    number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_id: Option<String>,
    /// The records as they are now, and as they were when both sides agreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    source: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    target: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    base_source: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    base_target: Option<Raw>,
    /// The members that both sides changed, by the target's names; empty where it is the whole record.
    fields: Vec<String>,
    reason: LinkError,
}

/// Whose word counts.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ConflictResolution)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolution {
    /// `source` or `target`.
    #[schema(value_type = String)]
    take: Take,
    /// Also for every other conflict about the same members for the same reason.
    #[serde(default)]
    similar: bool,
}

/// How many conflicts were settled.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Settled {
    settled: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    connection: Option<String>,
}

fn view(found: Link) -> LinkView {
    let end = |end: link::End| EndBody {
        connection: end.connection.to_string(),
        stream: end.stream,
    };
    LinkView {
        id: found.id.to_string(),
        name: found.name,
        source: end(found.source),
        target: end(found.target),
        settings: found.settings,
        state: found.state,
        pairs: found.pairs,
        conflicts: found.conflicts,
        written: found.written,
        created: found.created.to_string(),
        failures: found.failures,
        error: found.error.map(|error| LinkError {
            code: error.code,
            message: error.message,
        }),
        next: found.next.map(|at| at.to_string()),
        revision: found.revision,
    }
}

fn conflict(found: Conflict) -> ConflictView {
    ConflictView {
        number: found.number,
        source_id: found.source_id,
        target_id: found.target_id,
        source: found.source.map(Raw::new),
        target: found.target.map(Raw::new),
        base_source: found.base_source.map(Raw::new),
        base_target: found.base_target.map(Raw::new),
        fields: found.fields,
        reason: LinkError {
            code: found.reason.code,
            message: found.reason.message,
        },
    }
}

fn settings(value: Value) -> Result<LinkSettings, Problem> {
    serde_json::from_value(value)
        .map_err(|error| Problem::new("link.settings", format!("the link's settings: {error}")))
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Wanted>,
) -> Result<Response, Problem> {
    let of = match &asked.connection {
        Some(which) => Some(connection::get(&app.service, caller.org, which).await?.id),
        None => None,
    };
    let found = link::list(&app.service, caller.org, of).await?;
    Ok(json(&List {
        items: found.into_iter().map(view).collect(),
        next: None,
    }))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<Creation>,
) -> Result<Response, Problem> {
    let made = link::create(
        &app.service,
        caller.org,
        &new.name,
        (
            (&new.source.connection, &new.source.stream),
            (&new.target.connection, &new.target.stream),
        ),
        settings(new.settings)?,
    )
    .await?;
    Ok((StatusCode::CREATED, json(&view(made))).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(link::get(&app.service, caller.org, &which).await?)))
}

pub(super) async fn set(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Json(change): Json<Change>,
) -> Result<Response, Problem> {
    let wanted = (change.revision, settings(change.settings)?);
    Ok(json(&view(
        link::set(&app.service, caller.org, &which, wanted).await?,
    )))
}

pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    link::remove(&app.service, caller.org, &which).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn pause(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(
        link::pause(&app.service, caller.org, &which, true).await?,
    )))
}

pub(super) async fn resume(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(
        link::pause(&app.service, caller.org, &which, false).await?,
    )))
}

pub(super) async fn retry(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(link::retry(&app.service, caller.org, &which).await?)))
}

pub(super) async fn conflicts(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let name = format!("conflicts\0{which}");
    let wanted = page(&name, asked.limit, asked.after.as_deref())?;
    let found = link::conflicts(&app.service, caller.org, &which, &wanted).await?;
    Ok(json(&listed(&name, found, conflict)))
}

pub(super) async fn resolve(
    State(app): State<App>,
    caller: Caller,
    At((which, number)): At<(String, u64)>,
    Json(wanted): Json<Resolution>,
) -> Result<Response, Problem> {
    let settled = link::resolve(
        &app.service,
        caller.org,
        (&which, number),
        (wanted.take, wanted.similar),
    )
    .await?;
    Ok(json(&Settled { settled }))
}

pub(super) async fn trace(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let found = async |page: &Page| link::trace(&app.service, caller.org, &which, page).await;
    paged(("trace", &which), &asked, found, exchange).await
}

pub(super) async fn logs(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let found = async |page: &Page| link::logs(&app.service, caller.org, &which, page).await;
    paged(("logs", &which), &asked, found, line).await
}
