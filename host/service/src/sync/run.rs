//! Moves one leased run: page after page, each committed with its cursor, until it ends, has to wait, or is stopped.
//!
//! Restart is the ordinary path: everything this loop knows is in the store after every commit. Its worst loss is what was
//! read and not committed, a few pages at most; they are read again. Whatever a guest does, the run ends or says when it goes on.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use sluice_model::fault::{Fault, FaultKind};
use sluice_model::run::{Mode, RunState};
use sluice_model::schedule::MAX_RETRY_AFTER;
use sluice_runtime::{CallError, Effects, Page, ReadRequest};
use sluice_store::checkpoint::PageCommit;
use sluice_store::record::Quarantined;
use sluice_store::run::{Deferral, Lease, RunEnd, RunError};
use tokio_util::sync::CancellationToken;

use crate::call::{self, Callee};
use crate::problem::Problem;
use crate::sync::unsettled::Unsettled;
use crate::sync::{Entered, page};
use crate::{Service, connection, event};

/// Codes that a run itself can end with; a guest's and a call's are theirs.
pub const CODES: &[&str] = &["sync.no_progress", "sync.cancelled", "sync.interrupted"];

/// How a stretch of work on a run ended.
enum Turn {
    End(RunState, Option<Problem>),
    /// Goes on after this long.
    Wait(RunState, Duration, Option<Problem>),
}

/// Works on a leased run until it ends or has to wait, and writes down which. An error is the store's, and then it is
/// the store that says whether the process goes on; a lost lease ends the work quietly, for somebody else has it.
pub(crate) async fn drive(
    service: &Service,
    mut lease: Lease,
    shutdown: &CancellationToken,
) -> Result<(), sluice_store::Error> {
    let id = lease.run.id;
    let entered = service.active().enter(id);
    let turn = match work(service, &mut lease, &entered, shutdown).await {
        Ok(turn) => turn,
        Err(sluice_store::Error::Fenced { .. }) => {
            tracing::warn!(run = %id, "another worker has the run");
            return Ok(());
        }
        Err(error) if commits_nothing(&error) => {
            Turn::End(RunState::Failed, Some(Problem::new(error.code(), &error)))
        }
        Err(error) => return Err(error),
    };
    drop(entered);
    settle(service, &lease, turn).await
}

/// Refusals of a page by the store that are the connector's fault and leave the store as it was.
fn commits_nothing(error: &sluice_store::Error) -> bool {
    use sluice_store::Error::{Quota, StorageVersion, TooLarge};
    matches!(error, Quota { .. } | StorageVersion { .. } | TooLarge { .. })
}

async fn settle(service: &Service, lease: &Lease, turn: Turn) -> Result<(), sluice_store::Error> {
    let Lease {
        org, run, fencing, ..
    } = lease;
    let to_error = |problem: Problem| RunError {
        code: problem.code,
        message: problem.message,
    };
    let now = service.now();
    match turn {
        Turn::Wait(state, wait, problem) => {
            service.metrics().runs_deferred.add(1);
            let deferral = Deferral {
                state,
                at: now.after(wait),
                error: problem.map(to_error),
            };
            service
                .store()
                .defer_run(*org, run.id, *fencing, deferral)
                .await
                .map(drop)
        }
        Turn::End(state, problem) => {
            let metrics = service.metrics();
            let counter = if state == RunState::Failed {
                &metrics.runs_failed
            } else {
                &metrics.runs_succeeded
            };
            counter.add(1);
            let end = RunEnd {
                state,
                error: problem.map(to_error),
                at: now,
            };
            let ended = service.store().end_run(*org, run.id, *fencing, end).await?;
            event::platform(service, *org, "sluice.run.ended", run.id, || {
                serde_json::json!({
                    "connection": ended.connection, "stream": ended.stream, "state": ended.state,
                    "counts": ended.counts, "pages": ended.pages,
                    "code": ended.error.as_ref().map(|error| &error.code),
                })
            })
            .await
        }
    }
}

