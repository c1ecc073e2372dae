//! Rates: how fast one connection may ask one host, as the operator bounds it, the manifest hints at it, and the vendor
//! states it in its answers.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http::{HeaderMap, StatusCode};
use sluice_model::clock::Timestamp;
use sluice_model::schedule::{MAX_RETRY_AFTER, parse_retry_after};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::caller::{Caller, Owner};
use crate::config::Pace;
use crate::error::Error;
use crate::table::Table;

/// Tokio's clock for governor, so that paused time holds for rates too.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl GovernorClock for TokioClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Nanos>>;

/// What a limiter belongs to: a connection, the hint's host (empty: all hosts) and its numbers, so that an upgraded
/// manifest gets a fresh one.
type PaceKey = (Owner, String, u64, u32);

pub(crate) struct Rates {
    clock: TokioClock,
    default: Pace,
    paces: Mutex<Table<PaceKey, Arc<Limiter>>>,
    slots: Mutex<Table<(Owner, String, u32), Arc<Semaphore>>>,
    gates: Mutex<Table<(Owner, String), Instant>>,
}

impl Rates {
    pub(crate) fn new(default: Pace) -> Self {
        Self {
            clock: TokioClock(Instant::now()),
            default,
            paces: Mutex::new(Table::new()),
            slots: Mutex::new(Table::new()),
            gates: Mutex::new(Table::new()),
        }
    }

    /// Waits until the request may go, as long as that is before `deadline`.
    pub(crate) async fn pass(
        &self,
        caller: &Caller,
        owner: &Owner,
        host: &str,
        deadline: Instant,
    ) -> Result<Option<OwnedSemaphorePermit>, Error> {
        if let Some(after) = self.gate(owner, host) {
            return Err(Error::RateLimited { after });
        }
        let hint = caller.rates.iter().find(|hint| hint.host.matches(host));
        let mut slot = None;
        if let Some(hint) = hint.filter(|hint| hint.concurrency > 0) {
            let slots = self.slots(owner, &hint.host.to_string(), hint.concurrency);
            slot = slots.acquire_owned().await.ok();
        }
        if let Some(hint) = hint {
            let pace = Pace {
                per_second: hint.per_second,
                burst: hint.burst,
            };
            self.wait(owner, &hint.host.to_string(), pace, deadline).await?;
        }
        self.wait(owner, "", self.default, deadline).await?;
        Ok(slot)
    }

    async fn wait(&self, owner: &Owner, host: &str, pace: Pace, deadline: Instant) -> Result<(), Error> {
        let Some(limiter) = self.limiter(owner, host, pace) else {
            return Ok(());
        };
        while let Err(until) = limiter.check() {
            let after = until
                .wait_time_from(self.clock.now())
                .max(Duration::from_millis(1));
            if Instant::now() + after >= deadline {
                return Err(Error::RateLimited { after });
            }
            tokio::time::sleep(after).await;
        }
        Ok(())
    }

    fn limiter(&self, owner: &Owner, host: &str, pace: Pace) -> Option<Arc<Limiter>> {
        let period = Duration::try_from_secs_f64(1.0 / pace.per_second)
            .ok()?
            .max(Duration::from_nanos(1));
        let burst = NonZeroU32::new(pace.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period)?.allow_burst(burst);
        let key = (
            owner.clone(),
            host.to_owned(),
            pace.per_second.to_bits(),
            pace.burst,
        );
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(RateLimiter::direct_with_clock(quota, self.clock.clone()));
        Some(Arc::clone(
            paces.obtain(&key, make, |limiter| Arc::strong_count(limiter) == 1),
        ))
    }

    fn slots(&self, owner: &Owner, host: &str, concurrency: u32) -> Arc<Semaphore> {
        let key = (owner.clone(), host.to_owned(), concurrency);
        let most = usize::try_from(concurrency)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.obtain(
            &key,
            || Arc::new(Semaphore::new(most)),
            |slot| Arc::strong_count(slot) == 1,
        ))
    }

    /// How long the vendor still wants to be left alone.
    pub(crate) fn gate(&self, owner: &Owner, host: &str) -> Option<Duration> {
        let key = (owner.clone(), host.to_owned());
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let left = gates.get(&key)?.saturating_duration_since(Instant::now());
        if left.is_zero() {
            gates.remove(&key);
            return None;
        }
        Some(left)
    }

    /// Reads what the vendor says about its rate, and closes the gate where nothing is left.
    pub(crate) fn observe(
        &self,
        owner: &Owner,
        host: &str,
        status: StatusCode,
        headers: &HeaderMap,
        now: Timestamp,
    ) {
        let Some(wait) = stated(status, headers, now).filter(|wait| !wait.is_zero()) else {
            return;
        };
        let until = Instant::now() + wait.min(MAX_RETRY_AFTER);
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        *gates.obtain(
            &(owner.clone(), host.to_owned()),
            || until,
            |until| *until <= Instant::now(),
        ) = until;
    }
}

