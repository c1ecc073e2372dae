//! A database's bytes with a sheet of glass over them: what is written stays on the glass, in memory.
//!
//! Opening a database for writing changes its file (it is marked as open, and mended after a crash), and opening it for
//! reading is refused after a crash. A start that ends in a refusal must leave the file as it was, so everything that can
//! refuse looks through the glass first. The locks are the file's own.

use std::collections::BTreeMap;
use std::io::{self, Error, ErrorKind};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// Writes are kept in blocks of this many bytes.
const BLOCK_BYTES: usize = 4096;
/// No more than this many blocks are kept (64 MiB): an opening writes a header, and after a crash the allocator's state.
const MAX_BLOCKS: usize = 16_384;

/// See the room's header.
#[derive(Debug)]
pub(crate) struct Shadow {
    below: Box<dyn StorageBackend>,
    glass: Mutex<Glass>,
}

#[derive(Debug)]
struct Glass {
    len: u64,
    /// Bytes of what is below that were not cut off.
    seen: u64,
    blocks: BTreeMap<u64, Box<[u8; BLOCK_BYTES]>>,
}

impl Shadow {
    pub(crate) fn over(below: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = below.len()?;
        let glass = Mutex::new(Glass {
            len,
            seen: len,
            blocks: BTreeMap::new(),
        });
        Ok(Self { below, glass })
    }

    fn glass(&self) -> MutexGuard<'_, Glass> {
        self.glass.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as it is below, with zeros where nothing is seen of it.
    fn block_below(&self, number: u64, seen: u64) -> io::Result<Box<[u8; BLOCK_BYTES]>> {
        let mut block = Box::new([0; BLOCK_BYTES]);
        let start = number.saturating_mul(BLOCK_BYTES as u64);
        let there = usize::try_from(seen.saturating_sub(start)).unwrap_or(usize::MAX);
        if let Some(there) = block.get_mut(..there.min(BLOCK_BYTES))
            && !there.is_empty()
        {
            self.below.read(start, there)?;
        }
        Ok(block)
    }
}

/// `offset..offset + len` as blocks: the block's number, where in it, and where in the whole.
fn parts(
    offset: u64,
    len: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= len {
            return None;
        }
        let at = offset.saturating_add(done as u64);
        let within = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or_default();
        let take = (BLOCK_BYTES - within).min(len - done);
        let part = (at / BLOCK_BYTES as u64, within..within + take, done..done + take);
        done += take;
        Some(part)
    })
}

fn copy(to: Option<&mut [u8]>, from: Option<&[u8]>) {
    if let (Some(to), Some(from)) = (to, from) {
        to.copy_from_slice(from);
    }
}

impl StorageBackend for Shadow {
    fn len(&self) -> io::Result<u64> {
        Ok(self.glass().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let glass = self.glass();
        if offset.saturating_add(out.len() as u64) > glass.len {
            return Err(Error::new(ErrorKind::UnexpectedEof, "a read past the end"));
        }
        for (number, within, whole) in parts(offset, out.len()) {
            match glass.blocks.get(&number) {
                Some(block) => copy(out.get_mut(whole), block.get(within)),
                None => copy(
                    out.get_mut(whole),
                    self.block_below(number, glass.seen)?.get(within),
                ),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut glass = self.glass();
        glass.seen = glass.seen.min(len);
        glass.blocks.split_off(&len.div_ceil(BLOCK_BYTES as u64));
        let within = usize::try_from(len % BLOCK_BYTES as u64).unwrap_or_default();
        if let Some(behind) = glass
            .blocks
            .get_mut(&(len / BLOCK_BYTES as u64))
            .and_then(|block| block.get_mut(within..))
        {
            behind.fill(0);
        }
        glass.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut glass = self.glass();
        for (number, within, whole) in parts(offset, bytes.len()) {
            if !glass.blocks.contains_key(&number) {
                if glass.blocks.len() >= MAX_BLOCKS {
                    return Err(Error::other("opening would write more than a check may keep"));
                }
                let block = self.block_below(number, glass.seen)?;
                glass.blocks.insert(number, block);
            }
            let block = glass.blocks.get_mut(&number);
            copy(block.and_then(|block| block.get_mut(within)), bytes.get(whole));
        }
        glass.len = glass.len.max(offset.saturating_add(bytes.len() as u64));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    /// What the shadow lies over, still reachable.
    #[derive(Debug, Clone)]
    struct Shared(Arc<InMemoryBackend>);

    impl StorageBackend for Shared {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            panic!("what is below is changed")
        }
        fn sync_data(&self) -> io::Result<()> {
            panic!("what is below is changed")
        }
        fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
            panic!("what is below is changed")
        }
    }

    #[derive(Debug, Clone)]
    enum Op {
        Write(u16, Vec<u8>),
        SetLen(u16),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..16_000_u16, prop::collection::vec(any::<u8>(), 1..6000))
                .prop_map(|(at, bytes)| Op::Write(at, bytes)),
            (0..20_000_u16).prop_map(Op::SetLen),
        ]
    }

    proptest! {
        #[test]
        fn it_reads_as_if_it_had_been_written(len in 0..12_000_usize, ops in prop::collection::vec(op(), 0..12)) {
            let mut model: Vec<u8> = (0..len).map(|n| (n % 251) as u8 + 1).collect();
            let below = InMemoryBackend::new();
            below.set_len(len as u64).unwrap();
            below.write(0, &model).unwrap();
            let shadow = Shadow::over(Box::new(Shared(Arc::new(below)))).unwrap();
            for op in ops {
                match op {
                    Op::Write(at, bytes) => {
                        let at = usize::from(at);
                        model.resize(model.len().max(at + bytes.len()), 0);
                        model[at..at + bytes.len()].copy_from_slice(&bytes);
                        shadow.write(at as u64, &bytes).unwrap();
                    }
                    Op::SetLen(len) => {
                        model.resize(len.into(), 0);
                        shadow.set_len(len.into()).unwrap();
                    }
                }
                prop_assert_eq!(shadow.len().unwrap(), model.len() as u64);
                let mut read = vec![9; model.len()];
                shadow.read(0, &mut read).unwrap();
                prop_assert_eq!(&read, &model);
            }
            prop_assert!(shadow.read(model.len() as u64, &mut [0]).is_err());
        }
    }
}
