//! Records and their changes.

use crate::clock::Timestamp;

/// An item of a stream as the connector read it. `data` is JSON text, kept to the byte so that numbers stay exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Stable within the stream, 1 to [`MAX_ID_BYTES`] bytes.
    pub id: String,
    /// A JSON document.
    pub data: String,
    /// When the vendor says it was changed last.
    pub modified: Option<Timestamp>,
}

/// One change of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The record is now so.
    Upsert(Item),
    /// The record with this id is gone.
    Delete(String),
}

impl Change {
    /// The record's id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Upsert(item) => &item.id,
            Self::Delete(id) => id,
        }
    }

    /// Bytes of its id and its data.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Upsert(item) => item.id.len() + item.data.len(),
            Self::Delete(id) => id.len(),
        }
    }
}

/// A record id longer than this is refused: it becomes part of a database key.
pub const MAX_ID_BYTES: usize = 512;

/// A cursor longer than this is refused: it is an opaque token, not a place to keep data.
pub const MAX_CURSOR_BYTES: usize = 64 * 1024;

/// A record longer than this is quarantined.
pub const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// What became of a page's changes. `received = added + updated + unchanged + deleted + quarantined`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// New ids.
    pub added: u64,
    /// Known ids with another content.
    pub updated: u64,
    /// Known ids with the same content, and deletes of what was not there.
    pub unchanged: u64,
    /// Ids that are gone.
    pub deleted: u64,
    /// Changes refused with a reason.
    pub quarantined: u64,
    /// How many of them the stream's filter left out: they count as deleted where they were there before, else as
    /// unchanged.
    #[serde(default)]
    pub filtered: u64,
    /// Records taken away because a complete reading did not meet them again. They were not received.
    #[serde(default)]
    pub vanished: u64,
}

impl Counts {
    /// All changes that came in.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.added + self.updated + self.unchanged + self.deleted + self.quarantined
    }

    /// Adds another page's counts.
    pub fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.deleted += other.deleted;
        self.quarantined += other.quarantined;
        self.filtered += other.filtered;
        self.vanished += other.vanished;
    }
}