async fn work(
    service: &Service,
    lease: &mut Lease,
    entered: &Entered<'_>,
    shutdown: &CancellationToken,
) -> Result<Turn, sluice_store::Error> {
    let (org, connection) = (lease.org, lease.run.connection);
    if lease.run.cancel {
        return Ok(cancelled());
    }
    let callee = match Callee::read(service, org, connection).await {
        Ok(callee) => callee,
        Err(error) => {
            return Ok(Turn::End(
                RunState::Failed,
                Some(Problem::new(error.code(), error)),
            ));
        }
    };
    if !callee.connection.state.serves() {
        let problem = Problem::new(
            "sync.not_active",
            format!("the connection is {}", callee.connection.state.name()),
        );
        return Ok(Turn::End(RunState::Failed, Some(problem)));
    }
    let mut unsettled = Unsettled::default();
    let turn = pages(service, lease, entered, shutdown, &callee, &mut unsettled).await;
    // Whatever ended it, its last commit is over before the run's end is written.
    unsettled.give_up(service).await?;
    if unsettled.cancelled() {
        return turn.map(|_| cancelled());
    }
    turn
}

/// Reads page after page. What was read before a turn is committed, except where the run is cancelled.
async fn pages(
    service: &Service,
    lease: &mut Lease,
    entered: &Entered<'_>,
    shutdown: &CancellationToken,
    callee: &Callee,
    unsettled: &mut Unsettled,
) -> Result<Turn, sluice_store::Error> {
    let stream = lease.run.stream.clone();
    let mut cursor = match (lease.run.mode, lease.run.resumed) {
        (Mode::Full, false) => None,
        _ => {
            let store = service.store();
            store.cursor(lease.org, lease.run.connection, &stream).await?
        }
    };
    let mut seen = Cursors::default();
    seen.insert(cursor.as_deref());
    loop {
        if shutdown.is_cancelled() {
            unsettled.settle(service).await?;
            let problem = Problem::new(
                "sync.interrupted",
                "the server is stopping; the run goes on after its start",
            );
            return Ok(Turn::Wait(RunState::RetryWait, Duration::ZERO, Some(problem)));
        }
        if renew(service, lease, callee.call_time()).await? {
            return Ok(cancelled());
        }
        let call = match callee.call(service, entered.cancel.child_token()).await {
            Ok(call) => call,
            Err(error) => {
                unsettled.settle(service).await?;
                return Ok(Turn::End(
                    RunState::Failed,
                    Some(Problem::new(error.code(), error)),
                ));
            }
        };
        let request = ReadRequest {
            stream: stream.clone(),
            cursor: cursor.clone(),
            page_hint: service.settings().page_hint,
            ..ReadRequest::default()
        };
        let mut outcome = {
            let read = service.runtime().read(call, request);
            tokio::pin!(read);
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut read => break outcome,
                    gone_on = unsettled.go_on(service) => gone_on?,
                }
                if unsettled.cancelled() {
                    return Ok(cancelled());
                }
            }
        };
        call::observe(service, "read", callee, &outcome);
        let page = match outcome.result {
            Ok(Ok(page)) => page,
            Ok(Err(fault)) => {
                let failures = note(service, lease, unsettled, &mut outcome.effects).await?;
                return fault_turn(service, lease, &fault, failures).await;
            }
            Err(CallError::Cancelled) => return Ok(cancelled()),
            Err(error) => {
                let failures = note(service, lease, unsettled, &mut outcome.effects).await?;
                return Ok(call_turn(service, &error, failures));
            }
        };
        if let Some(total) = page.total_hint {
            entered.expect_total(total);
        }
        let next = page.cursor.clone();
        let more = page.more;
        if more && !seen.insert(next.as_deref()) {
            note(service, lease, unsettled, &mut outcome.effects).await?;
            let problem = Problem::new(
                "sync.no_progress",
                "the connector returned a cursor that it returned before",
            );
            return Ok(Turn::End(RunState::Failed, Some(problem)));
        }
        let page = to_commit(service, lease, callee, page, outcome.effects);
        unsettled.add(service, page).await?;
        if next.is_some() {
            cursor = next;
        }
        if unsettled.cancelled() {
            return Ok(cancelled());
        }
        if !more {
            unsettled.settle(service).await?;
            let state = if lease.run.counts.quarantined + unsettled.quarantined() > 0 {
                RunState::Partial
            } else {
                RunState::Succeeded
            };
            return Ok(Turn::End(state, None));
        }
    }
}

