//! A map that is never larger than its cap, for what is kept per tenant, connection or host.

use std::collections::HashMap;
use std::hash::Hash;

/// Entries of one table. What falls out is the idle; losing it costs a fresh start of its count, nothing else.
const MAX_ENTRIES: usize = 16_384;

pub(crate) struct Table<K, V>(HashMap<K, V>);

impl<K: Hash + Eq + Clone, V> Table<K, V> {
    pub(crate) fn new() -> Self {
        Self(HashMap::new())
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// The value of `key`, made if it is not there. At the cap, everything `is_idle` goes first, then anything.
    pub(crate) fn obtain(
        &mut self,
        key: &K,
        make: impl FnOnce() -> V,
        is_idle: impl Fn(&V) -> bool,
    ) -> &mut V {
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(key) {
            self.0.retain(|_, value| !is_idle(value));
            let over = self.0.len().saturating_sub(MAX_ENTRIES - 1);
            let victims: Vec<K> = self.0.keys().take(over).cloned().collect();
            for victim in victims {
                self.0.remove(&victim);
            }
        }
        self.0.entry(key.clone()).or_insert_with(make)
    }
}
