//! What waits for the writer, in two lines: what somebody waits for, and steps of long work.
//!
//! A page of a sync or a step of a fold is a commit of tens of milliseconds. In one line a webhook would wait for all of
//! them that came before it. So the lines take turns: a group of what somebody waits for, then a group of long work, which
//! is a single operation while others keep coming. Neither starves the other, and whoever waits does so for one such
//! operation at most.
//!
//! Operations of a line keep their order; between the lines there is none, and a caller for whom the order matters waits
//! for the answer. What may wait is bounded, for each line by itself, so that neither fills the other's room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;
use crate::table::Writer;

/// Operations that share a commit at most. A full group of webhooks is committed in a few milliseconds.
const GROUP_OPS: usize = 512;
/// A group is closed when its input reaches this many bytes: it bounds the memory and the length of a commit.
const GROUP_BYTES: usize = 16 << 20;
/// Operations of a line that may wait or be under way. Beyond it callers wait to enter.
const LINE_OPS: usize = 1024;
/// Bytes of input of a line that may wait or be under way; the largest operation fits.
const LINE_BYTES: usize = 80 << 20;

/// Which line an operation stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// Somebody waits for it: the sender of a webhook, a person, a worker that takes something in hand.
    Prompt,
    /// A step of long work: whoever asked for the whole of it waits for longer anyway.
    Bulk,
}

/// An operation on its way.
pub(crate) struct Job {
    pub(crate) bytes: usize,
    pub(crate) run: Box<dyn FnOnce(&mut Writer<'_>) -> Ran + Send>,
    pub(crate) place: Place,
}

/// An operation that ran and waits for the commit.
pub(crate) struct Ran {
    pub(crate) error: Option<Error>,
    pub(crate) answer: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// A place in a line, and room for the input; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    line: Line,
    _permits: [Option<OwnedSemaphorePermit>; 2],
}

/// The two lines.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    came: Condvar,
    rooms: [Room; 2],
}

/// What may be in a line.
struct Room {
    ops: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

#[derive(Default)]
struct Waiting {
    prompt: VecDeque<Job>,
    bulk: VecDeque<Job>,
    /// The last group was of the prompt line.
    is_bulks_turn: bool,
    pressure: Pressure,
    is_closed: bool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.look();
        f.debug_struct("Queue")
            .field("prompt", &waiting.prompt.len())
            .field("bulk", &waiting.bulk.len())
            .finish_non_exhaustive()
    }
}

impl Queue {
    pub(crate) fn new() -> Self {
        let room = || Room {
            ops: Arc::new(Semaphore::new(LINE_OPS)),
            bytes: Arc::new(Semaphore::new(LINE_BYTES)),
        };
        Self {
            waiting: Mutex::default(),
            came: Condvar::new(),
            rooms: [room(), room()],
        }
    }

    /// Waits until the line has room for an operation with so much input. Cancel-safe.
    pub(crate) async fn enter(&self, line: Line, bytes: usize) -> Place {
        let [prompt, bulk] = &self.rooms;
        let room = match line {
            Line::Prompt => prompt,
            Line::Bulk => bulk,
        };
        let bytes = u32::try_from(bytes.min(LINE_BYTES)).unwrap_or(u32::MAX);
        // The semaphores are never closed.
        let bytes = room.bytes.clone().acquire_many_owned(bytes).await.ok();
        let op = room.ops.clone().acquire_owned().await.ok();
        Place {
            line,
            _permits: [bytes, op],
        }
    }

    /// Puts an operation at the end of its line. Whether it will be run: after the end of the writer it is dropped.
    pub(crate) fn push(&self, job: Job) -> bool {
        let mut waiting = self.look();
        if waiting.is_closed {
            return false;
        }
        match job.place.line {
            Line::Prompt => waiting.prompt.push_back(job),
            Line::Bulk => waiting.bulk.push_back(job),
        }
        drop(waiting);
        self.came.notify_one();
        true
    }

