//! Advice: what an install may do and has not done in a while.

use sluice_model::grant::{Advice, Approved, GrantDiff, Used, advise, diff};
use sluice_model::id::{InstallId, OrgId};
use sluice_store::usage::{KEPT_DAYS, Usage};

use super::{Error, all, granted};
use crate::Service;
use crate::catalogue::{self, Known};

/// What was used of a grant, and what would be enough.
#[derive(Debug, Clone)]
pub struct Advised {
    /// Days that were looked at, and days of those on which its code was called.
    pub days: u32,
    pub days_with_calls: u32,
    pub calls: u64,
    /// Bytes of files that it had downloaded.
    pub file_bytes: u64,
    pub advice: Advice,
    /// Credentials that no request carried.
    pub unused_credentials: Vec<String>,
    /// What the advised grant changes.
    pub diff: GrantDiff,
}

/// What the connector was given and did not use in the last so many days, by any of the connections that the organization made
/// with this manifest. It is known to the day.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn advice(service: &Service, org: OrgId, id: InstallId, days: u32) -> Result<Advised, Error> {
    let known = catalogue::known(service, org, id).await?;
    of(service, org, &known, days).await
}

pub(super) async fn of(service: &Service, org: OrgId, known: &Known, days: u32) -> Result<Advised, Error> {
    let days = days.clamp(1, u32::try_from(KEPT_DAYS).unwrap_or(u32::MAX));
    let today = catalogue::usage::day(service.now());
    let from = today.saturating_sub(u64::from(days) - 1);
    let mut total = Usage::default();
    let mut days_seen = std::collections::BTreeSet::new();
    // Another grant of the same manifest is another install.
    for install in all(service, org).await? {
        if install.manifest_digest != known.install.manifest_digest {
            continue;
        }
        if let Some(of_install) = service.catalogue().loaded(install.id) {
            of_install.flush(service, org).await?;
        }
        for (day, usage) in service.store().usage(org, install.id, from).await? {
            days_seen.insert(day);
            total.add(usage);
        }
    }
    let (manifest, grant) = (&known.manifest, granted(&known.install)?);
    let used: &Used = &total.used;
    let advice = advise(&manifest.capabilities.egress, &grant, used);
    let carried = |name: &str| total.credentials.contains(name);
    let unused = manifest.auth.iter().filter(|scheme| !carried(&scheme.name));
    let change = diff(
        Approved {
            manifest,
            grant: &grant,
        },
        Approved {
            manifest,
            grant: &advice.grant,
        },
    );
    Ok(Advised {
        days,
        days_with_calls: u32::try_from(days_seen.len()).unwrap_or(u32::MAX),
        calls: total.calls,
        file_bytes: total.file_bytes,
        unused_credentials: unused.map(|scheme| scheme.name.clone()).collect(),
        diff: change,
        advice,
    })
}
