//! API keys.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_model::id::KeyId;
use sluice_store::api_key::ApiKey;
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{At, Json, id, json};
use super::page::List;
use super::problem::Problem;
use crate::key;

/// An API key, as it may be shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct KeyView {
    id: String,
    name: String,
    /// The first letters of the key.
    prefix: String,
    #[schema(format = "date-time")]
    created: String,
    /// Whether it may approve what connectors may do, and make keys.
    approves: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
    /// The whole key: shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

fn view(row: ApiKey) -> KeyView {
    KeyView {
        id: row.id.to_string(),
        name: row.name,
        prefix: row.prefix,
        created: row.created.to_string(),
        approves: row.approves,
        revoked: row.revoked.map(|at| at.to_string()),
        key: None,
    }
}

pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let keys = app.service.store().list_api_keys(caller.org).await?;
    Ok(json(&List {
        items: keys.into_iter().map(view).collect(),
        next: None,
    }))
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewApiKey)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    /// Who or what it is for.
    name: String,
    /// Whether it may approve what connectors may do, and make keys; it may without.
    #[serde(default = "yes")]
    approves: bool,
}

const fn yes() -> bool {
    true
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<Creation>,
) -> Result<Response, Problem> {
    let fits = (1..=80).contains(&new.name.chars().count()) && !new.name.chars().any(char::is_control);
    if !fits {
        return Err(Problem::new(
            "request.body",
            "`name` has to be 1 to 80 characters without control characters",
        ));
    }
    let issued = key::issue(&new.name, new.approves, app.service.now())
        .map_err(|_| Problem::new("internal", "the machine's random source does not answer"))?;
    app.service
        .store()
        .put_api_key(caller.org, issued.row.clone())
        .await?;
    let mut view = view(issued.row);
    view.key = Some(String::from_utf8_lossy(issued.key.expose()).into_owned());
    Ok((StatusCode::CREATED, json(&view)).into_response())
}

pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
) -> Result<Response, Problem> {
    let key: KeyId = id(&key)?;
    if key == caller.key {
        return Err(Problem::new("key.self", "this request was made with that key"));
    }
    let revoked = app
        .service
        .store()
        .revoke_api_key(caller.org, key, app.service.now())
        .await;
    revoked.map_err(|error| match error {
        sluice_store::Error::Missing { .. } => {
            Problem::new("key.not_found", format!("there is no API key {key}"))
        }
        other => other.into(),
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
