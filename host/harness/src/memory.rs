//! A connection's storage, in memory: what the store keeps between two calls.

use std::collections::BTreeMap;

use sluice_runtime::{Snapshot, StorageWrite};

/// What is kept. A value to be cloned: each call has the one that it began with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    entries: BTreeMap<String, (Vec<u8>, u64)>,
    version: u64,
}

impl Memory {
    /// What a call wanted kept, as the store commits it: all of it, or none where an entry is not as the call saw it.
    pub(crate) fn commit(&mut self, writes: Vec<StorageWrite>) -> bool {
        let is_as_seen = |write: &StorageWrite| {
            write
                .expect
                .is_none_or(|seen| self.entries.get(&write.key).map_or(0, |(_, version)| *version) == seen)
        };
        if !writes.iter().all(is_as_seen) {
            return false;
        }
        for write in writes {
            self.version += 1;
            match write.value {
                Some(value) => self.entries.insert(write.key, (value, self.version)),
                None => self.entries.remove(&write.key),
            };
        }
        true
    }
}

impl Snapshot for Memory {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u64)> {
        self.entries.get(key).cloned()
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let fits = |key: &&String| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after);
        self.entries.keys().filter(fits).take(limit).cloned().collect()
    }

    fn used_bytes(&self) -> u64 {
        let bytes = |(key, (value, _)): (&String, &(Vec<u8>, u64))| (key.len() + value.len()) as u64;
        self.entries.iter().map(bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &str, value: Option<&str>, expect: Option<u64>) -> StorageWrite {
        StorageWrite {
            key: key.to_owned(),
            value: value.map(|value| value.as_bytes().to_vec()),
            expect,
        }
    }

    #[test]
    fn a_commit_is_whole_or_nothing() {
        let mut memory = Memory::default();
        assert!(memory.commit(vec![write("a", Some("1"), Some(0)), write("b", Some("22"), None)]));
        let (_, version) = memory.get("a").unwrap();
        assert_eq!(
            (memory.used_bytes(), memory.keys("", Some("a"), 9)),
            (5, vec!["b".to_owned()])
        );
        let before = memory.clone();
        assert!(!memory.commit(vec![write("b", None, None), write("a", None, Some(version + 1))]));
        assert_eq!(memory, before);
        assert!(memory.commit(vec![write("a", None, Some(version))]));
        assert_eq!(memory.get("a"), None);
    }
}
