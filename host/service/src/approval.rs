//! Approvals that are asked for: a version that somebody offers, and that waits until somebody who may says yes.
//!
//! What must always hold: until then nothing changes, and the version of before serves with the grant of before. What is approved is
//! exactly the manifest that was read, and it changes what was shown: if something else would change by now, it is
//! asked for anew. Each step is an event that names who took it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sluice_model::Timestamp;
use sluice_model::grant::{Approved, GrantDiff, diff};
use sluice_model::id::{ApprovalId, OrgId};
use sluice_package::Standing;
use sluice_store::approval::{ApprovalState, Decision};

use crate::channel::{self, Auto, Moved};
use crate::install::{self, Install};
use crate::page::{Listed, Page};
use crate::{Service, catalogue, event};

pub use sluice_store::approval::{Approval, ApprovalState as State};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// An API key's id.
    pub key: String,
    /// Whether it may approve what connectors may do.
    pub approves: bool,
}

impl Actor {
    /// The server itself, doing what was approved.
    #[must_use]
    pub fn host() -> Self {
        Self {
            key: "policy".to_owned(),
            approves: true,
        }
    }
}

/// What came of an offer.
#[derive(Debug, Clone)]
pub enum Offered {
    /// The policy says that it needs nobody's approval.
    Installed(Box<Install>, Moved),
    Waits(Box<Approval>),
}

/// What is offered with a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// The channel that it is for.
    pub channel: Option<String>,
    /// Why, for whoever decides.
    pub reason: String,
}

/// Why nothing is offered or decided.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no approval `{0}`")]
    Missing(String),
    #[error("the approval is {0} already")]
    Ended(&'static str),
    #[error("the approval is of manifest {0}")]
    OtherDigest(String),
    #[error("approving it would change something else by now than what was shown")]
    Changed,
    #[error("the reason has to be at most {MAX_REASON} characters without control characters")]
    Reason,
    #[error(transparent)]
    Install(#[from] install::Error),
    #[error(transparent)]
    Channel(#[from] channel::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "approval.not_found",
        "approval.ended",
        "package.approval_needed",
        "approval.changed",
        "approval.reason",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "approval.not_found",
            Self::Ended(_) => "approval.ended",
            Self::OtherDigest(_) => "package.approval_needed",
            Self::Changed => "approval.changed",
            Self::Reason => "approval.reason",
            Self::Install(error) => error.code(),
            Self::Channel(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OtherDigest(digest) => Some(format!("read its permissions, then accept {digest}")),
            Self::Changed => Some("offer it again: what it changes is shown anew".to_owned()),
            Self::Install(error) => error.hint(),
            Self::Channel(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Missing(_) | Self::Ended(_) | Self::Reason => None,
        }
    }
}

/// Characters of a reason.
const MAX_REASON: usize = 1000;

/// Offers a version. Where the policy lets it upgrade by itself it is installed, and its channel's followers go over;
/// otherwise it waits for an approval, and nothing changes.
///
/// # Errors
///
/// If the file is no connector that the organization believes, or too many wait already (`store.too_large`).
pub async fn offer(
    service: &Service,
    org: OrgId,
    package: Bytes,
    offer: Offer,
    actor: &Actor,
) -> Result<Offered, Error> {
    let Offer { channel, reason } = offer;
    if let Some(name) = &channel {
        channel::check(name)?;
    }
    if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(Error::Reason);
    }
    let proposal = install::inspect(service, org, package.clone()).await?;
    let change = change(service, org, &proposal, channel.as_deref()).await?;
    let (policy, _) = channel::policy(service, org).await?;
    let believed = matches!(proposal.standing, Standing::Listed | Standing::Pinned);
    let quiet = change.as_ref().is_some_and(|change| !change.asks_for_more());
    if policy.auto == Auto::Narrower && quiet && believed {
        let by = Actor::host();
        let digest = proposal.digest.clone();
        let (install, moved) = carry_out(service, org, package, &digest, channel.as_deref(), &by.key).await?;
        return Ok(Offered::Installed(Box::new(install), moved));
    }
    let now = service.now();
    let approval = Approval {
        id: service.new_id(),
        connector: proposal.manifest.id.clone(),
        version: proposal.manifest.version.clone(),
        manifest_digest: proposal.digest,
        component_digest: *sluice_package::Digest::of(&package).as_bytes(),
        channel,
        asked_by: actor.key.clone(),
        reason,
        at: now,
        expires: now.after(Duration::from_secs(u64::from(policy.approval_days) * 86_400)),
        state: ApprovalState::Open,
        change: text(change.as_ref()),
        decided: None,
        install: None,
    };
    service
        .store()
        .put_approval(org, approval.clone(), package.to_vec())
        .await?;
    tell(service, org, "sluice.approval.asked", &approval, &actor.key).await?;
    Ok(Offered::Waits(Box::new(approval)))
}

/// One approval, as it stands now.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, id: ApprovalId) -> Result<Approval, Error> {
    let found = service.store().get_approval(org, id).await?;
    let found = found.ok_or_else(|| Error::Missing(id.to_string()))?;
    lapse(service, org, found).await
}