    /// Waits for the next operations that share a commit. `None`: the queue is closed, and nothing is left.
    pub(crate) fn group(&self) -> Option<Vec<Job>> {
        let mut waiting = self.look();
        loop {
            let group = waiting.group(Instant::now());
            if !group.is_empty() {
                return Some(group);
            }
            if waiting.is_closed {
                return None;
            }
            waiting = self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing more enters; what waits is still run.
    pub(crate) fn close(&self) {
        self.look().is_closed = true;
        self.came.notify_one();
    }

    /// Nothing more enters, and what waits is dropped without an answer.
    pub(crate) fn abandon(&self) {
        let mut waiting = self.look();
        waiting.is_closed = true;
        let left = (
            std::mem::take(&mut waiting.prompt),
            std::mem::take(&mut waiting.bulk),
        );
        drop(waiting);
        drop(left);
    }

    /// Whether prompt operations keep coming, so that long work is better done in small steps.
    pub(crate) fn is_pressed(&self) -> bool {
        self.look().pressure.is_felt(Instant::now())
    }

    fn look(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn group(&mut self, now: Instant) -> Vec<Job> {
        let is_bulk = self.prompt.is_empty() || (self.is_bulks_turn && !self.bulk.is_empty());
        self.is_bulks_turn = !is_bulk;
        if is_bulk {
            let alone = !self.prompt.is_empty() || self.pressure.is_felt(now);
            return take(&mut self.bulk, if alone { 1 } else { GROUP_OPS });
        }
        let group = take(&mut self.prompt, GROUP_OPS);
        self.pressure.add(group.len(), now);
        group
    }
}

fn take(line: &mut VecDeque<Job>, ops: usize) -> Vec<Job> {
    let mut group = Vec::with_capacity(line.len().min(ops));
    let mut bytes = 0;
    while group.len() < ops && bytes < GROUP_BYTES {
        let Some(job) = line.pop_front() else { break };
        bytes += job.bytes;
        group.push(job);
    }
    group
}

/// How many prompt operations came lately: a count that halves with each [`Pressure::HALVES_IN`].
#[derive(Debug, Default)]
struct Pressure {
    count: f64,
    at: Option<Instant>,
}

impl Pressure {
    const HALVES_IN: Duration = Duration::from_millis(250);
    /// About 50 operations a second, for as long as they come: more than the workers and people of a quiet server make.
    const FELT_FROM: f64 = 18.0;

    fn add(&mut self, ops: usize, now: Instant) {
        self.count = self.now(now) + f64::from(u32::try_from(ops).unwrap_or(u32::MAX));
        self.at = Some(now);
    }

    fn is_felt(&self, now: Instant) -> bool {
        self.now(now) >= Self::FELT_FROM
    }

    fn now(&self, now: Instant) -> f64 {
        let past = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.count * (-past.as_secs_f64() / Self::HALVES_IN.as_secs_f64()).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation that nobody waits for; its input says which it is.
    async fn job(queue: &Queue, line: Line, bytes: usize) -> Job {
        Job {
            bytes,
            place: queue.enter(line, bytes).await,
            run: Box::new(|_| Ran {
                error: None,
                answer: Box::new(drop),
            }),
        }
    }

    fn sizes(group: Option<Vec<Job>>) -> Vec<usize> {
        group.unwrap().iter().map(|job| job.bytes).collect()
    }

    #[tokio::test]
    async fn lines_take_turns_and_keep_their_order() {
        let queue = Queue::new();
        for bytes in [101, 102, 103] {
            assert!(queue.push(job(&queue, Line::Bulk, bytes).await));
        }
        for bytes in [1, 2] {
            assert!(queue.push(job(&queue, Line::Prompt, bytes).await));
        }
        assert_eq!(sizes(queue.group()), [1, 2], "what somebody waits for goes first");
        assert!(queue.push(job(&queue, Line::Prompt, 3).await));
        assert_eq!(
            sizes(queue.group()),
            [101],
            "one step of long work, though more of it waits"
        );
        assert_eq!(sizes(queue.group()), [3]);
        assert_eq!(
            sizes(queue.group()),
            [102, 103],
            "all that waits, where nobody else does"
        );
        queue.close();
        assert!(queue.group().is_none());
        assert!(!queue.push(job(&queue, Line::Prompt, 4).await));
    }

    #[tokio::test]
    async fn long_work_goes_in_single_steps_while_others_keep_coming() {
        let queue = Queue::new();
        for bytes in 1..=40 {
            assert!(queue.push(job(&queue, Line::Prompt, bytes).await));
        }
        assert!(!queue.is_pressed());
        assert_eq!(sizes(queue.group()).len(), 40);
        assert!(queue.is_pressed());
        for bytes in [101, 102] {
            assert!(queue.push(job(&queue, Line::Bulk, bytes).await));
        }
        assert_eq!(sizes(queue.group()), [101]);
        assert_eq!(sizes(queue.group()), [102]);
    }

    #[test]
    fn pressure_is_felt_at_its_rate_and_passes() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for (gap, is_felt) in [(10, true), (40, false)] {
            let mut pressure = Pressure::default();
            for ms in (0..3000).step_by(gap) {
                pressure.add(1, at(ms));
            }
            assert_eq!(pressure.is_felt(at(3000)), is_felt, "one each {gap} ms");
            assert!(!pressure.is_felt(at(5000)));
        }
    }

    #[tokio::test]
    async fn a_full_line_leaves_the_other_its_room() {
        let queue = Queue::new();
        let whole = queue.enter(Line::Bulk, LINE_BYTES).await;
        {
            let more = queue.enter(Line::Bulk, 1);
            tokio::pin!(more);
            assert!(futures_now(more.as_mut()).is_none());
            drop(queue.enter(Line::Prompt, LINE_BYTES).await);
        }
        drop(whole);
        drop(queue.enter(Line::Bulk, LINE_BYTES).await);
    }

    /// What the future has by now.
    fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
