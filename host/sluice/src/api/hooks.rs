//! Hooks: the addresses at which vendors deliver.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_model::id::HookId;
use sluice_service::connection;
use sluice_service::hooks::{self, Hook};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, id, json, read};
use super::page::{List, Paging, listed, page};
use super::problem::Problem;
use super::receipts;
use super::text::SecretText;

/// An inbound webhook address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hook)]
pub(super) struct HookView {
    id: String,
    connection: String,
    /// The manifest's name of the webhook.
    webhook: String,
    /// What is entered at the vendor; only a path if the server does not know its public address.
    url: String,
    #[schema(format = "date-time")]
    created: String,
    /// A secret that was made for it: shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn view(app: &App, hook: Hook) -> HookView {
    HookView {
        id: hook.id.to_string(),
        connection: hook.connection.to_string(),
        webhook: hook.webhook,
        url: format!("{}{}", app.public_url.as_deref().unwrap_or_default(), hook.path),
        created: hook.created.to_string(),
        secret: None,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    connection: Option<String>,
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
    let found = hooks::list(&app.service, caller.org, of).await?;
    Ok(json(&List {
        items: found.into_iter().map(|hook| view(&app, hook)).collect(),
        next: None,
    }))
}

/// A hook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewHook)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    /// A connection's id or name.
    connection: String,
    /// Without it: the manifest's first webhook.
    webhook: Option<String>,
    /// Without it one is made and answered once.
    #[schema(value_type = Option<String>, write_only)]
    secret: Option<SecretText>,
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<Creation>,
) -> Result<Response, Problem> {
    let of = connection::get(&app.service, caller.org, &new.connection).await?;
    let secret = new.secret.map(|secret| secret.0);
    let (hook, made) = hooks::create(&app.service, caller.org, of.id, new.webhook.as_deref(), secret).await?;
    let mut view = view(&app, hook);
    view.secret = made.map(|secret| String::from_utf8_lossy(secret.expose()).into_owned());
    Ok((StatusCode::CREATED, json(&view)).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(hook): At<String>,
) -> Result<Response, Problem> {
    let hook = hooks::get(&app.service, caller.org, id(&hook)?).await?;
    Ok(json(&view(&app, hook)))
}

pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    At(hook): At<String>,
) -> Result<Response, Problem> {
    hooks::remove(&app.service, caller.org, id(&hook)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn receipts(
    State(app): State<App>,
    caller: Caller,
    At(hook): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let hook: HookId = id(&hook)?;
    hooks::get(&app.service, caller.org, hook).await?;
    let name = format!("receipts\0{hook}");
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let found = hooks::receipts(&app.service, caller.org, hook, &page).await?;
    Ok(json(&listed(&name, found, receipts::view)))
}

/// The headers that the vendor would send with a body.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signature)]
pub(super) struct SignatureView {
    headers: Vec<HeaderView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Header)]
pub(super) struct HeaderView {
    name: String,
    value: String,
}

/// Signs a body with the hook's own secret, for trying a hook by hand.
pub(super) async fn sign(
    State(app): State<App>,
    caller: Caller,
    At(hook): At<String>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let body = read(&app, request.into_body(), app.hook_body_bytes).await?;
    let headers = hooks::sign(&app.service, caller.org, id(&hook)?, &body.bytes).await?;
    let headers = headers
        .into_iter()
        .map(|(name, value)| HeaderView { name, value })
        .collect();
    Ok(json(&SignatureView { headers }))
}
