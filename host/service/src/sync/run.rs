//! Moves one leased run: leg after leg, then, where it put a generation together, that in the place of what was there;
//! until it ends, has to wait, or is stopped.
//!
//! Restart is the ordinary path: everything this loop knows is in the store after every commit. Its worst loss is what was
//! read and not committed, a few pages at most; they are read again. Whatever a guest does, the run ends or says when it goes on.

use std::time::Duration;

use sluice_model::fault::{Fault, FaultKind};
use sluice_model::run::{Mode, RunState};
use sluice_model::schedule::MAX_RETRY_AFTER;
use sluice_runtime::{CallError, Effects};
use sluice_store::run::{Deferral, Lease, RunEnd, RunError};
use tokio_util::sync::CancellationToken;

use crate::call::{self, Callee};
use crate::problem::Problem;
use crate::sync::leg::{self, Reading};
use crate::sync::rules::Rules;
use crate::sync::{Entered, discover, stream, unsettled::Unsettled};
use crate::{Service, connection, event};

/// Codes that a run itself can end with; a guest's and a call's are theirs.
pub const CODES: &[&str] = &[
    "sync.no_progress",
    "sync.cancelled",
    "sync.interrupted",
    "sync.stream",
    "sync.partition",
    "sync.cursor_newer",
];

/// How a stretch of work on a run ended.
pub(crate) enum Turn {
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
        Err(error) if error.is_refusal() => {
            let problem = Some(Problem::new(error.code(), &error));
            if error.passes() {
                // As it is by now: what was committed before has set them back.
                let run = service.store().get_run(lease.org, id).await?;
                let failures = run.map_or(lease.run.failures, |run| run.failures);
                retry(service, RunState::RetryWait, failures, None, problem)
            } else {
                Turn::End(RunState::Failed, problem)
            }
        }
        Err(error @ sluice_store::Error::KeyChanged { .. }) => {
            Turn::End(RunState::Failed, Some(Problem::new(error.code(), &error)))
        }
        Err(error) => return Err(error),
    };
    drop(entered);
    settle(service, &lease, turn).await
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
            let counter = if matches!(state, RunState::Failed | RunState::Dead) {
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
            let next = service.new_id();
            let ended = service.store().end_run(*org, run.id, *fencing, end, next).await?;
            if ended.staging && !ended.folded {
                service.store().drop_generation(*org, &ended).await?;
            }
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
    if lease.run.is_half_folded() {
        // Whoever did that is gone. It needs nothing of the connector, and a person who asks to end it waits for it.
        fold(service, lease).await?;
        return Ok(whole(lease.run.counts.quarantined));
    }
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
    let callee = match refreshed(service, lease, entered, callee).await? {
        Ok(callee) => callee,
        Err(turn) => return Ok(turn),
    };
    let declared = callee.streams.get(&lease.run.stream);
    let key = declared
        .map(|declared| declared.primary_key.join(","))
        .unwrap_or_default();
    lease.run = service
        .store()
        .begin_run(org, lease.run.id, lease.fencing, &key)
        .await?;
    if lease.run.folded {
        return Ok(whole(lease.run.counts.quarantined));
    }
    let settings = service
        .store()
        .stream_settings(org, connection, &lease.run.stream)
        .await?;
    let rules = match declared {
        Some(declared) => {
            let options = stream::read(&settings);
            match Rules::of(service, org, declared, &options, settings.shape.as_deref()).await {
                Ok(rules) => rules,
                Err(problem) => return Ok(Turn::End(RunState::Failed, Some(problem))),
            }
        }
        None => None,
    };
    let mut reading = Reading {
        service,
        lease,
        entered,
        shutdown,
        callee: &callee,
        unsettled: Unsettled::default(),
        rules,
        stale: 0,
        began: tokio::time::Instant::now(),
    };
    let turn = read_all(&mut reading).await;
    let Reading {
        lease,
        mut unsettled,
        rules,
        ..
    } = reading;
    // Whatever ended it, its last commit is over before the run's end is written.
    unsettled.give_up(service).await?;
    if unsettled.cancelled() {
        return turn.map(|_| cancelled());
    }
    if let Some(turn) = turn? {
        return Ok(turn);
    }
    if let Some(shape) = rules.and_then(|rules| rules.learnt()) {
        let learnt = (settings.revision, shape);
        let store = service.store();
        store
            .learn_shape(org, connection, &lease.run.stream, learnt)
            .await?;
    }
    if lease.run.mode == Mode::Check {
        renew(service, lease, SURVEY_TIME).await?;
        let store = service.store();
        store.survey(org, lease.run.id, lease.fencing).await?;
    } else if lease.run.staging {
        fold(service, lease).await?;
    }
    Ok(whole(lease.run.counts.quarantined + unsettled.quarantined()))
}

