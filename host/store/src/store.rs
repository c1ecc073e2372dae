//! The door: the handle that everything else hangs on, and how operations reach the writer and readers the last commit.
//!
//! Reads of one or a few rows run where they are called: the database's readers never wait for its writer, and a row is
//! a handful of pages that are in memory or one disk read away, less than handing it to another thread costs. Lists and
//! large values run on tokio's blocking threads.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use redb::{Database, ReadableDatabase};
use sluice_model::id::{ConnectionId, OrgId};
use tokio::sync::{Notify, oneshot, watch};

use crate::file::Shelf;
use crate::frozen::Frozen;
use crate::keyring::Keyring;
use crate::open::{self, Disk, Opened, Options};
use crate::queue::{Job, Line, Queue, Ran};
use crate::row::cap;
use crate::table::{Reader, Writer};
use crate::writer::{self, Bells};
use crate::{Error, OpenError, stream};

/// The input of one operation is at most this large: a page of records, a component, a receipt.
pub const MAX_COMMIT_BYTES: usize = 64 << 20;

/// The open store. Cheap to clone; the last clone's end waits for what is queued and closes the database.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    database: Arc<Database>,
    keyring: Arc<Keyring>,
    queue: Arc<Queue>,
    bells: Bells,
    failed: Arc<watch::Sender<Option<Arc<str>>>>,
    thread: Option<JoinHandle<()>>,
    /// The organization whose work was leased last, per kind of work.
    turns: [Mutex<OrgId>; 9],
    frozen: Frozen,
    shelf: Arc<Shelf>,
    /// Keeps other processes out for as long as the store is open.
    _lock: Option<std::fs::File>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("failed", &*self.shared.failed.borrow())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the data directory's database, and makes it if there is none. Blocks; call it before the server starts
    /// or from `spawn_blocking`.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing on disk has changed then, save for what recovery from a crash does.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        open::on_file(options).and_then(Self::start)
    }

    /// Opens the database on this disk, and makes it if the disk is empty. `options.path` only names it in errors.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Self, OpenError> {
        open::on_disk(disk, options).and_then(Self::start)
    }

    fn start(opened: Opened) -> Result<Self, OpenError> {
        let Opened {
            durable,
            keyring,
            file,
            directory,
            lock,
        } = opened;
        let database = Arc::clone(&durable.database);
        let queue = Arc::new(Queue::new());
        let bells = Bells::default();
        let failed = Arc::new(watch::Sender::new(None));
        let thread = {
            let (bells, failed) = (bells.clone(), failed.clone());
            let queue = queue.clone();
            let work = move || writer::run(durable, &queue, &bells, &|reason| note_failure(&failed, reason));
            std::thread::Builder::new()
                .name("store-writer".to_owned())
                .spawn(work)
        };
        let thread = thread.map_err(|source| OpenError::Io {
            doing: "start the writer thread for",
            file,
            source,
        })?;
        let turn = || Mutex::new(OrgId::from_bytes([0; 16]));
        let store = Self {
            shared: Arc::new(Shared {
                database,
                keyring: Arc::new(keyring),
                queue,
                bells,
                failed,
                thread: Some(thread),
                turns: std::array::from_fn(|_| turn()),
                frozen: Frozen::default(),
                shelf: Arc::new(Shelf::new(&directory)),
                _lock: lock,
            }),
        };
        store
            .tidy_files()
            .map_err(|error| open::untidy(&directory, error))?;
        Ok(store)
    }

    /// Turns to the reason once the store has failed: every later call answers [`Error::Failed`], and the process has
    /// to stop, saying why. The next start recovers.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.shared.failed.subscribe()
    }

    /// Fires after each commit that made work due or changed when it is. Take the `notified()` future before looking
    /// for work, so that nothing falls between.
    #[must_use]
    pub fn wake(&self) -> Arc<Notify> {
        self.shared.bells.work.clone()
    }

    /// Fires after each commit that appended events, of whichever organization. Take the `notified()` future before looking.
    #[must_use]
    pub fn news(&self) -> Arc<Notify> {
        self.shared.bells.news.clone()
    }

    /// Where the bytes of files are, for calls that bring new ones.
    #[must_use]
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shared.shelf
    }

    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.shared.keyring
    }

    /// The organization that was served last, for this kind of work.
    pub(crate) fn turn(&self, work: crate::due::Work) -> OrgId {
        *self.turn_of(work).lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_turn(&self, work: crate::due::Work, org: OrgId) {
        *self.turn_of(work).lock().unwrap_or_else(PoisonError::into_inner) = org;
    }

    fn turn_of(&self, work: crate::due::Work) -> &Mutex<OrgId> {
        let [
            runs,
            receipts,
            credentials,
            schedules,
            loads,
            links,
            chores,
            endpoints,
            replays,
        ] = &self.shared.turns;
        match work {
            crate::due::Work::Runs => runs,
            crate::due::Work::Receipts => receipts,
            crate::due::Work::Credentials => credentials,
            crate::due::Work::Schedules => schedules,
            crate::due::Work::Loads => loads,
            crate::due::Work::Links => links,
            crate::due::Work::Chores => chores,
            crate::due::Work::Endpoints => endpoints,
            crate::due::Work::Replays => replays,
        }
    }

    /// Has the writer run an operation that somebody waits for; answers after its commit. The operation refuses before
    /// it writes. `bytes` is about how large its input is.
    pub(crate) async fn write<R: Send + 'static>(
        &self,
        bytes: usize,
        op: impl FnOnce(&mut Writer<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.queued(Line::Prompt, bytes, op).await
    }

    /// The same for a step of long work, which lets what somebody waits for go first.
    pub(crate) async fn write_bulk<R: Send + 'static>(
        &self,
        bytes: usize,
        op: impl FnOnce(&mut Writer<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.queued(Line::Bulk, bytes, op).await
    }

    async fn queued<R: Send + 'static>(
        &self,
        line: Line,
        bytes: usize,
        op: impl FnOnce(&mut Writer<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.check()?;
        cap("the input of one operation", bytes, MAX_COMMIT_BYTES)?;
        let (answer, answered) = oneshot::channel();
        let run = move |writer: &mut Writer<'_>| {
            let result = op(writer);
            let error = result.as_ref().err().cloned();
            Ran {
                error,
                answer: Box::new(move |committed| drop(answer.send(committed.and(result)))),
            }
        };
        let job = Job {
            bytes,
            place: self.shared.queue.enter(line, bytes).await,
            run: Box::new(run),
        };
        if !self.shared.queue.push(job) {
            return Err(self.lost());
        }
        answered.await.unwrap_or_else(|_| Err(self.lost()))
    }

    /// Whether so many operations that somebody waits for keep coming that long work is better committed in small parts:
    /// each waits for the part that is being committed.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.shared.queue.is_pressed()
    }

    pub(crate) fn frozen(&self) -> &Frozen {
        &self.shared.frozen
    }

    /// A look at the last commit, as the database has it.
    pub(crate) fn begin_read(&self) -> Result<redb::ReadTransaction, Error> {
        self.shared.database.begin_read().map_err(|error| Error::Failed {
            reason: Arc::from(format!("begin a read: {error}")),
        })
    }

    /// Reads a few small rows, here and now.
    pub(crate) fn read_now<R>(&self, read: impl FnOnce(&mut Reader) -> Result<R, Error>) -> Result<R, Error> {
        self.read_with(|| Ok(Reader::new(Arc::new(self.begin_read()?))), read)
    }

    /// Reads a few records of a stream, here and now; as they were before, while a generation takes their place.
    pub(crate) fn read_stream_now<R>(
        &self,
        (org, connection, stream): (OrgId, ConnectionId, &str),
        read: impl FnOnce(&mut Reader) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.read_with(
            || loop {
                let mut rows = Reader::new(Arc::new(self.begin_read()?));
                let generation = stream::state(&mut rows, org, connection, stream)?.generation;
                if generation.is_none_or(|generation| generation.folding.is_none()) {
                    return Ok(rows);
                }
                // Where the snapshot is gone, the generation has got its place since this look.
                if let Some(frozen) = self.shared.frozen.reader(org, connection, stream) {
                    return Ok(frozen);
                }
                self.check()?;
                std::thread::yield_now();
            },
            read,
        )
    }

    fn read_with<R>(
        &self,
        look: impl FnOnce() -> Result<Reader, Error>,
        read: impl FnOnce(&mut Reader) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.check()?;
        // The database panics on some kinds of damage; a reader answers with an error instead.
        let result = catch_unwind(AssertUnwindSafe(|| read(&mut look()?)));
        match result {
            Ok(Err(Error::Failed { reason })) => Err(note_failure(&self.shared.failed, &reason)),
            Ok(result) => result,
            Err(_) => Err(Error::Corrupt {
                table: "?",
                reason: "the database panicked while reading".to_owned(),
            }),
        }
    }

    /// Reads many or large rows, on a thread that may block.
    pub(crate) async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || store.read_now(read)).await;
        done.unwrap_or(Err(Error::Broken("a read was cut off")))
    }

    /// Reads many or large records of a stream, on a thread that may block.
    pub(crate) async fn read_stream<R: Send + 'static>(
        &self,
        (org, connection, stream): (OrgId, ConnectionId, &str),
        read: impl FnOnce(&mut Reader) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let (store, stream) = (self.clone(), stream.to_owned());
        let done = move || store.read_stream_now((org, connection, &stream), read);
        let done = tokio::task::spawn_blocking(done).await;
        done.unwrap_or(Err(Error::Broken("a read was cut off")))
    }

    fn check(&self) -> Result<(), Error> {
        match &*self.shared.failed.borrow() {
            Some(reason) => Err(Error::Failed {
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }

    fn lost(&self) -> Error {
        self.check()
            .err()
            .unwrap_or_else(|| note_failure(&self.shared.failed, "the writer has ended"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The first reason stays.
fn note_failure(failed: &watch::Sender<Option<Arc<str>>>, reason: &str) -> Error {
    let first = failed.send_if_modified(|noted| match noted {
        Some(_) => false,
        None => {
            *noted = Some(Arc::from(reason));
            true
        }
    });
    if first {
        tracing::error!(
            reason,
            "the store has failed; its last commit has an unknown outcome"
        );
    }
    Error::Failed {
        reason: failed.borrow().clone().unwrap_or_else(|| Arc::from(reason)),
    }
}
