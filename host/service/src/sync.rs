//! Syncs: runs are queued here, one for each stream, and moved page by page by the workers.

pub mod cadence;
pub mod contract;
pub mod discover;
mod leg;
pub(crate) mod page;
pub(crate) mod rules;
pub(crate) mod run;
pub mod stream;
pub mod trial;
mod unsettled;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use page::CODES as PAGE_CODES;
pub use run::CODES as RUN_CODES;
use sluice_model::Timestamp;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, DestinationId, OrgId, RunId};
use sluice_model::manifest::{Manifest, Stream};
use sluice_model::record::Counts;
use sluice_model::run::{Mode, RunState, Trigger, Window};
use sluice_store::run::NewRun;
pub use sluice_store::run::{Finding, Findings};
pub use sluice_store::trace::LogLine;
use sluice_store::trace::TraceOwner;
pub use sluice_store::undo::Undone;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::catalogue::streams::Streams;
use crate::connection::Connection;
use crate::page::{Listed, Page};
use crate::problem::Problem;
use crate::{Service, catalogue, connection, destination, event, trace};

/// One execution of a sync of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub id: RunId,
    pub connection: ConnectionId,
    pub stream: String,
    pub mode: Mode,
    pub window: Option<Window>,
    pub trigger: Trigger,
    pub state: RunState,
    pub counts: Counts,
    /// Pages committed.
    pub pages: u64,
    /// How many records the vendor says there are, while the run is under way in this process.
    pub total_hint: Option<u64>,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// When it goes on by itself.
    pub next_attempt: Option<Timestamp>,
    /// Tries in a row that moved nothing.
    pub failures: u32,
    pub error: Option<Problem>,
    /// Seconds until everything is read at the pace so far, where the vendor says how much that is.
    pub eta_s: Option<u64>,
    /// What a run in mode "check" found.
    pub findings: Option<Findings>,
    /// When a person took it back.
    pub undone: Option<Timestamp>,
}

/// Why a sync can't be started, read or cancelled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the connection is {}: only an active one syncs", .state.name())]
    NotActive {
        state: sluice_model::connection::ConnectionState,
    },
    #[error("the connector has no stream `{wanted}`; it has {offered}")]
    Stream { wanted: String, offered: String },
    #[error("stream `{stream}` can't be read in mode {}", .mode.name())]
    Mode { stream: String, mode: Mode },
    #[error("streams that only the account has can't be read in mode {}", .mode.name())]
    NewMode { mode: Mode },
    #[error("{run} is syncing this stream already")]
    Active { run: RunId },
    #[error("a backfill of `{stream}` can't be: {reason}")]
    Window { stream: String, reason: &'static str },
    #[error("the options of the stream are wrong at `{pointer}`: {reason}")]
    Options {
        /// RFC 6901, into the options.
        pointer: String,
        reason: String,
    },
    #[error("the rules are wrong at `{within}{}`: {error}", .error.at())]
    Rules {
        error: sluice_mapping::RuleError,
        /// Where the rules are in what was given.
        within: &'static str,
    },
    #[error("there is no run {0}")]
    Missing(RunId),
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "sync.not_active",
        "sync.stream",
        "sync.mode",
        "sync.active",
        "sync.window",
        "stream.options",
        "run.not_found",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotActive { .. } => "sync.not_active",
            Self::Stream { .. } => "sync.stream",
            Self::Mode { .. } | Self::NewMode { .. } => "sync.mode",
            Self::Active { .. } => "sync.active",
            Self::Window { .. } => "sync.window",
            Self::Options { .. } => "stream.options",
            Self::Rules { error, .. } => error.code(),
            Self::Missing(_) => "run.not_found",
            Self::Connection(error) => error.code(),
            Self::Catalogue(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotActive { .. } => Some("test the connection; a good answer makes it active".to_owned()),
            Self::Active { run } => Some(format!("wait for it, or `sluice run cancel {run}`")),
            Self::Connection(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Stream { .. }
            | Self::Mode { .. }
            | Self::NewMode { .. }
            | Self::Window { .. }
            | Self::Options { .. }
            | Self::Rules { .. }
            | Self::Missing(_)
            | Self::Catalogue(_) => None,
        }
    }
}

/// Runs under way in this process: how to stop them, and what the vendor said of their length.
#[derive(Debug, Default)]
pub(crate) struct Active {
    runs: Mutex<HashMap<RunId, Underway>>,
    /// Told whenever one is no longer moved.
    left: Notify,
}

#[derive(Debug, Clone, Default)]
struct Underway {
    cancel: CancellationToken,
    total: Option<u64>,
}

impl Active {
    /// The token that [`cancel`] triggers; dropping the guard ends the entry.
    pub(crate) fn enter(&self, run: RunId) -> Entered<'_> {
        let underway = Underway::default();
        let cancel = underway.cancel.clone();
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(run, underway);
        Entered {
            active: self,
            run,
            cancel,
        }
    }

    fn stop(&self, run: RunId) {
        if let Some(underway) = self.runs.lock().unwrap_or_else(PoisonError::into_inner).get(&run) {
            underway.cancel.cancel();
        }
    }

    /// Waits until this process does not move the run.
    async fn gone(&self, run: RunId) {
        let mut left = std::pin::pin!(self.left.notified());
        loop {
            // From here on no leaving is missed.
            left.as_mut().enable();
            if !self
                .runs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains_key(&run)
            {
                return;
            }
            left.as_mut().await;
            left.set(self.left.notified());
        }
    }

    fn total(&self, run: RunId) -> Option<u64> {
        self.runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&run)?
            .total
    }
}