fn to_commit(
    service: &Service,
    lease: &Lease,
    callee: &Callee,
    page: Page,
    mut effects: Effects,
) -> PageCommit {
    let stream = &lease.run.stream;
    let checked = page::check(callee.known.stream(stream), page.changes);
    let quarantined = checked.refused.into_iter().map(Quarantined::from).collect();
    PageCommit {
        org: lease.org,
        run: lease.run.id,
        fencing: lease.fencing,
        connection: lease.run.connection,
        stream: stream.clone(),
        pages: 1,
        changes: checked.changes,
        quarantined,
        cursor: page.cursor,
        storage: callee.writes(&mut effects),
        logs: call::logs(service, &mut effects),
        exchanges: effects.exchanges,
        now: service.now(),
    }
}

/// Keeps what a call that gave no page did: its trace and log say why. The pages before it are committed first. Answers
/// how many tries in a row have moved nothing.
async fn note(
    service: &Service,
    lease: &Lease,
    unsettled: &mut Unsettled,
    effects: &mut Effects,
) -> Result<u32, sluice_store::Error> {
    unsettled.settle(service).await?;
    let logs = call::logs(service, effects);
    let exchanges = std::mem::take(&mut effects.exchanges);
    service
        .store()
        .note_run(lease.org, lease.run.id, lease.fencing, exchanges, logs)
        .await?;
    Ok(if unsettled.committed() {
        0
    } else {
        lease.run.failures
    })
}

/// Makes sure that the lease outlives the next call. True: a person asked to cancel.
async fn renew(
    service: &Service,
    lease: &mut Lease,
    call_time: Duration,
) -> Result<bool, sluice_store::Error> {
    let now = service.now();
    if lease.until.since(now) > call_time + COMMIT_TIME {
        return Ok(false);
    }
    let until = now.after(call_time + COMMIT_TIME + service.settings().lease);
    let cancel = service
        .store()
        .renew_lease(lease.org, lease.run.id, lease.fencing, until)
        .await?;
    lease.until = until;
    Ok(cancel)
}

/// What a commit may take on a slow disk before its lease would end.
const COMMIT_TIME: Duration = Duration::from_secs(30);

async fn fault_turn(
    service: &Service,
    lease: &Lease,
    fault: &Fault,
    failures: u32,
) -> Result<Turn, sluice_store::Error> {
    let problem = Some(Problem::new(fault.kind.code(), fault));
    if fault.kind.passes() {
        let state = if fault.kind == FaultKind::RateLimited {
            RunState::WaitingRate
        } else {
            RunState::RetryWait
        };
        return Ok(retry(service, state, failures, fault.retry_after, problem));
    }
    if let Err(error) = connection::degrade(service, lease.org, lease.run.connection, fault).await {
        tracing::warn!(connection = %lease.run.connection, code = error.code(), %error, "its state was not changed");
    }
    Ok(Turn::End(RunState::Failed, problem))
}

fn call_turn(service: &Service, error: &CallError, failures: u32) -> Turn {
    let problem = Some(Problem::new(error.code(), error));
    if error.passes() {
        return retry(service, RunState::RetryWait, failures, None, problem);
    }
    Turn::End(RunState::Failed, problem)
}

fn retry(
    service: &Service,
    state: RunState,
    failures: u32,
    asked: Option<Duration>,
    problem: Option<Problem>,
) -> Turn {
    let schedule = &service.settings().run_retry;
    // A vendor that asks for time has not failed: waiting for it does not use up the tries.
    if state == RunState::WaitingRate {
        let wait = asked.unwrap_or_default().clamp(schedule.first, MAX_RETRY_AFTER);
        return Turn::Wait(state, wait, problem);
    }
    match schedule.wait(failures + 1, service.jitter(), asked) {
        Some(wait) => Turn::Wait(state, wait, problem),
        None => Turn::End(RunState::Failed, problem),
    }
}

fn cancelled() -> Turn {
    Turn::End(
        RunState::Cancelled,
        Some(Problem::new("sync.cancelled", "a person ended the run")),
    )
}

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
