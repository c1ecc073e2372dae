//! Hooks: the addresses at which vendors deliver.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_model::id::HookId;
use sluice_model::secret::Secret;
use sluice_service::connection;
use sluice_service::hooks::{self, Hook, NewHook, Registration, RegistrationState};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, id, json, read};
use super::connections::Reason;
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
    /// How far its connector has set it up at the vendor; without it a person does that.
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<RegistrationView>,
    /// Until when secrets before the newest are valid beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    older_until: Vec<String>,
    /// What a person does at the vendor, one step after the other; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<String>,
}

/// A hook's registration at its vendor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HookRegistration)]
pub(super) struct RegistrationView {
    /// `pending`, `registered`, `by-hand` or `failed`.
    state: &'static str,
    /// The vendor's id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The kinds of events that were asked for.
    events: Vec<String>,
    /// When it ends at the vendor; it is renewed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    expires: Option<String>,
    /// When the vendor is asked next: the first time, again, or to renew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    next: Option<String>,
    /// Tries that failed since one that did not.
    failures: u32,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
}

impl From<Registration> for RegistrationView {
    fn from(of: Registration) -> Self {
        let given = of.given;
        Self {
            state: match of.state {
                RegistrationState::Pending | RegistrationState::Ending => "pending",
                RegistrationState::Registered => "registered",
                RegistrationState::ByHand => "by-hand",
                RegistrationState::Failed => "failed",
            },
            expires: given
                .as_ref()
                .and_then(|given| given.expires)
                .map(|at| at.to_string()),
            id: given.map(|given| given.id),
            events: of.events,
            next: of.next.map(|at| at.to_string()),
            failures: of.failures,
            error: of.error.map(|error| Reason {
                code: error.code,
                message: error.message,
            }),
        }
    }
}

fn view(app: &App, hook: Hook) -> HookView {
    let url = format!("{}{}", app.public_url.as_deref().unwrap_or_default(), hook.path);
    HookView {
        id: hook.id.to_string(),
        connection: hook.connection.map(|id| id.to_string()),
        connector: hook.connector,
        app: hook.app.map(|id| id.to_string()),
        webhook: hook.webhook,
        steps: hook
            .steps
            .iter()
            .map(|step| step.replace("{url}", &url))
            .collect(),
        url,
        created: hook.created.to_string(),
        secret: None,
        verify_token: hook.verify_token,
        registration: hook.registration.map(RegistrationView::from),
        older_until: hook.older_until.iter().map(ToString::to_string).collect(),
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
    /// The kinds of events to ask the vendor for; without it all that the manifest declares.
    #[serde(default)]
    events: Vec<String>,
    /// A person sets it up at the vendor, even if the connector could.
    #[serde(default)]
    by_hand: bool,
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
            let new = NewHook {
                webhook,
                secret,
                by_hand: new.by_hand,
                events: new.events,
            };
            hooks::create(service, org, of.id, new).await?
        }
        (None, Some(connector)) => hooks::create_for_app(service, org, connector, webhook, secret).await?,
        _ => {
            let words = "either `connection` or `connector` has to be given";
            return Err(Problem::new("request.body", words));
        }
    };
    Ok((StatusCode::CREATED, json(&shown(&app, hook, made))).into_response())
}

/// With a secret that was made, this once.
fn shown(app: &App, hook: Hook, made: Option<Secret>) -> HookView {
    HookView {
        secret: made.map(|secret| String::from_utf8_lossy(secret.expose()).into_owned()),
        ..view(app, hook)
    }
}

/// Another secret.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = HookRotation)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// Without it one is made and answered once.
    #[schema(value_type = Option<String>, write_only)]
    secret: Option<SecretText>,
    /// For how many seconds the secrets before are valid too; a day without, at most 30 days, 0: not any more.
    overlap_s: Option<u64>,
}

pub(super) async fn rotate(
    State(app): State<App>,
    caller: Caller,
    At(hook): At<String>,
    Json(rotation): Json<Rotation>,
) -> Result<Response, Problem> {
    let secret = rotation.secret.map(|secret| secret.0);
    let overlap = rotation.overlap_s.map(Duration::from_secs);
    let (hook, made) = hooks::rotate(&app.service, caller.org, id(&hook)?, secret, overlap).await?;
    Ok(json(&shown(&app, hook, made)))
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(hook): At<String>,
) -> Result<Response, Problem> {
    let hook = hooks::get(&app.service, caller.org, id(&hook)?).await?;
    Ok(json(&view(&app, hook)))
}

/// What to set up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = HookRegister)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wish {
    /// The kinds of events to ask the vendor for; without it those of before.
    events: Vec<String>,
}

pub(super) async fn register(
    State(app): State<App>,
    caller: Caller,
    At(hook): At<String>,
    Json(wish): Json<Wish>,
) -> Result<Response, Problem> {
    let hook = hooks::register(&app.service, caller.org, id(&hook)?, wish.events).await?;
    Ok((StatusCode::ACCEPTED, json(&view(&app, hook))).into_response())
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

/// As what a body is signed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Signed {
    kind: Option<String>,
}

/// Signs a body with the hook's own secret, for trying a hook by hand.
pub(super) async fn sign(
    State(app): State<App>,
    caller: Caller,
    At(hook): At<String>,
    Asked(asked): Asked<Signed>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let body = read(&app, request.into_body(), app.hook_body_bytes).await?;
    let headers = hooks::sign(
        &app.service,
        caller.org,
        id(&hook)?,
        &body.bytes,
        asked.kind.as_deref(),
    )
    .await?;
    let headers = headers
        .into_iter()
        .map(|(name, value)| HeaderView { name, value })
        .collect();
    Ok(json(&SignatureView { headers }))
}
