//! Runs: one per stream at a time, leased to a worker under a fencing number.

mod begin;
mod findings;
mod remove;
mod slots;
mod trace;

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, RunId, kind};
use sluice_model::record::Counts;
use sluice_model::run::{Mode, RunState, Trigger, Window};

use crate::connection::require_connection;
use crate::cursor::Progress;
use crate::due::{self, Work};
use crate::key::{Key, Parts, Span};
use crate::row::{cap, cap_name, from_json};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Listing, Page, Store};

pub use findings::{Finding, Findings};
pub(crate) use remove::{cancel_all, remove_rows};
pub use slots::{Caps, Parked};
pub(crate) use trace::append_trace;

/// A run that is to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    pub id: RunId,
    pub connection: ConnectionId,
    pub stream: String,
    pub mode: Mode,
    /// What to read, in mode "backfill".
    pub window: Option<Window>,
    pub trigger: Trigger,
    /// The app at the vendor that serves the connection, where one does.
    pub app: Option<String>,
    pub at: Timestamp,
}

/// A run as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Run {
    pub id: RunId,
    pub connection: ConnectionId,
    pub stream: String,
    pub mode: Mode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    #[serde(default)]
    pub trigger: Trigger,
    /// The app at the vendor that serves the connection, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// What it has taken while a worker has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<String>,
    /// Waits for one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    pub state: RunState,
    pub created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// When it is due next while queued or waiting; the lease's end while running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Pages committed.
    pub pages: u64,
    pub counts: Counts,
    /// Deferrals in a row, for the backoff; back to 0 with every committed page.
    pub failures: u32,
    /// The last error's stable code and words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// A person asked to end it.
    pub cancel: bool,
    /// Something asked for the stream while this run was reading it: what it told may lie behind the run already.
    #[serde(default)]
    pub again: bool,
    /// And wants all of it: there may be no other way to read the stream.
    #[serde(default)]
    pub again_full: bool,
    /// The number of the last lease; 0 before the first.
    pub fencing: u64,
    /// Who has or had the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The connection's last feed number when the reading began, once it has begun.
    #[serde(default)]
    pub since: u64,
    #[serde(default)]
    pub begun: bool,
    /// How far it is; nothing before its first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// It puts a generation together instead of changing what is there.
    #[serde(default)]
    pub staging: bool,
    /// Its generation is being put in place, which nobody stops half-way: until it is `folded`, the run's only work is to
    /// go on with that, and it does not end.
    #[serde(default)]
    pub folding: bool,
    /// The generation is in place; the run has only to be ended.
    #[serde(default)]
    pub folded: bool,
    /// What a run in mode "check" found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// When a person took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Timestamp>,
    /// Trace and log rows written, and rows not written because the run had reached its cap.
    pub traced: u64,
    pub logged: u64,
    pub dropped: u64,
}

/// Why a run failed or waits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunError {
    pub code: String,
    pub message: String,
}

/// A leased run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub org: OrgId,
    /// The run, now `running`. If `run.cancel` is set, the worker's only work is to end it.
    pub run: Run,
    /// To be shown with every write for the run.
    pub fencing: u64,
    pub until: Timestamp,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// An ended state.
    pub state: RunState,
    pub error: Option<RunError>,
    pub at: Timestamp,
}

/// Why and until when a run waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferral {
    /// One that waits.
    pub state: RunState,
    /// When it is due again.
    pub at: Timestamp,
    pub error: Option<RunError>,
}

impl Run {
    /// Its generation is half in place.
    #[must_use]
    pub const fn is_half_folded(&self) -> bool {
        self.folding && !self.folded
    }
}

impl Store {
    /// Queues a run, due at once. [`Error::ActiveRun`] names the one that is under way, [`Error::Missing`] if the
    /// connection is gone.
    pub async fn create_run(&self, org: OrgId, new: NewRun) -> Result<Run, Error> {
        cap_name("a stream's name", &new.stream)?;
        self.write(256, move |rows| queue(rows, org, new)).await
    }

