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
    /// Whose it is; without it it is an app's, for all accounts of its connector.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    /// The connector of an app's hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<String>,
    /// The app's hook by whose address its deliveries come.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    /// The manifest's name of the webhook.
    webhook: String,
    /// What is entered at the vendor; only a path if the server does not know its public address.
    url: String,
    #[schema(format = "date-time")]
    created: String,
    /// A secret that was made for it: shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Entered at a vendor that sends it along with its question.
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_token: Option<String>,
}

fn view(app: &App, hook: Hook) -> HookView {
    HookView {
        id: hook.id.to_string(),
        connection: hook.connection.map(|id| id.to_string()),
        connector: hook.connector,
        app: hook.app.map(|id| id.to_string()),
        webhook: hook.webhook,
        url: format!("{}{}", app.public_url.as_deref().unwrap_or_default(), hook.path),
        created: hook.created.to_string(),
        secret: None,
        verify_token: hook.verify_token,
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
    connection: Option<String>,
    /// Instead: the connector of an app whose accounts share one address.
    connector: Option<String>,
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
    let (service, org) = (&app.service, caller.org);
    let secret = new.secret.map(|secret| secret.0);
    let webhook = new.webhook.as_deref();
    let (hook, made) = match (&new.connection, &new.connector) {
        (Some(which), None) => {
            let of = connection::get(service, org, which).await?;
            hooks::create(service, org, of.id, webhook, secret).await?
        }
        (None, Some(connector)) => hooks::create_for_app(service, org, connector, webhook, secret).await?,
        _ => {
            let words = "either `connection` or `connector` has to be given";
            return Err(Problem::new("request.body", words));
        }
    };
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
