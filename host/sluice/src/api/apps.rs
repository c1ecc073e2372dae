//! Apps: what the vendor gave to whoever registered there. Secrets only ever go in.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_service::auth::app::{self, AppOwner};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{At, Json, json};
use super::problem::Problem;
use super::text::SecretTexts;

/// An app, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = App)]
pub(super) struct AppView {
    connector: String,
    auth: String,
    /// `organization`, `operator` or `nobody`.
    owner: &'static str,
    parts: Vec<AppPartView>,
    /// Where the vendor has to send browsers back to; to be registered there.
    callback_url: String,
}

/// A part of an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppPart)]
pub(super) struct AppPartView {
    name: String,
    title: String,
    secret: bool,
    optional: bool,
    set: bool,
    /// Only of a part that is not secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Parts of an app to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewApp)]
#[serde(deny_unknown_fields)]
pub(super) struct AppChange {
    /// By name. Those that are not named stay as they are.
    #[schema(value_type = std::collections::BTreeMap<String, String>, write_only)]
    parts: SecretTexts,
}

fn view(state: &App, found: app::App) -> AppView {
    AppView {
        connector: found.connector,
        auth: found.scheme,
        owner: match found.owner {
            AppOwner::Organization => "organization",
            AppOwner::Operator => "operator",
            AppOwner::Nobody => "nobody",
        },
        parts: found
            .parts
            .into_iter()
            .map(|part| AppPartView {
                name: part.name,
                title: part.title,
                secret: part.secret,
                optional: part.optional,
                set: part.set,
                value: part.value,
            })
            .collect(),
        callback_url: format!(
            "{}/connect/callback",
            state.public_url.as_deref().unwrap_or_default()
        ),
    }
}

pub(super) async fn get(
    State(state): State<App>,
    caller: Caller,
    At((connector, auth)): At<(String, String)>,
) -> Result<Response, Problem> {
    let found = app::get(&state.service, caller.org, &connector, &auth).await?;
    Ok(json(&view(&state, found)))
}

pub(super) async fn set(
    State(state): State<App>,
    caller: Caller,
    At((connector, auth)): At<(String, String)>,
    Json(change): Json<AppChange>,
) -> Result<Response, Problem> {
    let found = app::set(&state.service, caller.org, &connector, &auth, change.parts.0).await?;
    Ok(json(&view(&state, found)))
}

pub(super) async fn remove(
    State(state): State<App>,
    caller: Caller,
    At((connector, auth)): At<(String, String)>,
) -> Result<Response, Problem> {
    app::remove(&state.service, caller.org, &connector, &auth).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
