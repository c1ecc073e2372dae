//! What a call does with files: what it kept and let go of, over what was there when it began. The bytes of what it kept are on the
//! disk; that they stay there is up to whoever commits the call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sluice_model::file::charge;

use crate::shelf::{FileView, Held, Shelf};

/// A file write that waits for the call's outcome to be committed. There is at most one for each key.
#[derive(Debug, Clone)]
pub struct FileWrite {
    pub key: String,
    pub change: FileChange,
}

/// What becomes of what a key names.
#[derive(Debug, Clone)]
pub enum FileChange {
    Keep(Kept),
    Delete,
}

/// A file that a call wants kept.
#[derive(Clone)]
pub struct Kept {
    pub file: FileView,
    /// The stream and the id of the record that it belongs to.
    pub owner: Option<(String, String)>,
    /// The shelf's hold on its bytes; none where those that are kept already are the same.
    pub held: Option<Held>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("file", &self.file)
            .field("owner", &self.owner)
            .field("new", &self.held.is_some())
            .finish()
    }
}

/// The files of one call.
pub(crate) struct Keeping {
    shelf: Arc<dyn Shelf>,
    quota: u64,
    /// With the call's own files.
    used: u64,
    writes: BTreeMap<String, FileChange>,
    downloaded: u64,
}

impl Keeping {
    pub(crate) fn new(shelf: Arc<dyn Shelf>, quota: u64) -> Self {
        let used = if quota == 0 { 0 } else { shelf.used_bytes() };
        Self {
            shelf,
            quota,
            used,
            writes: BTreeMap::new(),
            downloaded: 0,
        }
    }

    pub(crate) fn shelf(&self) -> Arc<dyn Shelf> {
        Arc::clone(&self.shelf)
    }

    pub(crate) const fn quota(&self) -> u64 {
        self.quota
    }

    /// What is under the key now.
    pub(crate) fn get(&self, key: &str) -> Option<FileView> {
        match self.writes.get(key) {
            Some(FileChange::Keep(kept)) => Some(kept.file.clone()),
            Some(FileChange::Delete) => None,
            None => self.shelf.get(key),
        }
    }

    /// The id that a file under this key has or had before this call.
    pub(crate) fn id(&self, key: &str) -> Option<String> {
        match self.writes.get(key) {
            Some(FileChange::Keep(kept)) => Some(kept.file.id.clone()),
            Some(FileChange::Delete) | None => self.shelf.get(key).map(|file| file.id),
        }
    }

    /// What a file in the place of what is under the key may charge.
    pub(crate) fn room(&self, key: &str) -> u64 {
        // A quota that was lowered later must not keep a connector from making its files smaller.
        self.quota.max(self.used).saturating_sub(self.without(key))
    }

    /// Notes bytes that came, whatever becomes of them.
    pub(crate) fn count(&mut self, bytes: u64) {
        self.downloaded = self.downloaded.saturating_add(bytes);
    }

    pub(crate) const fn downloaded(&self) -> u64 {
        self.downloaded
    }

    pub(crate) fn keep(&mut self, key: &str, mut kept: Kept) {
        // The same bytes as an earlier write of this call: they are still that one's.
        if kept.held.is_none()
            && let Some(FileChange::Keep(earlier)) = self.writes.get(key)
        {
            kept.held.clone_from(&earlier.held);
        }
        self.used = self.without(key).saturating_add(charge(kept.file.bytes));
        self.writes.insert(key.to_owned(), FileChange::Keep(kept));
    }

    pub(crate) fn delete(&mut self, key: &str) {
        self.used = self.without(key);
        if self.shelf.get(key).is_some() {
            self.writes.insert(key.to_owned(), FileChange::Delete);
        } else {
            self.writes.remove(key);
        }
    }

    pub(crate) fn into_writes(self) -> Vec<FileWrite> {
        self.writes
            .into_iter()
            .map(|(key, change)| FileWrite { key, change })
            .collect()
    }

    /// What is used without what is under the key.
    fn without(&self, key: &str) -> u64 {
        let there = self.get(key).map_or(0, |file| charge(file.bytes));
        self.used.saturating_sub(there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shelf::EmptyShelf;

    fn kept(bytes: u64, sha256: &str, held: bool) -> Kept {
        Kept {
            file: FileView {
                id: "fil_1".to_owned(),
                name: "x".to_owned(),
                media_type: "a/b".to_owned(),
                bytes,
                sha256: sha256.to_owned(),
            },
            owner: None,
            held: held.then(|| Arc::new(()) as Held),
        }
    }

    #[test]
    fn the_quota_counts_what_is_replaced_once() {
        let mut keeping = Keeping::new(Arc::new(EmptyShelf), 8192);
        assert_eq!(keeping.room("a"), 8192);
        keeping.keep("a", kept(8000, "1", true));
        assert_eq!(keeping.room("b"), 0, "whole blocks count");
        assert_eq!(keeping.room("a"), 8192, "it takes its own place");
        keeping.delete("a");
        assert!(keeping.room("b") == 8192 && keeping.get("a").is_none());
        assert!(keeping.into_writes().is_empty(), "it was never there");
    }

    #[test]
    fn the_same_bytes_keep_their_hold() {
        let mut keeping = Keeping::new(Arc::new(EmptyShelf), 8192);
        keeping.keep("a", kept(1, "1", true));
        keeping.keep("a", kept(1, "1", false));
        let writes = keeping.into_writes();
        assert!(matches!(&writes.first().unwrap().change, FileChange::Keep(kept) if kept.held.is_some()));
    }
}
