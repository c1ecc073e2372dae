//! When a delivery is tried again.

use std::time::Duration;

use crate::schedule::MAX_RETRY_AFTER;

/// The waits between the tries of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryWaits(Vec<Duration>);

/// Why waits are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WaitsError {
    /// There are none or too many.
    #[error("there are 1 to 50 waits between tries")]
    Count,
    /// One is too long.
    #[error("a wait between tries is at most 7 days")]
    TooLong,
}

const MAX_WAITS: usize = 50;
const MAX_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);

const HOUR: u64 = 3600;

/// 13 tries within 99 h 42 m 35 s at the least, so that whoever breaks something on a Friday can mend it on Tuesday.
const DEFAULT_S: [u64; 12] = [
    5,
    30,
    120,
    600,
    1_800,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
    24 * HOUR,
];

impl Default for RetryWaits {
    fn default() -> Self {
        Self(DEFAULT_S.map(Duration::from_secs).to_vec())
    }
}

impl RetryWaits {
    /// These waits: one less than there are tries.
    ///
    /// # Errors
    /// When there are none or too many, or one is too long.
    pub fn new(waits: Vec<Duration>) -> Result<Self, WaitsError> {
        if waits.is_empty() || waits.len() > MAX_WAITS {
            return Err(WaitsError::Count);
        }
        if waits.iter().any(|wait| *wait > MAX_WAIT) {
            return Err(WaitsError::TooLong);
        }
        Ok(Self(waits))
    }

    /// How many tries there are, the first included.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.0.len() + 1
    }

    /// How long to wait after so many failures (from 1), or nothing if that was the last try. `jitter` from 0 to 1 adds up to a
    /// fifth. A receiver's `retry_after`, clamped to an hour, is a lower bound.
    #[must_use]
    pub fn wait(&self, failures: u32, jitter: f64, retry_after: Option<Duration>) -> Option<Duration> {
        let place = usize::try_from(failures).ok()?.checked_sub(1)?;
        let wait = *self.0.get(place)?;
        let jitter = if jitter.is_nan() {
            1.0
        } else {
            jitter.clamp(0.0, 1.0)
        };
        let own = wait.mul_f64(1.0 + jitter / 5.0);
        Some(own.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn twelve_tries_over_ninety_six_hours_at_least() {
        let waits = RetryWaits::default();
        assert!(waits.tries() >= 12);
        let all: Duration = (1..).map_while(|failures| waits.wait(failures, 0.0, None)).sum();
        assert!(all >= Duration::from_secs(96 * HOUR), "{all:?}");
        assert_eq!(waits.wait(13, 0.0, None), None);
    }

    proptest! {
        #[test]
        fn every_wait_is_bounded(failures: u32, jitter: f64, asked in 0u64..u64::MAX) {
            let waits = RetryWaits::default();
            let asked = Duration::from_secs(asked);
            if let Some(wait) = waits.wait(failures, jitter, Some(asked)) {
                prop_assert!(wait >= asked.min(MAX_RETRY_AFTER));
                prop_assert!(wait <= Duration::from_secs(29 * HOUR));
            }
        }

        #[test]
        fn jitter_only_adds(failures in 1u32..13, jitter in 0.0..1.0f64) {
            let waits = RetryWaits::default();
            let (least, some) = (waits.wait(failures, 0.0, None).unwrap(), waits.wait(failures, jitter, None).unwrap());
            prop_assert!(some >= least && some <= least.mul_f64(1.2001));
        }
    }
}
