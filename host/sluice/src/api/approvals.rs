//! Versions that are offered, approvals that wait, channels, and the policy for what needs none.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_model::grant::GrantDiff;
use sluice_model::id::{ApprovalId, ConnectionId};
use sluice_service::approval::{self, Approval, Offer, Offered};
use sluice_service::channel::{self, Auto, Channel, Moved, UpgradePolicy};
use sluice_service::install;
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, id, json};
use super::connections::{self, ConnectionView};
use super::connectors::{DiffView, PermissionsView};
use super::installs::{self, InstallView, Place};
use super::page::{List, Paging, listed, page};
use super::problem::Problem;

/// A version that waits for an approval, or waited.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub(super) struct ApprovalView {
    id: String,
    connector: String,
    version: String,
    /// Of the manifest: what an approval has to name.
    digest: String,
    component_digest: String,
    /// The channel that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// An API key.
    asked_by: String,
    reason: String,
    #[schema(format = "date-time")]
    asked: String,
    #[schema(format = "date-time")]
    expires: String,
    /// `open`, `approved`, `declined` or `expired`.
    state: &'static str,
    /// What would change; absent for a connector that was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<DiffView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionView>,
    /// What was installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    install: Option<String>,
}

/// Who decided, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApprovalDecision)]
pub(super) struct DecisionView {
    by: String,
    #[schema(format = "date-time")]
    at: String,
    reason: String,
}

/// An approval with the permission page that it is about; only while it is open.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApprovalDetail)]
pub(super) struct ApprovalDetail {
    approval: ApprovalView,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<PermissionsView>,
}

/// What came of an offer or an approval.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Offered)]
pub(super) struct OfferedView {
    /// `installed`, or `waits` for an approval.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    install: Option<InstallView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalView>,
    /// Connections that went over.
    moved: Vec<String>,
    stayed: Vec<StayedView>,
}

/// Who went over to an install, and who did not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Moved)]
pub(super) struct MovedView {
    /// Connections.
    moved: Vec<String>,
    stayed: Vec<StayedView>,
}

/// A connection that stayed where it was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stayed)]
pub(super) struct StayedView {
    connection: String,
    code: String,
    message: String,
}

/// A channel of a connector.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Channel)]
pub(super) struct ChannelView {
    connector: String,
    name: String,
    install: String,
}

/// What of other versions needs nobody's approval.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UpgradePolicy)]
pub(super) struct PolicyBody {
    revision: u64,
    /// `never`, or `narrower`: a version that may do nothing which the one before may not, and that is signed by a publisher
    /// that the trust policy lists or with the same key as before.
    #[schema(value_type = String)]
    auto: Auto,
    /// After so many days, an approval that nobody decided on ends. 1 to 90.
    approval_days: u32,
}

fn ids(moved: &Moved) -> Vec<String> {
    moved.moved.iter().map(ToString::to_string).collect()
}

fn stayed(moved: &Moved) -> Vec<StayedView> {
    let view = |(connection, problem): &(ConnectionId, sluice_service::problem::Problem)| StayedView {
        connection: connection.to_string(),
        code: problem.code.clone(),
        message: problem.message.clone(),
    };
    moved.stayed.iter().map(view).collect()
}

fn view(approval: &Approval) -> ApprovalView {
    let diff: Option<GrantDiff> = serde_json::from_str(&approval.change).unwrap_or_default();
    ApprovalView {
        id: approval.id.to_string(),
        connector: approval.connector.clone(),
        version: approval.version.clone(),
        digest: approval.manifest_digest.clone(),
        component_digest: format!(
            "sha256:{}",
            data_encoding::HEXLOWER.encode(&approval.component_digest)
        ),
        channel: approval.channel.clone(),
        asked_by: approval.asked_by.clone(),
        reason: approval.reason.clone(),
        asked: approval.at.to_string(),
        expires: approval.expires.to_string(),
        state: approval.state.name(),
        diff: diff.map(DiffView::of),
        decision: approval.decided.as_ref().map(|decided| DecisionView {
            by: decided.by.clone(),
            at: decided.at.to_string(),
            reason: decided.reason.clone(),
        }),
        install: approval.install.map(|install| install.to_string()),
    }
}

/// What is offered, and from where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    from: Option<String>,
    component: Option<String>,
    channel: Option<String>,
    #[serde(default)]
    reason: String,
}

