//! The master key's rotation: organization keys are wrapped anew under the present master key, a bounded step at a time,
//! the check value last.
//!
//! What must always hold: between any two commits every organization's key opens under one of the keys that were given,
//! and the database does not open without one that is still needed (see `keyring`). Values are not touched.

use std::ops::ControlFlow;

use sluice_model::id::{OrgId, kind};
use sluice_model::seal::SealError;

use crate::key::{Parts, Span};
use crate::org_key::{self, Wrapped};
use crate::row::corrupt;
use crate::table::{Rows, Table};
use crate::{Error, Store, keyring};

/// How far a rotation of the master key has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Organization keys that this step wrapped anew.
    pub done: u64,
    /// What is still under a previous master key, the check value included. At 0 the previous keys can be removed.
    pub left: u64,
}

/// How the database stands to the master keys that it was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterKeys {
    /// How many previous keys were given.
    pub previous: usize,
    /// As [`Progress::left`].
    pub left: u64,
    /// Organization keys that open under none of the given keys: they are damaged, and what they sealed is lost unless
    /// a backup has them.
    pub unreadable: u64,
}

impl Store {
    /// One step of a rotation: up to `limit` (at most 1,000) organization keys are wrapped anew under the present master
    /// key, in one commit; the step that finds none left makes the check value the present key's alone. To be called
    /// until nothing is left; interrupted anywhere, it goes on from what is there.
    ///
    /// # Errors
    /// [`Error::Seal`] if all that is left opens under no key that was given.
    pub async fn rewrap(&self, limit: usize) -> Result<Progress, Error> {
        let limit = limit.clamp(1, MAX_STEP);
        let found = self.stale(limit).await?;
        if found.keys.is_empty() {
            if found.unreadable > 0 {
                return Err(Error::Seal(SealError::Refused));
            }
            if !found.settled {
                let check = self.keyring().new_check().map_err(Error::Seal)?;
                self.write(check.len(), move |rows| keyring::settle(rows, &check))
                    .await?;
            }
            return Ok(Progress { done: 0, left: 0 });
        }
        let ring = self.keyring().clone();
        let done = self
            .write(128 * found.keys.len(), move |rows| {
                let mut renewed = Vec::with_capacity(found.keys.len());
                for (org, version) in found.keys {
                    // The organization, or this version of its key, may be gone meanwhile.
                    let Some(wrapped) = org_key::wrapped(rows, org, version)? else {
                        continue;
                    };
                    let key = ring.unwrap(&wrapped, org, version).map_err(Error::Seal)?;
                    renewed.push((org, version, ring.wrap(&key, org).map_err(Error::Seal)?));
                }
                for (org, version, wrapped) in &renewed {
                    org_key::put_wrapped(rows, *org, *version, wrapped)?;
                }
                Ok(renewed.len() as u64)
            })
            .await?;
        Ok(Progress {
            done,
            left: found.left.saturating_sub(done),
        })
    }

    /// How the database stands to its master keys.
    pub async fn master_keys(&self) -> Result<MasterKeys, Error> {
        let found = self.stale(1).await?;
        Ok(MasterKeys {
            previous: self.keyring().previous(),
            left: found.left,
            unreadable: found.unreadable,
        })
    }

    /// What is not under the present master key.
    async fn stale(&self, limit: usize) -> Result<Stale, Error> {
        let ring = self.keyring().clone();
        self.read(move |rows| {
            let mut stale = Stale {
                keys: Vec::new(),
                left: 0,
                unreadable: 0,
                settled: ring.check(rows)?.is_some_and(|checks| checks.is_settled()),
            };
            stale.left += u64::from(!stale.settled);
            rows.scan(Table::OrgKeys, &Span::all(), false, |key, wrapped| {
                let Wrapped { org, version } = place(key)?;
                if ring.is_present(wrapped, org, version) {
                    return Ok(ControlFlow::Continue(()));
                }
                stale.left += 1;
                if ring.unwrap(wrapped, org, version).is_err() {
                    tracing::error!(%org, version, "an organization's key opens under no master key that was given");
                    stale.unreadable += 1;
                } else if stale.keys.len() < limit {
                    stale.keys.push((org, version));
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(stale)
        })
        .await
    }
}

/// Keys that one step wraps anew at most: a few milliseconds of the writer.
const MAX_STEP: usize = 1000;

struct Stale {
    /// The first of them that can be wrapped anew.
    keys: Vec<(OrgId, u32)>,
    left: u64,
    unreadable: u64,
    /// Whether the check value is the present key's alone.
    settled: bool,
}

fn place(key: &[u8]) -> Result<Wrapped, Error> {
    let mut parts = Parts::new(key);
    let org = parts.id::<kind::Org>();
    let version = parts.number().and_then(|version| u32::try_from(version).ok());
    let (org, version) = org
        .zip(version)
        .ok_or_else(|| corrupt(Table::OrgKeys, "a key is malformed"))?;
    Ok(Wrapped { org, version })
}
