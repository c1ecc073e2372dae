//! Runs: one per stream at a time, leased to a worker under a fencing number.

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, RunId};
use sluice_model::record::Counts;
use sluice_model::run::{Mode, RunState};

use crate::{Error, Listing, Page, Store};

/// A run that is to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    pub id: RunId,
    pub connection: ConnectionId,
    pub stream: String,
    pub mode: Mode,
    pub at: Timestamp,
}

/// A run as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Run {
    pub id: RunId,
    pub connection: ConnectionId,
    pub stream: String,
    pub mode: Mode,
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
    /// The number of the last lease; 0 before the first.
    pub fencing: u64,
    /// Who has or had the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Whether a page of this run is committed: a full run then goes on from the cursor instead of from nothing.
    pub resumed: bool,
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
    /// `RetryWait` or `WaitingRate`.
    pub state: RunState,
    /// When it is due again.
    pub at: Timestamp,
    pub error: Option<RunError>,
}

impl Store {
    /// Queues a run, due at once. [`Error::ActiveRun`] names the one that is under way, [`Error::Missing`] if the
    /// connection is gone.
    pub async fn create_run(&self, org: OrgId, new: NewRun) -> Result<Run, Error> {
        todo!()
    }

    /// One run.
    pub async fn get_run(&self, org: OrgId, id: RunId) -> Result<Option<Run>, Error> {
        todo!()
    }

    /// A connection's runs, newest first.
    pub async fn list_runs(
        &self,
        org: OrgId,
        connection: ConnectionId,
        page: Page<RunId>,
    ) -> Result<Listing<Run, RunId>, Error> {
        todo!()
    }

    /// Leases up to `limit` due runs, one organization after the other so that none is starved. A run whose lease ran
    /// out is due again.
    pub async fn lease_due_runs(
        &self,
        worker: &str,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<Lease>, Error> {
        todo!()
    }

    /// Prolongs a lease; answers whether a person asked to cancel. [`Error::Fenced`].
    pub async fn renew_lease(
        &self,
        org: OrgId,
        run: RunId,
        fencing: u64,
        until: Timestamp,
    ) -> Result<bool, Error> {
        todo!()
    }

    /// Asks a run to end: at once if no worker has it, else with the worker's next step. [`Error::Missing`];
    /// [`Error::State`] if it has ended.
    pub async fn request_cancel(&self, org: OrgId, run: RunId, now: Timestamp) -> Result<Run, Error> {
        todo!()
    }

    /// Ends a run. [`Error::Fenced`], [`Error::State`] if `end.state` is not an end.
    pub async fn end_run(&self, org: OrgId, run: RunId, fencing: u64, end: RunEnd) -> Result<Run, Error> {
        todo!()
    }

    /// Lets go of a run until `deferral.at`. [`Error::Fenced`], [`Error::State`].
    pub async fn defer_run(
        &self,
        org: OrgId,
        run: RunId,
        fencing: u64,
        deferral: Deferral,
    ) -> Result<Run, Error> {
        todo!()
    }
}
