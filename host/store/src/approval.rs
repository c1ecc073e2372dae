//! Approvals that somebody asked for: a package that waits until somebody who may says yes; and the organization's settings
//! for other versions, texts that mean nothing here.

use sluice_model::Timestamp;
use sluice_model::id::{ApprovalId, InstallId, OrgId};

use crate::install::{MAX_INSTALLS, sha256};
use crate::key::{Key, Parts, Span};
use crate::org::require;
use crate::row::{MAX_VALUE_BYTES, cap, cap_name, from_json};
use crate::table::{Rows, Table, Writer};
use crate::trust::Kept;
use crate::{Error, Listing, Page, Store};

/// A package that waits for an approval, or waited.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Approval {
    pub id: ApprovalId,
    pub connector: String,
    pub version: String,
    /// `sha256:…`: what an approval has to name.
    pub manifest_digest: String,
    /// SHA-256 of the package's bytes.
    pub component_digest: [u8; 32],
    /// The channel that it is to be published to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Who asked: an API key's id.
    pub asked_by: String,
    /// In the words of whoever asked.
    pub reason: String,
    pub at: Timestamp,
    pub expires: Timestamp,
    pub state: ApprovalState,
    /// What would change, as it was when it was asked for; the service's JSON text.
    pub change: String,
    /// Who decided, when, and in which words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decision>,
    /// What was installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<InstallId>,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalState {
    Open,
    Approved,
    Declined,
    Expired,
}

impl ApprovalState {
    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Expired => "expired",
        }
    }
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    pub by: String,
    pub at: Timestamp,
    pub reason: String,
}

/// Approvals that are open at once: each has a package.
pub const MAX_OPEN: usize = 50;

/// Approvals that are kept; the oldest that were decided go first.
const MAX_KEPT: usize = 1000;

/// More text is refused.
const MAX_TEXT_BYTES: usize = 1 << 20;

impl Store {
    /// Adds an approval that is asked for, with its package. [`Error::TooLarge`], also where [`MAX_OPEN`] are open.
    pub async fn put_approval(&self, org: OrgId, approval: Approval, package: Vec<u8>) -> Result<(), Error> {
        cap("a component", package.len(), MAX_VALUE_BYTES)?;
        cap(
            "an approval",
            approval.change.len() + approval.reason.len(),
            MAX_TEXT_BYTES,
        )?;
        cap_name("a connector's id", &approval.connector)?;
        if sha256(&package) != approval.component_digest {
            return Err(Error::Broken("store a package under another digest"));
        }
        self.write(package.len() + approval.change.len(), move |rows| {
            require(rows, org)?;
            let known = all(rows, org)?;
            let open = known.iter().filter(|known| known.state == ApprovalState::Open);
            cap("another open approval", open.count() + 1, MAX_OPEN)?;
            if known.len() >= MAX_KEPT
                && let Some(oldest) = known.iter().find(|known| known.state != ApprovalState::Open)
            {
                rows.delete(Table::Approvals, &Key::org(org).id(oldest.id))?;
            }
            let by_digest = Key::org(org).hash(&approval.component_digest);
            if !rows.has(Table::Components, &by_digest)? {
                rows.put(Table::Components, &by_digest, &[&package])?;
            }
            rows.put_json(Table::Approvals, &Key::org(org).id(approval.id), &approval)
        })
        .await
    }

    /// One approval.
    pub async fn get_approval(&self, org: OrgId, id: ApprovalId) -> Result<Option<Approval>, Error> {
        self.read_now(|rows| rows.get_json(Table::Approvals, &Key::org(org).id(id)))
    }

    /// The organization's approvals, the newest first.
    pub async fn list_approvals(
        &self,
        org: OrgId,
        page: Page<ApprovalId>,
    ) -> Result<Listing<Approval, ApprovalId>, Error> {
        self.read(move |rows| {
            let (of_org, limit) = (Key::org(org), page.limit());
            let mut span = Span::prefix(&of_org);
            if let Some(after) = page.after {
                span = span.before(of_org.id(after));
            }
            let found = rows.collect(Table::Approvals, &span, true, limit + 1, |_, content| {
                from_json::<Approval>(Table::Approvals, content).map(Some)
            })?;
            Ok(Listing::cut(found, limit, |approval| approval.id))
        })
        .await
    }

