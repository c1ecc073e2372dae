//! A directory below the one that the operator opened. Each name of the path is opened in the directory before it and is
//! never a link, so that nothing that changes meanwhile, and no link that somebody left, leads elsewhere.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};
use tokio::sync::Mutex;

use crate::error::Error;

const CHECK: &str = ".sluice-check";

#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    below: Vec<String>,
    /// One write at a time, and one that nobody waits for any more still counts.
    turn: Arc<Mutex<()>>,
}

impl Directory {
    pub(super) fn new(root: PathBuf, below: &str) -> Self {
        let names = below.split('/').filter(|name| !name.is_empty());
        Self {
            root,
            below: names.map(str::to_owned).collect(),
            turn: Arc::default(),
        }
    }

    /// Puts a file there whole, in place of one of the same name.
    pub(super) async fn put(&self, folder: String, file: String, content: Vec<u8>) -> Result<(), Error> {
        let root = self.root.clone();
        let path: Vec<String> = self.below.iter().cloned().chain([folder]).collect();
        self.work(move || {
            let mut directory = open_root(&root)?;
            for name in &path {
                directory = enter(&directory, name)?;
            }
            let partial = format!(".{file}.part");
            write(&directory, &partial, &content)?;
            rustix::fs::renameat(&directory, &partial, &directory, &file)?;
            // The name is durable when the directory is.
            rustix::fs::fsync(&directory)?;
            Ok(())
        })
        .await
    }

    /// Writes and removes a file in as much of the path as there is.
    pub(super) async fn check(&self) -> Result<String, Error> {
        let (root, path) = (self.root.clone(), self.below.clone());
        self.work(move || {
            let mut directory = open_root(&root)?;
            for name in &path {
                match open(&directory, name) {
                    Ok(inner) => directory = inner,
                    Err(rustix::io::Errno::NOENT) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            write(&directory, CHECK, b"check")?;
            rustix::fs::unlinkat(&directory, CHECK, AtFlags::empty())?;
            Ok(())
        })
        .await?;
        Ok("directory".into())
    }

    async fn work(&self, work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), Error> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        let done = working
            .await
            .map_err(|_| Error::Lost("the write was given up".into()))?;
        done.map_err(Error::from)
    }
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

fn open_root(root: &PathBuf) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(root, DIRECTORY, Mode::empty())?)
}

fn open(directory: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Opens a directory within another, and makes it where it is missing.
fn enter(directory: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match open(directory, name) {
        Err(rustix::io::Errno::NOENT) => {}
        found => return Ok(found?),
    }
    match rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(0o750)) {
        Ok(()) => rustix::fs::fsync(directory)?,
        Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(open(directory, name)?)
}

/// Writes a new file to the disk; a left-over of its name goes.
fn write(directory: &OwnedFd, name: &str, content: &[u8]) -> io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o640))?;
    let mut file = File::from(file);
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // A full disk gets its space back.
        let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
    }
    written
}
