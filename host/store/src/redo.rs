//! The redo log: what a small commit changed, row by row, durable before the database is.
//!
//! A commit of the database writes every page that it touched, its own books and its header, and syncs twice; a webhook changes a few
//! hundred bytes. So a small commit is made durable here, by one write behind the last and one sync, and is then committed to the
//! database in memory only. The database takes it in later, with what came since ([`durable`](crate::durable)); a start after a crash
//! applies what the database does not have yet.
//!
//! The file, `sluice.redo`, is two halves, written in turns: one may be written anew once the database has everything that is in it.
//! An entry begins at a multiple of 512 bytes: length and checksum (4 bytes each, little endian), number (8), changes. Numbers have no
//! gaps. The checksum is over the database's id as well, so that the entries of another database are nothing.
//!
//! A crash leaves at most the last entry half-written, and nobody was told of that one. A gap before an entry that is whole is damage,
//! and a start with it is refused.

mod changes;

use std::collections::BTreeMap;
use std::io;

use redb::StorageBackend;

pub(crate) use changes::{Change, Changes};

/// What a half holds. A checkpoint writes about as much: more at once keeps the disk busy for so long that the syncs of entries wait for it.
const HALF_BYTES: u64 = 2 << 20;
/// A half is over when it has no more than this left: the largest entry always fits.
const LEAST_LEFT: u64 = 512 << 10;
/// The file grows by this much, in zeros: an entry that lies within it changes no length, which would cost its sync more.
const STEP_BYTES: usize = 256 << 10;
/// Where entries begin: no entry shares a sector with another.
const SECTOR: usize = 512;
/// Length, checksum, number.
const HEAD: usize = 16;
/// The changes of an entry at most; a larger commit goes to the database at once.
pub(crate) const MAX_CHANGES: usize = LEAST_LEFT as usize - 2 * SECTOR;

/// Names a database among others.
pub(crate) type Id = [u8; 16];

/// The open log. Entries are numbered from 1.
#[derive(Debug)]
pub(crate) struct Redo {
    file: Box<dyn StorageBackend>,
    id: Id,
    /// The last entry's number.
    last: u64,
    /// The half that is written, and how much of it is.
    half: usize,
    at: u64,
    halves: [Half; 2],
}

#[derive(Debug, Default, Clone, Copy)]
struct Half {
    /// How far it has its zeros.
    grown: u64,
    /// The last entry in it.
    last: u64,
}

/// What [`Redo::read`] found.
#[derive(Debug)]
pub(crate) enum Found {
    /// The entries behind the number, in their order.
    Entries(Vec<Vec<u8>>),
    /// This one is not there, and later ones are.
    Gap(u64),
}

impl Redo {
    /// The log of the database with this id, which has all entries up to `last`. What is in the file may be written over.
    pub(crate) fn new(file: Box<dyn StorageBackend>, id: Id, last: u64) -> Self {
        Self {
            file,
            id,
            last,
            half: 0,
            at: 0,
            halves: [Half::default(); 2],
        }
    }

    /// The entries of the database with this id behind `after`. Reads the whole file, 4 MiB at most.
    pub(crate) fn read(file: &dyn StorageBackend, id: Id, after: u64) -> io::Result<Found> {
        let len = file.len()?.min(2 * HALF_BYTES);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
        file.read(0, &mut bytes)?;
        let mut found = BTreeMap::new();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..)
            && !rest.is_empty()
        {
            let entry = entry(rest, id, after);
            at += entry.map_or(1, |(_, changes)| sectors(HEAD + changes.len())) * SECTOR;
            found.extend(entry);
        }
        let mut entries = Vec::with_capacity(found.len());
        for ((number, changes), expected) in found.into_iter().zip(after.saturating_add(1)..) {
            if number != expected {
                return Ok(Found::Gap(expected));
            }
            entries.push(changes.to_vec());
        }
        Ok(Found::Entries(entries))
    }

    /// The number of the last entry.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    pub(crate) const fn id(&self) -> Id {
        self.id
    }

    /// Writes an entry and syncs it. After an error the log may not be used: whether the entry is there is not known.
    pub(crate) fn append(&mut self, changes: Changes) -> io::Result<()> {
        let number = self.last + 1;
        let entry = changes.into_entry(|changes| sum(self.id, number, changes), number);
        let start = HALF_BYTES * self.half as u64;
        let end = self.at + entry.len() as u64;
        let Some(half) = self.halves.get_mut(self.half) else {
            return Err(io::Error::other("the redo log has two halves"));
        };
        while half.grown < end {
            self.file.write(start + half.grown, &vec![0; STEP_BYTES])?;
            half.grown += STEP_BYTES as u64;
        }
        self.file.write(start + self.at, &entry)?;
        self.file.sync_data()?;
        half.last = number;
        self.last = number;
        self.at = end;
        Ok(())
    }

    /// Whether the half is over, so that the next entry goes into the other one.
    pub(crate) const fn is_over(&self) -> bool {
        self.at + LEAST_LEFT > HALF_BYTES
    }

    /// The last entry of the half that is not being written: the database has to have it before [`Redo::turn`].
    pub(crate) fn other_half(&self) -> u64 {
        self.halves.get(1 - self.half).map_or(0, |half| half.last)
    }

    /// Goes over to the other half.
    pub(crate) fn turn(&mut self) {
        self.half = 1 - self.half;
        self.at = 0;
    }
}

const fn sectors(bytes: usize) -> usize {
    bytes.div_ceil(SECTOR)
}

fn sum(id: Id, number: u64, changes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&id);
    sum.update(&number.to_le_bytes());
    sum.update(changes);
    sum.finalize()
}

/// The entry at the beginning of `bytes`, if it is whole, of this database and behind `after`.
fn entry(bytes: &[u8], id: Id, after: u64) -> Option<(u64, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (said, rest) = rest.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (len, number) = (u32::from_le_bytes(*len), u64::from_le_bytes(*number));
    let len = usize::try_from(len)
        .ok()
        .filter(|len| (1..=MAX_CHANGES).contains(len))?;
    let changes = rest.get(..len).filter(|_| number > after)?;
    (sum(id, number, changes) == u32::from_le_bytes(*said)).then_some((number, changes))
}

#[cfg(test)]
mod tests;
