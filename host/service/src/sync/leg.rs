//! Legs: the sequences of pages that a run is made of, one for each partition, and what reads one of them.
//!
//! Each has a cursor: the stream's own, or, where the stream's must stay where it is (a generation, a window), the
//! run's. A leg that was read to its end is not read again when the run goes on.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use sluice_model::manifest::Stream;
use sluice_model::record::{Change, MAX_ID_BYTES};
use sluice_model::run::{Mode, RunState, Window};
use sluice_runtime::{CallError, Effects, Page, ReadRequest};
use sluice_store::checkpoint::PageCommit;
use sluice_store::cursor::{Leg, Place};
use sluice_store::record::Quarantined;
use sluice_store::run::Lease;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::call::{self, Callee};
use crate::problem::Problem;
use crate::sync::page::Checked;
use crate::sync::rules::{Fate, Rules};
use crate::sync::run::{Turn, call_turn, cancelled, fault_turn, note, renew};
use crate::sync::unsettled::Unsettled;
use crate::sync::{Entered, page};

/// What the legs of a run are read with.
pub(crate) struct Reading<'a> {
    pub(crate) service: &'a Service,
    pub(crate) lease: &'a mut Lease,
    pub(crate) entered: &'a Entered<'a>,
    pub(crate) shutdown: &'a CancellationToken,
    pub(crate) callee: &'a Callee,
    pub(crate) unsettled: Unsettled,
    pub(crate) rules: Option<Rules>,
    /// How often in a row a page was read again because a record of it was changed meanwhile.
    pub(crate) stale: u32,
    /// When this stretch of work began.
    pub(crate) began: Instant,
}

/// What is left of a run, in its order; or why nothing can be read.
pub(crate) async fn of(reading: &mut Reading<'_>) -> Result<Result<Vec<Leg>, Turn>, sluice_store::Error> {
    let run = &reading.lease.run;
    let Some(stream) = reading.callee.streams.get(&run.stream) else {
        let problem = Problem::new(
            "sync.stream",
            format!("the connector has no stream `{}` any more", run.stream),
        );
        return Ok(Err(Turn::End(RunState::Failed, Some(problem))));
    };
    let looks_back = run.mode == Mode::Incremental && !stream.lookback.is_zero();
    let mut partitions = vec![None];
    if stream.partitioned {
        match reading.partitions().await? {
            Ok(found) => partitions = found.into_iter().map(Some).collect(),
            Err(turn) => return Ok(Err(turn)),
        }
    }
    let mut legs = Vec::with_capacity(partitions.len());
    for lookback in [false, true] {
        if lookback && !looks_back {
            continue;
        }
        legs.extend(partitions.iter().map(|partition| Leg {
            lookback,
            partition: partition.clone(),
        }));
    }
    if let Some(progress) = &reading.lease.run.progress {
        legs.retain(|leg| *leg > progress.leg || (*leg == progress.leg && !progress.done));
    }
    Ok(Ok(legs))
}

