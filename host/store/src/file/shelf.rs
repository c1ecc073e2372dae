//! Where the bytes are: `files/ORG/BLOB`, and on their way in `files/incoming/ORG.FILE.BLOB`. Names are ids, never what a vendor or a
//! connector says; nobody but the server's own account may read them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ring::rand::{SecureRandom, SystemRandom};
use sluice_model::Timestamp;
use sluice_model::id::{FileId, OrgId};

use super::draft::{Draft, OpenDraft};

/// The directory. Nothing is made before the first file comes.
#[derive(Debug)]
pub struct Shelf {
    dir: PathBuf,
}

/// What is on its way in, by its name.
pub(super) struct Incoming {
    pub(super) org: OrgId,
    pub(super) id: FileId,
    pub(super) blob: FileId,
    pub(super) path: PathBuf,
}

impl Shelf {
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            dir: data.join("files"),
        }
    }

    /// An id that was not there before.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new_id(now: Timestamp) -> io::Result<FileId> {
        let mut random = [0; 10];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| io::Error::other("no random numbers"))?;
        Ok(FileId::new(now, random))
    }

    /// A draft for this organization's file.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn draft(self: &Arc<Self>, org: OrgId, id: FileId, now: Timestamp) -> io::Result<OpenDraft> {
        let blob = Self::new_id(now)?;
        let path = self.incoming().join(format!("{org}.{id}.{blob}"));
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let file = match options.open(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make(&self.incoming()).await?;
                options.open(&path).await?
            }
            opened => opened?,
        };
        let draft = Draft {
            shelf: Arc::clone(self),
            org,
            id,
            blob,
            path,
            taken: AtomicBool::new(false),
        };
        Ok(OpenDraft { file, draft })
    }

    /// The bytes, wherever they are; none where they are not.
    pub(super) async fn open(&self, org: OrgId, id: FileId, blob: FileId) -> Option<std::fs::File> {
        // Between the first two looks it may have been put in its place.
        let (place, incoming) = (self.place(org, blob), self.name_of(org, id, blob));
        let look = move || {
            [&place, &incoming, &place]
                .iter()
                .find_map(|path| std::fs::File::open(path).ok())
        };
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }

    pub(super) async fn sync_incoming(&self) -> io::Result<()> {
        let incoming = self.incoming();
        blocking(move || std::fs::File::open(incoming)?.sync_all()).await
    }

    /// Puts it in its place.
    pub(super) async fn settle(&self, org: OrgId, blob: FileId, from: &Path) -> io::Result<()> {
        let (from, to) = (from.to_owned(), self.place(org, blob));
        match tokio::fs::rename(&from, &to).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make(&self.dir.join(org.to_string())).await?;
                tokio::fs::rename(&from, &to).await
            }
            renamed => renamed,
        }
    }

    /// What is on its way in, or was when the process before this one ended. Names that are not ours are nobody's.
    pub(super) fn arrivals(&self) -> io::Result<Vec<Incoming>> {
        let mut found = Vec::new();
        for path in list(&self.incoming())? {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let mut parts = name.split('.');
            let (org, id, blob) = (parts.next(), parts.next(), parts.next());
            let parsed = org
                .and_then(|org| org.parse().ok())
                .zip(id.and_then(|id| id.parse().ok()))
                .zip(blob.and_then(|blob| blob.parse().ok()));
            match parsed {
                Some(((org, id), blob)) => found.push(Incoming { org, id, blob, path }),
                None => tracing::warn!(path = %path.display(), "this is no file of the store's"),
            }
        }
        Ok(found)
    }

    /// Organizations that have a directory.
    pub(super) async fn orgs(&self) -> io::Result<Vec<OrgId>> {
        let dir = self.dir.clone();
        blocking(move || {
            let names = list(&dir)?.into_iter();
            let org = |path: PathBuf| path.file_name()?.to_str()?.parse().ok();
            Ok(names.filter_map(org).collect())
        })
        .await
    }

    /// Removes up to `limit` files of an organization that is gone, and at last its directory. Whether there are more.
    pub(super) async fn remove_org(&self, org: OrgId, limit: usize) -> io::Result<bool> {
        let dir = self.dir.join(org.to_string());
        blocking(move || {
            let paths = list(&dir)?;
            let more = paths.len() > limit;
            for path in paths.into_iter().take(limit) {
                gone(std::fs::remove_file(path))?;
            }
            if !more {
                gone(std::fs::remove_dir(&dir))?;
            }
            Ok(more)
        })
        .await
    }

    /// Removes bytes that no row names. They may be on their way into their place, and are met in one of the two.
    pub(super) async fn remove(&self, org: OrgId, gone_files: &[(FileId, FileId)]) -> io::Result<()> {
        let both = |(id, blob): &(FileId, FileId)| [self.name_of(org, *id, *blob), self.place(org, *blob)];
        let paths: Vec<_> = gone_files.iter().flat_map(both).collect();
        blocking(move || paths.iter().try_for_each(|path| gone(std::fs::remove_file(path)))).await
    }

    async fn make(&self, dir: &Path) -> io::Result<()> {
        let (dir, base) = (dir.to_owned(), self.dir.clone());
        blocking(move || {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(dir)?;
            // A new directory is durable with the one that it is in.
            std::fs::File::open(&base)?.sync_all()?;
            match base.parent() {
                Some(data) => std::fs::File::open(data)?.sync_all(),
                None => Ok(()),
            }
        })
        .await
    }

    fn incoming(&self) -> PathBuf {
        self.dir.join("incoming")
    }

    fn place(&self, org: OrgId, blob: FileId) -> PathBuf {
        self.dir.join(org.to_string()).join(blob.to_string())
    }

    fn name_of(&self, org: OrgId, id: FileId, blob: FileId) -> PathBuf {
        self.incoming().join(format!("{org}.{id}.{blob}"))
    }
}

/// The paths in a directory; none where it is not there.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// It was to go, and is not there.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

async fn blocking<R: Send + 'static>(work: impl FnOnce() -> io::Result<R> + Send + 'static) -> io::Result<R> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(io::Error::other("it was cut off")))
}
