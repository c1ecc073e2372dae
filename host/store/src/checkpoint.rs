//! The checkpoint: a page's records, its cursor and everything else of it, in one commit.

use sluice_model::Timestamp;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, OrgId, RunId};
use sluice_model::record::{Change, Counts};

use crate::record::Quarantined;
use crate::storage::StorageWrites;
use crate::trace::LogLine;
use crate::{Error, Store};

/// A page that is to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageCommit {
    pub org: OrgId,
    pub run: RunId,
    pub fencing: u64,
    pub connection: ConnectionId,
    pub stream: String,
    /// If an id is there more than once, the last one counts and the others are `unchanged`.
    pub changes: Vec<Change>,
    pub quarantined: Vec<Quarantined>,
    /// `None` keeps the cursor as it is.
    pub cursor: Option<String>,
    pub storage: StorageWrites,
    pub exchanges: Vec<Exchange>,
    pub logs: Vec<LogLine>,
    pub now: Timestamp,
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOutcome {
    pub counts: Counts,
    /// The number of the connection's last feed row.
    pub last_seq: u64,
    /// A person asked to end the run.
    pub cancel: bool,
}

impl Store {
    /// Commits a page: records, feed, quarantine, cursor, the run's progress, staged storage, trace and logs; all or
    /// nothing. Content that is already there writes no record and no feed row.
    ///
    /// # Errors
    /// [`Error::Fenced`] for a stale lease or an ended run; [`Error::Quota`], [`Error::StorageVersion`],
    /// [`Error::TooLarge`], [`Error::Missing`].
    pub async fn commit_page(&self, page: PageCommit) -> Result<PageOutcome, Error> {
        todo!()
    }

    /// Where the stream's next page starts.
    pub async fn cursor(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
    ) -> Result<Option<String>, Error> {
        todo!()
    }

    /// Forgets the cursor; records stay. Done at the start of a full run.
    pub async fn reset_cursor(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
    ) -> Result<(), Error> {
        todo!()
    }
}