    /// Queues a run that something other than a person wants; where one is under way, another follows it when it has ended.
    /// [`Error::Missing`] if the connection is gone.
    pub async fn want_run(&self, org: OrgId, new: NewRun) -> Result<(), Error> {
        cap_name("a stream's name", &new.stream)?;
        let mode = new.mode;
        self.write(256, move |rows| match queue(rows, org, new) {
            Ok(_) => Ok(()),
            Err(Error::ActiveRun { run }) => {
                let mut run = load(rows, org, run)?;
                run.again = true;
                run.again_full |= mode == Mode::Full;
                save(rows, org, &run)
            }
            Err(error) => Err(error),
        })
        .await
    }

    /// One run.
    pub async fn get_run(&self, org: OrgId, id: RunId) -> Result<Option<Run>, Error> {
        self.read_now(|rows| rows.get_json(Table::Runs, &Key::org(org).id(id)))
    }

    /// A connection's runs, newest first.
    pub async fn list_runs(
        &self,
        org: OrgId,
        connection: ConnectionId,
        page: Page<RunId>,
    ) -> Result<Listing<Run, RunId>, Error> {
        self.read(move |rows| {
            let (of_connection, limit) = (Key::org(org).id(connection), page.limit());
            let mut span = Span::prefix(&of_connection);
            if let Some(after) = page.after {
                span = span.before(of_connection.id(after));
            }
            let ids = rows.collect(Table::RunsByConnection, &span, true, limit + 1, |key, _| {
                Ok(Parts::new(key.get(32..).unwrap_or_default()).id::<kind::Run>())
            })?;
            let mut runs = Vec::with_capacity(ids.len());
            for id in ids {
                runs.extend(rows.get_json::<Run>(Table::Runs, &Key::org(org).id(id))?);
            }
            Ok(Listing::cut(runs, limit, |run| run.id))
        })
        .await
    }

    /// An organization's runs, newest first.
    pub async fn list_all_runs(&self, org: OrgId, page: Page<RunId>) -> Result<Listing<Run, RunId>, Error> {
        self.read(move |rows| {
            let (of_org, limit) = (Key::org(org), page.limit());
            let mut span = Span::prefix(&of_org);
            if let Some(after) = page.after {
                span = span.before(of_org.id(after));
            }
            let runs = rows.collect(Table::Runs, &span, true, limit + 1, |_, content| {
                from_json::<Run>(Table::Runs, content).map(Some)
            })?;
            Ok(Listing::cut(runs, limit, |run| run.id))
        })
        .await
    }

    /// Leases up to `limit` due runs, one organization after the other so that none is starved. A run whose lease ran
    /// out is due again. One that would be more than `caps` allow waits until another is let go of.
    pub async fn lease_due_runs(
        &self,
        worker: &str,
        now: Timestamp,
        lease_for: Duration,
        (limit, caps): (usize, Caps),
    ) -> Result<Vec<Lease>, Error> {
        cap_name("a worker's name", worker)?;
        if !self.any_due(Work::Runs, now).await? {
            return Ok(Vec::new());
        }
        let (worker, turn, until) = (worker.to_owned(), self.turn(Work::Runs), now.after(lease_for));
        let leases = self
            .write(256, move |rows| {
                let mut leases = Vec::new();
                let due = due::take::<kind::Run>(rows, Work::Runs, turn, now, limit)?;
                let runs = due::load(rows, Work::Runs, due, |rows, org, id| {
                    rows.get_json::<Run>(Table::Runs, &Key::org(org).id(id))
                })?;
                for (org, mut run) in runs {
                    let id = run.id;
                    due::remove(rows, Work::Runs, org, run.due, id)?;
                    if !slots::take(rows, org, &mut run, caps, now)? {
                        continue;
                    }
                    run.fencing += 1;
                    run.state = RunState::Leased;
                    run.started.get_or_insert(now);
                    run.due = Some(until);
                    run.worker = Some(worker.clone());
                    due::add(rows, Work::Runs, org, run.due, id)?;
                    save(rows, org, &run)?;
                    leases.push(Lease {
                        org,
                        fencing: run.fencing,
                        run,
                        until,
                    });
                }
                Ok(leases)
            })
            .await?;
        if let Some(last) = leases.last() {
            self.set_turn(Work::Runs, last.org);
        }
        Ok(leases)
    }

