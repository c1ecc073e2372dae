//! The checkpoint: a page's records, its cursor and everything else of it, in one commit.

use std::sync::Arc;

use sluice_model::Timestamp;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, OrgId, RunId};
use sluice_model::record::{Change, Counts, MAX_CURSOR_BYTES};

use crate::batch::{Batch, Into};
use crate::connection::require_connection;
use crate::cursor::{self, Place, Progress};
use crate::key::Key;
use crate::record::Quarantined;
use crate::row::cap;
use crate::storage::{self, StorageWrites};
use crate::table::{Rows, Table};
use crate::trace::{LogLine, TraceRows};
use crate::{Error, Store, file, generation, load, run, stream, stream_settings};

/// A page that is to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageCommit {
    pub org: OrgId,
    pub run: RunId,
    pub fencing: u64,
    pub connection: ConnectionId,
    pub stream: String,
    /// How many pages of the connector's it is.
    pub pages: u64,
    /// The feed's last number when its reading began ([`Store::feed_number`]): a record that somebody else has written otherwise behind
    /// it refuses the page. `None`: the page counts, whatever was written meanwhile.
    pub since: Option<u64>,
    /// If an id is there more than once, the last one counts and the others are `unchanged`.
    pub changes: Vec<Change>,
    pub quarantined: Vec<Quarantined>,
    /// How many changes the stream's filter left out.
    pub filtered: u64,
    /// `None` keeps the cursor as it is.
    pub cursor: Option<String>,
    /// Whose cursor it is.
    pub place: Place,
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

impl PageCommit {
    /// Makes one commit of this page and the one behind it, of the same leg of the same run. Refused records of this one must not come in
    /// well in the next one: within a commit nobody knows which was later.
    pub fn append(&mut self, next: Self) {
        self.pages += next.pages;
        // This one's reading began earlier.
        self.since = self.since.filter(|_| next.since.is_some());
        self.changes.extend(next.changes);
        self.quarantined.extend(next.quarantined);
        self.filtered += next.filtered;
        self.cursor = next.cursor.or(self.cursor.take());
        self.place = next.place;
        self.storage.writes.extend(next.storage.writes);
        self.storage.quota = next.storage.quota;
        self.storage.files.extend(next.storage.files);
        self.storage.files_quota = next.storage.files_quota;
        self.exchanges.extend(next.exchanges);
        self.logs.extend(next.logs);
        self.now = next.now;
    }
}

impl Store {
    /// The number of the last row of a connection's feed; 0 where there is none.
    ///
    /// # Errors
    /// The database's own.
    pub fn feed_number(&self, org: OrgId, connection: ConnectionId) -> Result<u64, Error> {
        self.read_now(|rows| rows.get_number(Table::FeedNumbers, &Key::org(org).id(connection)))
    }

    /// Commits a page: records, feed, quarantine, cursor, the run's progress, staged storage, trace and logs; all or
    /// nothing. Content that is already there writes no record and no feed row.
    ///
    /// # Errors
    /// [`Error::Fenced`] for a stale lease or an ended run; [`Error::Quota`], [`Error::StorageVersion`],
    /// [`Error::TooLarge`], [`Error::Missing`]; [`Error::RecordChanged`] where [`PageCommit::since`] says so. Of a page that is refused
    /// ([`Error::is_refusal`]) trace and logs are kept, in a commit of their own: they say what was read.
    pub async fn commit_page(&self, page: PageCommit) -> Result<PageOutcome, Error> {
        let (org, run, fencing) = (page.org, page.run, page.fencing);
        let trace = Arc::new(TraceRows::encode(&page.exchanges, &page.logs)?);
        match self.commit_traced(page, trace.clone()).await {
            Err(refused) if refused.is_refusal() && !trace.is_empty() => {
                self.trace_run(org, run, fencing, trace).await?;
                Err(refused)
            }
            came => came,
        }
    }

    async fn commit_traced(&self, page: PageCommit, trace: Arc<TraceRows>) -> Result<PageOutcome, Error> {
        let PageCommit {
            org,
            run,
            fencing,
            connection,
            stream,
            pages,
            since,
            changes,
            quarantined,
            filtered,
            cursor,
            place,
            storage,
            exchanges: _,
            logs: _,
            now,
        } = page;
        cap(
            "a cursor",
            cursor.as_ref().map_or(0, String::len),
            MAX_CURSOR_BYTES,
        )?;
        let staged = storage::check(&storage)?;
        let drafts = file::drafts(&storage.files);
        let batch = Batch::prepare(stream, changes, &quarantined)?;
        let bytes = batch.bytes() + staged + trace.bytes();
        let outcome = self
            .write_bulk(bytes, move |rows| {
                let mut run = run::leased(rows, org, run, fencing)?;
                if run.connection != connection || run.stream != batch.stream() {
                    return Err(Error::Broken("commit a page of another stream than the run's"));
                }
                require_connection(rows, org, connection)?;
                let plan = storage::plan(rows, org, connection, &storage)?;
                let mut state = stream::state(rows, org, connection, batch.stream())?;
                let staged = state
                    .generation
                    .as_ref()
                    .is_some_and(|of| of.run == run.id && of.folding.is_none());
                if run.staging != staged {
                    return Err(Error::Broken(
                        "commit a page into a generation that is not being read",
                    ));
                }
                let into = Into {
                    org,
                    connection,
                    run: Some(run.id),
                    history: stream_settings::keeps_history(rows, org, connection, batch.stream())?,
                    now,
                };
                if let Some(since) = since {
                    batch.require_newer(rows, into, &state, since)?;
                }
                let numbers = Key::org(org).id(connection);
                let mut last_seq = rows.get_number(Table::FeedNumbers, &numbers)?;
                // Decided: from here on everything is written.
                let before = last_seq;
                let mut counts = if run.staging {
                    generation::stage(rows, &batch, into, &mut state, last_seq)?
                } else {
                    batch.apply(rows, into, &mut state, &mut last_seq)?
                };
                counts.filtered = filtered;
                if last_seq != before {
                    load::feed_moved(rows, org, connection, last_seq, now)?;
                }
                let progress = run.progress.take().filter(|progress| progress.leg == place.leg);
                let own = if place.own {
                    cursor.or(progress.and_then(|progress| progress.cursor))
                } else {
                    cursor::advance(rows, into, batch.stream(), &mut state, run.id, &place, cursor)?;
                    None
                };
                if place.last && run.staging {
                    cursor::put_pending(rows, into, batch.stream(), &place, own.clone())?;
                }
                run.progress = Some(Progress {
                    leg: place.leg,
                    cursor: own,
                    done: place.last,
                });
                stream::save(rows, org, connection, batch.stream(), &state)?;
                storage::apply(rows, org, connection, &storage, plan)?;
                run::append_trace(rows, org, &mut run, &trace)?;
                run.counts.add(&counts);
                run.pages += pages;
                run.failures = 0;
                run::save(rows, org, &run)?;
                Ok(PageOutcome {
                    counts,
                    last_seq,
                    cancel: run.cancel,
                })
            })
            .await?;
        self.settle(drafts).await;
        Ok(outcome)
    }
}
