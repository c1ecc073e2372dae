//! Chores: what is owed at a vendor on behalf of a hook, an address that the vendor wants visited, or that the hook is set up
//! there: durable before anybody is answered, done in the background, by one worker at a time.
//!
//! What must always hold: a chore is struck off only by whoever was given it last (its fencing number), and only the
//! chore that was done; what came up meanwhile stays due, and does not take a worker's lease away.

use std::fmt;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{HookId, OrgId, kind};

use crate::due::{self, Work};
use crate::hook::{self, Hook, HookState, require_hook};
use crate::key::Key;
use crate::receipt::ReceiptError;
use crate::registration::{HOOK_SECRET, Progress};
use crate::row::cap;
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store, credential};

/// What is owed on behalf of one hook.
#[derive(Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Chores {
    /// An address of the vendor's to be visited once. A token of the vendor's is part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit: Option<String>,
    /// When that is to be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visit_at: Option<Timestamp>,
    /// When the next of them is due; the lease's end while a worker has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    pub leased: bool,
    pub fencing: u64,
    /// Tries that failed since the last one that did not.
    pub failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ReceiptError>,
}

/// What came of doing a hook's chores.
#[derive(Debug, Default)]
pub struct ChoresDone {
    /// The address that was visited.
    pub visited: Option<String>,
    /// When the visit is to be tried again.
    pub due: Option<Timestamp>,
    /// Why the visit was not done.
    pub error: Option<ReceiptError>,
    /// What became of the registration.
    pub registration: Option<Progress>,
    pub now: Timestamp,
}

/// An address has a token and little else.
const MAX_VISIT_BYTES: usize = 4 << 10;

impl fmt::Debug for Chores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chores")
            .field("visit", &self.visit.is_some())
            .field("due", &self.due)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Notes an address that is to be visited, instead of one that was not yet. [`Error::Missing`], [`Error::TooLarge`].
    pub async fn owe_visit(
        &self,
        org: OrgId,
        hook: HookId,
        url: String,
        now: Timestamp,
    ) -> Result<(), Error> {
        cap("an address to visit", url.len(), MAX_VISIT_BYTES)?;
        self.write(url.len(), move |rows| {
            let mut hook = require_hook(rows, org, hook)?;
            hook.chores.visit = Some(url);
            hook.chores.visit_at = Some(now);
            hook.chores.failures = 0;
            settle(rows, org, &mut hook, None)
        })
        .await
    }

    /// Leases up to `limit` hooks with chores that are due, one organization after the other.
    pub async fn lease_due_chores(
        &self,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<(OrgId, Hook)>, Error> {
        if !self.any_due(Work::Chores, now).await? {
            return Ok(Vec::new());
        }
        let (turn, until) = (self.turn(Work::Chores), now.after(lease_for));
        let leased = self
            .write(256, move |rows| {
                let due = due::take::<kind::Hook>(rows, Work::Chores, turn, now, limit)?;
                let found = due::load(rows, Work::Chores, due, |rows, org, id| {
                    rows.get_json::<Hook>(Table::Hooks, &Key::org(org).id(id))
                })?;
                let mut leased = Vec::with_capacity(found.len());
                for (org, mut hook) in found {
                    hook.chores.fencing += 1;
                    hook.chores.leased = true;
                    if let Some(registration) = &mut hook.registration {
                        registration.attempted |= registration.next.is_some_and(|next| next <= now);
                    }
                    move_due(rows, org, &mut hook, Some(until))?;
                    leased.push((org, hook));
                }
                Ok(leased)
            })
            .await?;
        if let Some((last, _)) = leased.last() {
            self.set_turn(Work::Chores, *last);
        }
        Ok(leased)
    }

    /// Commits what came of a hook's chores. [`Error::Fenced`] if another worker has them, [`Error::Missing`] if the hook
    /// is gone.
    pub async fn finish_chores(
        &self,
        org: OrgId,
        hook: HookId,
        fencing: u64,
        done: ChoresDone,
    ) -> Result<Hook, Error> {
        let ring = self.keyring().clone();
        self.write(1024, move |rows| {
            let mut hook = require_hook(rows, org, hook)?;
            if hook.chores.fencing != fencing {
                return Err(Error::Fenced {
                    what: "the hook's chores",
                    given: fencing,
                });
            }
            let chores = &mut hook.chores;
            chores.leased = false;
            if chores.visit.is_some() && chores.visit == done.visited {
                chores.visit = None;
                chores.visit_at = None;
            }
            if done.visited.is_some() || done.error.is_some() {
                chores.failures = match done.error {
                    Some(_) => chores.failures.saturating_add(1),
                    None => 0,
                };
                chores.error = done.error;
            }
            if done.due.is_some() {
                chores.visit_at = done.due;
            }
            if let Some(progress) = done.registration {
                let is_last_word = hook
                    .registration
                    .as_ref()
                    .is_none_or(|of| of.wishes == progress.wishes);
                if hook.state == HookState::Ending && is_last_word && progress.is_over() {
                    hook::remove(rows, org, &hook)?;
                    progress.apply(&mut hook, done.now);
                    if let Some(registration) = &mut hook.registration {
                        registration.next = None;
                    }
                    return Ok(hook);
                }
                let secret = progress.apply(&mut hook, done.now);
                if let Some(secret) = secret {
                    let owner = hook.id.to_string();
                    credential::put_again(rows, &ring, org, (&owner, HOOK_SECRET), &secret, done.now)?;
                }
            }
            settle(rows, org, &mut hook, Some(done.now))?;
            Ok(hook)
        })
        .await
    }
}

/// Puts the hook among what is due when the first of its chores is; while a worker has them, when its lease ends.
pub(crate) fn settle(
    rows: &mut Writer<'_>,
    org: OrgId,
    hook: &mut Hook,
    now: Option<Timestamp>,
) -> Result<(), Error> {
    let chores = &hook.chores;
    let due = if chores.leased {
        chores.due
    } else {
        // Rows of before it was noted when a visit is due.
        let visit = chores.visit_at.or(chores.due).or(now);
        let visit = visit.filter(|_| chores.visit.is_some());
        let registration = hook.registration.as_ref().and_then(|of| of.next);
        visit.into_iter().chain(registration).min()
    };
    move_due(rows, org, hook, due)
}

fn move_due(rows: &mut Writer<'_>, org: OrgId, hook: &mut Hook, due: Option<Timestamp>) -> Result<(), Error> {
    due::remove(rows, Work::Chores, org, hook.chores.due, hook.id)?;
    due::add(rows, Work::Chores, org, due, hook.id)?;
    hook.chores.due = due;
    rows.put_json(Table::Hooks, &Key::org(org).id(hook.id), hook)
}
