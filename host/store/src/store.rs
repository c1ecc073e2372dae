//! The door: opening the database, and the handle that everything else hangs on.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use sluice_model::seal::MasterKey;
use tokio::sync::watch;

use crate::OpenError;

/// How to open the store.
#[derive(Debug)]
pub struct Options {
    /// The data directory; made if it is missing. The database is `sluice.redb` in it.
    pub path: PathBuf,
    /// The key that the organizations' keys are wrapped under.
    pub master: MasterKey,
    /// Memory for pages of the database, in bytes.
    pub cache_bytes: usize,
    /// A file up to this many bytes is checked in full when it is opened: every page is read and its checksum
    /// compared, about a second per GiB. A larger one is opened at once; damage in it is then found row by row.
    pub verify_up_to_bytes: u64,
}

impl Options {
    /// The usual ones: 64 MiB of cache, files up to 256 MiB checked.
    #[must_use]
    pub const fn new(path: PathBuf, master: MasterKey) -> Self {
        Self {
            path,
            master,
            cache_bytes: 64 << 20,
            verify_up_to_bytes: 256 << 20,
        }
    }
}

/// Where bytes are kept when it is not a file: tests cut the power here. Positions and lengths are in bytes.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// The current length.
    fn len(&self) -> std::io::Result<u64>;
    /// Whether there is nothing.
    fn is_empty(&self) -> std::io::Result<bool> {
        self.len().map(|len| len == 0)
    }
    /// Fills `out` from `offset`; past the end is an error.
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()>;
    /// Cuts or grows; what is new is zero.
    fn set_len(&self, len: u64) -> std::io::Result<()>;
    /// Returns after everything written is durable.
    fn sync(&self) -> std::io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    fn write(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()>;
}

/// The open store. Cheap to clone; the last clone's end closes the database.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared;

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the data directory's database, and makes it if there is none. Blocks; call it before the server starts
    /// or from `spawn_blocking`.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        todo!()
    }

    /// Opens the database on this disk, and makes it if the disk is empty. `options.path` only names it in errors.
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Self, OpenError> {
        todo!()
    }

    /// Turns to the reason once the store has failed: every later call answers [`Error::Failed`](crate::Error::Failed),
    /// and the process has to stop, saying why. The next start recovers.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<Option<Arc<str>>> {
        todo!()
    }
}