/// The approvals, the newest first.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(service: &Service, org: OrgId, page: &Page) -> Result<Listed<Approval>, Error> {
    let after = page.after.as_deref().and_then(|after| after.parse().ok());
    let asked = sluice_store::Page {
        after,
        limit: page.bounded(),
    };
    let found = service.store().list_approvals(org, asked).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for approval in found.items {
        items.push(lapse(service, org, approval).await?);
    }
    Ok(Listed {
        items,
        next: found.next.map(|id| id.to_string()),
    })
}

/// What approving it permits: the proposal as it is now.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Ended`].
pub async fn proposal(
    service: &Service,
    org: OrgId,
    approval: &Approval,
) -> Result<install::Proposal, Error> {
    let package = package(service, org, approval).await?;
    Ok(install::inspect(service, org, package).await?)
}

/// Approves it: it is installed, published to its channel if it was offered for one, and who follows goes over. `accept` is the
/// digest of the manifest that was read. Repeated after a crash it ends what was begun.
///
/// # Errors
///
/// [`Error::OtherDigest`], [`Error::Changed`], [`Error::Ended`]; whatever is wrong with the file by now.
pub async fn approve(
    service: &Service,
    org: OrgId,
    id: ApprovalId,
    accept: &str,
    actor: &Actor,
) -> Result<(Approval, Moved), Error> {
    let approval = open(service, org, id).await?;
    if accept != approval.manifest_digest {
        return Err(Error::OtherDigest(approval.manifest_digest));
    }
    let package = package(service, org, &approval).await?;
    let proposal = install::inspect(service, org, package.clone()).await?;
    let channel = approval.channel.as_deref();
    let begun = install::installed(service, org, &package).await?.is_some();
    if !begun && text(change(service, org, &proposal, channel).await?.as_ref()) != approval.change {
        return Err(Error::Changed);
    }
    let (install, moved) = carry_out(service, org, package, accept, channel, &actor.key).await?;
    let decision = decision(service.now(), actor, String::new());
    let approved = settle(
        service,
        org,
        id,
        ApprovalState::Approved,
        decision,
        Some(install.id),
    )
    .await?;
    tell(service, org, "sluice.approval.approved", &approved, &actor.key).await?;
    Ok((approved, moved))
}

/// Declines it: nothing changes, and its package is forgotten.
///
/// # Errors
///
/// [`Error::Ended`], [`Error::Missing`], [`Error::Reason`].
pub async fn decline(
    service: &Service,
    org: OrgId,
    id: ApprovalId,
    reason: String,
    actor: &Actor,
) -> Result<Approval, Error> {
    if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(Error::Reason);
    }
    open(service, org, id).await?;
    let decision = decision(service.now(), actor, reason);
    let declined = settle(service, org, id, ApprovalState::Declined, decision, None).await?;
    tell(service, org, "sluice.approval.declined", &declined, &actor.key).await?;
    Ok(declined)
}

async fn open(service: &Service, org: OrgId, id: ApprovalId) -> Result<Approval, Error> {
    let approval = get(service, org, id).await?;
    match approval.state {
        ApprovalState::Open => Ok(approval),
        ended => Err(Error::Ended(ended.name())),
    }
}

