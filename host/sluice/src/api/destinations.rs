//! Destinations, and the loads into them. Secrets only ever go in.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_service::destination::{self, Destination, Load, LoadSettings, LoadState};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::page::{List, Paging, listed, page};
use super::problem::Problem;
use super::text::SecretTexts;

/// A place that records are loaded into.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Destination)]
pub(super) struct DestinationView {
    id: String,
    name: String,
    /// With `kind`: `postgres`, `directory` or `s3`; docs/operator/destinations.md has the others.
    #[schema(value_type = Object)]
    settings: Value,
    /// The parts of its secret that are set.
    secrets: Vec<String>,
    #[schema(format = "date-time")]
    created: String,
    #[schema(format = "date-time")]
    updated: String,
    /// To be given when it is changed.
    revision: u64,
}

/// A destination to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewDestination)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    name: String,
    #[schema(value_type = Object)]
    settings: Value,
    /// `password` of a database; `access_key_id`, `secret_access_key` and `session_token` of a bucket.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, write_only)]
    secrets: SecretTexts,
}

/// A destination to be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = DestinationChange)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[schema(value_type = Object)]
    settings: Value,
    /// That of the settings which these are to replace.
    revision: u64,
    /// Those that are not named stay as they are.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, write_only)]
    secrets: SecretTexts,
}

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DestinationCheck)]
pub(super) struct CheckView {
    /// What is there, in its own words.
    version: String,
}

/// A connection's records on their way into a destination.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Load)]
pub(super) struct LoadView {
    id: String,
    connection: String,
    destination: String,
    /// The streams that are loaded; all, if there are none.
    streams: Vec<String>,
    prefix: String,
    every_s: u32,
    /// `up-to-date`, `loading` or `failing`.
    #[schema(value_type = String)]
    state: LoadState,
    /// By stream: everything up to and with this number of the change feed is there.
    positions: BTreeMap<String, u64>,
    /// The streams that have changes behind that.
    owed: Vec<String>,
    /// What the destination took.
    rows: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    loaded: Option<String>,
    /// Tries in a row that failed.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<LoadError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    failing_since: Option<String>,
    /// When it is worked on next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    next: Option<String>,
}

/// Why a load failed last.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoadError {
    code: String,
    message: String,
}

/// What is to be loaded.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LoadRequest)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LoadRequest {
    /// All, if there are none.
    streams: Vec<String>,
    /// What the names of tables begin with.
    prefix: String,
    /// Seconds from a change until it is loaded, so that changes go together; 2 without it.
    every_s: u32,
}

impl Default for LoadRequest {
    fn default() -> Self {
        Self {
            streams: Vec::new(),
            prefix: String::new(),
            every_s: 2,
        }
    }
}

/// How a load is tried again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = LoadRetry)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LoadRetry {
    /// From the first change on, for a destination that lost what it had.
    anew: bool,
}

fn view(found: Destination) -> DestinationView {
    DestinationView {
        id: found.id.to_string(),
        name: found.name,
        settings: serde_json::to_value(&found.settings).unwrap_or_default(),
        secrets: found.secrets,
        created: found.created.to_string(),
        updated: found.updated.to_string(),
        revision: found.revision,
    }
}

fn load_view(load: Load) -> LoadView {
    LoadView {
        id: load.id.to_string(),
        connection: load.connection.to_string(),
        destination: load.destination.to_string(),
        streams: load.settings.streams,
        prefix: load.settings.prefix,
        every_s: load.settings.every_s,
        state: load.state,
        positions: load.positions,
        owed: load.owed,
        rows: load.rows,
        bytes: load.bytes,
        loaded: load.loaded.map(|at| at.to_string()),
        failures: load.failures,
        error: load.error.map(|error| LoadError {
            code: error.code,
            message: error.message,
        }),
        failing_since: load.failing_since.map(|at| at.to_string()),
        next: load.next.map(|at| at.to_string()),
    }
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let name = "destinations";
    let wanted = page(name, asked.limit, asked.after.as_deref())?;
    let found = destination::list(&app.service, caller.org, &wanted).await?;
    Ok(json(&listed(name, found, view)))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<Creation>,
) -> Result<Response, Problem> {
    let made = destination::create(&app.service, caller.org, &new.name, &new.settings, new.secrets.0).await?;
    Ok((StatusCode::CREATED, json(&view(made))).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(
        destination::get(&app.service, caller.org, &which).await?,
    )))
}

pub(super) async fn set(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Json(change): Json<Change>,
) -> Result<Response, Problem> {
    let set = destination::set(
        &app.service,
        caller.org,
        &which,
        (change.revision, &change.settings),
        change.secrets.0,
    )
    .await?;
    Ok(json(&view(set)))
}

pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    destination::remove(&app.service, caller.org, &which).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn check(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    let found = destination::check(&app.service, caller.org, &which).await?;
    Ok(json(&CheckView {
        version: found.version,
    }))
}

pub(super) async fn loads(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    let loads = destination::list_loads(&app.service, caller.org, &which).await?;
    Ok(json(&List {
        items: loads.into_iter().map(load_view).collect(),
        next: None,
    }))
}

pub(super) async fn create_load(
    State(app): State<App>,
    caller: Caller,
    At((which, connection)): At<(String, String)>,
    Json(wanted): Json<LoadRequest>,
) -> Result<Response, Problem> {
    let settings = LoadSettings {
        streams: wanted.streams,
        prefix: wanted.prefix,
        every_s: wanted.every_s,
    };
    let made = destination::create_load(&app.service, caller.org, (&which, &connection), settings).await?;
    Ok((StatusCode::CREATED, json(&load_view(made))).into_response())
}

pub(super) async fn remove_load(
    State(app): State<App>,
    caller: Caller,
    At((which, connection)): At<(String, String)>,
) -> Result<Response, Problem> {
    destination::remove_load(&app.service, caller.org, (&which, &connection)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn retry_load(
    State(app): State<App>,
    caller: Caller,
    At((which, connection)): At<(String, String)>,
    Json(wanted): Json<LoadRetry>,
) -> Result<Response, Problem> {
    let load = destination::retry_load(&app.service, caller.org, (&which, &connection), wanted.anew).await?;
    Ok(json(&load_view(load)))
}