impl Reading<'_> {
    /// The stream's partitions, in their order, each once.
    async fn partitions(&mut self) -> Result<Result<Vec<String>, Turn>, sluice_store::Error> {
        let call = match self
            .callee
            .call(self.service, self.entered.cancel.child_token())
            .await
        {
            Ok(call) => call,
            Err(error) => {
                let problem = Problem::new(error.code(), error);
                return Ok(Err(Turn::End(RunState::Failed, Some(problem))));
            }
        };
        let stream = self.lease.run.stream.clone();
        let mut outcome = self.service.runtime().partitions(call, stream).await;
        call::observe(self.service, "partitions", self.callee, &outcome);
        let mut found = match self.said(outcome.result, &mut outcome.effects).await? {
            Ok(found) => found,
            Err(turn) => return Ok(Err(turn)),
        };
        found.sort_unstable();
        found.dedup();
        if let Some(bad) = found
            .iter()
            .find(|name| name.is_empty() || name.len() > MAX_ID_BYTES)
        {
            let name: String = bad.chars().take(40).collect();
            let problem = Problem::new(
                "sync.partition",
                format!("the connector names a partition `{name}`: a name has 1 to {MAX_ID_BYTES} bytes"),
            );
            return Ok(Err(Turn::End(RunState::Failed, Some(problem))));
        }
        Ok(Ok(found))
    }

    /// Reads one leg page after page. `None`: to its end; what was read may still wait for its commit.
    pub(crate) async fn leg(&mut self, leg: Leg) -> Result<Option<Turn>, sluice_store::Error> {
        let service = self.service;
        let Some(stream) = self.callee.streams.get(&self.lease.run.stream) else {
            return Ok(Some(cancelled()));
        };
        let mut place = Place {
            own: self.lease.run.staging || self.lease.run.mode == Mode::Backfill || leg.lookback,
            version: stream.cursor_version,
            last: false,
            leg,
        };
        let window = self.window(stream, &place.leg);
        let mut cursor = match self.start(&place).await? {
            Ok(cursor) => cursor,
            Err(turn) => return Ok(Some(turn)),
        };
        let mut seen = Cursors::default();
        seen.insert(cursor.as_deref());
        loop {
            if let Some(turn) = self.pause().await? {
                return Ok(Some(turn));
            }
            if renew(service, self.lease, self.callee.call_time()).await? {
                return Ok(Some(cancelled()));
            }
            let request = ReadRequest {
                stream: stream.name.clone(),
                partition: place.leg.partition.clone(),
                cursor: cursor.clone(),
                window,
                page_hint: service.settings().page_hint,
            };
            let since = self.since()?;
            let (page, mut effects) = match self.read(request).await? {
                Ok(read) => read,
                Err(turn) => return Ok(Some(turn)),
            };
            if let Some(total) = page.total_hint {
                self.entered.expect_total(total);
            }
            let next = page.cursor.clone();
            place.last = !page.more;
            if page.more && !seen.insert(next.as_deref()) {
                note(service, self.lease, &mut self.unsettled, &mut effects).await?;
                let problem = Problem::new(
                    "sync.no_progress",
                    "the connector returned a cursor that it returned before",
                );
                return Ok(Some(Turn::End(RunState::Failed, Some(problem))));
            }
            let checked = match self.checked(page.changes) {
                Ok(checked) => checked,
                Err(frozen) => {
                    note(service, self.lease, &mut self.unsettled, &mut effects).await?;
                    let problem = Problem::new(frozen.code(), frozen);
                    return Ok(Some(Turn::End(RunState::Failed, Some(problem))));
                }
            };
            let page = self.commit_of(&place, since, checked, page.cursor, effects);
            self.unsettled.add(service, page).await?;
            if next.is_some() {
                cursor = next;
            }
            if self.unsettled.cancelled() {
                return Ok(Some(cancelled()));
            }
            if place.last {
                return Ok(None);
            }
        }
    }

    /// The window of time that the leg is about.
    fn window(&self, stream: &Stream, leg: &Leg) -> Option<Window> {
        let run = &self.lease.run;
        if !leg.lookback {
            return run.window;
        }
        let end = run.started.unwrap_or(run.created);
        let back = u64::try_from(stream.lookback.as_millis()).unwrap_or(u64::MAX);
        let start = sluice_model::Timestamp::from_millis(end.as_millis().saturating_sub(back));
        Some(Window { start, end })
    }

    /// Where the feed stands before a page is read. None where the page before was refused too often: a record that others change all
    /// the time keeps nobody from reading on, and the next sync meets it again.
    fn since(&self) -> Result<Option<u64>, sluice_store::Error> {
        let run = &self.lease.run;
        if run.failures + self.stale >= STALE_PAGES && !self.unsettled.committed() {
            return Ok(None);
        }
        let number = self.service.store().feed_number(self.lease.org, run.connection)?;
        Ok(Some(number))
    }

    /// Goes back to what was committed, because a record of the page behind it was changed while the page was read. False where the
    /// stretch's time is over, so that the run waits for its turn as after every refusal: there the refused page may be of one call that
    /// took all of the time, and a second one would have none.
    pub(crate) async fn again(&mut self) -> Result<bool, sluice_store::Error> {
        if self.shutdown.is_cancelled() || self.began.elapsed() >= self.part(SOFT) {
            return Ok(false);
        }
        let store = self.service.store();
        let Some(run) = store.get_run(self.lease.org, self.lease.run.id).await? else {
            return Ok(false);
        };
        self.stale = if self.unsettled.committed() {
            1
        } else {
            self.stale + 1
        };
        self.lease.run = run;
        self.unsettled = Unsettled::default();
        Ok(true)
    }

    /// Where the leg goes on. A cursor of an older format is handed to the connector to be carried over.
    async fn start(&mut self, place: &Place) -> Result<Result<Option<String>, Turn>, sluice_store::Error> {
        let run = &self.lease.run;
        let resumed = run.progress.as_ref().filter(|progress| progress.leg == place.leg);
        if place.own {
            return Ok(Ok(resumed.and_then(|progress| progress.cursor.clone())));
        }
        if run.mode == Mode::Full && resumed.is_none() {
            return Ok(Ok(None));
        }
        let partition = place.leg.partition.as_deref();
        let kept = self
            .service
            .store()
            .cursor(self.lease.org, run.connection, &run.stream, partition)
            .await?;
        match kept {
            Some(kept) if kept.version > place.version => {
                let problem = Problem::new(
                    "sync.cursor_newer",
                    format!(
                        "the cursor is of format {}; this version of the connector reads up to {}",
                        kept.version, place.version
                    ),
                );
                Ok(Err(Turn::End(RunState::Failed, Some(problem))))
            }
            Some(kept) if kept.version < place.version => self.carry_over(kept).await,
            kept => Ok(Ok(kept.map(|kept| kept.text))),
        }
    }

    async fn carry_over(
        &mut self,
        kept: sluice_store::cursor::Cursor,
    ) -> Result<Result<Option<String>, Turn>, sluice_store::Error> {
        let call = match self
            .callee
            .call(self.service, self.entered.cancel.child_token())
            .await
        {
            Ok(call) => call,
            Err(error) => {
                let problem = Problem::new(error.code(), error);
                return Ok(Err(Turn::End(RunState::Failed, Some(problem))));
            }
        };
        let stream = self.lease.run.stream.clone();
        let runtime = self.service.runtime();
        let mut outcome = runtime
            .migrate_cursor(call, stream, kept.version, kept.text)
            .await;
        call::observe(self.service, "migrate-cursor", self.callee, &outcome);
        let carried = self.said(outcome.result, &mut outcome.effects).await?;
        if matches!(carried, Ok(None)) {
            tracing::warn!(run = %self.lease.run.id, "the cursor can't be carried over: the stream is read from the start");
        }
        Ok(carried)
    }

    /// Ends this stretch of work at a checkpoint if the server stops or others are to have a turn.
    async fn pause(&mut self) -> Result<Option<Turn>, sluice_store::Error> {
        let why = if self.shutdown.is_cancelled() {
            "the server is stopping; the run goes on after its start"
        } else if self.began.elapsed() >= self.part(SOFT) {
            "the run has had its time; it goes on when it is its turn again"
        } else {
            return Ok(None);
        };
        self.unsettled.settle(self.service).await?;
        let problem = Problem::new("sync.interrupted", why);
        Ok(Some(Turn::Wait(
            RunState::Interrupted,
            Duration::ZERO,
            Some(problem),
        )))
    }

    fn part(&self, percent: u32) -> Duration {
        self.service.settings().run_time * percent / 100
    }

    /// One page, while the pages before it are committed.
    async fn read(
        &mut self,
        request: ReadRequest,
    ) -> Result<Result<(Page, Effects), Turn>, sluice_store::Error> {
        let service = self.service;
        let cancel = self.entered.cancel.child_token();
        let call = match self.callee.call(service, cancel.clone()).await {
            Ok(call) => call,
            Err(error) => {
                self.unsettled.settle(service).await?;
                let problem = Problem::new(error.code(), error);
                return Ok(Err(Turn::End(RunState::Failed, Some(problem))));
            }
        };
        let stop = self.began + self.part(HARD).max(self.callee.call_time());
        let mut out_of_time = false;
        let mut outcome = {
            let read = service.runtime().read(call, request);
            tokio::pin!(read);
            loop {
                tokio::select! {
                    biased;
                    outcome = timeout_at(stop, &mut read) => match outcome {
                        Ok(outcome) => break outcome,
                        Err(_) => {
                            out_of_time = true;
                            cancel.cancel();
                            break read.await;
                        }
                    },
                    gone_on = self.unsettled.go_on(service) => gone_on?,
                }
                if self.unsettled.cancelled() {
                    return Ok(Err(cancelled()));
                }
            }
        };
        call::observe(service, "read", self.callee, &outcome);
        if out_of_time {
            note(service, self.lease, &mut self.unsettled, &mut outcome.effects).await?;
            let problem = Problem::new(
                "sync.interrupted",
                "the run has had its time; it goes on from its checkpoint",
            );
            return Ok(Err(Turn::Wait(
                RunState::Interrupted,
                Duration::ZERO,
                Some(problem),
            )));
        }
        let page = self.said(outcome.result, &mut outcome.effects).await?;
        Ok(page.map(|page| (page, outcome.effects)))
    }

    /// What a call gave; or what its failure means for the run.
    async fn said<T>(
        &mut self,
        result: Result<Result<T, sluice_model::fault::Fault>, CallError>,
        effects: &mut Effects,
    ) -> Result<Result<T, Turn>, sluice_store::Error> {
        match result {
            Ok(Ok(value)) => Ok(Ok(value)),
            Ok(Err(fault)) => {
                let failures = note(self.service, self.lease, &mut self.unsettled, effects).await?;
                Ok(Err(fault_turn(self.service, self.lease, &fault, failures).await?))
            }
            Err(CallError::Cancelled) => Ok(Err(cancelled())),
            Err(error) => {
                let failures = note(self.service, self.lease, &mut self.unsettled, effects).await?;
                Ok(Err(call_turn(self.service, &error, failures)))
            }
        }
    }
}

