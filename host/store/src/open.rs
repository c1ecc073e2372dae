//! Opening: the lock, safe creation, the check for damage, what the redo log has, the format number and the master key's check.
//!
//! A new database is made under a temporary name, synced and renamed, so that a file with the right name is always a
//! whole database; a file that is there is never made anew, however it looks. What is there is looked at in a shadow
//! before it is opened for writing, so that a refusal changes nothing. Each format number above the first has
//! one function that changes the file from the number before, run one after the other in one transaction; a file of
//! every old format is kept as a fixture and opened in a test.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError};
use sluice_model::seal::MasterKey;

use crate::durable::{self, Durable};
use crate::key::Key;
use crate::keyring::{self, Keyring};
use crate::pipeline::Pipeline;
use crate::shadow::Shadow;
use crate::table::{Reader, Rows, Table, Writer};
use crate::{Error, OpenError, org_key};

/// The format that is written. 2 added the tables of authorizations and of credentials that are due, and versions of the
/// organizations' keys.
const FORMAT: u64 = 6;
const FILE: &str = "sluice.redb";
const NEW_FILE: &str = "sluice.redb.new";
const REDO_FILE: &str = "sluice.redo";
const LOCK_FILE: &str = "sluice.lock";

/// How to open the store.
#[derive(Debug)]
pub struct Options {
    /// The data directory; made if it is missing. The database is `sluice.redb` in it, its redo log `sluice.redo`.
    pub path: PathBuf,
    /// The key that the organizations' keys are wrapped under.
    pub master: MasterKey,
    /// Keys before it, of which some may still be needed: see [`Store::rewrap`](crate::Store::rewrap).
    pub previous: Vec<MasterKey>,
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
            previous: Vec::new(),
            cache_bytes: 64 << 20,
            verify_up_to_bytes: 256 << 20,
        }
    }
}

/// Where bytes are kept when it is not a file: tests cut the power here. Positions and lengths are in bytes.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// The current length.
    fn len(&self) -> io::Result<u64>;
    /// Whether there is nothing.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
    /// Fills `out` from `offset`; past the end is an error.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Cuts or grows; what is new is zero.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Returns after everything written is durable.
    fn sync(&self) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// The disk beside it that the redo log is on.
    fn log(&self) -> Arc<dyn Disk>;
}

/// An opened, checked database.
pub(crate) struct Opened {
    pub(crate) durable: Durable,
    pub(crate) keyring: Keyring,
    pub(crate) file: PathBuf,
    /// The data directory.
    pub(crate) directory: PathBuf,
    pub(crate) lock: Option<File>,
}

/// [`Options`], with the keys as they are used.
struct Plan {
    keyring: Keyring,
    cache_bytes: usize,
    verify_up_to_bytes: u64,
}

impl Plan {
    fn of(options: Options) -> (PathBuf, Self) {
        let plan = Self {
            keyring: Keyring::new(options.master, options.previous),
            cache_bytes: options.cache_bytes,
            verify_up_to_bytes: options.verify_up_to_bytes,
        };
        (options.path, plan)
    }
}

