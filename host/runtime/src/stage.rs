//! The stage: storage writes of one call over the snapshot that it reads. Nothing here is durable; the caller commits
//! the writes with the call's outcome or lets them go.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::snapshot::{Snapshot, StorageWrite};

/// Keys longer than this are refused, in bytes: they become part of a database key.
const KEY_BYTES: usize = 256;

/// Keys that one listing gives at most.
const LIST: u32 = 1_000;

/// What a guest is told when a write is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The quota in bytes.
    Quota(u64),
    Conflict,
    InvalidKey,
}

/// All writes of a call to one key are one write: its version is one above the snapshot's, however often it was set.
pub(crate) struct Stage {
    snapshot: Arc<dyn Snapshot>,
    quota: u64,
    used: u64,
    writes: BTreeMap<String, Staged>,
}

struct Staged {
    value: Option<Vec<u8>>,
    /// What the commit must still find; it speaks of the snapshot, so the first write of a key decides it.
    expect: Option<u64>,
    version: u64,
}

impl Stage {
    pub(crate) fn new(snapshot: Arc<dyn Snapshot>, quota: u64) -> Self {
        let used = snapshot.used_bytes();
        Self {
            snapshot,
            quota,
            used,
            writes: BTreeMap::new(),
        }
    }

    /// What is left of the quota, in bytes: it may be withdrawn while the call is under way.
    pub(crate) fn lower(&mut self, quota: u64) {
        self.quota = self.quota.min(quota);
    }

    /// The value and its version, the call's own writes included.
    pub(crate) fn get(&self, key: &str) -> Option<(Vec<u8>, u64)> {
        if !is_key(key) {
            return None;
        }
        match self.writes.get(key) {
            Some(staged) => staged.value.clone().map(|value| (value, staged.version)),
            None => self.snapshot.get(key),
        }
    }

    pub(crate) fn set(&mut self, key: &str, value: Vec<u8>, expect: Option<u64>) -> Result<(), Refusal> {
        if !is_key(key) {
            return Err(Refusal::InvalidKey);
        }
        let (old_bytes, version) = self.entry(key);
        if expect.is_some_and(|expected| expected != version) {
            return Err(Refusal::Conflict);
        }
        let used = self
            .used
            .saturating_sub(old_bytes)
            .saturating_add((key.len() + value.len()) as u64);
        // A quota that was lowered later must not keep a connector from making its entries smaller; without one nothing is set.
        if self.quota == 0 || (used > self.quota && used > self.used) {
            return Err(Refusal::Quota(self.quota));
        }
        self.used = used;
        self.put(key, Some(value), expect, version);
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: &str) -> Result<(), Refusal> {
        if !is_key(key) {
            return Err(Refusal::InvalidKey);
        }
        let (old_bytes, version) = self.entry(key);
        if version == 0 && !self.writes.contains_key(key) {
            return Ok(());
        }
        self.used = self.used.saturating_sub(old_bytes);
        self.put(key, None, None, version);
        Ok(())
    }

    /// Keys with `prefix` that sort after `after`, in byte order.
    pub(crate) fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
        let limit = limit.min(LIST);
        let wanted = limit as usize;
        let mut found: Vec<String> = self
            .writes
            .iter()
            .filter(|(key, staged)| staged.value.is_some() && key.starts_with(prefix))
            .map(|(key, _)| key.clone())
            .filter(|key| after.is_none_or(|after| key.as_str() > after))
            .take(wanted)
            .collect();
        let mut kept = 0;
        let mut from = after.map(str::to_owned);
        while kept < wanted {
            let page = self.snapshot.keys(prefix, from.as_deref(), limit);
            let last = page.len() < wanted;
            from = page.last().cloned();
            for key in page {
                if !self.writes.contains_key(&key) {
                    kept += 1;
                    found.push(key);
                }
            }
            if last || from.is_none() {
                break;
            }
        }
        found.sort_unstable();
        found.truncate(wanted);
        found
    }

    pub(crate) fn into_writes(self) -> Vec<StorageWrite> {
        self.writes
            .into_iter()
            .map(|(key, staged)| StorageWrite {
                key,
                value: staged.value,
                expect: staged.expect,
            })
            .collect()
    }

    /// Bytes and version of what is at `key` now; zeroes where nothing is.
    fn entry(&self, key: &str) -> (u64, u64) {
        self.get(key).map_or((0, 0), |(value, version)| {
            ((key.len() + value.len()) as u64, version)
        })
    }

    fn put(&mut self, key: &str, value: Option<Vec<u8>>, expect: Option<u64>, version: u64) {
        match self.writes.get_mut(key) {
            Some(staged) => staged.value = value,
            None => {
                self.writes.insert(
                    key.to_owned(),
                    Staged {
                        value,
                        expect,
                        version: version + 1,
                    },
                );
            }
        }
    }
}