impl Reading<'_> {
    /// A page's changes, checked and put through the stream's rules; or what a frozen contract does not know of them.
    fn checked(&mut self, changes: Vec<Change>) -> Result<Checked, sluice_mapping::Frozen> {
        let (service, run, org) = (self.service, &self.lease.run, self.lease.org);
        let rules = &mut self.rules;
        let judge = |data: &str| match rules {
            Some(rules) => rules.judge(service, (org, run.connection), data),
            None => Fate::AsItIs,
        };
        page::check(self.callee.streams.schema(&run.stream), changes, judge)
    }

    fn commit_of(
        &self,
        place: &Place,
        since: Option<u64>,
        checked: Checked,
        cursor: Option<String>,
        mut effects: Effects,
    ) -> PageCommit {
        let (service, run) = (self.service, &self.lease.run);
        PageCommit {
            org: self.lease.org,
            run: run.id,
            fencing: self.lease.fencing,
            connection: run.connection,
            stream: run.stream.clone(),
            pages: 1,
            since,
            changes: checked.changes,
            quarantined: checked.refused.into_iter().map(Quarantined::from).collect(),
            filtered: checked.filtered,
            cursor,
            place: place.clone(),
            storage: self.callee.writes(service, &mut effects),
            logs: call::logs(service, &mut effects),
            exchanges: effects.exchanges,
            now: service.now(),
        }
    }
}

/// Tries in a row after which a page is committed although a record of it was changed while it was read.
const STALE_PAGES: u32 = 3;
/// Percent of a stretch's time after which it ends at the next checkpoint, and after which a call is stopped.
const SOFT: u32 = 80;
const HARD: u32 = 95;

/// The cursors that a run has passed, as hashes: 8 bytes each however long they are. A false alarm would take billions
/// of pages.
#[derive(Default)]
struct Cursors {
    hasher: RandomState,
    seen: HashSet<u64>,
}

impl Cursors {
    /// False if it was passed before.
    fn insert(&mut self, cursor: Option<&str>) -> bool {
        self.seen.insert(self.hasher.hash_one(cursor))
    }
}
