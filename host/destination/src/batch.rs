//! What is loaded: rows of one stream of one connection, between two positions of its change feed.

use std::collections::HashMap;

use serde_json::Value;
use sluice_model::Timestamp;
use sluice_model::id::ConnectionId;

use crate::error::Error;

/// Bytes of ids and records in one batch: it is held in memory, once as it came and partly as it goes.
pub const MAX_BATCH_BYTES: usize = 32 << 20;

/// Rows in one batch, so that many tiny ones are bounded too.
pub const MAX_BATCH_ROWS: usize = 50_000;

/// Bytes of a table's name before it is fitted to a place.
const MAX_NAME_BYTES: usize = 1024;

/// A stream and what it is called at the destination.
#[derive(Debug, Clone)]
pub struct Table {
    pub connection: ConnectionId,
    pub stream: String,
    /// The wanted name of the table or directory; a place that cannot have it gets one made from it.
    pub name: String,
    /// JSON Schema of a record as it is loaded: its `properties` become the columns.
    pub schema: Value,
}

/// The latest state of one record.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place in the connection's feed.
    pub seq: u64,
    pub id: String,
    pub op: Op,
    /// When it was written to the record store.
    pub at: Timestamp,
}

/// What became of a record.
#[derive(Debug, Clone)]
pub enum Op {
    /// It is now this JSON text.
    Upsert(String),
    /// It is gone.
    Delete,
}

/// Rows behind position `after`, up to and with position `through`. Positions of a stream are contiguous: the next batch
/// begins where the last acknowledged one ended.
#[derive(Debug, Clone)]
pub struct Batch {
    pub table: Table,
    pub after: u64,
    pub through: u64,
    pub rows: Vec<Row>,
}

/// What a load did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Rows that were sent; none for a batch that was there already.
    pub rows: u64,
    /// Bytes that were sent or written.
    pub bytes: u64,
    /// Columns that the table did not have before.
    pub columns_added: u64,
}

impl Batch {
    /// Whether it is a batch: bounded, in order, of one state per id.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |reason: &str| Err(Error::Batch(reason.to_owned()));
        if self.table.name.is_empty() || self.table.name.len() > MAX_NAME_BYTES {
            return bad("the table's name is empty or over 1 KiB");
        }
        if self.table.stream.contains('\0') {
            return bad("the stream's name has a NUL");
        }
        if self.through < self.after || i64::try_from(self.through).is_err() {
            return bad("it ends before it begins, or beyond all positions");
        }
        if self.rows.len() > MAX_BATCH_ROWS {
            return bad("it has more than 50,000 rows");
        }
        let bytes: usize = self.rows.iter().map(Row::bytes).sum();
        if bytes > MAX_BATCH_BYTES {
            return bad("it has more than 32 MiB");
        }
        let inside = |row: &Row| row.seq > self.after && row.seq <= self.through;
        if !self.rows.iter().all(inside) {
            return bad("a row is outside of its positions");
        }
        Ok(())
    }

    /// The rows behind `seq` with their places in the batch: the latest of each id, in order.
    pub(crate) fn latest_after(&self, seq: u64) -> Vec<(usize, &Row)> {
        let mut latest: HashMap<&str, (usize, &Row)> = HashMap::with_capacity(self.rows.len());
        for (at, row) in self.rows.iter().enumerate().filter(|(_, row)| row.seq > seq) {
            let held = latest.entry(&row.id).or_insert((at, row));
            if row.seq > held.1.seq {
                *held = (at, row);
            }
        }
        let mut rows: Vec<_> = latest.into_values().collect();
        rows.sort_unstable_by_key(|(_, row)| row.seq);
        rows
    }
}

impl Row {
    fn bytes(&self) -> usize {
        let data = match &self.op {
            Op::Upsert(data) => data.len(),
            Op::Delete => 0,
        };
        self.id.len().saturating_add(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: u64, id: &str) -> Row {
        Row {
            seq,
            id: id.into(),
            op: Op::Delete,
            at: Timestamp::from_millis(0),
        }
    }

    fn batch(after: u64, through: u64, rows: Vec<Row>) -> Batch {
        let table = Table {
            connection: ConnectionId::from_bytes([1; 16]),
            stream: "s".into(),
            name: "t".into(),
            schema: Value::Bool(true),
        };
        Batch {
            table,
            after,
            through,
            rows,
        }
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        assert!(batch(0, 0, vec![]).check().is_ok());
        assert!(batch(3, 9, vec![row(4, "a"), row(9, "b")]).check().is_ok());
        assert!(batch(3, 9, vec![row(3, "a")]).check().is_err());
        assert!(batch(3, 9, vec![row(10, "a")]).check().is_err());
        assert!(batch(4, 3, vec![]).check().is_err());
        assert!(batch(0, u64::MAX, vec![]).check().is_err());
    }

    #[test]
    fn the_latest_state_of_an_id_is_taken_once() {
        let batch = batch(0, 9, vec![row(5, "b"), row(1, "a"), row(4, "a"), row(2, "b")]);
        let taken = |seq| {
            batch
                .latest_after(seq)
                .iter()
                .map(|(_, row)| row.seq)
                .collect::<Vec<_>>()
        };
        assert_eq!(taken(0), [4, 5]);
        assert_eq!(taken(4), [5]);
        assert_eq!(taken(9), [0; 0]);
    }
}
