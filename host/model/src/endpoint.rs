//! Endpoints: where an organization wants its events delivered, by Standard Webhooks (standardwebhooks.com) and in the shape of
//! CloudEvents 1.0.
//!
//! Who is involved: the service, which signs and sends with the rules of these rooms; the store, which keeps what they come to. What
//! must always hold: what is signed is what is sent, to the byte; a header of the owner's never takes the place of one of ours; every
//! wait is bounded and every failure counted, whatever a receiver answers. Deliberately absent: I/O, time and randomness, which are
//! parameters.

mod header;
mod health;
mod kinds;
mod schedule;
mod sign;

pub use header::{HeaderError, check_headers};
pub use health::{Health, Limits, Notice, Tried};
pub use kinds::{KindsError, MAX_KINDS, is_wanted, parse_kinds};
pub use schedule::{RetryWaits, WaitsError};
pub use sign::{ID_HEADER, KeyError, KeyKind, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER, signed};

use serde::{Deserialize, Serialize};

/// Whether deliveries are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// They are.
    Active,
    /// A person stopped it: events go on being owed, and are delivered when it is resumed.
    Paused,
    /// It is switched off: events are no longer owed. What was missed is recovered by a person, if it is.
    Off,
}

impl Status {
    /// The word for it, as it is shown and stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Off => "off",
        }
    }
}

/// Why an endpoint is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OffReason {
    /// Its owner did.
    Owner,
    /// It answered 410: there is nobody any more.
    Gone,
    /// Nothing could be delivered for days.
    Failing,
}

impl OffReason {
    /// The word for it, as it is shown and stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// What became of what is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// To be tried, for the first time or again.
    Waiting,
    /// The receiver answered with a 2xx.
    Delivered,
    /// No try is left; a person can have it delivered again.
    Dead,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// The word for it, as it is shown and stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}