/// A run being moved by this process.
pub(crate) struct Entered<'a> {
    active: &'a Active,
    run: RunId,
    pub(crate) cancel: CancellationToken,
}

impl Entered<'_> {
    pub(crate) fn expect_total(&self, total: u64) {
        if let Some(underway) = self
            .active
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(&self.run)
        {
            underway.total = Some(total);
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.active
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.run);
        self.active.left.notify_waiters();
    }
}

/// The app at the vendor that serves a connection: its runs share what the vendor allows it.
pub(crate) fn app_of(manifest: &Manifest, connection: &Connection) -> Option<String> {
    let scheme = manifest.auth(connection.auth.as_deref()?)?;
    (!scheme.app.is_empty()).then(|| scheme.name.clone())
}

/// Streams that are named to who asked for one that is not there.
const MAX_OFFERED: usize = 20;

/// What to read, of which streams, and why.
#[derive(Debug, Clone)]
pub struct Order {
    /// None named: every stream that can be read so.
    pub streams: Vec<String>,
    pub mode: Mode,
    /// What to read in mode "backfill".
    pub window: Option<Window>,
    pub trigger: Trigger,
}

/// Queues a run for each stream of the order, and gives them. All names are checked before the first is queued. A stream
/// with a run under way is an error if it was named, else left alone; what a webhook wants follows that run instead, and is not
/// among what is given.
///
/// # Errors
///
/// If the connection is not active, or a stream is unknown, can't be read so, or is being synced.
pub async fn start(service: &Service, org: OrgId, id: ConnectionId, order: Order) -> Result<Vec<Run>, Error> {
    let connection = connection::get(service, org, &id.to_string()).await?;
    if !connection.state.serves() {
        return Err(Error::NotActive {
            state: connection.state,
        });
    }
    let known = catalogue::known(service, org, connection.install).await?;
    let streams = Streams::of(service, org, id, &known).await?;
    let mut wanted = Vec::new();
    for name in &order.streams {
        let stream = declared(&streams, name)?;
        can_be_read(stream, &order)?;
        wanted.push(name.clone());
    }
    let named = !wanted.is_empty();
    if !named {
        let readable = streams.all().filter(|stream| can_be_read(stream, &order).is_ok());
        wanted.extend(readable.map(|stream| stream.name.clone()));
    }
    let mut runs = Vec::with_capacity(wanted.len());
    for stream in wanted {
        let new = NewRun {
            id: service.new_id(),
            connection: id,
            stream,
            mode: order.mode,
            window: order.window,
            trigger: order.trigger,
            app: app_of(&known.manifest, &connection),
            at: service.now(),
        };
        // What a webhook wants may lie behind a run that is under way: another follows it then.
        if order.trigger == Trigger::Hook {
            service.store().want_run(org, new).await?;
            continue;
        }
        match service.store().create_run(org, new).await {
            Ok(run) => runs.push(view(service, run)),
            Err(sluice_store::Error::ActiveRun { run }) if named => return Err(Error::Active { run }),
            Err(sluice_store::Error::ActiveRun { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(runs)
}

fn declared<'m>(streams: &'m Streams, name: &str) -> Result<&'m Stream, Error> {
    streams.get(name).ok_or_else(|| {
        let offered = streams.all().take(MAX_OFFERED);
        let offered: Vec<_> = offered.map(|stream| stream.name.as_str()).collect();
        Error::Stream {
            wanted: name.to_owned(),
            offered: offered.join(", "),
        }
    })
}

fn can_be_read(stream: &Stream, order: &Order) -> Result<(), Error> {
    let window = |reason| Error::Window {
        stream: stream.name.clone(),
        reason,
    };
    match (order.mode, order.window) {
        (Mode::Backfill, None) => Err(window("it needs a window of time")),
        (Mode::Backfill, Some(Window { start, end })) if start >= end => {
            Err(window("the window ends before it begins"))
        }
        (Mode::Backfill, Some(_)) if !stream.windows => Err(window("the connector reads no windows of it")),
        (Mode::Full | Mode::Incremental | Mode::Check, Some(_)) => {
            Err(window("a window goes with mode \"backfill\" only"))
        }
        (mode, None) if !reads(&stream.modes, mode) => Err(Error::Mode {
            stream: stream.name.clone(),
            mode,
        }),
        _ => Ok(()),
    }
}

/// Whether a stream of these modes can be read in one that needs no window. Who reads everything can compare it.
pub(crate) fn reads(modes: &[Mode], mode: Mode) -> bool {
    let needed = if mode == Mode::Check { Mode::Full } else { mode };
    modes.contains(&needed)
}

/// One run.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, id: RunId) -> Result<Run, Error> {
    let run = service.store().get_run(org, id).await?;
    run.map(|run| view(service, run)).ok_or(Error::Missing(id))
}

/// The runs of a connection, or of all of them, newest first.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(
    service: &Service,
    org: OrgId,
    of: Option<ConnectionId>,
    page: &Page,
) -> Result<Listed<Run>, Error> {
    let after = page.after.as_deref().and_then(|after| after.parse().ok());
    let wanted = sluice_store::Page {
        after,
        limit: page.bounded(),
    };
    let found = match of {
        Some(connection) => service.store().list_runs(org, connection, wanted).await?,
        None => service.store().list_all_runs(org, wanted).await?,
    };
    let items = found.items.into_iter().map(|run| view(service, run)).collect();
    Ok(Listed {
        items,
        next: found.next.map(|id| id.to_string()),
    })
}