pub(crate) fn on_file(options: Options) -> Result<Opened, OpenError> {
    let (directory, plan) = Plan::of(options);
    let file = directory.join(FILE);
    make_directory(&directory).map_err(io_error("create the data directory", &directory))?;
    let lock = lock(&directory)?;
    match fs::metadata(&file) {
        Ok(found) if found.len() == 0 => return Err(corrupt(&file, "it is empty")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(&directory, &file, &plan)?,
        Err(error) => return Err(io_error("look at", &file)(error)),
    }
    let len = fs::metadata(&file).map_err(io_error("look at", &file))?.len();
    let log_file = directory.join(REDO_FILE);
    let log = match fs::exists(&log_file).map_err(io_error("look at", &log_file))? {
        true => backend(&log_file)?,
        // Made when nothing can refuse any more.
        false => Box::new(InMemoryBackend::new()),
    };
    examine(backend(&file)?, len, &*log, &file, &plan)?;
    if !fs::exists(&log_file).map_err(io_error("look at", &log_file))? {
        new_file(&log_file)?;
        sync_directory(&directory)?;
    }
    drop(log);
    let durable = ready(backend(&file)?, backend(&log_file)?, &file, &plan)?;
    Ok(Opened {
        durable,
        keyring: plan.keyring,
        file,
        directory,
        lock: Some(lock),
    })
}

pub(crate) fn on_disk(disk: Arc<dyn Disk>, options: Options) -> Result<Opened, OpenError> {
    let (file, plan) = Plan::of(options);
    let len = disk.len().map_err(io_error("look at", &file))?;
    let log = Backend(disk.log());
    if len > 0 {
        examine(Box::new(Backend(Arc::clone(&disk))), len, &log, &file, &plan)?;
    } else {
        let database = guarded(&file, || {
            builder(&plan).create_with_backend(Backend(Arc::clone(&disk)))
        })?;
        initialise(&database, &plan.keyring, &file)?;
    }
    let durable = ready(Box::new(Backend(disk)), Box::new(log), &file, &plan)?;
    Ok(Opened {
        durable,
        keyring: plan.keyring,
        directory: file.clone(),
        file,
        lock: None,
    })
}

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Keeps a second process out from before the database is made until the store is closed. The database's own lock is
/// on the file itself, so it holds also when someone deletes this one.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(false);
    let lock = options.open(&path).map_err(io_error("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            file: directory.join(FILE),
        }),
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error)),
    }
}

fn create(directory: &Path, file: &Path, plan: &Plan) -> Result<(), OpenError> {
    let new = directory.join(NEW_FILE);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove a half-made database", &new)(error));
        }
        _ => {}
    }
    let empty = new_file(&new)?;
    let database = guarded(&new, || builder(plan).create_file(empty))?;
    initialise(&database, &plan.keyring, &new)?;
    drop(database);
    fs::rename(&new, file).map_err(io_error("rename the new database to", file))?;
    sync_directory(directory)
}

fn new_file(file: &Path) -> Result<File, OpenError> {
    let mut opening = OpenOptions::new();
    opening.create_new(true).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut opening, 0o600);
    opening.open(file).map_err(io_error("create", file))
}

/// A name is durable only with its directory.
fn sync_directory(directory: &Path) -> Result<(), OpenError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(io_error("sync the data directory", directory))
}

fn backend(file: &Path) -> Result<Box<dyn StorageBackend>, OpenError> {
    let bytes = OpenOptions::new().read(true).write(true).open(file);
    let bytes = bytes.map_err(io_error("open", file))?;
    Ok(Box::new(guarded(file, || FileBackend::new(bytes))?))
}

/// Opens what was examined: applies what the redo log has of it, and steps it up.
fn ready(
    bytes: Box<dyn StorageBackend>,
    log: Box<dyn StorageBackend>,
    file: &Path,
    plan: &Plan,
) -> Result<Durable, OpenError> {
    let pipeline = Pipeline::over(bytes);
    let database = guarded(file, || builder(plan).create_with_backend(pipeline.clone()))?;
    let redone = guarded_rows(file, || redo(&database, &*log))?;
    if redone > 0 {
        tracing::info!(commits = redone, "the last commits were taken from the redo log");
    }
    step_up(&database, file, &plan.keyring)?;
    let at = guarded_rows(file, || durable::applied(&mut reader(&database)?))?;
    let at = at.ok_or_else(|| corrupt(file, "table `meta` has no name of the database"))?;
    Ok(Durable::new(Arc::new(database), pipeline, log, at))
}

/// Applies what the redo log has and the database does not; how many commits that were.
fn redo(database: &Database, log: &dyn StorageBackend) -> Result<usize, Error> {
    let Some(mut rows) = reader(database)?.if_made()? else {
        return Ok(0);
    };
    let Some(at) = durable::applied(&mut rows)? else {
        return Ok(0);
    };
    drop(rows);
    let entries = durable::missing(log, at)?;
    if !entries.is_empty() {
        commit(database, |rows| durable::apply(rows, at, &entries))?;
    }
    Ok(entries.len())
}

fn builder(plan: &Plan) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(plan.cache_bytes);
    builder
}

