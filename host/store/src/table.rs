//! The tables, and how a transaction reads and writes them. All of them are bytes to bytes; [`key`](crate::key) and
//! [`row`](crate::row) say what the bytes are. The database's own types are used here, in `writer` and in `open`, and
//! nowhere else.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, StorageError, TableDefinition, TableError,
    WriteTransaction,
};

mod name;

use crate::Error;
use crate::key::{Key, Span};
use crate::redo::{Change, Changes};
use crate::row;
pub(crate) use name::{OF_ORG, TABLES, Table};

type Bytes = &'static [u8];

impl Table {
    const fn definition(self) -> TableDefinition<'static, Bytes, Bytes> {
        TableDefinition::new(self.name())
    }
}

/// Whether a scan goes on.
pub(crate) type Flow = Result<ControlFlow<()>, Error>;

/// What both kinds of transactions can do. Two implementations: [`Reader`] and [`Writer`].
pub(crate) trait Rows {
    /// Hands the row under `key` to `see`, without a copy.
    fn look<R>(
        &mut self,
        table: Table,
        key: &Key,
        see: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<Option<R>, Error>;

    /// Hands the rows of `span` to `see` in the order of their keys, or backwards, until it breaks.
    fn scan(
        &mut self,
        table: Table,
        span: &Span,
        backwards: bool,
        see: impl FnMut(&[u8], &[u8]) -> Flow,
    ) -> Result<(), Error>;

    /// The row under `key`.
    fn get(&mut self, table: Table, key: &Key) -> Result<Option<Vec<u8>>, Error> {
        self.look(table, key, |content| Ok(content.to_vec()))
    }

    fn has(&mut self, table: Table, key: &Key) -> Result<bool, Error> {
        Ok(self.look(table, key, |_| Ok(()))?.is_some())
    }

    /// A row in JSON.
    fn get_json<T: serde::de::DeserializeOwned>(
        &mut self,
        table: Table,
        key: &Key,
    ) -> Result<Option<T>, Error> {
        self.look(table, key, |content| row::from_json(table, content))
    }

    /// A row that is one number; 0 if there is none.
    fn get_number(&mut self, table: Table, key: &Key) -> Result<u64, Error> {
        let number = self.look(table, key, |content| {
            let bytes = content
                .try_into()
                .map_err(|_| row::corrupt(table, "a number has another length"))?;
            Ok(u64::from_be_bytes(bytes))
        })?;
        Ok(number.unwrap_or(0))
    }

    /// A row that is an id.
    fn get_id<K>(&mut self, table: Table, key: &Key) -> Result<Option<sluice_model::id::Id<K>>, Error> {
        self.look(table, key, |content| {
            let bytes = content
                .try_into()
                .map_err(|_| row::corrupt(table, "an id has another length"))?;
            Ok(sluice_model::id::Id::from_bytes(bytes))
        })
    }

    /// Up to `limit` of what `read` makes of the rows.
    fn collect<R>(
        &mut self,
        table: Table,
        span: &Span,
        backwards: bool,
        limit: usize,
        mut read: impl FnMut(&[u8], &[u8]) -> Result<Option<R>, Error>,
    ) -> Result<Vec<R>, Error> {
        let mut found = Vec::new();
        self.scan(table, span, backwards, |key, content| {
            if found.len() >= limit {
                return Ok(ControlFlow::Break(()));
            }
            found.extend(read(key, content)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

/// A look at the last commit.
pub(crate) struct Reader {
    transaction: Arc<ReadTransaction>,
}

impl Reader {
    pub(crate) const fn new(transaction: Arc<ReadTransaction>) -> Self {
        Self { transaction }
    }

    /// This reader, if the database has been made: only then are there tables.
    pub(crate) fn if_made(self) -> Result<Option<Self>, Error> {
        match self.transaction.open_table(Table::Meta.definition()) {
            Ok(_) => Ok(Some(self)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(unopened(Table::Meta, error)),
        }
    }

    fn table(&self, table: Table) -> Result<ReadOnlyTable<Bytes, Bytes>, Error> {
        self.transaction
            .open_table(table.definition())
            .map_err(|error| unopened(table, error))
    }
}

impl Rows for Reader {
    fn look<R>(
        &mut self,
        table: Table,
        key: &Key,
        see: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        look(&self.table(table)?, table, key, see)
    }

    fn scan(
        &mut self,
        table: Table,
        span: &Span,
        backwards: bool,
        see: impl FnMut(&[u8], &[u8]) -> Flow,
    ) -> Result<(), Error> {
        scan(&self.table(table)?, table, span, backwards, see)
    }
}

/// A transaction of the writer thread, shared by the operations of a group.
pub(crate) struct Writer<'t> {
    transaction: &'t WriteTransaction,
    open: Vec<Option<redb::Table<'t, Bytes, Bytes>>>,
    changes: Changes,
    writes: u64,
    woken: bool,
    told: bool,
}

impl<'t> Writer<'t> {
    pub(crate) fn new(transaction: &'t WriteTransaction) -> Self {
        let open = std::iter::repeat_with(|| None).take(TABLES).collect();
        Self {
            transaction,
            open,
            changes: Changes::new(),
            writes: 0,
            woken: false,
            told: false,
        }
    }

    /// Makes every table.
    pub(crate) fn open_all(&mut self) -> Result<(), Error> {
        self.table(Table::Meta)?;
        self.table(Table::Orgs)?;
        self.table(Table::OrgNames)?;
        self.table(Table::ApiKeyHashes)?;
        self.table(Table::HookOrgs)?;
        OF_ORG
            .into_iter()
            .try_for_each(|table| self.table(table).map(drop))
    }

    /// How many rows were written or deleted so far.
    pub(crate) const fn writes(&self) -> u64 {
        self.writes
    }

    /// What was written and deleted so far, where a redo log's entry holds it.
    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }

    /// Whether a redo log's entry holds what was written and deleted so far.
    pub(crate) const fn fits(&self) -> bool {
        self.changes.fit()
    }

    /// Notes that there is due work now.
    pub(crate) const fn wake(&mut self) {
        self.woken = true;
    }

    pub(crate) const fn woken(&self) -> bool {
        self.woken
    }

    /// Notes that there are new events.
    pub(crate) const fn tell(&mut self) {
        self.told = true;
    }

    pub(crate) const fn told(&self) -> bool {
        self.told
    }

    fn table(&mut self, table: Table) -> Result<&mut redb::Table<'t, Bytes, Bytes>, Error> {
        let slot = self
            .open
            .get_mut(table as usize)
            .ok_or(Error::Broken("open a table without a slot"))?;
        match slot {
            Some(open) => Ok(open),
            None => {
                let open = self
                    .transaction
                    .open_table(table.definition())
                    .map_err(|error| unopened(table, error))?;
                Ok(slot.insert(open))
            }
        }
    }

    /// Writes a row made of parts, with one copy: from the parts into the page.
    pub(crate) fn put(&mut self, table: Table, key: &Key, parts: &[&[u8]]) -> Result<(), Error> {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        // The doors have refused it before anything was written; here it would be half an operation.
        if len > row::MAX_VALUE_BYTES + (1 << 20) {
            return Err(Error::Broken("write a row over the cap"));
        }
        self.writes += 1;
        let mut changes = std::mem::replace(&mut self.changes, Changes::none());
        let mut place = self
            .table(table)?
            .insert_reserve(key.bytes(), row::HEAD + len)
            .map_err(|error| storage(table, error))?;
        row::write(key.bytes(), parts, place.as_mut());
        changes.put(table.name(), key.bytes(), place.as_mut());
        drop(place);
        self.changes = changes;
        Ok(())
    }

    /// Does again what a redo log's entry says.
    pub(crate) fn redo(&mut self, change: &Change<'_>) -> Result<(), Error> {
        let (Change::Put { table: name, key, .. } | Change::Delete { table: name, key }) = change;
        let table = Table::named(name).ok_or_else(|| Error::Corrupt {
            table: Table::Meta.name(),
            reason: format!("the redo log has a row of the table `{name}`, which there is not"),
        })?;
        self.writes += 1;
        let open = self.table(table)?;
        match change {
            Change::Put { row, .. } => open.insert(*key, *row).map(drop),
            Change::Delete { .. } => open.remove(*key).map(drop),
        }
        .map_err(|error| storage(table, error))
    }

    pub(crate) fn put_json<T: serde::Serialize>(
        &mut self,
        table: Table,
        key: &Key,
        value: &T,
    ) -> Result<(), Error> {
        let json = row::to_json(value)?;
        self.put(table, key, &[&json])
    }

    pub(crate) fn put_number(&mut self, table: Table, key: &Key, number: u64) -> Result<(), Error> {
        self.put(table, key, &[&number.to_be_bytes()])
    }

    /// Deletes a row, if it is there.
    pub(crate) fn delete(&mut self, table: Table, key: &Key) -> Result<(), Error> {
        let removed = self
            .table(table)?
            .remove(key.bytes())
            .map_err(|error| storage(table, error))?;
        let was_there = removed.is_some();
        drop(removed);
        if was_there {
            self.writes += 1;
            self.changes.delete(table.name(), key.bytes());
        }
        Ok(())
    }

    /// Deletes rows that begin so until the budget is used up; takes what it deleted off the budget.
    pub(crate) fn delete_prefix(
        &mut self,
        table: Table,
        prefix: &Key,
        budget: &mut usize,
    ) -> Result<(), Error> {
        if *budget == 0 {
            return Ok(());
        }
        let keys = self.collect(table, &Span::prefix(prefix), false, *budget, |key, _| {
            Ok(Some(Key::empty().tail(key)))
        })?;
        *budget -= keys.len();
        keys.iter().try_for_each(|key| self.delete(table, key))
    }
}

impl Rows for Writer<'_> {
    fn look<R>(
        &mut self,
        table: Table,
        key: &Key,
        see: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        look(self.table(table)?, table, key, see)
    }

    fn scan(
        &mut self,
        table: Table,
        span: &Span,
        backwards: bool,
        see: impl FnMut(&[u8], &[u8]) -> Flow,
    ) -> Result<(), Error> {
        scan(self.table(table)?, table, span, backwards, see)
    }
}

fn look<R>(
    open: &impl ReadableTable<Bytes, Bytes>,
    table: Table,
    key: &Key,
    see: impl FnOnce(&[u8]) -> Result<R, Error>,
) -> Result<Option<R>, Error> {
    match open.get(key.bytes()).map_err(|error| storage(table, error))? {
        Some(found) => row::open(table, key.bytes(), found.value())
            .and_then(see)
            .map(Some),
        None => Ok(None),
    }
}

fn scan(
    open: &impl ReadableTable<Bytes, Bytes>,
    table: Table,
    span: &Span,
    backwards: bool,
    mut see: impl FnMut(&[u8], &[u8]) -> Flow,
) -> Result<(), Error> {
    if span.is_empty() {
        return Ok(());
    }
    let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (
        span.start.as_ref().map(Vec::as_slice),
        span.end.as_ref().map(Vec::as_slice),
    );
    let mut rows = open
        .range::<&[u8]>(bounds)
        .map_err(|error| storage(table, error))?;
    while let Some(found) = if backwards { rows.next_back() } else { rows.next() } {
        let (key, value) = found.map_err(|error| storage(table, error))?;
        let content = row::open(table, key.value(), value.value())?;
        if see(key.value(), content)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// What an error of the database means: damage is told with its place, anything else ends the store.
pub(crate) fn storage(table: Table, error: StorageError) -> Error {
    match error {
        StorageError::Corrupted(reason) => Error::Corrupt {
            table: table.name(),
            reason,
        },
        other => Error::Failed {
            reason: Arc::from(format!("table `{}`: {other}", table.name())),
        },
    }
}

fn unopened(table: Table, error: TableError) -> Error {
    match error {
        TableError::Storage(error) => storage(table, error),
        other => row::corrupt(table, &other.to_string()),
    }
}
