//! Circuit breakers: a host that failed five times in a row is left alone for ten seconds, then asked once.
//!
//! A breaker belongs to one connection and one host. Were it shared, a tenant could close a vendor to the others by
//! provoking failures of its own. While it is open, only the one probe that was let through decides: what began before
//! it opened comes too late to close it or to let a second probe through.

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
pub(crate) struct Breakers(Arc<Mutex<Book>>);

struct Book {
    table: Table<Key, State>,
    /// The last number that a probe was given.
    probes: u64,
}

#[derive(Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
    /// The probe that is under way.
    probe: Option<u64>,
}

impl State {
    fn is_idle(&self) -> bool {
        self.probe.is_none() && self.open_until.is_none_or(|until| until <= Instant::now())
    }
}

/// The leave to try once. Without a verdict it counts as not tried.
pub(crate) struct Ticket {
    breakers: Breakers,
    key: Key,
    probe: Option<u64>,
}

impl Breakers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Book {
            table: Table::new(),
            probes: 0,
        })))
    }

    /// How long nothing goes there. For a look before other things are waited for or used up; [`enter`](Self::enter) decides.
    pub(crate) fn left(&self, key: &Key) -> Option<Duration> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = book.table.get(key)?.open_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Leave to try, or how long to wait for it.
    pub(crate) fn enter(&self, key: Key) -> Result<Ticket, Duration> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Book { table, probes } = &mut *book;
        let mut probe = None;
        if let Some(state) = table.get_mut(&key)
            && let Some(until) = state.open_until
        {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(left);
            }
            if state.probe.is_some() {
                return Err(PROBE);
            }
            *probes += 1;
            probe = Some(*probes);
            state.probe = probe;
        }
        drop(book);
        Ok(Ticket {
            breakers: self.clone(),
            key,
            probe,
        })
    }
}

impl Ticket {
    /// The host answered.
    pub(crate) fn succeeded(mut self) {
        let probe = self.probe.take();
        let mut book = self.breakers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = book.table.get(&self.key);
        if state.is_some_and(|state| state.open_until.is_none() || is_it(state, probe)) {
            book.table.remove(&self.key);
        }
    }

    /// It did not, or said that it cannot.
    pub(crate) fn failed(mut self) {
        let probe = self.probe.take();
        let mut book = self.breakers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let org = self.key.0.org;
        let state = book
            .table
            .obtain_beside(&self.key, State::default, State::is_idle, |key| key.0.org == org);
        if is_it(state, probe) {
            state.probe = None;
        } else if state.open_until.is_some() {
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.open_until = Some(Instant::now() + OPEN);
        }
    }
}

/// Whether this is the probe that is under way.
fn is_it(state: &State, probe: Option<u64>) -> bool {
    probe.is_some() && state.probe == probe
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.probe.is_none() {
            return;
        }
        let mut book = self.breakers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = book.table.get_mut(&self.key);
        if let Some(state) = state.filter(|state| is_it(state, self.probe)) {
            state.probe = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
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

    #[tokio::test(start_paused = true)]
    async fn only_the_probe_decides() {
        let breakers = Breakers::new();
        let enter = || breakers.enter(key(1)).ok().unwrap();
        let late: Vec<_> = (0..3).map(|_| enter()).collect();
        for _ in 0..FAILURES {
            enter().failed();
        }
        let [failed, succeeded, dropped] = <[Ticket; 3]>::try_from(late).ok().unwrap();
        succeeded.succeeded();
        assert_eq!(
            breakers.enter(key(1)).err(),
            Some(OPEN),
            "an answer to what was asked before does not close it"
        );
        advance(OPEN).await;
        let probe = enter();
        failed.failed();
        drop(dropped);
        advance(OPEN * 2).await;
        assert_eq!(
            breakers.enter(key(1)).err(),
            Some(PROBE),
            "nor does it let a second probe through, however long the first takes"
        );
        probe.succeeded();
        assert!(breakers.enter(key(1)).is_ok());
        assert!(breakers.enter(key(1)).is_ok(), "and then it is closed for all");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Enter,
        Succeed(usize),
        Fail(usize),
        Drop(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Enter),
            1 => (0_usize..8).prop_map(Step::Succeed),
            4 => (0_usize..8).prop_map(Step::Fail),
            1 => (0_usize..8).prop_map(Step::Drop),
            2 => (0_u64..12).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Whatever comes back in whatever order: a breaker that is open lets one probe through at a time, and only that
        /// closes it.
        #[test]
        fn there_is_one_probe(steps in proptest::collection::vec(step(), 0..120)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let breakers = Breakers::new();
                let is_open = || breakers.0.lock().unwrap().table.get(&key(1)).is_some_and(|state| state.open_until.is_some());
                let mut held: Vec<Ticket> = Vec::new();
                for step in steps {
                    let open = is_open();
                    match step {
                        Step::Enter => held.extend(breakers.enter(key(1))),
                        Step::Succeed(at) if at < held.len() => {
                            let ticket = held.swap_remove(at);
                            let probe = ticket.probe.is_some();
                            ticket.succeeded();
                            prop_assert_eq!(is_open(), open && !probe);
                        }
                        Step::Fail(at) if at < held.len() => {
                            held.swap_remove(at).failed();
                            prop_assert!(is_open() || !open);
                        }
                        Step::Drop(at) if at < held.len() => drop(held.swap_remove(at)),
                        Step::Wait(seconds) => advance(Duration::from_secs(seconds)).await,
                        _ => {}
                    }
                    prop_assert!(held.iter().filter(|ticket| ticket.probe.is_some()).count() <= 1);
                }
                Ok(())
            })?;
        }
    }
}
