//! Compiled connectors on disk. Whoever can change what is loaded from here runs machine code in this process, so every
//! file carries a keyed MAC over the code, over what it was made from and over what it was made for; a file that does
//! not verify is as good as none. The MAC is keyed BLAKE3: a load waits for it, and it is several times as fast as HMAC with
//! SHA-256 over megabytes of code.
//!
//! Files are copied into memory that is sealed, verified on the way and loaded from there: what was verified is what runs. Nothing
//! here is ever needed; losing the directory costs time.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use sluice_model::secret::same;

use crate::artifact::Artifact;

/// What a file begins with; the number is the format's.
const MAGIC: &[u8; 8] = b"SLUICEC2";

const MAC_BYTES: usize = blake3::OUT_LEN;

/// A directory of compiled connectors for one engine.
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
    /// What the code must have been made for.
    compatibility: [u8; 32],
    limit: u64,
}

impl Cache {
    pub(crate) fn open(
        dir: PathBuf,
        key: &[u8; 32],
        compatibility: [u8; 32],
        limit: u64,
    ) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&dir)?;
        Ok(Self {
            dir,
            key: *key,
            compatibility,
            limit,
        })
    }

    /// The machine code made from the component with this digest, if it is here, whole, ours and for this engine.
    pub(crate) fn get(&self, source: &[u8; 32], artifact_limit: u64) -> Option<Artifact> {
        let mut file = fs::File::open(self.path(source)).ok()?;
        let mut head = [0; MAGIC.len() + MAC_BYTES];
        if file.metadata().ok()?.len() > artifact_limit.saturating_add(head.len() as u64) {
            return None;
        }
        file.read_exact(&mut head).ok()?;
        let tag = head.strip_prefix(MAGIC)?;
        let mut mac = self.mac(source);
        // However long the file has become since.
        let artifact = Artifact::copy(file.take(artifact_limit), |piece| {
            mac.update(piece);
        });
        let artifact = artifact.ok()?;
        same(mac.finalize().as_bytes(), tag).then_some(artifact)
    }

    /// Keeps machine code. What cannot be written is not kept, which is told to the log and nobody else.
    pub(crate) fn put(&self, source: &[u8; 32], artifact: &[u8]) {
        if let Err(error) = self.write(source, artifact) {
            tracing::warn!(%error, "keep a compiled connector");
            return;
        }
        if let Err(error) = self.prune(&self.path(source)) {
            tracing::warn!(%error, "make room among the compiled connectors");
        }
    }

    fn write(&self, source: &[u8; 32], artifact: &[u8]) -> io::Result<()> {
        let tag = self.mac(source).update(artifact).finalize();
        let path = self.path(source);
        let made = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&made)?;
        let written = file
            .write_all(MAGIC)
            .and_then(|()| file.write_all(tag.as_bytes()))
            .and_then(|()| file.write_all(artifact))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&made, &path));
        if written.is_err() {
            let _ = fs::remove_file(&made);
        }
        written
    }

    /// Over parts of fixed lengths and the code that is to follow, so that no two inputs read the same.
    fn mac(&self, source: &[u8; 32]) -> blake3::Hasher {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(MAGIC).update(&self.compatibility).update(source);
        mac
    }

    /// Named by what it was made from and, in part, what for: engines that differ do not overwrite each other's files.
    fn path(&self, source: &[u8; 32]) -> PathBuf {
        let made_for = HEXLOWER.encode(self.compatibility.get(..8).unwrap_or_default());
        self.dir
            .join(format!("{}-{made_for}.cwasm", HEXLOWER.encode(source)))
    }

    /// Removes the oldest files until the rest fits; never the one just written.
    fn prune(&self, keep: &Path) -> io::Result<()> {
        let mut files = Vec::new();
        let mut total = 0_u64;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                total = total.saturating_add(metadata.len());
                files.push((
                    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                    metadata.len(),
                    entry.path(),
                ));
            }
        }
        files.sort_unstable();
        for (_, size, path) in files {
            if total <= self.limit {
                break;
            }
            if path != keep && fs::remove_file(&path).is_ok() {
                total = total.saturating_sub(size);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(dir: &Path, key: u8, engine: u8, limit: u64) -> Cache {
        Cache::open(dir.to_owned(), &[key; 32], [engine; 32], limit).unwrap()
    }

    #[test]
    fn only_what_was_put_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let ours = cache(dir.path(), 1, 1, 1 << 20);
        ours.put(&[7; 32], b"machine code");
        assert_eq!(ours.get(&[7; 32], 100).unwrap().bytes(), b"machine code");
        assert!(ours.get(&[8; 32], 100).is_none());
        assert!(ours.get(&[7; 32], 5).is_none());
        assert!(cache(dir.path(), 2, 1, 1 << 20).get(&[7; 32], 100).is_none());
        assert!(cache(dir.path(), 1, 2, 1 << 20).get(&[7; 32], 100).is_none());
        // Another component's code under this one's name.
        fs::copy(ours.path(&[7; 32]), ours.path(&[8; 32])).unwrap();
        assert!(ours.get(&[8; 32], 100).is_none());
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache(dir.path(), 1, 1, 1 << 20);
        cache.put(&[7; 32], b"machine code");
        let path = cache.path(&[7; 32]);
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(cache.get(&[7; 32], 100).is_none(), "byte {place}");
            fs::write(&path, &whole[..place]).unwrap();
            assert!(cache.get(&[7; 32], 100).is_none(), "cut at {place}");
        }
        fs::write(&path, &whole).unwrap();
        assert!(cache.get(&[7; 32], 100).is_some());
    }

    #[test]
    fn the_oldest_leave() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache(dir.path(), 1, 1, 400);
        for name in 0..6 {
            cache.put(&[name; 32], &[0; 100]);
        }
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert!((1..=2).contains(&left), "{left} files left");
        assert!(cache.get(&[5; 32], 100).is_some());
    }
}
