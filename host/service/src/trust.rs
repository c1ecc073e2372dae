//! Whom an organization believes about packages: its policy, and what it remembers of names and indexes.
//!
//! A package is judged when it is installed, and what is remembered is written in the commit of the install. Its bytes and its
//! key or identity are looked at once more whenever its code is loaded; one that is revoked ends the next call of what it signed.

use std::sync::Arc;

use sluice_model::id::OrgId;
use sluice_package::index::IndexSignature;
use sluice_package::{
    Name, NoPolicy, Package, Policy, Remembered, Signer, TrustedRoot, Untrusted, Verdict, Who,
};
use sluice_store::trust::{Kept, Memory};

use crate::page::{Listed, Page};
use crate::{Service, catalogue, event};

/// A policy as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustPolicy {
    /// A change names the revision that it was made of.
    pub revision: u64,
    pub policy: Policy,
}

/// What is remembered of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameMemory {
    pub name: String,
    pub remembered: Remembered,
}

/// Why a policy or a memory is not changed or not shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Policy(#[from] NoPolicy),
    #[error("nothing is remembered of `{0}`")]
    Missing(String),
    /// What the database has does not read.
    #[error("what is kept about trust no longer reads: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &["trust.policy", "trust.not_found", "trust.unreadable"];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Policy(_) => "trust.policy",
            Self::Missing(_) => "trust.not_found",
            Self::Unreadable(_) => "trust.unreadable",
            Self::Untrusted(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Untrusted(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Policy(_) | Self::Missing(_) | Self::Unreadable(_) => None,
        }
    }
}

/// The organization's policy.
///
/// # Errors
///
/// If the database does not answer, or not in a way that reads.
pub async fn policy(service: &Service, org: OrgId) -> Result<TrustPolicy, Error> {
    let kept = service.store().trust_policy(org).await?;
    Ok(TrustPolicy {
        revision: kept.revision,
        policy: read(&kept)?,
    })
}

/// Changes the policy that had this revision. Keys and identities that it revokes are not believed from the next call on.
///
/// # Errors
///
/// [`Error::Policy`]; `store.revision` if somebody else changed it meanwhile.
pub async fn set_policy(
    service: &Service,
    org: OrgId,
    changed: TrustPolicy,
    actor: &str,
) -> Result<TrustPolicy, Error> {
    let TrustPolicy { revision, policy } = changed;
    policy.check()?;
    let text = write(&policy)?;
    let revision = service.store().set_trust_policy(org, revision, text).await?;
    catalogue::revoke(service, org, &policy.revoked).await?;
    event::platform(service, org, "sluice.trust.changed", org, || {
        serde_json::json!({
            "revision": revision, "changed_by": actor, "publishers": policy.publishers.len(),
            "revoked": policy.revoked.len(), "require_signatures": policy.require_signatures,
        })
    })
    .await?;
    Ok(TrustPolicy { revision, policy })
}

/// What is remembered, by name.
///
/// # Errors
///
/// If the database does not answer, or not in a way that reads.
pub async fn remembered(service: &Service, org: OrgId, page: &Page) -> Result<Listed<NameMemory>, Error> {
    let asked = sluice_store::Page {
        after: page.after.clone(),
        limit: page.bounded(),
    };
    let found = service.store().list_remembered(org, asked).await?;
    let items = found.items.into_iter().map(|(name, kept)| {
        let remembered = read(&kept)?;
        Ok(NameMemory { name, remembered })
    });
    Ok(Listed {
        items: items.collect::<Result<_, Error>>()?,
        next: found.next,
    })
}

/// Forgets a name: the next package of it is the first.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn forget(service: &Service, org: OrgId, name: &str, actor: &str) -> Result<(), Error> {
    match service.store().forget_remembered(org, name).await {
        Err(sluice_store::Error::Missing { .. }) => return Err(Error::Missing(name.to_owned())),
        other => other?,
    }
    event::platform(
        service,
        org,
        "sluice.trust.forgotten",
        name,
        || serde_json::json!({"name": name, "forgotten_by": actor}),
    )
    .await?;
    Ok(())
}

