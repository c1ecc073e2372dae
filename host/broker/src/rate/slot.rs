//! How many requests may be under way at once: as many as the hint allows, half as many each time the vendor says that it
//! is too much, and one more after as many successes in a row as are allowed at once.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of one budget at one place.
#[derive(Debug)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the limit may grow to.
    bound: u32,
    limit: u32,
    /// Permits that go when they come back: the limit fell while they were out.
    owed: u32,
    /// Successes since the limit last changed.
    good: u32,
    /// Counts how often the limit fell. What began before the last fall does not make it fall again.
    falls: u64,
}

/// Held until the response has been read or dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    of: Arc<Slots>,
    permit: Option<OwnedSemaphorePermit>,
    falls: u64,
}

impl Slots {
    pub(super) fn new(bound: u32) -> Self {
        let bound = bound.max(1);
        Self {
            free: Arc::new(Semaphore::new(usize::try_from(bound).unwrap_or(usize::MAX))),
            state: Mutex::new(State {
                bound,
                limit: bound,
                owed: 0,
                good: 0,
                falls: 0,
            }),
        }
    }

    /// Waits its turn, first come first served; the caller bounds the time. `bound` is what the limit may be now. Says
    /// whether it had to wait. Cancel-safe: a cancelled wait holds nothing.
    pub(super) async fn acquire(self: Arc<Self>, bound: u32) -> (Slot, bool) {
        self.rebound(bound.max(1));
        let (permit, waited) = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => (Some(permit), false),
            // The semaphore is never closed.
            Err(_) => (Arc::clone(&self.free).acquire_owned().await.ok(), true),
        };
        let falls = self.with(|state, _| state.falls);
        let slot = Slot {
            of: self,
            permit,
            falls,
        };
        (slot, waited)
    }

    /// How many may be under way now.
    pub(super) fn limit(&self) -> u32 {
        self.with(|state, _| state.limit)
    }

    fn rebound(&self, bound: u32) {
        self.with(|state, free| {
            if state.bound == bound {
                return;
            }
            // Whoever was never told to slow down gets all of it at once.
            if state.limit == state.bound {
                state.set(bound, free);
            } else {
                state.set(state.limit.min(bound), free);
            }
            state.bound = bound;
        });
    }

    fn with<R>(&self, act: impl FnOnce(&mut State, &Arc<Semaphore>) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut state, &self.free)
    }
}

impl State {
    fn set(&mut self, limit: u32, free: &Semaphore) {
        if limit > self.limit {
            let more = limit - self.limit;
            let paid = more.min(self.owed);
            self.owed -= paid;
            free.add_permits(usize::try_from(more - paid).unwrap_or_default());
        } else {
            let less = self.limit - limit;
            let taken = free.forget_permits(usize::try_from(less).unwrap_or_default());
            self.owed += less.saturating_sub(u32::try_from(taken).unwrap_or(less));
        }
        self.limit = limit;
        self.good = 0;
    }
}

impl Slot {
    /// The vendor answered as if nothing were too much.
    pub(super) fn went_well(&self) {
        self.of.with(|state, free| {
            if self.falls != state.falls || state.limit >= state.bound {
                return;
            }
            state.good += 1;
            if state.good >= state.limit {
                state.set(state.limit + 1, free);
            }
        });
    }

    /// The vendor said that it is too much, or did not answer in time.
    pub(super) fn was_too_much(&self) {
        self.of.with(|state, free| {
            if self.falls == state.falls {
                state.falls += 1;
                state.set((state.limit / 2).max(1), free);
            }
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let permit = self.permit.take();
        self.of.with(|state, _| {
            if state.owed > 0 {
                state.owed -= 1;
                if let Some(permit) = permit {
                    permit.forget();
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn take(slots: &Arc<Slots>, bound: u32) -> Option<Slot> {
        let (slot, _) = Arc::clone(slots).acquire(bound).now_or_never()?;
        Some(slot)
    }

    #[test]
    fn halves_and_grows() {
        let slots = Arc::new(Slots::new(8));
        let held: Vec<_> = (0..8).map(|_| take(&slots, 8).unwrap()).collect();
        assert!(take(&slots, 8).is_none());
        held[0].was_too_much();
        held[1].was_too_much();
        assert_eq!(slots.limit(), 4, "two of one moment are one fall");
        held[2].went_well();
        assert_eq!(slots.limit(), 4, "a success from before it says nothing");
        drop(held);
        let held: Vec<_> = (0..4).map(|_| take(&slots, 8).unwrap()).collect();
        assert!(take(&slots, 8).is_none());
        for slot in &held {
            assert_eq!(slots.limit(), 4);
            slot.went_well();
        }
        assert_eq!(slots.limit(), 5, "one more after a window of successes");
        assert!(take(&slots, 8).is_some());
        drop(held);
        for _ in 0..5 {
            if let Some(slot) = take(&slots, 8) {
                slot.was_too_much();
            }
        }
        assert_eq!(slots.limit(), 1, "never less than one");
        for _ in 0..100 {
            take(&slots, 8).unwrap().went_well();
        }
        assert_eq!(slots.limit(), 8, "never more than the bound");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take(u32),
        Well(usize),
        TooMuch(usize),
        Drop(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1_u32..12).prop_map(Step::Take),
            (0_usize..16).prop_map(Step::Well),
            (0_usize..16).prop_map(Step::TooMuch),
            (0_usize..16).prop_map(Step::Drop),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: what is free and what is out make the limit, and what is out stays within
        /// it except for what was out when it fell.
        #[test]
        fn the_sum_stays(steps in proptest::collection::vec(step(), 0..200)) {
            let slots = Arc::new(Slots::new(6));
            let mut held = Vec::new();
            for step in steps {
                match step {
                    Step::Take(bound) => held.extend(take(&slots, bound)),
                    Step::Well(at) => { if let Some(slot) = held.get(at) { Slot::went_well(slot); } }
                    Step::TooMuch(at) => { if let Some(slot) = held.get(at) { Slot::was_too_much(slot); } }
                    Step::Drop(at) => { if at < held.len() { held.swap_remove(at); } }
                }
                let state = slots.state.lock().unwrap();
                let out = u32::try_from(held.len()).unwrap();
                let free = u32::try_from(slots.free.available_permits()).unwrap();
                prop_assert!((1..=state.bound).contains(&state.limit));
                prop_assert_eq!(free + out, state.limit + state.owed);
                prop_assert!(state.owed == 0 || free == 0);
            }
        }
    }
}
