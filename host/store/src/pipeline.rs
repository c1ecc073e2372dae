//! The database's file, with syncs that may happen behind its back.
//!
//! What the redo log has is durable, so nobody waits for the database to take it in: only the order counts, since the database
//! relies on what it wrote before a sync being there before what it writes after it. So a sync may be put off: it is done by a thread of
//! its own, and what is written after it waits, in order, until it is done. Reads see what waits. The file never holds anything
//! that it could not hold with syncs that are waited for.

use std::collections::VecDeque;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// The file. The database has it as its [`StorageBackend`], by a clone.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: Box<dyn StorageBackend>,
    waiting: Mutex<Waiting>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    steps: VecDeque<Step>,
    /// Syncs are put off.
    is_lazy: bool,
    /// A thread is at work on the steps.
    is_worked_on: bool,
    /// Syncs that were asked for, and that are done.
    asked: u64,
    done: u64,
    failed: Option<(io::ErrorKind, String)>,
}

/// What waits.
#[derive(Debug, Clone)]
enum Step {
    Write(u64, Arc<[u8]>),
    Sync,
}

impl Pipeline {
    pub(crate) fn over(file: Box<dyn StorageBackend>) -> Self {
        Self {
            shared: Arc::new(Shared {
                file,
                waiting: Mutex::default(),
                moved: Condvar::new(),
            }),
        }
    }

    /// Runs `step` with its syncs put off. Gives what it gives, and a ticket for the last of the syncs.
    pub(crate) fn lazily<R>(&self, step: impl FnOnce() -> R) -> (R, u64) {
        self.shared.look().is_lazy = true;
        let result = step();
        let mut waiting = self.shared.look();
        waiting.is_lazy = false;
        (result, waiting.asked)
    }

    /// Whether the sync with this ticket is done.
    pub(crate) fn is_done(&self, ticket: u64) -> io::Result<bool> {
        let waiting = self.shared.look();
        waiting.check()?;
        Ok(waiting.done >= ticket)
    }

    /// Waits for everything that waits.
    pub(crate) fn drain(&self) -> io::Result<()> {
        self.shared.drained().map(drop)
    }
}

impl Shared {
    fn look(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drained(&self) -> io::Result<MutexGuard<'_, Waiting>> {
        let mut waiting = self.look();
        loop {
            waiting.check()?;
            if waiting.steps.is_empty() {
                return Ok(waiting);
            }
            waiting = self.moved.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does what waits until nothing does. A step stays in the line, for reads, until it is done.
    fn work(&self) {
        loop {
            let mut waiting = self.look();
            let Some(step) = waiting.steps.front().cloned() else {
                waiting.is_worked_on = false;
                return;
            };
            drop(waiting);
            let done = match &step {
                Step::Write(offset, bytes) => self.file.write(*offset, bytes),
                Step::Sync => self.file.sync_data(),
            };
            let mut waiting = self.look();
            match done {
                Ok(()) => {
                    waiting.steps.pop_front();
                    waiting.done += u64::from(matches!(step, Step::Sync));
                }
                Err(error) => {
                    waiting.failed = Some((error.kind(), error.to_string()));
                    waiting.is_worked_on = false;
                }
            }
            let is_over = waiting.failed.is_some();
            drop(waiting);
            self.moved.notify_all();
            if is_over {
                return;
            }
        }
    }
}

impl Waiting {
    fn check(&self) -> io::Result<()> {
        match &self.failed {
            Some((kind, reason)) => Err(io::Error::new(*kind, reason.clone())),
            None => Ok(()),
        }
    }
}

impl StorageBackend for Pipeline {
    fn len(&self) -> io::Result<u64> {
        self.shared.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let waiting = self.shared.look();
        if waiting.steps.is_empty() {
            drop(waiting);
            return self.shared.file.read(offset, out);
        }
        self.shared.file.read(offset, out)?;
        for step in &waiting.steps {
            if let Step::Write(at, bytes) = step {
                lay_over(out, offset, bytes, *at);
            }
        }
        Ok(())
    }

    /// More length needs no order: what is behind the length that the database's header knows is nothing to it.
    fn set_len(&self, len: u64) -> io::Result<()> {
        if len < self.shared.file.len()? {
            drop(self.shared.drained()?);
        }
        self.shared.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut waiting = self.shared.look();
        waiting.check()?;
        waiting.asked += 1;
        let ticket = waiting.asked;
        if !waiting.is_lazy {
            drop(waiting);
            drop(self.shared.drained()?);
            self.shared.file.sync_data()?;
            self.shared.look().done = ticket;
            return Ok(());
        }
        waiting.steps.push_back(Step::Sync);
        if waiting.is_worked_on {
            return Ok(());
        }
        waiting.is_worked_on = true;
        drop(waiting);
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("store-sync".to_owned());
        if thread.spawn(move || shared.work()).is_err() {
            self.shared.work();
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut waiting = self.shared.look();
        waiting.check()?;
        if waiting.steps.is_empty() {
            drop(waiting);
            return self.shared.file.write(offset, bytes);
        }
        waiting.steps.push_back(Step::Write(offset, Arc::from(bytes)));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        let drained = self.drain();
        self.shared.file.close().and(drained)
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.shared.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.shared.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.shared.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.shared.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.shared.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.shared.file.query_lock_range(start, end)
    }
}

/// Copies the part of `bytes`, which lie at `at`, that is in `out`, which is at `offset`.
fn lay_over(out: &mut [u8], offset: u64, bytes: &[u8], at: u64) {
    let index = |place: u64, from: u64| usize::try_from(place - from).ok();
    let (start, end) = (
        offset.max(at),
        (offset + out.len() as u64).min(at + bytes.len() as u64),
    );
    if start >= end {
        return;
    }
    let to = index(start, offset).zip(index(end, offset));
    let from = index(start, at).zip(index(end, at));
    if let (Some(to), Some(from)) = (
        to.and_then(|(start, end)| out.get_mut(start..end)),
        from.and_then(|(start, end)| bytes.get(start..end)),
    ) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests;