/// The wait that an answer asks for: `Retry-After` of a 429, or the reset of a rate of which nothing remains.
fn stated(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    if status == StatusCode::TOO_MANY_REQUESTS
        && let Some(wait) = text("retry-after").and_then(|value| parse_retry_after(value, now))
    {
        return Some(wait);
    }
    for (remaining, reset) in [
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
        ("x-rate-limit-remaining", "x-rate-limit-reset"),
        ("ratelimit-remaining", "ratelimit-reset"),
    ] {
        if text(remaining) == Some("0") {
            return until_reset(text(reset)?, now);
        }
    }
    // draft-ietf-httpapi-ratelimit-headers: `"default";r=0;t=30` and, before it, `limit=100, remaining=0, reset=30`.
    let field = text("ratelimit")?;
    let value = |names: [&str; 2]| {
        let mut pairs = field
            .split([';', ','])
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .find(|(name, _)| names.contains(name))
            .map(|(_, value)| value)
    };
    if value(["r", "remaining"]) == Some("0") {
        until_reset(value(["t", "reset"])?, now)
    } else {
        None
    }
}

/// Vendors give seconds from now, seconds since the epoch, or milliseconds since the epoch.
fn until_reset(value: &str, now: Timestamp) -> Option<Duration> {
    let number = value.split('.').next()?.parse::<u64>().ok()?;
    Some(match number {
        0..1_000_000_000 => Duration::from_secs(number),
        1_000_000_000..1_000_000_000_000 => Timestamp::from_millis(number.saturating_mul(1000)).since(now),
        _ => Timestamp::from_millis(number).since(now),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::caller::tests::{caller, owner};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn check(status: u16, headers: &[(&'static str, &str)], seconds: Option<u64>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let rates = Rates::new(Pace {
            per_second: 1.0,
            burst: 1,
        });
        rates.observe(
            &owner(1),
            "x.com",
            StatusCode::from_u16(status).unwrap(),
            &map,
            NOW,
        );
        let gate = rates
            .gate(&owner(1), "x.com")
            .map(|wait| wait.as_secs_f64().round() as u64);
        assert_eq!(gate, seconds, "{headers:?}");
        assert_eq!(rates.gate(&owner(2), "x.com"), None);
        assert_eq!(rates.gate(&owner(1), "y.com"), None);
    }

    #[test]
    fn what_vendors_state() {
        check(
            200,
            &[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "60")],
            None,
        );
        check(
            200,
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1700000060"),
            ],
            Some(60),
        );
        check(
            403,
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")],
            Some(60),
        );
        check(
            200,
            &[("ratelimit-remaining", "0"), ("ratelimit-reset", "5")],
            Some(5),
        );
        check(200, &[("ratelimit", "limit=100, remaining=0, reset=7")], Some(7));
        check(200, &[("ratelimit", "\"default\";r=0;t=8")], Some(8));
        check(200, &[("ratelimit", "\"default\";r=3;t=8")], None);
        check(429, &[("retry-after", "9")], Some(9));
        check(200, &[("retry-after", "9")], None);
        check(429, &[("retry-after", "999999999")], Some(3600));
        check(
            200,
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "99999999999999999"),
            ],
            Some(3600),
        );
        for garbage in ["-1", "", "soon", "18446744073709551616", "1699999999"] {
            check(
                200,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", garbage)],
                None,
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn paces_wait_and_refuse() {
        let rates = Rates::new(Pace {
            per_second: 10.0,
            burst: 2,
        });
        let (caller, start) = (caller(1, &[]), Instant::now());
        let soon = start + Duration::from_secs(1);
        for _ in 0..4 {
            rates.pass(&caller, &caller.owner(), "x.com", soon).await.unwrap();
        }
        assert!(
            (190..=230).contains(&start.elapsed().as_millis()),
            "{:?}",
            start.elapsed()
        );
        let error = rates
            .pass(&caller, &caller.owner(), "x.com", Instant::now())
            .await
            .unwrap_err();
        assert_eq!(error.code(), "egress.rate_limited");
    }
}