/// An open one whose time is over has expired.
async fn lapse(service: &Service, org: OrgId, approval: Approval) -> Result<Approval, Error> {
    let now = service.now();
    if approval.state != ApprovalState::Open || approval.expires > now {
        return Ok(approval);
    }
    let by = Actor::host();
    let decision = decision(approval.expires, &by, String::new());
    let settled = settle(service, org, approval.id, ApprovalState::Expired, decision, None).await;
    match settled {
        Ok(expired) => {
            tell(service, org, "sluice.approval.expired", &expired, &by.key).await?;
            Ok(expired)
        }
        // Somebody else found it at the same time.
        Err(Error::Ended(_)) => Ok(Approval {
            state: ApprovalState::Expired,
            ..approval
        }),
        Err(error) => Err(error),
    }
}

async fn settle(
    service: &Service,
    org: OrgId,
    id: ApprovalId,
    state: ApprovalState,
    decision: Decision,
    install: Option<sluice_model::id::InstallId>,
) -> Result<Approval, Error> {
    let settled = service
        .store()
        .settle_approval(org, id, state, decision, install)
        .await;
    settled.map_err(|error| match error {
        sluice_store::Error::State { state, .. } => Error::Ended(state),
        other => other.into(),
    })
}

fn decision(at: Timestamp, actor: &Actor, reason: String) -> Decision {
    Decision {
        by: actor.key.clone(),
        at,
        reason,
    }
}

async fn package(service: &Service, org: OrgId, approval: &Approval) -> Result<Bytes, Error> {
    if approval.state != ApprovalState::Open {
        return Err(Error::Ended(approval.state.name()));
    }
    let found = service.store().component(org, approval.component_digest).await?;
    let found = found.ok_or(install::Error::Known(catalogue::Error::Component))?;
    Ok(found.into())
}

/// What changes for who uses the connector now: against what the channel offers, or the newest install; nothing is known where
/// there is neither.
async fn change(
    service: &Service,
    org: OrgId,
    proposal: &install::Proposal,
    channel: Option<&str>,
) -> Result<Option<GrantDiff>, Error> {
    let manifest = &proposal.manifest;
    let offered = match channel {
        Some(name) => channel::offer_of(service, org, &manifest.id, name).await?,
        None => None,
    };
    let Some(before) = offered else {
        return Ok(proposal.diff.clone());
    };
    let known = catalogue::known(service, org, before)
        .await
        .map_err(install::Error::from)?;
    let had = install::granted(&known.install)?;
    let before = Approved {
        manifest: &known.manifest,
        grant: &had,
    };
    let after = Approved {
        manifest,
        grant: &proposal.grant,
    };
    Ok(Some(diff(before, after)))
}

async fn carry_out(
    service: &Service,
    org: OrgId,
    package: Bytes,
    accept: &str,
    channel: Option<&str>,
    by: &str,
) -> Result<(Install, Moved), Error> {
    let install = install::install(service, org, package, accept, by).await?;
    let moved = match channel {
        Some(name) => {
            let connector = install.connector.clone();
            channel::publish(service, org, &connector, name, &install, by).await?
        }
        None => Moved::default(),
    };
    Ok((install, moved))
}

fn text(change: Option<&GrantDiff>) -> String {
    serde_json::to_string(&change).unwrap_or_default()
}

async fn tell(
    service: &Service,
    org: OrgId,
    kind: &str,
    approval: &Approval,
    by: &str,
) -> Result<(), sluice_store::Error> {
    event::platform(service, org, kind, approval.id, || {
        let change: Value = serde_json::from_str(&approval.change).unwrap_or_default();
        let list = |name: &str| change.get(name).cloned().unwrap_or_else(|| json!([]));
        json!({
            "connector": approval.connector, "version": approval.version, "channel": approval.channel,
            "digest": approval.manifest_digest, "by": by, "asked_by": approval.asked_by,
            "reason": approval.decided.as_ref().map_or(&approval.reason, |decided| &decided.reason),
            "wider": list("wider"), "new": list("new"),
        })
    })
    .await
}
