//! How an endpoint is doing, from what its tries came to: when its owner is warned, and when it is switched off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What is known of an endpoint's last tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// Failures since the last success.
    pub failures: u32,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<Timestamp>,
    /// Whether the owner was warned since then.
    #[serde(default)]
    pub warned: bool,
}

/// How long an endpoint may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until its owner is warned.
    pub warn_after: Duration,
    /// Until it is switched off.
    pub off_after: Duration,
    /// The first pause between single tries; doubled with each, up to 64 times as long.
    pub pause: Duration,
}

impl Default for Limits {
    /// An hour, and five days: longer than the tries of one delivery take. Pauses of five seconds to five minutes.
    fn default() -> Self {
        Self {
            warn_after: Duration::from_secs(3600),
            off_after: Duration::from_secs(5 * 24 * 3600),
            pause: Duration::from_secs(5),
        }
    }
}

/// What one try came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// A 2xx.
    Delivered,
    /// Anything else.
    Failed,
    /// 410.
    Gone,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// It fails for so long that its owner should know.
    Failing,
    /// It works again, after its owner was warned.
    Recovered,
    /// It is to be switched off: it failed for too long.
    Off,
    /// It is to be switched off: it answered 410.
    Gone,
}

/// Failures in a row after which an endpoint is asked by single tries until one succeeds.
const UNWELL_AFTER: u32 = 5;
/// How often the pause between single tries is doubled.
const DOUBLINGS: u32 = 6;

impl Health {
    /// Takes a try in, and says what is to be told of it.
    pub fn note(&mut self, tried: Tried, now: Timestamp, limits: &Limits) -> Option<Notice> {
        if tried == Tried::Delivered {
            let told = self.warned.then_some(Notice::Recovered);
            *self = Self {
                succeeded: Some(now),
                ..Self::default()
            };
            return told;
        }
        self.failures = self.failures.saturating_add(1);
        let failing_for = now.since(*self.since.get_or_insert(now));
        if tried == Tried::Gone {
            return Some(Notice::Gone);
        }
        if failing_for >= limits.off_after {
            return Some(Notice::Off);
        }
        if !self.warned && failing_for >= limits.warn_after {
            self.warned = true;
            return Some(Notice::Failing);
        }
        None
    }

    /// Whether it has answered well at all, and did the last time: only then may it take a good part of what is there.
    #[must_use]
    pub const fn is_proven(&self) -> bool {
        self.failures == 0 && self.succeeded.is_some()
    }

    /// Whether it is asked by single tries, with pauses between them.
    #[must_use]
    pub const fn is_unwell(&self) -> bool {
        self.failures >= UNWELL_AFTER
    }

    /// The pause before the next single try.
    #[must_use]
    pub fn pause(&self, limits: &Limits) -> Option<Duration> {
        let steps = self.failures.checked_sub(UNWELL_AFTER)?;
        Some(limits.pause.saturating_mul(1 << steps.min(DOUBLINGS)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn warned_once_then_off() {
        let limits = Limits::default();
        let mut health = Health::default();
        let mut told = Vec::new();
        for hour in 0..200 {
            told.extend(
                health
                    .note(Tried::Failed, at(hour * 3600), &limits)
                    .map(|notice| (hour, notice)),
            );
            if told.last().is_some_and(|(_, notice)| *notice == Notice::Off) {
                break;
            }
        }
        assert_eq!(told, [(1, Notice::Failing), (120, Notice::Off)]);
    }

    #[test]
    fn a_success_ends_it_and_is_told_after_a_warning() {
        let limits = Limits::default();
        let mut health = Health::default();
        health.note(Tried::Failed, at(0), &limits);
        assert_eq!(health.note(Tried::Delivered, at(10), &limits), None);
        health.note(Tried::Failed, at(20), &limits);
        assert_eq!(
            health.note(Tried::Failed, at(4000), &limits),
            Some(Notice::Failing)
        );
        assert_eq!(
            health.note(Tried::Delivered, at(4001), &limits),
            Some(Notice::Recovered)
        );
        assert!(health.is_proven());
        assert_eq!(health.note(Tried::Gone, at(4002), &limits), Some(Notice::Gone));
    }

    proptest! {
        #[test]
        fn pauses_are_bounded(failures: u32) {
            let (health, limits) = (Health { failures, ..Health::default() }, Limits::default());
            prop_assert_eq!(health.pause(&limits).is_some(), health.is_unwell());
            prop_assert!(health.pause(&limits).unwrap_or_default() <= Duration::from_secs(320));
        }
    }
}
