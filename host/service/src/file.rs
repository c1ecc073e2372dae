//! Files that connectors keep: how a call puts them on the store's shelf, what the store commits of them, and how they are read.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sluice_model::id::{ConnectionId, FileId, OrgId};
use sluice_runtime::{FileDraft, FileView, Held, Unkept};
use sluice_store::file::{Draft, FileChange, FileWrite, NewFile, OpenDraft, Shelf};
pub use sluice_store::file::{KeptFile, OfRecord};

use crate::Service;
use crate::page::{Listed, Page};

/// Files of a connection in the order of their keys.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    page: &Page,
) -> Result<Listed<KeptFile>, sluice_store::Error> {
    let wanted = sluice_store::Page {
        after: page.after.clone(),
        limit: page.bounded(),
    };
    let found = service.store().list_files(org, connection, wanted).await?;
    Ok(Listed {
        items: found.items,
        next: found.next,
    })
}

/// A file of the organization, and the connection that keeps it.
///
/// # Errors
///
/// If the database does not answer.
pub fn get(
    service: &Service,
    org: OrgId,
    id: FileId,
) -> Result<Option<(ConnectionId, KeptFile)>, sluice_store::Error> {
    service.store().file(org, id)
}

/// A file, to be read from its beginning.
///
/// # Errors
///
/// If the database does not answer, or the bytes are not there.
pub async fn open(
    service: &Service,
    org: OrgId,
    id: FileId,
) -> Result<Option<(KeptFile, std::fs::File)>, sluice_store::Error> {
    service.store().open_file(org, id).await
}

/// The shelf of one connection, for its calls.
pub(crate) struct ConnectionShelf {
    pub(crate) service: Service,
    pub(crate) org: OrgId,
    pub(crate) connection: ConnectionId,
}

impl ConnectionShelf {
    async fn open(&self, id: Option<&str>) -> Result<Box<dyn FileDraft>, Unkept> {
        let now = self.service.now();
        let id: FileId = match id.and_then(|id| id.parse().ok()) {
            Some(id) => id,
            None => self.service.new_id(),
        };
        let shelf: &Arc<Shelf> = self.service.store().shelf();
        let draft = shelf
            .draft(self.org, id, now)
            .await
            .map_err(|error| unkept(&error))?;
        Ok(Box::new(Writing {
            id: id.to_string(),
            draft,
        }))
    }
}

impl sluice_runtime::Shelf for ConnectionShelf {
    fn get(&self, key: &str) -> Option<FileView> {
        let found = self.service.store().file_at(self.org, self.connection, key);
        let found = found.unwrap_or_else(|error| {
            tracing::error!(code = error.code(), %error, "a connector's files can't be read");
            None
        });
        found.map(|file| FileView {
            id: file.id.to_string(),
            name: file.name,
            media_type: file.media_type,
            bytes: file.bytes,
            sha256: file.sha256,
        })
    }

    fn used_bytes(&self) -> u64 {
        // Unknown use counts as full, so that the quota holds.
        let used = self.service.store().file_use(self.org, self.connection);
        used.map_or(u64::MAX, |used| used.used_bytes)
    }

    fn draft<'a>(&'a self, id: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn FileDraft>, Unkept>> {
        Box::pin(self.open(id))
    }
}

struct Writing {
    id: String,
    draft: OpenDraft,
}

impl FileDraft for Writing {
    fn id(&self) -> &str {
        &self.id
    }

    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), Unkept>> {
        Box::pin(async move { self.draft.write(bytes).await.map_err(|error| unkept(&error)) })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Held, Unkept>> {
        Box::pin(async move {
            let draft = self.draft.finish().await.map_err(|error| unkept(&error))?;
            Ok(Arc::new(draft) as Held)
        })
    }
}

/// What a connector may know of a disk that refuses.
fn unkept(error: &std::io::Error) -> Unkept {
    tracing::error!(%error, "a file is not written to disk");
    Unkept(format!("the server's disk refuses: {}", error.kind()))
}

/// What the store commits of a call's files.
pub(crate) fn writes(service: &Service, writes: Vec<sluice_runtime::FileWrite>) -> Vec<FileWrite> {
    let at = service.now();
    let write = |write: sluice_runtime::FileWrite| {
        let change = match write.change {
            sluice_runtime::FileChange::Delete => FileChange::Delete,
            sluice_runtime::FileChange::Keep(kept) => FileChange::Keep(Box::new(NewFile {
                // It is this room's own text.
                id: kept.file.id.parse().ok()?,
                name: kept.file.name,
                media_type: kept.file.media_type,
                bytes: kept.file.bytes,
                sha256: kept.file.sha256,
                record: kept.owner.map(|(stream, id)| OfRecord { stream, id }),
                at,
                draft: kept.held.and_then(|held| held.downcast::<Draft>().ok()),
            })),
        };
        Some(FileWrite {
            key: write.key,
            change,
        })
    };
    writes.into_iter().filter_map(write).collect()
}
