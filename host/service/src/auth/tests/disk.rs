//! A disk in memory, with the database and its redo log, that remembers every operation and what was at the vendor between them.

use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex};

use sluice_store::Disk;

#[derive(Debug, Clone)]
enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
    /// The vendor has taken a refresh token and given another.
    Rotated,
}

/// The database and its redo log.
pub(super) type Image = [Vec<u8>; 2];

#[derive(Debug, Default)]
struct Inner {
    live: Image,
    /// With the part of the image.
    log: Vec<(usize, Op)>,
}

/// One of the two parts.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryDisk(Arc<Mutex<Inner>>, usize);

/// What became of the writes after the last sync.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unsynced {
    Lost,
    There,
    /// Every other one.
    Some,
    /// All but the last whole, the last half.
    Torn,
}

impl MemoryDisk {
    pub(super) fn of(live: Image) -> Self {
        let log = Vec::new();
        Self(Arc::new(Mutex::new(Inner { live, log })), 0)
    }

    pub(super) fn rotated(&self) {
        self.0.lock().unwrap().log.push((0, Op::Rotated));
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().log.len()
    }

    /// Where the power can be cut behind `from`: before and after each sync, and before each change of what is there.
    pub(super) fn cuts(&self, from: usize) -> Vec<usize> {
        let inner = self.0.lock().unwrap();
        let mut cuts: Vec<usize> = (from..inner.log.len())
            .filter(|at| matches!(inner.log[*at].1, Op::Sync | Op::Rotated))
            .flat_map(|at| [at, at + 1])
            .collect();
        cuts.push(inner.log.len());
        cuts.dedup();
        cuts
    }

    /// What is there after a power cut before operation `cut`, and how often the vendor has rotated by then.
    pub(super) fn image(&self, cut: usize, unsynced: Unsynced) -> (Image, usize) {
        let inner = self.0.lock().unwrap();
        let ops = &inner.log[..cut];
        let image = [0, 1].map(|part| {
            let of_part = ops.iter().filter(|(of, _)| *of == part);
            cut_part(&of_part.map(|(_, op)| op).collect::<Vec<_>>(), unsynced)
        });
        let rotations = ops.iter().filter(|(_, op)| matches!(op, Op::Rotated)).count();
        (image, rotations)
    }

    fn record(&self, op: Op) {
        let mut inner = self.0.lock().unwrap();
        apply(&mut inner.live[self.1], &op, 1);
        inner.log.push((self.1, op));
    }
}

fn cut_part(ops: &[&Op], unsynced: Unsynced) -> Vec<u8> {
    let synced = ops
        .iter()
        .rposition(|op| matches!(op, Op::Sync))
        .map_or(0, |at| at + 1);
    let mut image = Vec::new();
    ops[..synced].iter().for_each(|op| apply(&mut image, op, 1));
    let tail = &ops[synced..];
    for (n, op) in tail.iter().enumerate() {
        match unsynced {
            Unsynced::Lost => {}
            Unsynced::Some if n % 2 == 0 => {}
            Unsynced::Torn if n + 1 == tail.len() => apply(&mut image, op, 2),
            Unsynced::There | Unsynced::Some | Unsynced::Torn => apply(&mut image, op, 1),
        }
    }
    image
}

fn apply(image: &mut Vec<u8>, op: &Op, part: usize) {
    match op {
        Op::Write(offset, bytes) => {
            let bytes = &bytes[..bytes.len() / part];
            let (start, end) = (*offset as usize, *offset as usize + bytes.len());
            if image.len() < end {
                image.resize(end, 0);
            }
            image[start..end].copy_from_slice(bytes);
        }
        Op::SetLen(len) => image.resize(*len as usize, 0),
        Op::Sync | Op::Rotated => {}
    }
}

impl Disk for MemoryDisk {
    fn len(&self) -> Result<u64> {
        Ok(self.0.lock().unwrap().live[self.1].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let inner = self.0.lock().unwrap();
        let start = offset as usize;
        let found = inner.live[self.1].get(start..start + out.len());
        out.copy_from_slice(found.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.record(Op::SetLen(len));
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.record(Op::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.record(Op::Write(offset, bytes.to_vec()));
        Ok(())
    }

    fn log(&self) -> Arc<dyn Disk> {
        Arc::new(Self(Arc::clone(&self.0), 1))
    }
}