    /// Prolongs a lease; answers whether a person asked to cancel. [`Error::Fenced`].
    pub async fn renew_lease(
        &self,
        org: OrgId,
        run: RunId,
        fencing: u64,
        until: Timestamp,
    ) -> Result<bool, Error> {
        self.write(64, move |rows| {
            let mut run = leased(rows, org, run, fencing)?;
            due::remove(rows, Work::Runs, org, run.due, run.id)?;
            run.due = Some(until);
            due::add(rows, Work::Runs, org, run.due, run.id)?;
            save(rows, org, &run)?;
            Ok(run.cancel)
        })
        .await
    }

    /// Asks a run to end: at once if no worker has it, else with the worker's next step. [`Error::Missing`];
    /// [`Error::State`] if it has ended.
    pub async fn request_cancel(&self, org: OrgId, run: RunId, now: Timestamp) -> Result<Run, Error> {
        self.write(64, move |rows| {
            let mut run = load(rows, org, run)?;
            if run.state.ended() {
                return Err(Error::State {
                    what: "cancel the run",
                    state: run.state.name(),
                });
            }
            if run.state.held() || run.is_half_folded() {
                run.cancel = true;
                save(rows, org, &run)?;
                rows.wake();
                return Ok(run);
            }
            let error = run.error.take();
            close(
                rows,
                org,
                run,
                RunEnd {
                    state: RunState::Cancelled,
                    error,
                    at: now,
                },
            )
        })
        .await
    }

    /// Ends a run; where another was wanted meanwhile, it is queued in the same commit, as `next`. [`Error::Fenced`],
    /// [`Error::State`] if `end.state` is not an end, or while the run's generation is half in place.
    pub async fn end_run(
        &self,
        org: OrgId,
        run: RunId,
        fencing: u64,
        end: RunEnd,
        next: RunId,
    ) -> Result<Run, Error> {
        check_error(end.error.as_ref())?;
        self.write(256, move |rows| {
            let run = leased(rows, org, run, fencing)?;
            if !end.state.ended() {
                return Err(Error::State {
                    what: "end the run",
                    state: end.state.name(),
                });
            }
            if run.is_half_folded() {
                return Err(Error::State {
                    what: "end the run",
                    state: "putting its generation in place",
                });
            }
            let at = end.at;
            let ended = close(rows, org, run, end)?;
            if ended.again && ended.state != RunState::Cancelled {
                let another = NewRun {
                    id: next,
                    connection: ended.connection,
                    stream: ended.stream.clone(),
                    mode: if ended.again_full {
                        Mode::Full
                    } else {
                        Mode::Incremental
                    },
                    window: None,
                    trigger: Trigger::Hook,
                    app: ended.app.clone(),
                    at,
                };
                queue(rows, org, another)?;
            }
            Ok(ended)
        })
        .await
    }

    /// Lets go of a run until `deferral.at`. [`Error::Fenced`], [`Error::State`].
    pub async fn defer_run(
        &self,
        org: OrgId,
        run: RunId,
        fencing: u64,
        deferral: Deferral,
    ) -> Result<Run, Error> {
        check_error(deferral.error.as_ref())?;
        self.write(256, move |rows| {
            let mut run = leased(rows, org, run, fencing)?;
            if !deferral.state.waits() {
                return Err(Error::State {
                    what: "defer the run",
                    state: deferral.state.name(),
                });
            }
            if run.cancel && !run.is_half_folded() {
                return close(
                    rows,
                    org,
                    run,
                    RunEnd {
                        state: RunState::Cancelled,
                        error: deferral.error,
                        at: deferral.at,
                    },
                );
            }
            due::remove(rows, Work::Runs, org, run.due, run.id)?;
            slots::give_back(rows, org, &mut run)?;
            run.state = deferral.state;
            run.due = Some(deferral.at);
            run.failures = run
                .failures
                .saturating_add(u32::from(deferral.state == RunState::RetryWait));
            run.error = deferral.error;
            run.fencing += 1;
            due::add(rows, Work::Runs, org, run.due, run.id)?;
            save(rows, org, &run)?;
            Ok(run)
        })
        .await
    }
}

