//! A disk in memory, with the database and its redo log. It notes writes and syncs of both in one order, and makes images of what could be
//! there after a power cut: everything that was synced, and of what came after the last sync of each all, nothing, some in any order, or a
//! torn part.

use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex};

use sluice_store::Disk;

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

/// What is on a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) database: Vec<u8>,
    pub(crate) redo: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Database,
    Redo,
}

impl Image {
    fn part(&mut self, part: Part) -> &mut Vec<u8> {
        match part {
            Part::Database => &mut self.database,
            Part::Redo => &mut self.redo,
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    live: Image,
    /// What was there before the log begins.
    base: Image,
    log: Vec<(Part, Op)>,
    /// Writes and syncs fail from here on.
    full: bool,
    /// Writes and syncs until they fail.
    left: Option<usize>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<Inner>>, Part);

/// What became of the writes after the last sync.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unsynced {
    Lost,
    /// Each is there or not, as this number's bits say.
    Some(u64),
    /// All but the last whole, the last half.
    Torn,
}

impl MemoryDisk {
    pub(crate) fn of(image: Image) -> Self {
        let inner = Inner {
            base: image.clone(),
            live: image,
            ..Inner::default()
        };
        Self(Arc::new(Mutex::new(inner)), Part::Database)
    }

    pub(crate) fn log_len(&self) -> usize {
        self.0.lock().unwrap().log.len()
    }

    pub(crate) fn syncs(&self) -> Vec<usize> {
        let inner = self.0.lock().unwrap();
        let at = |(at, (_, op)): (usize, &(Part, Op))| matches!(op, Op::Sync).then_some(at);
        inner.log.iter().enumerate().filter_map(at).collect()
    }

    /// Whether the operation with this number was the redo log's.
    pub(crate) fn is_of_redo(&self, at: usize) -> bool {
        self.0.lock().unwrap().log[at].0 == Part::Redo
    }

    pub(crate) fn bytes(&self) -> Image {
        self.0.lock().unwrap().live.clone()
    }

    pub(crate) fn fill(&self) {
        self.0.lock().unwrap().full = true;
    }

    /// After so many more writes and syncs, they fail.
    pub(crate) fn die_in(&self, operations: usize) {
        self.0.lock().unwrap().left = Some(operations);
    }

    pub(crate) fn live_on(&self) {
        self.0.lock().unwrap().left = None;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.0.lock().unwrap().left == Some(0)
    }

    /// The disk after a power cut before the operation with number `cut`.
    pub(crate) fn image(&self, cut: usize, unsynced: Unsynced) -> Image {
        let inner = self.0.lock().unwrap();
        let mut image = inner.base.clone();
        for part in [Part::Database, Part::Redo] {
            let of_part = inner.log[..cut].iter().filter(|(of, _)| *of == part);
            let ops: Vec<_> = of_part.map(|(_, op)| op).collect();
            cut_part(image.part(part), &ops, unsynced);
        }
        image
    }
}

fn cut_part(image: &mut Vec<u8>, ops: &[&Op], unsynced: Unsynced) {
    let synced = ops
        .iter()
        .rposition(|op| matches!(op, Op::Sync))
        .map_or(0, |at| at + 1);
    ops[..synced].iter().for_each(|op| apply(image, op, None));
    let tail = &ops[synced..];
    for (n, op) in tail.iter().enumerate() {
        match unsynced {
            Unsynced::Lost => {}
            Unsynced::Some(bits) if bits.rotate_left(n as u32 * 7) & 1 == 1 => apply(image, op, None),
            Unsynced::Some(_) => {}
            Unsynced::Torn => apply(image, op, (n + 1 == tail.len()).then_some(2)),
        }
    }
}

fn apply(image: &mut Vec<u8>, op: &Op, part: Option<usize>) {
    match op {
        Op::Write(offset, bytes) => {
            let bytes = &bytes[..bytes.len() / part.unwrap_or(1)];
            let (start, end) = (*offset as usize, *offset as usize + bytes.len());
            if image.len() < end {
                image.resize(end, 0);
            }
            image[start..end].copy_from_slice(bytes);
        }
        Op::SetLen(len) => image.resize(*len as usize, 0),
        Op::Sync => {}
    }
}

impl Disk for MemoryDisk {
    fn len(&self) -> Result<u64> {
        Ok(self.0.lock().unwrap().live.part(self.1).len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut inner = self.0.lock().unwrap();
        let start = offset as usize;
        let found = inner.live.part(self.1).get(start..start + out.len());
        out.copy_from_slice(found.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.record(Op::SetLen(len))
    }

    fn sync(&self) -> Result<()> {
        self.record(Op::Sync)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.record(Op::Write(offset, bytes.to_vec()))
    }

    fn log(&self) -> Arc<dyn Disk> {
        Arc::new(Self(Arc::clone(&self.0), Part::Redo))
    }
}

impl MemoryDisk {
    fn record(&self, op: Op) -> Result<()> {
        let mut inner = self.0.lock().unwrap();
        if inner.full {
            return Err(Error::from(ErrorKind::StorageFull));
        }
        if let Some(left) = &mut inner.left {
            *left = left.checked_sub(1).ok_or(ErrorKind::Other)?;
        }
        apply(inner.live.part(self.1), &op, None);
        inner.log.push((self.1, op));
        Ok(())
    }
}
