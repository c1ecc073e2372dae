//! The governor: how fast, how many at once and how many in all may be asked of one host, as the operator bounds it, the
//! manifest declares it, and the vendor states it in its answers.
//!
//! Involved are whoever holds a budget (a connection; or, where the vendor counts so, the app that connections were made
//! through), a hint of the manifest, and the vendor's answers. What must always hold:
//! - Every key begins with the organization. Of the operator's apps, which organizations share, only who asks and how much
//!   of a declared day is gone is known across them (`rate/share`); each gets its part, and no answer to one says anything
//!   about another.
//! - A request that cannot go is refused before anything is dialled, with the time after which it may be asked again: an
//!   hour at most.
//! - Everything is bounded, whatever vendors and connectors do.
//!
//! Deliberately absent: memory across restarts, and what a body says about budgets.

mod day;
mod host;
mod line;
mod share;
mod slot;
mod stated;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use sluice_model::clock::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use crate::allowance::Allowance;
use crate::caller::{Caller, Owner, RateHint, VendorApp};
use crate::config::Pace;
use crate::error::Error;
use crate::place::Place;
use crate::table::Table;

use day::Day;
use host::{Flights, Host, Leave, Route};
use line::{Hinted, Line, TokioClock};
use share::Shares;
pub(crate) use slot::Slot;
pub(crate) use stated::retry_after;

/// A vendor that wants to be left alone for less is waited for; what takes longer is the caller's, who can let go of what
/// it holds meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows of one look at the budgets.
const MAX_ALLOWANCES: usize = 1_000;

pub(crate) struct Rates {
    clock: TokioClock,
    default: Pace,
    lines: Mutex<Table<(Owner, Hinted), Arc<Line>>>,
    hosts: Mutex<Table<(Owner, String), Host>>,
    shares: Mutex<Shares>,
}

/// What is asked for: whose budget it is, and which.
pub(crate) struct Ask<'a> {
    owner: &'a Owner,
    /// Whose budget, and at which host.
    key: (Owner, String),
    path: &'a str,
    hint: Option<&'a RateHint>,
    /// The text of the hint's path.
    declared: Option<String>,
}

/// A request's turn. Its slot is kept until the answer has been read, the rest until the answer is there.
#[derive(Debug)]
pub(crate) struct Turn {
    slot: Slot,
    flights: Flights,
}

impl<'a> Ask<'a> {
    pub(crate) fn of(caller: &'a Caller, owner: &'a Owner, place: &'a Place) -> Self {
        let (host, path) = (place.host(), place.path());
        let fits = |hint: &&RateHint| {
            hint.host.matches(host) && hint.path.as_ref().is_none_or(|pattern| pattern.matches(path))
        };
        let hint = caller.rates.iter().find(fits);
        let holder = caller.holder(hint.map(|hint| hint.scope).unwrap_or_default(), owner);
        Self {
            owner,
            key: (holder, host.to_owned()),
            path,
            hint,
            declared: hint.and_then(|hint| hint.path.as_ref()).map(ToString::to_string),
        }
    }

    fn route(&self) -> Route<'_> {
        Route {
            declared: self.declared.as_deref(),
            path: self.path,
        }
    }

    fn hinted(&self) -> Hinted {
        self.hint.map_or_else(|| Hinted::none(&self.key.1), Hinted::by)
    }

    /// The operator's app, if the budget is its.
    fn shared(&self) -> Option<&Arc<VendorApp>> {
        self.key.0.shared()
    }
}

impl Turn {
    /// The vendor did not answer in time.
    pub(crate) fn timed_out(&self) {
        self.slot.was_too_much();
    }
}

impl Rates {
    pub(crate) fn new(default: Pace) -> Self {
        Self {
            clock: TokioClock(Instant::now()),
            default,
            lines: Mutex::new(Table::new()),
            hosts: Mutex::new(Table::new()),
            shares: Mutex::new(Shares::new()),
        }
    }