    /// Ends an open approval, and forgets its package where nothing else has it. [`Error::State`] if it has ended,
    /// [`Error::Missing`].
    pub async fn settle_approval(
        &self,
        org: OrgId,
        id: ApprovalId,
        state: ApprovalState,
        decided: Decision,
        install: Option<InstallId>,
    ) -> Result<Approval, Error> {
        self.write(1024, move |rows| {
            let key = Key::org(org).id(id);
            let found: Option<Approval> = rows.get_json(Table::Approvals, &key)?;
            let mut approval = found.ok_or(Error::Missing { what: "the approval" })?;
            if approval.state != ApprovalState::Open {
                return Err(Error::State {
                    what: "decide on the approval",
                    state: approval.state.name(),
                });
            }
            approval.state = state;
            approval.decided = Some(decided);
            approval.install = install;
            rows.put_json(Table::Approvals, &key, &approval)?;
            forget_package(rows, org, &approval.component_digest)?;
            Ok(approval)
        })
        .await
    }

    /// A setting for other versions: the policy, or a channel by its name.
    pub async fn version_setting(&self, org: OrgId, name: &str) -> Result<Kept, Error> {
        self.read_now(|rows| {
            let kept = rows.get_json(Table::VersionSettings, &Key::org(org).tail(name))?;
            Ok(kept.unwrap_or_default())
        })
    }

    /// The settings whose name begins so; at most 10,000.
    pub async fn version_settings(&self, org: OrgId, prefix: &str) -> Result<Vec<(String, Kept)>, Error> {
        let of_prefix = Key::org(org).tail(prefix);
        self.read(move |rows| {
            let span = Span::prefix(&of_prefix);
            rows.collect(Table::VersionSettings, &span, false, 10_000, |key, content| {
                let name = Parts::new(key.get(16..).unwrap_or_default()).tail_text();
                Ok(name
                    .map(str::to_owned)
                    .zip(Some(from_json(Table::VersionSettings, content)?)))
            })
        })
        .await
    }

    /// Sets it, if it is still at this revision, and answers the new one. [`Error::Revision`], [`Error::TooLarge`].
    pub async fn set_version_setting(
        &self,
        org: OrgId,
        name: &str,
        expected: u64,
        text: String,
    ) -> Result<u64, Error> {
        cap_name("a setting's name", name)?;
        cap("a setting", text.len(), MAX_TEXT_BYTES)?;
        let key = Key::org(org).tail(name);
        self.write(text.len(), move |rows| {
            require(rows, org)?;
            let found: Kept = rows.get_json(Table::VersionSettings, &key)?.unwrap_or_default();
            if found.revision != expected {
                return Err(Error::Revision {
                    what: "the setting",
                    expected,
                    found: found.revision,
                });
            }
            let revision = found.revision + 1;
            rows.put_json(Table::VersionSettings, &key, &Kept { text, revision })?;
            Ok(revision)
        })
        .await
    }
}

/// Whether an open approval waits with this package.
pub(crate) fn waits_with(rows: &mut impl Rows, org: OrgId, digest: &[u8; 32]) -> Result<bool, Error> {
    let waits = |own: &Approval| own.state == ApprovalState::Open && own.component_digest == *digest;
    Ok(all(rows, org)?.iter().any(waits))
}

/// All, the oldest first.
fn all(rows: &mut impl Rows, org: OrgId) -> Result<Vec<Approval>, Error> {
    let span = Span::prefix(&Key::org(org));
    rows.collect(Table::Approvals, &span, false, 2 * MAX_KEPT, |_, content| {
        from_json::<Approval>(Table::Approvals, content).map(Some)
    })
}

/// Deletes a package that no install and no open approval has.
fn forget_package(rows: &mut Writer<'_>, org: OrgId, digest: &[u8; 32]) -> Result<(), Error> {
    let span = Span::prefix(&Key::org(org));
    let installed = rows.collect(Table::Installs, &span, false, MAX_INSTALLS, |_, row| {
        let install: crate::install::Install = from_json(Table::Installs, row)?;
        Ok((install.component_digest == *digest).then_some(()))
    })?;
    if installed.is_empty() && !waits_with(rows, org, digest)? {
        rows.delete(Table::Components, &Key::org(org).hash(digest))?;
    }
    Ok(())
}
