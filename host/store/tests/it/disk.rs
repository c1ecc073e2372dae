//! A disk in memory. It logs writes and syncs, and makes images of what could be there after a power cut: everything
//! that was synced, and of what came after the last sync all, nothing, some in any order, or a torn part.

use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex};

use sluice_store::Disk;

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

#[derive(Debug, Default)]
struct Inner {
    live: Vec<u8>,
    /// What was there before the log begins.
    base: Vec<u8>,
    log: Vec<Op>,
    /// Writes and syncs fail from here on.
    full: bool,
    /// Writes and syncs until they fail.
    left: Option<usize>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<Inner>>);

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
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            base: bytes.clone(),
            live: bytes,
            ..Inner::default()
        })))
    }

    pub(crate) fn log_len(&self) -> usize {
        self.0.lock().unwrap().log.len()
    }

    pub(crate) fn syncs(&self) -> Vec<usize> {
        let inner = self.0.lock().unwrap();
        let at = |(at, op): (usize, &Op)| matches!(op, Op::Sync).then_some(at);
        inner.log.iter().enumerate().filter_map(at).collect()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
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
    pub(crate) fn image(&self, cut: usize, unsynced: Unsynced) -> Vec<u8> {
        let inner = self.0.lock().unwrap();
        let ops = &inner.log[..cut];
        let synced = ops
            .iter()
            .rposition(|op| matches!(op, Op::Sync))
            .map_or(0, |at| at + 1);
        let mut image = inner.base.clone();
        ops[..synced].iter().for_each(|op| apply(&mut image, op, None));
        let tail = &ops[synced..];
        for (n, op) in tail.iter().enumerate() {
            match unsynced {
                Unsynced::Lost => {}
                Unsynced::Some(bits) if bits.rotate_left(n as u32 * 7) & 1 == 1 => {
                    apply(&mut image, op, None)
                }
                Unsynced::Some(_) => {}
                Unsynced::Torn => apply(&mut image, op, (n + 1 == tail.len()).then_some(2)),
            }
        }
        image
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
        Ok(self.0.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let inner = self.0.lock().unwrap();
        let start = offset as usize;
        let found = inner.live.get(start..start + out.len());
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
        apply(&mut inner.live, &op, None);
        inner.log.push(op);
        Ok(())
    }
}