fn is_key(key: &str) -> bool {
    (1..=KEY_BYTES).contains(&key.len()) && !key.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(BTreeMap<String, (Vec<u8>, u64)>);

    impl Snapshot for Fixed {
        fn get(&self, key: &str) -> Option<(Vec<u8>, u64)> {
            self.0.get(key).cloned()
        }
        fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
            let keys = self.0.keys().filter(|key| key.starts_with(prefix));
            keys.filter(|key| after.is_none_or(|after| key.as_str() > after))
                .take(limit as usize)
                .cloned()
                .collect()
        }
        fn used_bytes(&self) -> u64 {
            self.0
                .iter()
                .map(|(key, (value, _))| (key.len() + value.len()) as u64)
                .sum()
        }
    }

    fn stage(keys: &[&str], quota: u64) -> Stage {
        let entries = keys
            .iter()
            .map(|key| ((*key).to_owned(), (vec![0; 9], 3)))
            .collect();
        Stage::new(Arc::new(Fixed(entries)), quota)
    }

    #[test]
    fn reads_see_own_writes() {
        let mut stage = stage(&["a"], 1000);
        stage.set("a", vec![1], None).unwrap();
        assert_eq!(stage.get("a"), Some((vec![1], 4)));
        stage.delete("a").unwrap();
        assert_eq!(stage.get("a"), None);
        stage.set("b", vec![2], Some(0)).unwrap();
        assert_eq!(stage.get("b"), Some((vec![2], 1)));
        let expected = [
            StorageWrite {
                key: "a".into(),
                value: None,
                expect: None,
            },
            StorageWrite {
                key: "b".into(),
                value: Some(vec![2]),
                expect: Some(0),
            },
        ];
        assert_eq!(stage.into_writes(), expected);
    }

    #[test]
    fn versions_are_compared() {
        let mut stage = stage(&["a"], 1000);
        assert_eq!(stage.set("a", vec![], Some(2)), Err(Refusal::Conflict));
        assert_eq!(stage.set("a", vec![], Some(0)), Err(Refusal::Conflict));
        stage.set("a", vec![1], Some(3)).unwrap();
        stage.set("a", vec![2], Some(4)).unwrap();
        assert_eq!(
            stage.into_writes(),
            [StorageWrite {
                key: "a".into(),
                value: Some(vec![2]),
                expect: Some(3)
            }]
        );
    }

    #[test]
    fn quota_counts_what_is_staged() {
        let mut stage = stage(&["a"], 20);
        assert_eq!(stage.set("b", vec![0; 10], None), Err(Refusal::Quota(20)));
        stage.set("b", vec![0; 9], None).unwrap();
        assert_eq!(stage.set("c", vec![], None), Err(Refusal::Quota(20)));
        stage.delete("a").unwrap();
        stage.set("c", vec![0; 9], None).unwrap();
    }

    #[test]
    fn what_was_withdrawn_meanwhile_is_no_room() {
        let mut stage = stage(&["a"], 100);
        stage.set("b", b"1".to_vec(), None).unwrap();
        stage.lower(0);
        assert_eq!(stage.set("b", b"1".to_vec(), None), Err(Refusal::Quota(0)));
        // It does not come back, what is there is read, and it may go.
        stage.lower(100);
        assert_eq!(stage.set("c", Vec::new(), None), Err(Refusal::Quota(0)));
        assert!(stage.get("a").is_some() && stage.delete("a").is_ok());
    }

    #[test]
    fn a_lowered_quota_lets_entries_shrink() {
        let mut stage = stage(&["a"], 5);
        stage.set("a", vec![0; 8], None).unwrap();
        assert_eq!(stage.set("a", vec![0; 9], None), Err(Refusal::Quota(5)));
    }

    #[test]
    fn keys_are_checked() {
        let mut stage = stage(&[], 10_000);
        for key in ["", "a\nb", "\0", &"x".repeat(257)] {
            assert_eq!(stage.set(key, vec![], None), Err(Refusal::InvalidKey), "{key:?}");
            assert_eq!(stage.delete(key), Err(Refusal::InvalidKey));
            assert_eq!(stage.get(key), None);
        }
        stage.set(&"x".repeat(256), vec![], None).unwrap();
    }

    #[test]
    fn lists_merge() {
        let mut stage = stage(&["a", "b", "c", "d", "x"], 1000);
        stage.delete("a").unwrap();
        stage.delete("c").unwrap();
        stage.set("bb", vec![], None).unwrap();
        stage.set("e", vec![], None).unwrap();
        assert_eq!(stage.keys("", None, 10), ["b", "bb", "d", "e", "x"]);
        assert_eq!(stage.keys("", None, 2), ["b", "bb"]);
        assert_eq!(stage.keys("", Some("bb"), 2), ["d", "e"]);
        assert_eq!(stage.keys("b", None, 10), ["b", "bb"]);
        assert!(stage.keys("", None, 0).is_empty());
    }
}
