//! Circuit breakers: a host that failed five times in a row is left alone for ten seconds, then asked once.
//!
//! A breaker belongs to one connection and one host. Were it shared, a tenant could close a vendor to the others by
//! provoking failures of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::caller::Owner;
use crate::table::Table;

/// Failures in a row that open a breaker.
pub(crate) const FAILURES: u32 = 5;
/// How long it stays open.
pub(crate) const OPEN: Duration = Duration::from_secs(10);
/// What a caller is told to wait while somebody else's probe is under way.
const PROBE: Duration = Duration::from_secs(1);

pub(crate) type Key = (Owner, String, u16);

#[derive(Clone)]
pub(crate) struct Breakers(Arc<Mutex<Table<Key, State>>>);

#[derive(Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
    probing: bool,
}

/// The leave to try once. Without a verdict it counts as not tried.
pub(crate) struct Ticket {
    breakers: Breakers,
    key: Key,
    probe: bool,
}

impl Breakers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Table::new())))
    }

    /// Leave to try, or how long to wait for it.
    pub(crate) fn enter(&self, key: Key) -> Result<Ticket, Duration> {
        let probe = self.with(&key, |state| {
            let Some(until) = state.open_until else {
                return Ok(false);
            };
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(left);
            }
            if state.probing {
                return Err(PROBE);
            }
            state.probing = true;
            Ok(true)
        })?;
        Ok(Ticket {
            breakers: self.clone(),
            key,
            probe,
        })
    }

    fn with<R>(&self, key: &Key, act: impl FnOnce(&mut State) -> R) -> R {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(table.obtain(key, State::default, |state| {
            state.open_until.is_none_or(|until| until <= Instant::now())
        }))
    }
}

impl Ticket {
    /// The host answered.
    pub(crate) fn succeeded(self) {
        self.breakers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }

    /// It did not, or said that it cannot.
    pub(crate) fn failed(mut self) {
        let probe = std::mem::take(&mut self.probe);
        self.breakers.with(&self.key, |state| {
            state.failures = state.failures.saturating_add(1);
            state.probing = false;
            if probe || state.failures >= FAILURES {
                state.open_until = Some(Instant::now() + OPEN);
            }
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.probe {
            let mut table = self.breakers.0.lock().unwrap_or_else(PoisonError::into_inner);
            if table.get(&self.key).is_some() {
                table.obtain(&self.key, State::default, |_| false).probing = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::caller::tests::owner;

    fn key(of: u8) -> Key {
        (owner(of), "x.com".into(), 443)
    }

    #[tokio::test(start_paused = true)]
    async fn opens_and_closes() {
        let breakers = Breakers::new();
        for _ in 0..FAILURES {
            breakers.enter(key(1)).ok().unwrap().failed();
        }
        assert_eq!(breakers.enter(key(1)).err(), Some(OPEN));
        assert!(
            breakers.enter(key(2)).is_ok(),
            "a neighbour's breaker stays closed"
        );

        advance(OPEN).await;
        let probe = breakers.enter(key(1)).ok().unwrap();
        assert_eq!(breakers.enter(key(1)).err(), Some(PROBE), "one probe only");
        drop(probe);
        breakers.enter(key(1)).ok().unwrap().failed();
        assert_eq!(
            breakers.enter(key(1)).err(),
            Some(OPEN),
            "a failed probe opens it again"
        );

        advance(OPEN).await;
        breakers.enter(key(1)).ok().unwrap().succeeded();
        for _ in 0..FAILURES - 1 {
            breakers.enter(key(1)).ok().unwrap().failed();
        }
        assert!(breakers.enter(key(1)).is_ok(), "the count began anew");
    }
}
