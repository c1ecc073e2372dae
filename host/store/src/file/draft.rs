//! A file on its way in: written, made durable, then committed or gone.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sluice_model::id::{FileId, OrgId};
use tokio::io::AsyncWriteExt;

use super::shelf::Shelf;

/// A file that is being written. Dropped, it is gone.
pub struct OpenDraft {
    pub(super) file: tokio::fs::File,
    pub(super) draft: Draft,
}

/// A file whose bytes are durable and that no row names yet. Dropped before a commit took it up, it is gone.
pub struct Draft {
    pub(super) shelf: Arc<Shelf>,
    pub(super) org: OrgId,
    pub(super) id: FileId,
    pub(super) blob: FileId,
    pub(super) path: PathBuf,
    /// A commit has taken it up: from now on only the database knows.
    pub(super) taken: AtomicBool,
}

impl OpenDraft {
    /// Adds bytes. Not cancel-safe: a draft whose write was cut off is to be dropped.
    ///
    /// # Errors
    /// What the disk says: it is full, or broken.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// Makes it durable, with its name.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn finish(mut self) -> io::Result<Draft> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        self.draft.shelf.sync_incoming().await?;
        Ok(self.draft)
    }
}

impl Draft {
    pub(crate) const fn blob(&self) -> FileId {
        self.blob
    }

    /// From here on its fate is the commit's.
    pub(crate) fn take(&self) {
        self.taken.store(true, Ordering::Release);
    }

    /// Puts it where kept files are, after its commit. Where that fails it is found where it is, and the next start tries again.
    pub(crate) async fn settle(&self) {
        if let Err(error) = self.shelf.settle(self.org, self.blob, &self.path).await {
            tracing::warn!(file = %self.id, %error, "a kept file is not in its place yet");
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.taken.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(file = %self.id, %error, "a file that is not kept is still on the disk; the next start removes it");
        }
    }
}

/// Drafts are the same where their bytes are.
impl PartialEq for Draft {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Eq for Draft {}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OpenDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenDraft")
            .field("id", &self.draft.id)
            .finish_non_exhaustive()
    }
}