/// The verdict on a package, and what has to be remembered with its install.
pub(crate) async fn judge(
    service: &Service,
    org: OrgId,
    package: &Package<'_>,
) -> Result<(Verdict, Option<Memory>), Error> {
    let policy = policy(service, org).await?.policy;
    let name = &package.manifest().id;
    let kept = service.store().remembered(org, name).await?;
    let known: Remembered = read(&kept)?;
    // Only the first package of a name is held against the others.
    let others: Vec<Name> = match (package.signature(), &known.pin) {
        (Some(_), None) => {
            let names = service.store().remembered_names(org).await?;
            names.iter().filter_map(|name| name.parse().ok()).collect()
        }
        _ => Vec::new(),
    };
    let root = service.settings().trusted_root.as_deref();
    let verdict = policy.judge(package, &known, &others, root, service.now())?;
    let memory = match &verdict.remember {
        Some(remember) => Some(Memory {
            name: name.clone(),
            expected: kept.revision,
            text: write(remember)?,
        }),
        None => None,
    };
    Ok((verdict, memory))
}

/// Another look at what was installed with a signature, with the policy as it is now.
pub(crate) struct Recheck {
    policy: Policy,
    signer: Signer,
    root: Option<Arc<TrustedRoot>>,
}

impl Recheck {
    pub(crate) async fn of(service: &Service, org: OrgId, signer: &Signer) -> Result<Self, Error> {
        Ok(Self {
            policy: policy(service, org).await?.policy,
            signer: signer.clone(),
            root: service.settings().trusted_root.clone(),
        })
    }

    pub(crate) fn judge(&self, package: &Package<'_>) -> Result<(), Error> {
        Ok(self.policy.recheck(package, &self.signer, self.root.as_deref())?)
    }
}

/// Holds an index against its signature and against the last one from the same place. An index that was signed once is signed
/// from then on, and by the same key.
pub(crate) async fn judge_index(
    service: &Service,
    org: OrgId,
    place: &str,
    index: &[u8],
    signature: Option<&str>,
) -> Result<(), Error> {
    let kept = service.store().index_mark(org, place).await?;
    let last: Option<IndexMark> = if kept.revision == 0 {
        None
    } else {
        Some(read(&kept)?)
    };
    let Some(signature) = signature else {
        return match last {
            Some(last) => Err(Untrusted::UnsignedIndex(last.key).into()),
            None => Ok(()),
        };
    };
    let before = last.as_ref().map(|last| last.signed);
    let found: IndexSignature = sluice_package::index::verify(index, signature, before, service.now())?;
    let policy = policy(service, org).await?.policy;
    policy.is_not_revoked(&Who::Key(found.key))?;
    if let Some(last) = last
        && last.key != found.key
    {
        return Err(Untrusted::OtherIndexKey {
            key: found.key,
            before: last.key,
        }
        .into());
    }
    if before == Some(found.signed) {
        return Ok(());
    }
    let mark = IndexMark {
        key: found.key,
        signed: found.signed,
    };
    let memory = Memory {
        name: place.to_owned(),
        expected: kept.revision,
        text: write(&mark)?,
    };
    Ok(service.store().set_index_mark(org, memory).await?)
}

/// The last index of a place.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct IndexMark {
    key: sluice_package::PublicKey,
    signed: sluice_model::Timestamp,
}

fn read<T: serde::de::DeserializeOwned>(kept: &Kept) -> Result<T, Error> {
    let text = if kept.text.is_empty() { "{}" } else { &kept.text };
    serde_json::from_str(text).map_err(|error| Error::Unreadable(error.to_string()))
}

fn write(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Unreadable(error.to_string()))
}
