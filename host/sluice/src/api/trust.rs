//! Whom the organization believes about packages, and what it remembers of their names.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_package::{Mark, Pin, Policy, Signer};
use sluice_service::trust::{self, NameMemory, TrustPolicy};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::page::{Paging, listed, page};
use super::problem::Problem;

/// Who signed a package.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signer)]
pub(super) struct SignerView {
    publisher: String,
    /// `ed25519:` and Base64.
    key: String,
    /// For people to compare.
    fingerprint: String,
    #[schema(format = "date-time")]
    signed: String,
    /// Until when it may be installed; what is installed does not end.
    #[schema(format = "date-time")]
    expires: String,
}

impl From<&Signer> for SignerView {
    fn from(signer: &Signer) -> Self {
        Self {
            publisher: signer.publisher.to_string(),
            key: signer.key.to_string(),
            fingerprint: signer.key.fingerprint(),
            signed: signer.signed.to_string(),
            expires: signer.expires.to_string(),
        }
    }
}

/// The trust policy and its revision; what is sent back names the revision that it was made of.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrustPolicy)]
pub(super) struct PolicyBody {
    revision: u64,
    /// `require_signatures`, `unknown_keys` (`pin`, `refuse`), `publishers` (`name`, `keys`, `names`), `revoked` (`key`,
    /// `reason`) and `minimum` (version by connector).
    #[schema(value_type = Object)]
    policy: Policy,
}

impl From<TrustPolicy> for PolicyBody {
    fn from(found: TrustPolicy) -> Self {
        Self {
            revision: found.revision,
            policy: found.policy,
        }
    }
}

/// What is remembered of a connector's name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrustedName)]
pub(super) struct NameView {
    name: String,
    /// Whose it was when it first came with a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    since: Option<String>,
    /// The newest version of each key.
    marks: Vec<MarkView>,
}

/// How far a key had come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrustMark)]
pub(super) struct MarkView {
    key: String,
    version: String,
    /// Of the package without its signature.
    content: String,
    #[schema(format = "date-time")]
    at: String,
}

impl From<&Mark> for MarkView {
    fn from(mark: &Mark) -> Self {
        Self {
            key: mark.key.to_string(),
            version: mark.version.to_string(),
            content: mark.content.to_string(),
            at: mark.at.to_string(),
        }
    }
}

impl From<&NameMemory> for NameView {
    fn from(found: &NameMemory) -> Self {
        let pin = found.remembered.pin.as_ref();
        let of_pin = |text: fn(&Pin) -> String| pin.map(text);
        Self {
            name: found.name.clone(),
            publisher: of_pin(|pin| pin.publisher.to_string()),
            key: of_pin(|pin| pin.key.to_string()),
            since: of_pin(|pin| pin.since.to_string()),
            marks: found.remembered.marks.iter().map(MarkView::from).collect(),
        }
    }
}

pub(super) async fn get(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let found = trust::policy(&app.service, caller.org).await?;
    Ok(json(&PolicyBody::from(found)))
}

pub(super) async fn set(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<PolicyBody>,
) -> Result<Response, Problem> {
    let changed = TrustPolicy {
        revision: body.revision,
        policy: body.policy,
    };
    let actor = caller.key.to_string();
    let found = trust::set_policy(&app.service, caller.org, changed, &actor).await?;
    Ok(json(&PolicyBody::from(found)))
}

pub(super) async fn names(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let page = page("trust", asked.limit, asked.after.as_deref())?;
    let found = trust::remembered(&app.service, caller.org, &page).await?;
    Ok(json(&listed("trust", found, |name| NameView::from(&name))))
}

pub(super) async fn forget(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
) -> Result<Response, Problem> {
    trust::forget(&app.service, caller.org, &name, &caller.key.to_string()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
