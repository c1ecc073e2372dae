//! The changes of a commit as bytes: a row that is written is `1, table, key, row`, one that is deleted `2, table, key`. A table is its
//! name behind its length in one byte; key and row are behind theirs in four, little endian. They are what the database holds, so applying
//! them twice is applying them once.

use super::{HEAD, MAX_CHANGES, SECTOR};

const PUT: u8 = 1;
const DELETE: u8 = 2;

/// What a transaction has changed so far; nothing any more once it is too large for an entry.
#[derive(Debug)]
pub(crate) struct Changes {
    /// With room for the head.
    bytes: Option<Vec<u8>>,
}

/// One of them, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change<'b> {
    Put {
        table: &'b str,
        key: &'b [u8],
        row: &'b [u8],
    },
    Delete {
        table: &'b str,
        key: &'b [u8],
    },
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Some(vec![0; HEAD]),
        }
    }

    /// Of which an entry is not made.
    pub(crate) const fn none() -> Self {
        Self { bytes: None }
    }

    pub(crate) fn put(&mut self, table: &str, key: &[u8], row: &[u8]) {
        self.add(PUT, table, key, Some(row));
    }

    pub(crate) fn delete(&mut self, table: &str, key: &[u8]) {
        self.add(DELETE, table, key, None);
    }

    /// Whether an entry holds them.
    pub(crate) const fn fit(&self) -> bool {
        self.bytes.is_some()
    }

    fn add(&mut self, kind: u8, table: &str, key: &[u8], row: Option<&[u8]>) {
        let Some(bytes) = &mut self.bytes else { return };
        let more = 10 + table.len() + key.len() + row.map_or(0, <[u8]>::len);
        let lengths = (
            u8::try_from(table.len()),
            u32::try_from(key.len()),
            u32::try_from(row.map_or(0, <[u8]>::len)),
        );
        let (Ok(of_table), Ok(of_key), Ok(of_row), true) = (
            lengths.0,
            lengths.1,
            lengths.2,
            bytes.len() + more <= HEAD + MAX_CHANGES,
        ) else {
            self.bytes = None;
            return;
        };
        bytes.extend_from_slice(&[kind, of_table]);
        bytes.extend_from_slice(table.as_bytes());
        bytes.extend_from_slice(&of_key.to_le_bytes());
        bytes.extend_from_slice(key);
        if let Some(row) = row {
            bytes.extend_from_slice(&of_row.to_le_bytes());
            bytes.extend_from_slice(row);
        }
    }

    /// The entry: head, changes, zeros up to the end of the sector.
    pub(super) fn into_entry(self, sum: impl FnOnce(&[u8]) -> u32, number: u64) -> Vec<u8> {
        let mut bytes = self.bytes.unwrap_or_else(|| vec![0; HEAD]);
        if let Some((head, changes)) = bytes.split_first_chunk_mut::<HEAD>() {
            let len = u32::try_from(changes.len()).unwrap_or_default();
            let (numbers, place) = head.split_at_mut(8);
            let said = [len.to_le_bytes(), sum(changes).to_le_bytes()].concat();
            numbers.copy_from_slice(&said);
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
        bytes
    }
}

impl<'b> Change<'b> {
    /// Takes the first change off `bytes`. `None`: they are none.
    pub(crate) fn take(bytes: &mut &'b [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (len, rest) = rest.split_first()?;
        let (table, rest) = rest.split_at_checked(usize::from(*len))?;
        let table = str::from_utf8(table).ok()?;
        let (key, rest) = long(rest)?;
        let (change, rest) = match *kind {
            PUT => {
                let (row, rest) = long(rest)?;
                (Self::Put { table, key, row }, rest)
            }
            DELETE => (Self::Delete { table, key }, rest),
            _ => return None,
        };
        *bytes = rest;
        Some(change)
    }
}

fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}
