//! Machine code in memory that nobody can change any more.
//!
//! The engine maps code from a file several times as fast as it copies it, but a file that others can write may change after it was
//! verified. So the code is copied into a file that has no name, in memory, and sealed: what was seen on its way there is what runs.
//! Where the system has no such files, the code is kept as bytes and the engine copies it.

use std::fs::File;
use std::io::{self, Read, Write};

use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that is kept from changes.
pub(crate) enum Artifact {
    /// A sealed file without a name, and the path that it has in this process.
    Sealed(File, String),
    Memory(Vec<u8>),
}

/// What is read at once: it stays in the processor's cache between being read, seen and written.
const PIECE: usize = 128 << 10;

impl Artifact {
    /// Copies everything of `from`; `see` is given each piece before it is kept.
    pub(crate) fn copy(mut from: impl Read, mut see: impl FnMut(&[u8])) -> io::Result<Self> {
        let mut kept = sealable().unwrap_or(Self::Memory(Vec::new()));
        let mut piece = vec![0; PIECE];
        loop {
            let read = from.read(&mut piece)?;
            let Some(piece) = piece.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            see(piece);
            match &mut kept {
                Self::Sealed(file, _) => file.write_all(piece)?,
                Self::Memory(bytes) => bytes.extend_from_slice(piece),
            }
        }
        if let Self::Sealed(file, _) = &kept {
            seal(file)?;
        }
        Ok(kept)
    }

    /// Makes it a component of this engine.
    ///
    /// It must be what [`crate::compile::compile`] made in this process, or what [`crate::cache::Cache::get`] has authenticated.
    #[expect(
        unsafe_code,
        clippy::disallowed_methods,
        reason = "machine code can only be loaded unsafely, and a file only where nobody can write to it; the argument stands below"
    )]
    pub(crate) fn deserialize(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: the engine runs what it is given here, so that must be its own, unchanged output. Both sources vouch for it: the
        // compiler's child is a process that this one started and whose pipe nobody else holds, and the cache gives only bytes whose
        // MAC, under a key that never leaves this process, was made over the same bytes here. They have been in memory since they were
        // seen: a file there is sealed against being written, cut and lengthened, also by whoever finds it under the path that it has
        // in this process, and the descriptor that the path names is open as long as `self` is. Version and settings are checked once
        // more by the engine.
        match self {
            Self::Sealed(_, path) => unsafe { Component::deserialize_file(engine, path) },
            Self::Memory(bytes) => unsafe { Component::deserialize(engine, bytes) },
        }
    }
}

/// An empty file that can be sealed; `None` where the system has none, or no path to it.
#[cfg(target_os = "linux")]
fn sealable() -> Option<Artifact> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{MemfdFlags, memfd_create};

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("sluice-code", flags).ok()?);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::metadata(&path)
        .is_ok()
        .then_some(Artifact::Sealed(file, path))
}

#[cfg(target_os = "linux")]
fn seal(file: &File) -> io::Result<()> {
    use rustix::fs::{SealFlags, fcntl_add_seals};

    let all = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    Ok(fcntl_add_seals(file, all)?)
}

#[cfg(not(target_os = "linux"))]
const fn sealable() -> Option<Artifact> {
    None
}

#[cfg(not(target_os = "linux"))]
const fn seal(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
impl Artifact {
    /// What it holds.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Sealed(_, path) => std::fs::read(path).unwrap(),
            Self::Memory(bytes) => bytes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_was_seen_is_kept_and_stays() {
        let code: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut seen = Vec::new();
        let kept = Artifact::copy(&code[..], |piece| seen.extend_from_slice(piece)).unwrap();
        assert_eq!(seen, code);
        assert_eq!(kept.bytes(), code);
        let sealed = match kept {
            Artifact::Sealed(file, path) => Some((file, path)),
            Artifact::Memory(_) => None,
        };
        let (mut file, path) = sealed.unwrap();
        assert!(file.write_all(b"more").is_err());
        assert!(file.set_len(1).is_err());
        // Nor by whoever opens it under its path.
        let again = File::options().write(true).open(&path);
        assert!(again.and_then(|mut file| file.write_all(b"else")).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), code);
    }
}