/// Queues a run. Refuses before it writes.
pub(crate) fn queue(rows: &mut Writer<'_>, org: OrgId, new: NewRun) -> Result<Run, Error> {
    require_connection(rows, org, new.connection)?;
    let active = active_key(org, new.connection, &new.stream);
    if let Some(run) = rows.get_id(Table::ActiveRuns, &active)? {
        return Err(Error::ActiveRun { run });
    }
    if rows.has(Table::Runs, &Key::org(org).id(new.id))? {
        return Err(Error::Conflict {
            what: "a run",
            name: new.id.to_string(),
        });
    }
    let run = Run {
        id: new.id,
        connection: new.connection,
        stream: new.stream,
        mode: new.mode,
        window: new.window,
        trigger: new.trigger,
        app: new.app,
        slots: Vec::new(),
        parked: None,
        state: RunState::Queued,
        created: new.at,
        started: None,
        ended: None,
        due: Some(turn(new.at, new.trigger)),
        pages: 0,
        counts: Counts::default(),
        failures: 0,
        error: None,
        cancel: false,
        again: false,
        again_full: false,
        fencing: 0,
        worker: None,
        since: 0,
        begun: false,
        progress: None,
        staging: false,
        folding: false,
        folded: false,
        findings: None,
        undone: None,
        traced: 0,
        logged: 0,
        dropped: 0,
    };
    rows.put(Table::ActiveRuns, &active, &[run.id.as_bytes()])?;
    rows.put(
        Table::RunsByConnection,
        &Key::org(org).id(run.connection).id(run.id),
        &[],
    )?;
    due::add(rows, Work::Runs, org, run.due, run.id)?;
    save(rows, org, &run)?;
    Ok(run)
}

/// The run, if this lease still holds it. A run is let go of by raising its number, so the number alone decides.
pub(crate) fn leased(rows: &mut impl Rows, org: OrgId, id: RunId, fencing: u64) -> Result<Run, Error> {
    let run: Option<Run> = rows.get_json(Table::Runs, &Key::org(org).id(id))?;
    run.filter(|run| run.state.held() && run.fencing == fencing)
        .ok_or(Error::Fenced {
            what: "the run",
            given: fencing,
        })
}

pub(crate) fn save(rows: &mut Writer<'_>, org: OrgId, run: &Run) -> Result<(), Error> {
    rows.put_json(Table::Runs, &Key::org(org).id(run.id), run)
}

/// Refuses while a run of this stream is under way.
pub(crate) fn require_idle(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
) -> Result<(), Error> {
    match rows.get_id(Table::ActiveRuns, &active_key(org, connection, stream))? {
        Some(run) => Err(Error::ActiveRun { run }),
        None => Ok(()),
    }
}

/// When a run that is queued now is taken, among others: as if it had been queued earlier where a person waits for it.
/// However many those are, nobody waits longer for them than this.
fn turn(at: Timestamp, trigger: Trigger) -> Timestamp {
    let ahead = match trigger {
        Trigger::Manual => 60_000,
        Trigger::Hook => 30_000,
        Trigger::Schedule => 0,
    };
    Timestamp::from_millis(at.as_millis().saturating_sub(ahead))
}

pub(crate) fn load(rows: &mut impl Rows, org: OrgId, id: RunId) -> Result<Run, Error> {
    rows.get_json(Table::Runs, &Key::org(org).id(id))?
        .ok_or(Error::Missing { what: "the run" })
}

fn close(rows: &mut Writer<'_>, org: OrgId, mut run: Run, end: RunEnd) -> Result<Run, Error> {
    due::remove(rows, Work::Runs, org, run.due, run.id)?;
    rows.delete(Table::ActiveRuns, &active_key(org, run.connection, &run.stream))?;
    slots::give_back(rows, org, &mut run)?;
    run.due = None;
    run.state = end.state;
    run.ended = Some(end.at);
    run.error = end.error;
    run.fencing += 1;
    save(rows, org, &run)?;
    Ok(run)
}

fn active_key(org: OrgId, connection: ConnectionId, stream: &str) -> Key {
    Key::org(org).id(connection).tail(stream)
}

fn check_error(error: Option<&RunError>) -> Result<(), Error> {
    error.map_or(Ok(()), |error| {
        cap(
            "an error's words",
            error.code.len() + error.message.len(),
            MAX_ERROR_BYTES,
        )
    })
}

/// An error's words are for people.
pub(crate) const MAX_ERROR_BYTES: usize = 64 << 10;
