//! How a transaction becomes durable: by an entry of the redo log where it is small, by the database itself where it is large.
//!
//! A small one is in the log before the database shows it to anybody; the database then has it in memory only. When a half of the log is
//! over, a checkpoint has the database take in all that came, with its syncs put off: nobody waits for them, since the log has it. A
//! half is written anew only after the checkpoint that covers it is on disk. A large transaction is a checkpoint too, of which the
//! syncs are waited for, since no log has it.

use std::sync::Arc;

use redb::{Database, Durability, StorageBackend, WriteTransaction};

use crate::Error;
use crate::key::Key;
use crate::pipeline::Pipeline;
use crate::redo::{Changes, Found, Id, Redo};
use crate::row;
use crate::table::{Rows, Table, Writer};

/// The row of `meta` that says which database this is (16 bytes), and up to which entry of the redo log it has everything (8).
const APPLIED: &str = "redo";

/// The database, its file and its redo log, as the writer has them.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) database: Arc<Database>,
    pipeline: Pipeline,
    redo: Redo,
    /// The database has the entries up to here on its disk.
    covered: u64,
    /// A checkpoint whose syncs are put off: the ticket of the last, and up to which entry it covers.
    pending: Option<(u64, u64)>,
}

impl Durable {
    /// The database has everything up to the entry `last`.
    pub(crate) fn new(
        database: Arc<Database>,
        pipeline: Pipeline,
        log: Box<dyn StorageBackend>,
        (id, last): (Id, u64),
    ) -> Self {
        Self {
            database,
            pipeline,
            redo: Redo::new(log, id, last),
            covered: last,
            pending: None,
        }
    }

    /// Where a transaction's changes are too large for the log: has the transaction say what it covers.
    pub(crate) fn mark(&self, rows: &mut Writer<'_>) -> Result<(), Error> {
        mark(rows, self.redo.id(), self.redo.last())
    }

    /// Makes the transaction durable, then shown. Where its changes do not fit, [`Durable::mark`] was before.
    pub(crate) fn commit(
        &mut self,
        mut transaction: WriteTransaction,
        changes: Changes,
    ) -> Result<(), String> {
        if !changes.fit() {
            // Two-phase commit, and the allocator's state saved with it: the next start after a crash need not walk the file.
            transaction.set_quick_repair(true);
            transaction.commit().map_err(|error| format!("commit: {error}"))?;
            (self.covered, self.pending) = (self.redo.last(), None);
            return Ok(());
        }
        if let Err(error) = self.redo.append(changes) {
            let _ = transaction.abort();
            return Err(format!("write the redo log: {error}"));
        }
        transaction
            .set_durability(Durability::None)
            .map_err(|error| format!("commit to memory: {error}"))?;
        transaction
            .commit()
            .map_err(|error| format!("commit to memory: {error}"))?;
        if self.redo.is_over() {
            self.turn()?;
        }
        Ok(())
    }

    /// Has the database take in what only the log has, and waits until it is on its disk.
    pub(crate) fn close(&mut self) -> Result<(), String> {
        self.checkpoint()?;
        self.pipeline.drain().map_err(|error| format!("sync: {error}"))
    }

    /// Goes over to the log's other half.
    fn turn(&mut self) -> Result<(), String> {
        let other = self.redo.other_half();
        self.settle()?;
        if other > self.covered {
            self.pipeline.drain().map_err(|error| format!("sync: {error}"))?;
            self.settle()?;
        }
        self.checkpoint()?;
        self.redo.turn();
        Ok(())
    }

    /// Notes the pending checkpoint if it is done.
    fn settle(&mut self) -> Result<(), String> {
        if let Some((ticket, covers)) = self.pending
            && self
                .pipeline
                .is_done(ticket)
                .map_err(|error| format!("sync: {error}"))?
        {
            (self.covered, self.pending) = (covers, None);
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), String> {
        let last = self.redo.last();
        if self.covered == last || self.pending.is_some_and(|(_, covers)| covers == last) {
            return Ok(());
        }
        let (done, ticket) = self.pipeline.lazily(|| -> Result<(), String> {
            let mut transaction = self
                .database
                .begin_write()
                .map_err(|error| format!("begin a checkpoint: {error}"))?;
            transaction.set_quick_repair(true);
            let mut rows = Writer::new(&transaction);
            mark(&mut rows, self.redo.id(), last).map_err(|error| format!("begin a checkpoint: {error}"))?;
            drop(rows);
            transaction
                .commit()
                .map_err(|error| format!("commit a checkpoint: {error}"))
        });
        done?;
        self.pending = Some((ticket, last));
        Ok(())
    }
}

/// Which database this is, and up to which entry it has everything. A database from before there was a log has no such row.
pub(crate) fn applied(rows: &mut impl Rows) -> Result<Option<(Id, u64)>, Error> {
    rows.look(Table::Meta, &Key::empty().tail(APPLIED), |content| {
        let parts = content.split_first_chunk().and_then(|(id, last)| {
            let last = u64::from_be_bytes(last.try_into().ok()?);
            Some((*id, last))
        });
        parts.ok_or_else(|| row::corrupt(Table::Meta, "what the database has of the redo log is not told"))
    })
}

/// Names the database.
pub(crate) fn name(rows: &mut Writer<'_>) -> Result<(), Error> {
    let mut id = [0; 16];
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut id)
        .map_err(|_| Error::Broken("name a database at random"))?;
    mark(rows, id, 0)
}

fn mark(rows: &mut Writer<'_>, id: Id, last: u64) -> Result<(), Error> {
    rows.put(
        Table::Meta,
        &Key::empty().tail(APPLIED),
        &[&id, &last.to_be_bytes()],
    )
}

/// The entries that the database does not have, which is at `(id, last)`.
pub(crate) fn missing(log: &dyn StorageBackend, (id, last): (Id, u64)) -> Result<Vec<Vec<u8>>, Error> {
    let damaged = |reason: String| Error::Corrupt {
        table: "redo log",
        reason,
    };
    match Redo::read(log, id, last).map_err(|error| damaged(error.to_string()))? {
        Found::Entries(entries) => Ok(entries),
        Found::Gap(number) => Err(damaged(format!(
            "entry {number} is not there and later ones are; where the database is a backup, remove `sluice.redo` beside it"
        ))),
    }
}

/// Applies the entries behind `last`.
pub(crate) fn apply(rows: &mut Writer<'_>, (id, last): (Id, u64), entries: &[Vec<u8>]) -> Result<(), Error> {
    for entry in entries {
        let mut rest = entry.as_slice();
        while !rest.is_empty() {
            let change = crate::redo::Change::take(&mut rest)
                .ok_or_else(|| row::corrupt(Table::Meta, "an entry of the redo log does not parse"))?;
            rows.redo(&change)?;
        }
    }
    mark(rows, id, last + entries.len() as u64)
}