/// Ends a run: at once if it waits, else as soon as the connector's call has been stopped. What was committed stays.
///
/// # Errors
///
/// [`Error::Missing`]; `store.state` if it has ended.
pub async fn cancel(service: &Service, org: OrgId, id: RunId) -> Result<Run, Error> {
    let run = service
        .store()
        .request_cancel(org, id, service.now())
        .await
        .map_err(|error| match error {
            sluice_store::Error::Missing { .. } => Error::Missing(id),
            other => other.into(),
        })?;
    service.active().stop(id);
    Ok(view(service, run))
}

/// Ends a run and waits until it has let go of what it moves, for so long at most. What was committed stays. True: it has ended; also
/// where it had before.
pub(crate) async fn interrupt(
    service: &Service,
    org: OrgId,
    id: RunId,
    most: Duration,
) -> Result<bool, Error> {
    match cancel(service, org, id).await {
        Ok(_) | Err(Error::Missing(_) | Error::Store(sluice_store::Error::State { .. })) => {}
        Err(error) => return Err(error),
    }
    let ended = async {
        loop {
            service.active().gone(id).await;
            match service.store().get_run(org, id).await? {
                Some(run) if !run.state.ended() => {}
                Some(_) | None => return Ok(()),
            }
            // Between the last step of who moved it and the commit that says so; or nobody has begun to move it.
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(most, ended).await {
        Ok(ended) => ended
            .map(|()| true)
            .map_err(|error: sluice_store::Error| error.into()),
        Err(_) => Ok(false),
    }
}

/// How often a run that is being ended is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Takes an ended run back: its records become what they were before it, its cursors go back to where they stood. What was
/// changed since stays. Whoever follows the change feed is told like of every other change.
///
/// # Errors
///
/// [`Error::Missing`]; `store.state` if it has not ended; [`Error::Active`] while another run reads the stream.
pub async fn undo(service: &Service, org: OrgId, id: RunId) -> Result<(Undone, Vec<DestinationId>), Error> {
    let delivered = match service.store().get_run(org, id).await? {
        Some(run) => destination::loaded_past(service, org, run.connection, (&run.stream, run.since)).await?,
        None => Vec::new(),
    };
    let undone = service.store().undo_run(org, id, service.now()).await;
    let undone = undone.map_err(|error| match error {
        sluice_store::Error::Missing { .. } => Error::Missing(id),
        sluice_store::Error::ActiveRun { run } => Error::Active { run },
        other => other.into(),
    })?;
    event::platform(
        service,
        org,
        "sluice.run.undone",
        id,
        || serde_json::json!({ "removed": undone.removed, "restored": undone.restored, "lost": undone.lost }),
    )
    .await?;
    Ok((undone, delivered))
}

/// The run's brokered requests in their order.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn trace(service: &Service, org: OrgId, id: RunId, page: &Page) -> Result<Listed<Exchange>, Error> {
    get(service, org, id).await?;
    Ok(trace::exchanges(service, org, TraceOwner::Run(id), page).await?)
}

/// The run's log in its order.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn logs(service: &Service, org: OrgId, id: RunId, page: &Page) -> Result<Listed<LogLine>, Error> {
    get(service, org, id).await?;
    Ok(trace::logs(service, org, TraceOwner::Run(id), page).await?)
}

fn view(service: &Service, run: sluice_store::run::Run) -> Run {
    let total = service.active().total(run.id);
    let eta_s = total.zip(run.started).filter(|_| run.state.held());
    let eta_s = eta_s.and_then(|(total, started)| {
        let received = run.counts.received();
        let left = total.saturating_sub(received);
        let spent = service.now().since(started).as_secs();
        spent.saturating_mul(left).checked_div(received)
    });
    Run {
        eta_s,
        findings: run.findings,
        id: run.id,
        connection: run.connection,
        stream: run.stream,
        mode: run.mode,
        window: run.window,
        trigger: run.trigger,
        state: run.state,
        counts: run.counts,
        pages: run.pages,
        total_hint: total,
        created: run.created,
        started: run.started,
        ended: run.ended,
        next_attempt: run.due.filter(|_| run.state.waits()),
        failures: run.failures,
        error: run.error.map(|error| Problem {
            code: error.code,
            message: error.message,
        }),
        undone: run.undone,
    }
}
