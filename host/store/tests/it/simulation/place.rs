//! A destination: rows by stream, and the position up to which it has them, changed together. What comes again it takes for what it
//! is, as `sluice-destination` does. It can be put back to what it was.

use std::collections::BTreeMap;

use sluice_store::record::ChangeRow;

#[derive(Debug, Clone, Default)]
struct Table {
    rows: BTreeMap<String, String>,
    position: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Place {
    tables: BTreeMap<String, Table>,
    kept: BTreeMap<String, Table>,
}

/// It has less than what the batch follows.
#[derive(Debug)]
pub(crate) struct Behind {
    pub(crate) has: u64,
}

impl Place {
    pub(crate) fn load(&mut self, stream: &str, after: u64, changes: &[ChangeRow]) -> Result<(), Behind> {
        let table = self.tables.entry(stream.to_owned()).or_default();
        if table.position < after {
            return Err(Behind { has: table.position });
        }
        for change in changes.iter().filter(|change| change.seq > table.position) {
            match &change.data {
                Some(data) => table.rows.insert(change.id.clone(), data.clone()),
                None => table.rows.remove(&change.id),
            };
        }
        let through = changes.last().map_or(0, |last| last.seq);
        table.position = table.position.max(through);
        Ok(())
    }

    pub(crate) fn back_up(&mut self) {
        self.kept = self.tables.clone();
    }

    pub(crate) fn put_back(&mut self) {
        self.tables = self.kept.clone();
    }

    pub(crate) fn rows(&self, stream: &str) -> BTreeMap<String, String> {
        self.tables
            .get(stream)
            .map(|table| table.rows.clone())
            .unwrap_or_default()
    }
}