pub(super) async fn offer(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Asking>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let Asking {
        from,
        component,
        channel,
        reason,
    } = asked;
    let place = Place { from, component };
    let body = installs::package(&app, caller.org, &place, request).await?;
    let offer = Offer { channel, reason };
    // Compiling goes on even if the caller leaves.
    let (service, bytes, actor) = (app.service.clone(), body.bytes(), caller.actor());
    let work = async move { approval::offer(&service, caller.org, bytes, offer, &actor).await };
    let offered = tokio::spawn(work)
        .await
        .map_err(|error| Problem::new("internal", error))??;
    let answer = match offered {
        Offered::Installed(install, moved) => OfferedView {
            outcome: "installed",
            install: Some(installs::view(&install)),
            approval: None,
            moved: ids(&moved),
            stayed: stayed(&moved),
        },
        Offered::Waits(approval) => OfferedView {
            outcome: "waits",
            install: None,
            approval: Some(view(&approval)),
            moved: Vec::new(),
            stayed: Vec::new(),
        },
    };
    Ok((StatusCode::CREATED, json(&answer)).into_response())
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let page = page("approvals", asked.limit, asked.after.as_deref())?;
    let found = approval::list(&app.service, caller.org, &page).await?;
    Ok(json(&listed("approvals", found, |approval| view(&approval))))
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(asked): At<String>,
) -> Result<Response, Problem> {
    let asked: ApprovalId = id(&asked)?;
    let found = approval::get(&app.service, caller.org, asked).await?;
    let permissions = match found.state {
        approval::State::Open => {
            let proposal = approval::proposal(&app.service, caller.org, &found).await?;
            Some(PermissionsView::of(&proposal.page))
        }
        _ => None,
    };
    Ok(json(&ApprovalDetail {
        approval: view(&found),
        permissions,
    }))
}

/// What is approved.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ApprovalConsent)]
#[serde(deny_unknown_fields)]
pub(super) struct Consent {
    /// The digest of the manifest whose permissions were read.
    accept: String,
}

pub(super) async fn approve(
    State(app): State<App>,
    caller: Caller,
    At(asked): At<String>,
    Json(consent): Json<Consent>,
) -> Result<Response, Problem> {
    let asked: ApprovalId = id(&asked)?;
    let (service, actor) = (app.service.clone(), caller.actor());
    let work = async move { approval::approve(&service, caller.org, asked, &consent.accept, &actor).await };
    let (approved, moved) = tokio::spawn(work)
        .await
        .map_err(|error| Problem::new("internal", error))??;
    Ok(json(&OfferedView {
        outcome: "installed",
        install: None,
        approval: Some(view(&approved)),
        moved: ids(&moved),
        stayed: stayed(&moved),
    }))
}

/// Why it is not approved.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = ApprovalRefusal)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Refusal {
    reason: String,
}

pub(super) async fn decline(
    State(app): State<App>,
    caller: Caller,
    At(asked): At<String>,
    Json(refusal): Json<Refusal>,
) -> Result<Response, Problem> {
    let asked: ApprovalId = id(&asked)?;
    let actor = caller.actor();
    let declined = approval::decline(&app.service, caller.org, asked, refusal.reason, &actor).await?;
    Ok(json(&view(&declined)))
}

pub(super) async fn policy(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let (policy, revision) = channel::policy(&app.service, caller.org).await?;
    Ok(json(&body(&policy, revision)))
}

pub(super) async fn set_policy(
    State(app): State<App>,
    caller: Caller,
    Json(wanted): Json<PolicyBody>,
) -> Result<Response, Problem> {
    let policy = UpgradePolicy {
        auto: wanted.auto,
        approval_days: wanted.approval_days,
    };
    let actor = caller.actor();
    let set = channel::set_policy(&app.service, caller.org, policy, wanted.revision, &actor).await?;
    Ok(json(&body(&set.0, set.1)))
}

const fn body(policy: &UpgradePolicy, revision: u64) -> PolicyBody {
    PolicyBody {
        revision,
        auto: policy.auto,
        approval_days: policy.approval_days,
    }
}

pub(super) async fn channels(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let found = channel::list(&app.service, caller.org).await?;
    let view = |channel: Channel| ChannelView {
        connector: channel.connector,
        name: channel.name,
        install: channel.install.to_string(),
    };
    Ok(json(&List {
        items: found.into_iter().map(view).collect(),
        next: None,
    }))
}

/// What a channel offers.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Publication)]
#[serde(deny_unknown_fields)]
pub(super) struct Publication {
    /// An install, or a connector for its newest.
    install: String,
}

pub(super) async fn publish(
    State(app): State<App>,
    caller: Caller,
    At((connector, name)): At<(String, String)>,
    Json(wanted): Json<Publication>,
) -> Result<Response, Problem> {
    let to = install::get(&app.service, caller.org, &wanted.install).await?;
    let (org, by) = (caller.org, caller.key.to_string());
    let moved = channel::publish(&app.service, org, &connector, &name, &to, &by).await?;
    Ok(json(&MovedView {
        moved: ids(&moved),
        stayed: stayed(&moved),
    }))
}

/// What a connection follows.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Following)]
#[serde(deny_unknown_fields)]
pub(super) struct Following {
    /// A channel, or `newest`; null pins it to the install that it uses.
    channel: Option<String>,
}

pub(super) async fn follow(
    State(app): State<App>,
    caller: Caller,
    At(asked): At<String>,
    Json(wanted): Json<Following>,
) -> Result<Response, Problem> {
    let found = sluice_service::connection::get(&app.service, caller.org, &asked).await?;
    let actor = caller.actor();
    let followed = channel::follow(&app.service, caller.org, found.id, wanted.channel, &actor).await?;
    let view: ConnectionView = connections::view(followed, None);
    Ok(json(&view))
}
