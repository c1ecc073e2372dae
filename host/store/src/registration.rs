//! Registrations: that a hook is set up at its vendor through the vendor's API, kept up, and ended.
//!
//! What must always hold: what is wanted is durable before the vendor is asked, and that it may have been asked is durable
//! before it is; the vendor's answer, its secret among it, is one commit. A hook that the vendor may know of is not forgotten
//! before the vendor was told, or did not listen for hours.

use std::fmt;

use sluice_model::Timestamp;
use sluice_model::id::{HookId, OrgId};
use sluice_model::secret::Secret;

use crate::chore::settle;
use crate::hook::{Hook, HookState, require_hook};
use crate::receipt::ReceiptError;
use crate::row::cap;
use crate::{Error, Store};

/// The field under which a hook's secret is sealed.
pub const HOOK_SECRET: &str = "hook-secret";

/// What a vendor's answer may be: an id, and what the connector wants to find again.
const MAX_STATE_BYTES: usize = 64 << 10;

/// How a hook is set up at its vendor.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Registration {
    pub state: RegistrationState,
    /// The address that the vendor is told; it has the hook's id in it, so no other registration has it.
    pub url: String,
    /// The kinds of events that are asked for.
    pub events: Vec<String>,
    /// What the vendor gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
    /// Whether the vendor may have been asked since what was given, so that it may know more than is written here.
    pub attempted: bool,
    /// How often somebody wanted it: an answer to an earlier wish does not settle a later one.
    pub wishes: u32,
    /// When it is to be worked on next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Tries that failed since one that did not.
    pub failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReceiptError>,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationState {
    /// The vendor is to be asked.
    Pending,
    Registered,
    /// It is set up by hand: the vendor has no way, or this server no address.
    ByHand,
    /// Given up until somebody wants it again.
    Failed,
    /// The vendor is to forget it.
    Ending,
}

/// What a vendor gave, in the connector's words.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Given {
    /// The vendor's id.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// JSON text, the connector's own.
    pub state: String,
    /// The address that it was for.
    pub url: String,
    pub at: Timestamp,
}

/// What a worker made of a registration.
#[derive(Debug)]
pub struct Progress {
    /// The number of the wish that was worked on.
    pub wishes: u32,
    pub became: Became,
    /// A secret that the vendor gave.
    pub secret: Option<Secret>,
}

/// How a try ended.
#[derive(Debug)]
pub enum Became {
    /// It stands; the time is that of its renewal.
    Registered { given: Given, next: Option<Timestamp> },
    /// It is gone at the vendor, and nothing more is wanted.
    Ended,
    /// It is gone at the vendor, and has to be made anew.
    Lost,
    /// Nothing; without a time, until somebody wants it again. `by_hand` if nobody but a person can do it.
    Failed {
        error: ReceiptError,
        next: Option<Timestamp>,
        by_hand: bool,
    },
    /// Nothing was tried.
    Waits { next: Timestamp },
}

impl Registration {
    /// Wanted, and not asked for yet.
    #[must_use]
    pub const fn wanted(url: String, events: Vec<String>, now: Timestamp) -> Self {
        Self {
            state: RegistrationState::Pending,
            url,
            events,
            given: None,
            attempted: false,
            wishes: 0,
            next: Some(now),
            failures: 0,
            error: None,
        }
    }

    /// Whether the vendor may know of it.
    #[must_use]
    pub const fn may_be_known(&self) -> bool {
        self.given.is_some() || self.attempted
    }

    pub(crate) fn end(&mut self, now: Timestamp) {
        self.state = RegistrationState::Ending;
        self.next = Some(now);
        self.failures = 0;
        self.wishes = self.wishes.saturating_add(1);
    }
}

impl Progress {
    /// Whether there is nothing more to tell the vendor.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(
            self.became,
            Became::Ended | Became::Lost | Became::Failed { next: None, .. }
        )
    }

    /// Writes into the hook's row what came of it and gives the secret that is to be kept.
    pub(crate) fn apply(self, hook: &mut Hook, now: Timestamp) -> Option<Secret> {
        let registration = hook.registration.as_mut()?;
        let wanted_since = registration.wishes != self.wishes;
        let is_ending = hook.state == HookState::Ending;
        match self.became {
            Became::Registered { given, next } => {
                registration.given = Some(given);
                registration.attempted = false;
                registration.failures = 0;
                registration.error = None;
                if !wanted_since && !is_ending {
                    registration.state = RegistrationState::Registered;
                    registration.next = next;
                }
            }
            Became::Ended | Became::Lost => {
                registration.given = None;
                registration.attempted = false;
                if !wanted_since && !is_ending {
                    registration.state = RegistrationState::Pending;
                    registration.next = Some(now);
                }
            }
            Became::Failed { error, next, by_hand } => {
                registration.failures = registration.failures.saturating_add(1);
                registration.error = Some(error);
                if !wanted_since {
                    registration.next = next;
                    if next.is_none() && !is_ending {
                        registration.state = if by_hand {
                            RegistrationState::ByHand
                        } else {
                            RegistrationState::Failed
                        };
                    }
                }
            }
            Became::Waits { next } => {
                if !wanted_since {
                    registration.next = Some(next);
                }
            }
        }
        if wanted_since {
            registration.next = Some(now);
        }
        self.secret
    }
}

impl Store {
    /// Wants a hook's registration (again): the vendor is asked at once. [`Error::Missing`], also for one that is ending.
    pub async fn want_registration(
        &self,
        org: OrgId,
        hook: HookId,
        url: String,
        events: Option<Vec<String>>,
        now: Timestamp,
    ) -> Result<Hook, Error> {
        cap("a hook's address", url.len(), MAX_STATE_BYTES)?;
        self.write(1024, move |rows| {
            let mut hook = require_hook(rows, org, hook)?;
            if hook.state == HookState::Ending {
                return Err(Error::Missing { what: "the hook" });
            }
            let wanted = hook
                .registration
                .get_or_insert_with(|| Registration::wanted(String::new(), Vec::new(), now));
            wanted.url = url;
            wanted.state = RegistrationState::Pending;
            wanted.next = Some(now);
            wanted.failures = 0;
            wanted.wishes = wanted.wishes.saturating_add(1);
            if let Some(events) = events {
                wanted.events = events;
            }
            settle(rows, org, &mut hook, Some(now))?;
            Ok(hook)
        })
        .await
    }
}

impl Given {
    /// [`Error::TooLarge`] if it could not be kept.
    pub fn check(&self) -> Result<(), Error> {
        cap(
            "a registration",
            self.id.len() + self.state.len(),
            MAX_STATE_BYTES,
        )
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given")
            .field("id", &self.id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
