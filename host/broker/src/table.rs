//! A map that is never larger than its cap, for what is kept per tenant, connection or host.

use std::collections::HashMap;
use std::hash::Hash;

/// Entries of one table. What falls out is the idle; losing it costs a fresh start of its count, nothing else.
const MAX_ENTRIES: usize = 16_384;
/// What goes when nothing is idle.
const DROPPED_AT_ONCE: usize = MAX_ENTRIES / 64;

pub(crate) struct Table<K, V>(HashMap<K, V>);

impl<K: Hash + Eq + Clone, V> Table<K, V> {
    pub(crate) fn new() -> Self {
        Self(HashMap::new())
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }

    /// The value of `key`, made if it is not there. At the cap, everything `is_idle` goes first, then anything.
    pub(crate) fn obtain(
        &mut self,
        key: &K,
        make: impl FnOnce() -> V,
        is_idle: impl Fn(&V) -> bool,
    ) -> &mut V {
        self.obtain_beside(key, make, is_idle, |_| false)
    }

    /// Like [`obtain`](Self::obtain), and what is not idle goes from the asker's own entries before it goes from others'.
    pub(crate) fn obtain_beside(
        &mut self,
        key: &K,
        make: impl FnOnce() -> V,
        is_idle: impl Fn(&V) -> bool,
        is_own: impl Fn(&K) -> bool,
    ) -> &mut V {
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(key) {
            self.0.retain(|_, value| !is_idle(value));
            if self.0.len() >= MAX_ENTRIES {
                self.drop_some(is_own);
            }
            if self.0.len() >= MAX_ENTRIES {
                self.drop_some(|_| true);
            }
        }
        self.0.entry(key.clone()).or_insert_with(make)
    }

    /// Many at once, so that a full table is not walked for every new entry.
    fn drop_some(&mut self, is_one: impl Fn(&K) -> bool) {
        let ones = self.0.keys().filter(|key| is_one(key));
        let victims: Vec<K> = ones.take(DROPPED_AT_ONCE).cloned().collect();
        for victim in victims {
            self.0.remove(&victim);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_fills_it_loses_their_own_first() {
        let mut table = Table::new();
        for key in 0..3 {
            table.obtain(&(1, key), || (), |()| false);
        }
        for key in 0..2 * MAX_ENTRIES {
            table.obtain_beside(&(2, key), || (), |()| false, |key| key.0 == 2);
            assert!(table.0.len() <= MAX_ENTRIES);
        }
        assert_eq!(table.iter().filter(|(key, ())| key.0 == 1).count(), 3);
    }
}
