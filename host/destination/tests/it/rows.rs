//! Batches in few words.

use serde_json::{Value, json};
use sluice_destination::{Batch, Op, Row, Table};
use sluice_model::Timestamp;
use sluice_model::id::ConnectionId;

pub(crate) fn table(name: &str, schema: Value) -> Table {
    Table {
        connection: ConnectionId::from_bytes([7; 16]),
        stream: name.into(),
        name: name.into(),
        schema,
    }
}

/// A schema of properties with these types.
pub(crate) fn schema(properties: &[(&str, Value)]) -> Value {
    let properties: serde_json::Map<String, Value> = properties
        .iter()
        .map(|(name, of)| ((*name).to_owned(), of.clone()))
        .collect();
    json!({"type": "object", "properties": properties})
}

pub(crate) fn upsert(seq: u64, id: &str, data: &str) -> Row {
    Row {
        seq,
        id: id.into(),
        op: Op::Upsert(data.into()),
        at: Timestamp::from_millis(1_700_000_000_123 + seq),
    }
}

pub(crate) fn delete(seq: u64, id: &str) -> Row {
    Row {
        op: Op::Delete,
        ..upsert(seq, id, "")
    }
}

pub(crate) fn batch(table: &Table, after: u64, through: u64, rows: Vec<Row>) -> Batch {
    Batch {
        table: table.clone(),
        after,
        through,
        rows,
    }
}
