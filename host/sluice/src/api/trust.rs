//! Whom the organization believes about packages, and what it remembers of their names.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_package::{Identity, Mark, Pin, Policy, Signer};
use sluice_service::trust::{self, NameMemory, TrustPolicy};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::page::{Paging, listed, page};
use super::problem::Problem;

/// Who signed a package: with a key, with an identity, or with both.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signer)]
pub(super) struct SignerView {
    publisher: String,
    /// `ed25519:` and Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// For people to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// Of a sigstore bundle, verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityView>,
    #[schema(format = "date-time")]
    signed: String,
    /// Until when it may be installed; what is installed does not end, nor does what an identity alone signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    expires: Option<String>,
}

/// Somebody as an identity provider named him.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Identity)]
pub(super) struct IdentityView {
    /// The provider.
    issuer: String,
    /// Whom it named.
    subject: String,
}

impl From<&Identity> for IdentityView {
    fn from(identity: &Identity) -> Self {
        Self {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
        }
    }
}

impl From<&Signer> for SignerView {
    fn from(signer: &Signer) -> Self {
        Self {
            publisher: signer.publisher.to_string(),
            key: signer.key.map(|key| key.to_string()),
            fingerprint: signer.key.map(|key| key.fingerprint()),
            identity: signer.identity.as_ref().map(IdentityView::from),
            signed: signer.signed.to_string(),
            expires: signer.expires.map(|expires| expires.to_string()),
        }
    }
}

/// The trust policy and its revision; what is sent back names the revision that it was made of.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrustPolicy)]
pub(super) struct PolicyBody {
    revision: u64,
    /// `require_signatures`, `unknown_keys` (`pin`, `refuse`), `publishers` (`name`, `keys`, `identities`, `names`),
    /// `revoked` (`key` or `identity`, `reason`) and `minimum` (version by connector). An identity has an `issuer` and a `subject`.
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
    identity: Option<IdentityView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    since: Option<String>,
    /// The newest version of each key and identity.
    marks: Vec<MarkView>,
}

/// How far a key or an identity had come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrustMark)]
pub(super) struct MarkView {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityView>,
    version: String,
    /// Of the package without its signatures.
    content: String,
    #[schema(format = "date-time")]
    at: String,
}

impl From<&Mark> for MarkView {
    fn from(mark: &Mark) -> Self {
        Self {
            key: mark.who.key().map(|key| key.to_string()),
            identity: mark.who.identity().map(IdentityView::from),
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
            key: pin.and_then(|pin| pin.who.key()).map(|key| key.to_string()),
            identity: pin.and_then(|pin| pin.who.identity()).map(IdentityView::from),
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
