//! The actions of a connection, and running one.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use sluice_service::{action, connection};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{At, Json, json};
use super::page::List;
use super::problem::Problem;

/// An action that a connection can perform.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OfferedAction)]
pub(super) struct OfferedView {
    name: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// JSON Schema of what it takes.
    input: Value,
    /// JSON Schema of what it gives.
    output: Value,
    /// Whether its output may have links in it that work without a credential.
    presigns: bool,
    /// Only this account has it at the vendor; the connector was asked for it now.
    discovered: bool,
}

/// What an action gave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActionResult)]
pub(super) struct ResultView {
    output: Value,
}

/// Asks the connector, where its manifest says that accounts have actions of their own.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &which).await?;
    let offered = action::list(&app.service, caller.org, found.id).await?;
    let items = offered.into_iter().map(|action| OfferedView {
        name: action.name,
        title: action.title,
        description: action.description,
        input: action.input,
        output: action.output,
        presigns: action.presigns,
        discovered: action.discovered,
    });
    Ok(json(&List {
        items: items.collect(),
        next: None,
    }))
}

/// The body is the action's input. `Idempotency-Key` is passed on to vendors that know such keys.
pub(super) async fn run(
    State(app): State<App>,
    caller: Caller,
    At((which, name)): At<(String, String)>,
    headers: HeaderMap,
    Json(input): Json<Value>,
) -> Result<Response, Problem> {
    let key = match headers.get("idempotency-key") {
        Some(value) => value
            .to_str()
            .ok()
            .filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()))
            .ok_or_else(|| {
                Problem::new(
                    "request.body",
                    "Idempotency-Key has to be 1 to 200 visible characters",
                )
            })?
            .to_owned(),
        None => super::front::request_id(),
    };
    let found = connection::get(&app.service, caller.org, &which).await?;
    // An action that has begun is finished even if the caller leaves: the vendor may already have acted.
    let service = app.service.clone();
    let work = async move { action::run(&service, caller.org, found.id, &name, &input, &key).await };
    let output = tokio::spawn(work)
        .await
        .map_err(|error| Problem::new("internal", error))??;
    Ok(json(&ResultView { output }))
}

/// Vendors that take such keys take at least this many bytes.
const MAX_KEY_BYTES: usize = 200;