/// Makes every table, so that readers always find them, and notes the format and the master key's check value.
fn initialise(database: &Database, ring: &Keyring, file: &Path) -> Result<(), OpenError> {
    let check = ring.new_check().map_err(OpenError::Seal)?;
    guarded_rows(file, || {
        commit(database, |writer| {
            writer.open_all()?;
            keyring::settle(writer, &check)?;
            durable::name(writer)?;
            writer.put_number(Table::Meta, &Key::empty().tail("format"), FORMAT)
        })
    })
}

/// One commit, before there is a writer thread.
fn commit(database: &Database, step: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>) -> Result<(), Error> {
    let failed = |error: String| Error::Failed {
        reason: Arc::from(error),
    };
    let mut transaction = database
        .begin_write()
        .map_err(|error| failed(error.to_string()))?;
    transaction.set_quick_repair(true);
    let mut writer = Writer::new(&transaction);
    step(&mut writer)?;
    drop(writer);
    transaction.commit().map_err(|error| failed(error.to_string()))
}

/// Everything that can refuse a database: damage, a newer format, a master key that is missing. Changes nothing, since a start
/// that is refused must leave the file to whoever has the right key, or the right Sluice.
fn examine(
    bytes: Box<dyn StorageBackend>,
    len: u64,
    log: &dyn StorageBackend,
    file: &Path,
    plan: &Plan,
) -> Result<(), OpenError> {
    // The database panics on some kinds of damage, on some only when it is let go of.
    let looked = catch_unwind(AssertUnwindSafe(|| look_through(bytes, len, log, file, plan)));
    looked.unwrap_or_else(|_| Err(corrupt(file, "the database panicked")))
}

fn look_through(
    bytes: Box<dyn StorageBackend>,
    len: u64,
    log: &dyn StorageBackend,
    file: &Path,
    plan: &Plan,
) -> Result<(), OpenError> {
    let shadow = Shadow::over(bytes).map_err(io_error("read", file))?;
    let mut database = guarded(file, || builder(plan).create_with_backend(shadow))?;
    if len <= plan.verify_up_to_bytes {
        // `Ok(false)` is "damaged, and repaired by going back": what was acknowledged may be missing, so it is refused.
        match guarded(file, || database.check_integrity())? {
            true => {}
            false => return Err(corrupt(file, "its pages do not have their checksums")),
        }
    }
    match guarded_rows(file, || format(&database))? {
        Some(1..=FORMAT) => {}
        Some(found) if found > FORMAT => {
            return Err(OpenError::NewerFormat {
                file: file.to_owned(),
                found: u32::try_from(found).unwrap_or(u32::MAX),
                known: FORMAT as u32,
            });
        }
        Some(_) | None => return Err(corrupt(file, "table `meta` has no format number")),
    }
    // The last commits may be about the keys.
    guarded_rows(file, || redo(&database, log))?;
    let checks = guarded_rows(file, || plan.keyring.check(&mut reader(&database)?))?;
    let checks = checks.ok_or_else(|| corrupt(file, "table `meta` has no check value"))?;
    match (checks.opened, checks.refused) {
        (_, 0) => {}
        (0, _) => {
            return Err(OpenError::WrongKey {
                file: file.to_owned(),
            });
        }
        _ => {
            return Err(OpenError::PreviousKey {
                file: file.to_owned(),
            });
        }
    }
    for number in &checks.idle {
        tracing::warn!(
            number,
            "this one of the previous master keys opens nothing in the database: it can be removed"
        );
    }
    Ok(())
}

/// Brings an older format to the one that is written, and takes up a new master key.
fn step_up(database: &Database, file: &Path, ring: &Keyring) -> Result<(), OpenError> {
    let (format, checks) = guarded_rows(file, || {
        Ok((format(database)?, ring.check(&mut reader(database)?)?))
    })?;
    let mut at = format;
    if at == Some(1) {
        guarded_rows(file, || commit(database, from_1_to_2))?;
        at = Some(2);
    }
    if at == Some(2) {
        guarded_rows(file, || commit(database, from_2_to_3))?;
        at = Some(3);
    }
    if at == Some(3) {
        guarded_rows(file, || commit(database, from_3_to_4))?;
        at = Some(4);
    }
    if at == Some(4) {
        guarded_rows(file, || commit(database, from_4_to_5))?;
        at = Some(5);
    }
    if at == Some(5) {
        guarded_rows(file, || commit(database, from_5_to_6))?;
    }
    if checks.is_some_and(|checks| checks.is_new()) {
        let check = ring.new_check().map_err(OpenError::Seal)?;
        guarded_rows(file, || commit(database, |rows| keyring::add(rows, &check)))?;
    }
    Ok(())
}

