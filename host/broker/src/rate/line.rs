//! What is kept for one holder and one hint: its pace, its slots, its day.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use sluice_model::manifest::RateHint;
use tokio::time::Instant;

use super::day::Day;
use super::slot::Slots;
use crate::config::Pace;

/// Requests under way at once where no hint says how many: as many as a hint can allow.
pub(super) const UNHINTED: u32 = 64;
/// The longest time between two requests of a pace.
const MAX_PERIOD: Duration = Duration::from_secs(86_400);

/// Tokio's clock for governor, so that paused time holds for rates too.
#[derive(Debug, Clone)]
pub(super) struct TokioClock(pub(super) Instant);

impl GovernorClock for TokioClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

pub(super) type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Nanos>>;

/// A hint as a key: with its numbers, so that an upgraded manifest begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hinted {
    pub(super) host: String,
    /// Empty: every path.
    pub(super) path: String,
    per_second: u64,
    burst: u32,
    pub(super) concurrency: u32,
    pub(super) per_day: Option<u64>,
}

pub(super) struct Line {
    pub(super) slots: Arc<Slots>,
    /// The limiter, and among how many the pace is shared there.
    pace: Mutex<Option<(u32, Arc<Limiter>)>>,
    pub(super) day: Mutex<Day>,
}

/// By its place alone, which tells nearly all apart: it is looked up for every request.
impl Hash for Hinted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.host.hash(state);
        self.path.hash(state);
    }
}

impl Hinted {
    pub(super) fn by(hint: &RateHint) -> Self {
        Self {
            host: hint.host.to_string(),
            path: hint.path.as_ref().map(ToString::to_string).unwrap_or_default(),
            per_second: hint.per_second.to_bits(),
            burst: hint.burst,
            concurrency: hint.concurrency,
            per_day: hint.per_day,
        }
    }

    /// Of a host that no hint is about; of all of them, if it is empty.
    pub(super) fn none(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            path: String::new(),
            per_second: 0,
            burst: 0,
            concurrency: UNHINTED,
            per_day: None,
        }
    }
}

impl Line {
    pub(super) fn new(concurrency: u32) -> Self {
        Self {
            slots: Arc::new(Slots::new(concurrency)),
            pace: Mutex::new(None),
            day: Mutex::default(),
        }
    }

    /// The limiter of one of so many that share the pace. It begins anew when their number changes.
    pub(super) fn limiter(&self, pace: Pace, among: u32, clock: &TokioClock) -> Option<Arc<Limiter>> {
        let mut kept = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, limiter)) = kept.as_ref().filter(|(count, _)| *count == among) {
            return Some(Arc::clone(limiter));
        }
        let period = Duration::try_from_secs_f64(f64::from(among) / pace.per_second).unwrap_or(MAX_PERIOD);
        let period = period.clamp(Duration::from_nanos(1), MAX_PERIOD);
        let burst = NonZeroU32::new(pace.burst / among).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period)?.allow_burst(burst);
        let limiter = Arc::new(RateLimiter::direct_with_clock(quota, clock.clone()));
        *kept = Some((among, Arc::clone(&limiter)));
        Some(limiter)
    }

    /// Whether nothing is lost if it is forgotten.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::strong_count(&self.slots) == 1 && day.is_over(now)
    }
}
