//! Floods: who sends what is refused again and again is not looked at any more, and nobody else notices.
//!
//! Involved are sources (an address of the network, or an IPv6 network of 64 bits) and hooks. What must always hold: a
//! source that is not looked at learns the same whether the hook exists or not; one whose webhooks were genuine a while
//! ago is always looked at, so that a flood that comes through the same address does not stand for it; everything kept
//! here is bounded. Deliberately absent: anything durable, and counting what is genuine.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::HookId;

/// What a source may have refused: so many at once, so many per second. A vendor with a wrong secret stays below.
const REFUSALS: Rate = Rate {
    burst: 1000.0,
    per_second: 100.0,
};
/// What a hook may have fetched from its vendor, who rotates a key in months.
const FETCHES: Rate = Rate {
    burst: 20.0,
    per_second: 0.1,
};
/// How long a source counts as genuine for a hook after its last webhook.
const GENUINE_FOR: Duration = Duration::from_secs(3600);
/// Webhooks of one hook under way at once: the rest of the server is for the others.
const MAX_AT_ONCE: usize = 1000;
/// Sources, pairs and hooks that are remembered.
const MAX_KEPT: usize = 50_000;

#[derive(Clone, Copy)]
struct Rate {
    burst: f64,
    per_second: f64,
}

/// How much of a rate is left, and when that was.
#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

/// A source as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source(Option<IpAddr>);

/// What is known of who sends.
#[derive(Default)]
pub(crate) struct Flood {
    refusals: Mutex<HashMap<Source, Bucket>>,
    genuine: Mutex<HashMap<(Source, HookId), Timestamp>>,
    fetches: Mutex<HashMap<HookId, Bucket>>,
    under_way: Mutex<HashMap<HookId, usize>>,
}

/// A webhook's place among those of its hook.
pub(super) struct Place<'f> {
    flood: &'f Flood,
    hook: HookId,
}

impl Source {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

impl Flood {
    /// Whether a request is looked at.
    pub(super) fn admits(&self, source: Source, hook: Option<HookId>, now: Timestamp) -> bool {
        let spent = lock(&self.refusals)
            .get(&source)
            .is_some_and(|bucket| bucket.now(REFUSALS, now) < 1.0);
        if !spent {
            return true;
        }
        let last = hook.and_then(|hook| lock(&self.genuine).get(&(source, hook)).copied());
        last.is_some_and(|last| now.since(last) < GENUINE_FOR)
    }

    pub(super) fn refused(&self, source: Source, now: Timestamp) {
        take(&self.refusals, source, REFUSALS, now);
    }

    pub(super) fn was_genuine(&self, source: Source, hook: HookId, now: Timestamp) {
        let mut genuine = lock(&self.genuine);
        if genuine.len() >= MAX_KEPT && !genuine.contains_key(&(source, hook)) {
            genuine.retain(|_, last| now.since(*last) < GENUINE_FOR / 4);
            if genuine.len() >= MAX_KEPT {
                genuine.clear();
            }
        }
        genuine.insert((source, hook), now);
    }

    /// Whether something may be fetched on a hook's behalf.
    pub(super) fn may_fetch(&self, hook: HookId, now: Timestamp) -> bool {
        take(&self.fetches, hook, FETCHES, now)
    }

    /// A place for a webhook until it is dropped, if its hook has one left.
    pub(super) fn enter(&self, hook: HookId) -> Option<Place<'_>> {
        let mut under_way = lock(&self.under_way);
        let of_hook = under_way.entry(hook).or_default();
        if *of_hook >= MAX_AT_ONCE {
            return None;
        }
        *of_hook += 1;
        Some(Place { flood: self, hook })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut under_way = lock(&self.flood.under_way);
        if let Some(of_hook) = under_way.get_mut(&self.hook) {
            *of_hook = of_hook.saturating_sub(1);
            if *of_hook == 0 {
                under_way.remove(&self.hook);
            }
        }
    }
}

impl Bucket {
    fn now(self, rate: Rate, now: Timestamp) -> f64 {
        (self.left + now.since(self.at).as_secs_f64() * rate.per_second).min(rate.burst)
    }
}

/// Takes one off; false when there is none.
fn take<K: Eq + Hash>(buckets: &Mutex<HashMap<K, Bucket>>, key: K, rate: Rate, now: Timestamp) -> bool {
    let mut buckets = lock(buckets);
    if buckets.len() >= MAX_KEPT && !buckets.contains_key(&key) {
        buckets.retain(|_, bucket| bucket.now(rate, now) < rate.burst);
        if buckets.len() >= MAX_KEPT {
            buckets.clear();
        }
    }
    let bucket = buckets.entry(key).or_insert(Bucket {
        left: rate.burst,
        at: now,
    });
    let left = bucket.now(rate, now);
    *bucket = Bucket {
        left: (left - 1.0).max(0.0),
        at: now,
    };
    left >= 1.0
}

fn lock<T>(held: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOK: HookId = HookId::from_bytes([1; 16]);
    const OTHER: HookId = HookId::from_bytes([2; 16]);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + ms)
    }

    fn source(address: &str) -> Source {
        Source::of(Some(address.parse().unwrap()))
    }

    #[test]
    fn who_floods_is_not_looked_at_and_nobody_else_notices() {
        let flood = Flood::default();
        let (bad, good) = (source("192.0.2.1"), source("192.0.2.2"));
        for _ in 0..1000 {
            assert!(flood.admits(bad, Some(HOOK), at(0)));
            flood.refused(bad, at(0));
        }
        assert!(!flood.admits(bad, Some(HOOK), at(0)));
        assert!(!flood.admits(bad, None, at(0)), "whatever the hook is");
        assert!(flood.admits(good, Some(HOOK), at(0)));
        assert!(flood.admits(bad, Some(HOOK), at(20)), "it may try again");
    }

    #[test]
    fn what_was_genuine_is_looked_at_in_a_flood_of_the_same_source() {
        let flood = Flood::default();
        let proxy = source("192.0.2.1");
        flood.was_genuine(proxy, HOOK, at(0));
        for _ in 0..1100 {
            flood.refused(proxy, at(1));
        }
        assert!(flood.admits(proxy, Some(HOOK), at(1)));
        assert!(!flood.admits(proxy, Some(OTHER), at(1)));
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn places_are_given_back_and_what_is_kept_is_bounded() {
        let flood = Flood::default();
        let places: Vec<_> = (0..MAX_AT_ONCE).map(|_| flood.enter(HOOK).unwrap()).collect();
        assert!(flood.enter(HOOK).is_none());
        assert!(flood.enter(OTHER).is_some());
        drop(places);
        assert!(flood.enter(HOOK).is_some());
        for number in 0..MAX_KEPT + 10 {
            let number = u32::try_from(number).unwrap();
            flood.refused(Source::of(Some(IpAddr::V4(number.into()))), at(0));
        }
        assert!(lock(&flood.refusals).len() <= MAX_KEPT);
        let mut fetched = 0;
        while flood.may_fetch(HOOK, at(0)) {
            fetched += 1;
        }
        assert_eq!(fetched, 20);
    }
}