/// Asks for the account's streams where that is due. A vendor that does not answer this answers the run's own question as
/// badly, and says why there.
async fn refreshed(
    service: &Service,
    lease: &mut Lease,
    entered: &Entered<'_>,
    callee: Callee,
) -> Result<Result<Callee, Turn>, sluice_store::Error> {
    if !discover::is_due(service, &callee) {
        return Ok(Ok(callee));
    }
    if renew(service, lease, callee.call_time()).await? {
        return Ok(Err(cancelled()));
    }
    let mut effects = Effects::default();
    let asked = discover::of(service, &callee, entered.cancel.clone(), &mut effects).await;
    note(service, lease, &mut Unsettled::default(), &mut effects).await?;
    if let Err(error) = asked {
        tracing::warn!(connection = %callee.connection.id, code = error.code(), %error, "its streams were not discovered");
        return Ok(Ok(callee));
    }
    let again = Callee::read(service, lease.org, lease.run.connection).await;
    Ok(again.map_err(|error| Turn::End(RunState::Failed, Some(Problem::new(error.code(), error)))))
}

const fn whole(quarantined: u64) -> Turn {
    let state = if quarantined > 0 {
        RunState::Partial
    } else {
        RunState::Succeeded
    };
    Turn::End(state, None)
}

/// Reads what is left of the run, again from what was committed where somebody has changed a record of a page meanwhile: the vendor
/// says at once how it is now, so there is nothing to wait for. `None`: everything.
async fn read_all(reading: &mut Reading<'_>) -> Result<Option<Turn>, sluice_store::Error> {
    loop {
        match legs(reading).await {
            Err(error) if error.is_refusal() => {
                reading.unsettled.tell_dropped(reading.service).await?;
                let is_stale = matches!(error, sluice_store::Error::RecordChanged { .. });
                if !is_stale || !reading.again().await? {
                    return Err(error);
                }
                if reading.lease.run.cancel {
                    return Ok(Some(cancelled()));
                }
            }
            turn => return turn,
        }
    }
}

/// Reads the legs that are left. `None`: to their end.
async fn legs(reading: &mut Reading<'_>) -> Result<Option<Turn>, sluice_store::Error> {
    let legs = match leg::of(reading).await? {
        Ok(legs) => legs,
        Err(turn) => return Ok(Some(turn)),
    };
    for leg in legs {
        if let Some(turn) = reading.leg(leg).await? {
            return Ok(Some(turn));
        }
        // Its last cursor is kept before that of another is moved.
        reading.unsettled.settle(reading.service).await?;
        if reading.unsettled.cancelled() {
            return Ok(Some(cancelled()));
        }
    }
    Ok(None)
}

/// Puts the run's generation in place. Nobody can stop it half-way, and it takes as long as there are changes.
async fn fold(service: &Service, lease: &mut Lease) -> Result<(), sluice_store::Error> {
    let store = service.store();
    let mut step = Some(store.begin_fold(lease.org, lease.run.id, lease.fencing).await?);
    while let Some(fold) = step {
        renew(service, lease, Duration::ZERO).await?;
        step = store.fold_step(fold, lease.fencing, service.now()).await?;
    }
    Ok(())
}

/// Keeps what a call that gave no page did: its trace and log say why. The pages before it are committed first. Answers
/// how many tries in a row have moved nothing.
pub(crate) async fn note(
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
pub(crate) async fn renew(
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

/// What a comparison of a few million records may take.
const SURVEY_TIME: Duration = Duration::from_secs(300);
/// What a commit may take on a slow disk before its lease would end.
const COMMIT_TIME: Duration = Duration::from_secs(30);

pub(crate) async fn fault_turn(
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

pub(crate) fn call_turn(service: &Service, error: &CallError, failures: u32) -> Turn {
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
        None => Turn::End(RunState::Dead, problem),
    }
}

pub(crate) fn cancelled() -> Turn {
    Turn::End(
        RunState::Cancelled,
        Some(Problem::new("sync.cancelled", "a person ended the run")),
    )
}