    /// Waits until the request may go, as long as that is before `deadline`. Cancel-safe: a cancelled wait holds nothing,
    /// and at most has used a turn of the pace.
    pub(crate) async fn pass(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Turn, Error> {
        let line = (ask.key.0.clone(), ask.hinted());
        let (line, hinted) = (self.line(&line), line.1);
        let among = ask.shared().map_or(1, |app| {
            lock(&self.shares).count(app, ask.owner.org, Instant::now())
        });
        // What is left is kept for it from here on; nothing that is used up is waited in a queue for.
        let flights = self.leave(ask, deadline).await?;
        while let Some(after) = self.day_closed(ask, &line, &hinted) {
            wait(after, deadline).await?;
        }
        let most = ask.hint.map_or(line::UNHINTED, |hint| hint.concurrency);
        let (slot, mut waited) = Arc::clone(&line.slots).acquire(most / among).await;
        if let Some(hint) = ask.hint {
            let pace = Pace {
                per_second: hint.per_second,
                burst: hint.burst,
            };
            waited |= self.keep_pace(&line, pace, among, deadline).await?;
        }
        // A hint of a connector is what its manifest claims, and the connection's own pace holds beside it; where the host
        // has a job of its own, the hint is the pace.
        if ask.hint.is_none() || ask.owner.is_connection() {
            let own = self.line(&(ask.owner.clone(), Hinted::none("")));
            waited |= self.keep_pace(&own, self.default, 1, deadline).await?;
        }
        while waited && let Some(after) = self.closed(ask) {
            wait(after, deadline).await?;
        }
        self.take_day(ask, &line, &hinted)?;
        Ok(Turn { slot, flights })
    }

    /// How long the vendor still wants to be left alone with this.
    pub(crate) fn closed(&self, ask: &Ask<'_>) -> Option<Duration> {
        let hosts = lock(&self.hosts);
        let host = hosts.get(&ask.key)?;
        host.closed(ask.route(), Instant::now(), ask.shared().is_some())
    }

    /// Reads what an answer says about budgets. What is left of the turn is to be held until its body has been read.
    pub(crate) fn answered(
        &self,
        ask: &Ask<'_>,
        turn: Turn,
        (status, headers): (StatusCode, &HeaderMap),
        now: Timestamp,
    ) -> Slot {
        let Turn { slot, flights } = turn;
        let header = ask.hint.and_then(|hint| hint.bucket_header.as_deref());
        let stated = stated::read(status, headers, header, now);
        if stated.throttled {
            slot.was_too_much();
        } else if !status.is_server_error() {
            slot.went_well();
        }
        if stated.tells() {
            let (now, org) = (Instant::now(), ask.owner.org);
            let mut hosts = lock(&self.hosts);
            let is_idle = |host: &Host| host.is_idle(now);
            let is_own = |(owner, _): &(Owner, String)| owner.org == org;
            let host = hosts.obtain_beside(&ask.key, Host::default, is_idle, is_own);
            host.tell(ask.route(), stated, now);
        }
        // Only now, so that whoever waited for it sees what was told.
        drop(flights);
        slot
    }

    /// What is known of the budgets of these holders.
    pub(crate) fn allowances(&self, holders: &[Owner]) -> Vec<Allowance> {
        let now = Instant::now();
        let mut all = Vec::new();
        let lines = lock(&self.lines);
        for ((_, hint), line) in lines.iter().filter(|((owner, _), _)| holders.contains(owner)) {
            // The pace of a connection as a whole is nobody's budget.
            if hint.host.is_empty() {
                continue;
            }
            let day = hint
                .per_day
                .map(|quota| (quota, lock(&line.day).left(quota, now)));
            all.push(Allowance {
                host: hint.host.clone(),
                bucket: hint.path.clone(),
                window: day.map_or("", |_| "day").to_owned(),
                limit: day.map(|(quota, _)| quota),
                remaining: day.map(|(_, (left, _))| left),
                resets_in: day.and_then(|(_, (_, resets))| resets),
                closed_for: None,
                concurrency: Some(line.slots.limit()),
            });
        }
        drop(lines);
        let hosts = lock(&self.hosts);
        for ((_, name), host) in hosts.iter().filter(|((owner, _), _)| holders.contains(owner)) {
            all.extend(host.allowances(name, now));
        }
        drop(hosts);
        all.truncate(MAX_ALLOWANCES);
        all.sort_by(|one, two| {
            (&one.host, &one.bucket, &one.window).cmp(&(&two.host, &two.bucket, &two.window))
        });
        all
    }

    fn line(&self, key: &(Owner, Hinted)) -> Arc<Line> {
        let mut lines = lock(&self.lines);
        if let Some(line) = lines.get(key) {
            return Arc::clone(line);
        }
        let (now, org) = (Instant::now(), key.0.org);
        let line = lines.obtain_beside(
            key,
            || Arc::new(Line::new(key.1.concurrency)),
            |line| Arc::strong_count(line) == 1 && line.is_idle(now),
            |(owner, _)| owner.org == org,
        );
        Arc::clone(line)
    }

    /// Whether it had to be waited for.
    async fn keep_pace(&self, line: &Line, pace: Pace, among: u32, deadline: Instant) -> Result<bool, Error> {
        let Some(limiter) = line.limiter(pace, among, &self.clock) else {
            return Ok(false);
        };
        let mut waited = false;
        while let Err(until) = limiter.check() {
            let after = until
                .wait_time_from(governor::clock::Clock::now(&self.clock))
                .max(Duration::from_millis(1));
            if Instant::now() + after >= deadline {
                return Err(Error::RateLimited { after });
            }
            sleep(after).await;
            waited = true;
        }
        Ok(waited)
    }

    /// Waits for what is under way where it may use up what is left.
    async fn leave(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Flights, Error> {
        let mut woken_by = None;
        loop {
            let left = {
                let mut hosts = lock(&self.hosts);
                let Some(host) = hosts.get_mut(&ask.key) else {
                    return Ok(Flights::default());
                };
                host.leave(ask.route(), Instant::now(), ask.shared().is_some())
            };
            match left {
                Leave::Go(flights) => {
                    pass_on(woken_by);
                    return Ok(flights);
                }
                Leave::Closed(after) => {
                    pass_on(woken_by.take());
                    wait(after, deadline).await?;
                }
                Leave::After(flying, at_most) => {
                    if Instant::now() >= deadline {
                        return Err(Error::RateLimited { after: at_most });
                    }
                    let at_most = at_most.min(deadline - Instant::now());
                    let landed = timeout(at_most, flying.landed()).await;
                    woken_by = landed.is_ok().then_some(flying);
                }
            }
        }
    }

    /// How long the declared day is used up.
    fn day_closed(&self, ask: &Ask<'_>, line: &Line, hinted: &Hinted) -> Option<Duration> {
        self.with_day(ask, (line, hinted), |quota, own, all, now| match all {
            Some(all) => own.share_closed(all, quota, now),
            None => own.closed(quota, now),
        })
    }

    fn take_day(&self, ask: &Ask<'_>, line: &Line, hinted: &Hinted) -> Result<(), Error> {
        let closed = self.with_day(ask, (line, hinted), |quota, own, all, now| {
            let closed = match &all {
                Some(all) => own.share_closed(all, quota, now),
                None => own.closed(quota, now),
            };
            match (closed, all) {
                (None, Some(all)) => own.take_share(all, now),
                (None, None) => own.take(now),
                (Some(_), _) => {}
            }
            closed
        });
        closed.map_or(Ok(()), |after| Err(Error::RateLimited { after }))
    }

    /// The declared day, with what all organizations used of it where they share it.
    fn with_day(
        &self,
        ask: &Ask<'_>,
        (line, hinted): (&Line, &Hinted),
        act: impl FnOnce(u64, &mut Day, Option<&mut Day>, Instant) -> Option<Duration>,
    ) -> Option<Duration> {
        let quota = ask.hint?.per_day?;
        let now = Instant::now();
        let mut own = lock(&line.day);
        let Some(app) = ask.shared() else {
            return act(quota, &mut own, None, now);
        };
        let mut shares = lock(&self.shares);
        act(quota, &mut own, Some(shares.day(app, hinted, now)), now)
    }
}

/// Sits a short wait out; a long one, or one beyond the deadline, is the caller's.
async fn wait(after: Duration, deadline: Instant) -> Result<(), Error> {
    if after > PATIENCE || Instant::now() + after >= deadline {
        return Err(Error::RateLimited { after });
    }
    sleep(after.max(Duration::from_millis(1))).await;
    Ok(())
}

/// Whoever was woken wakes the next: there may be room for several, or for none of them.
fn pass_on(flying: Option<Arc<host::Flying>>) {
    if let Some(flying) = flying {
        flying.next();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
