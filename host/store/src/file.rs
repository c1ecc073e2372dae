//! Files: bytes that a connector had downloaded and keeps, under keys of its connection. What is known of them is rows; the
//! bytes are files of the data directory beside the database.
//!
//! Who is involved: a call writes a [`Draft`] (through whoever brought it a [`Shelf`]); whoever commits the call's outcome commits
//! [`FileWrite`]s with it; the API reads; [`Store::sweep_files`] takes from the disk what no row names any more.
//!
//! What must always hold:
//! - The bytes are durable before the row that names them is committed; a row without its bytes is damage.
//! - A key names one file, and its id stays the same while the key is kept: what comes again under a key takes the place of what
//!   was there. What was overtaken is on a list in the same commit, and goes from the disk after it.
//! - A draft that is not committed is gone when it is dropped, or with the next start. One whose commit was begun is not touched by
//!   anybody but the next start, since only the database knows then.
//! - A connection's files are never more than it was granted, also where two calls kept some at once.
//!
//! Deliberately absent: sharing of equal contents between keys (nobody can find out by time or by quota what others have, and
//! nothing has to be counted), and encryption (records and webhooks are in the database as they came, too; secrets are not kept here).

mod draft;
mod rows;
mod shelf;
mod sweep;

use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, FileId, OrgId};

use crate::key::{Key, Parts, Span};
use crate::row::{corrupt, from_json};
use crate::table::{Rows, Table};
use crate::{Error, Listing, Page, Store};

pub use draft::{Draft, OpenDraft};
pub(crate) use rows::{Plan, apply, bytes, check, drafts, plan, remove_rows};
pub use shelf::Shelf;
pub use sweep::MISSED_FOR;

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// The same as long as the key is kept.
    pub id: FileId,
    /// What the connector calls it.
    pub key: String,
    /// For people; harmless, see `sluice_model::file::name`.
    pub name: String,
    /// As the vendor said it, without parameters.
    pub media_type: String,
    pub bytes: u64,
    /// Of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// Whose it is; none: the connection's.
    #[serde(default)]
    pub record: Option<OfRecord>,
    /// When these bytes were kept.
    pub kept: Timestamp,
    /// What the bytes are called on disk.
    blob: FileId,
    /// Since when its record is missed.
    #[serde(default)]
    missed: Option<Timestamp>,
}

/// The record that a file belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfRecord {
    pub stream: String,
    pub id: String,
}

/// One write of a call: a file to be kept or let go of, under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrite {
    pub key: String,
    pub change: FileChange,
}

/// What becomes of what a key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    Keep(Box<NewFile>),
    /// Nothing where there is nothing.
    Delete,
}

/// A file as a call wants it kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// The one that the key has, or a new one.
    pub id: FileId,
    pub name: String,
    pub media_type: String,
    pub bytes: u64,
    pub sha256: String,
    pub record: Option<OfRecord>,
    pub at: Timestamp,
    /// The bytes; none where those that are there are the same.
    pub draft: Option<std::sync::Arc<Draft>>,
}

/// What a connection keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileUse {
    /// As they count against the quota.
    pub used_bytes: u64,
    pub files: u64,
}

/// What a file is called by whoever asks.
pub(crate) fn of(org: OrgId, connection: ConnectionId) -> Key {
    Key::org(org).id(connection)
}

impl Store {
    /// Files of a connection in the order of their keys.
    pub async fn list_files(
        &self,
        org: OrgId,
        connection: ConnectionId,
        page: Page<String>,
    ) -> Result<Listing<KeptFile, String>, Error> {
        self.read(move |rows| {
            let limit = page.limit();
            let mut span = Span::prefix(&of(org, connection));
            if let Some(after) = page.after {
                span = span.after(of(org, connection).tail(after));
            }
            let found = rows.collect(Table::Files, &span, false, limit + 1, |_, content| {
                from_json(Table::Files, content).map(Some)
            })?;
            Ok(Listing::cut(found, limit, |file: &KeptFile| file.key.clone()))
        })
        .await
    }

    /// A file and whose it is. Cheap; may be asked in a call.
    pub fn file(&self, org: OrgId, id: FileId) -> Result<Option<(ConnectionId, KeptFile)>, Error> {
        self.read_now(|rows| rows::by_id(rows, org, id))
    }

    /// The file that has this key. Cheap; may be asked in a call.
    pub fn file_at(
        &self,
        org: OrgId,
        connection: ConnectionId,
        key: &str,
    ) -> Result<Option<KeptFile>, Error> {
        self.read_now(|rows| rows.get_json(Table::Files, &of(org, connection).tail(key)))
    }

    /// What the connection keeps. Cheap; may be asked in a call.
    pub fn file_use(&self, org: OrgId, connection: ConnectionId) -> Result<FileUse, Error> {
        self.read_now(|rows| rows::usage(rows, org, connection))
    }

    /// A file, to be read. What takes its place meanwhile does not change what is read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if its bytes are not there.
    pub async fn open_file(
        &self,
        org: OrgId,
        id: FileId,
    ) -> Result<Option<(KeptFile, std::fs::File)>, Error> {
        let mut last = None;
        loop {
            let Some((_, file)) = self.file(org, id)? else {
                return Ok(None);
            };
            if let Some(bytes) = self.shelf().open(org, id, file.blob).await {
                let found = bytes.metadata().map(|found| found.len());
                if found.is_ok_and(|found| found == file.bytes) {
                    return Ok(Some((file, bytes)));
                }
                return Err(corrupt(Table::Files, "the bytes of a file have another length"));
            }
            // It may have been overtaken between the two looks, but then the row tells of other bytes now.
            if last == Some(file.blob) {
                return Err(corrupt(Table::Files, "the bytes of a file are not there"));
            }
            last = Some(file.blob);
        }
    }
}

/// The connection and the key that an id leads to.
pub(crate) fn place(content: &[u8]) -> Result<(ConnectionId, String), Error> {
    let mut parts = Parts::new(content);
    let connection = parts.id();
    connection
        .zip(parts.tail_text().map(str::to_owned))
        .ok_or_else(|| corrupt(Table::FileIds, "a row is truncated"))
}