/// Format 2 has more tables and numbers the organizations' keys; every other row is read as it is.
fn from_1_to_2(rows: &mut Writer<'_>) -> Result<(), Error> {
    rows.open_all()?;
    org_key::number_versions(rows)?;
    rows.put_number(Table::Meta, &Key::empty().tail("format"), 2)
}

/// Format 3 has more tables, for history, generations and partitions.
fn from_2_to_3(rows: &mut Writer<'_>) -> Result<(), Error> {
    rows.open_all()?;
    rows.put_number(Table::Meta, &Key::empty().tail("format"), 3)
}

/// Format 4 has more tables, for endpoints, what is owed to them, and replays.
fn from_3_to_4(rows: &mut Writer<'_>) -> Result<(), Error> {
    rows.open_all()?;
    rows.put_number(Table::Meta, &Key::empty().tail("format"), 4)
}

/// Format 5 has more tables, for files.
fn from_4_to_5(rows: &mut Writer<'_>) -> Result<(), Error> {
    rows.open_all()?;
    rows.put_number(Table::Meta, &Key::empty().tail("format"), 5)
}

/// Format 6 has a redo log beside it, which an older Sluice would not look at.
fn from_5_to_6(rows: &mut Writer<'_>) -> Result<(), Error> {
    durable::name(rows)?;
    rows.put_number(Table::Meta, &Key::empty().tail("format"), 6)
}

fn format(database: &Database) -> Result<Option<u64>, Error> {
    let key = Key::empty().tail("format");
    let mut reader = match reader(database)?.if_made()? {
        Some(reader) => reader,
        None => return Ok(None),
    };
    Ok(if reader.has(Table::Meta, &key)? {
        Some(reader.get_number(Table::Meta, &key)?)
    } else {
        None
    })
}

fn reader(database: &Database) -> Result<Reader, Error> {
    let transaction = database.begin_read().map_err(|error| Error::Failed {
        reason: Arc::from(error.to_string()),
    })?;
    Ok(Reader::new(Arc::new(transaction)))
}

/// Runs a step of the database's own; on some kinds of damage it panics.
fn guarded<R>(file: &Path, step: impl FnOnce() -> Result<R, DatabaseError>) -> Result<R, OpenError> {
    let result = catch_unwind(AssertUnwindSafe(step)).map_err(|_| corrupt(file, "the database panicked"))?;
    result.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked {
            file: file.to_owned(),
        },
        DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => corrupt(file, &error.to_string()),
            _ => io_error("read or write", file)(error),
        },
        other => corrupt(file, &other.to_string()),
    })
}

fn guarded_rows<R>(file: &Path, step: impl FnOnce() -> Result<R, Error>) -> Result<R, OpenError> {
    let result = catch_unwind(AssertUnwindSafe(step)).map_err(|_| corrupt(file, "the database panicked"))?;
    result.map_err(|error| match error {
        Error::Corrupt { table, reason } => corrupt(file, &format!("table `{table}`: {reason}")),
        other => io_error("read or write", file)(io::Error::other(other)),
    })
}

/// The files beside the database could not be tidied.
pub(crate) fn untidy(directory: &Path, error: Error) -> OpenError {
    match error {
        Error::Corrupt { table, reason } => corrupt(directory, &format!("table `{table}`: {reason}")),
        other => io_error("tidy the files in", directory)(io::Error::other(other)),
    }
}

fn corrupt(file: &Path, reason: &str) -> OpenError {
    OpenError::Corrupt {
        file: file.to_owned(),
        reason: reason.to_owned(),
    }
}

fn io_error(doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let file = file.to_owned();
    move |source| OpenError::Io { doing, file, source }
}

/// A [`Disk`] as the database wants it.
#[derive(Debug)]
struct Backend(Arc<dyn Disk>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
