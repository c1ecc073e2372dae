//! A connection's storage as one call sees it: read from a snapshot, written to a stage. The runtime does not know the
//! store; whoever commits the call's outcome brings the snapshot and applies the writes.

/// Storage reads for the runtime. A snapshot does not change while the call runs, and answers without waiting: it is
/// called on the guest's fiber. Two implementations: the service's over the store, and the tests' own.
pub trait Snapshot: Send + Sync {
    /// The value and its version.
    fn get(&self, key: &str) -> Option<(Vec<u8>, u64)>;
    /// Keys with this prefix that sort after `after`, in byte order, at most `limit`.
    fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<String>;
    /// All keys and values together.
    fn used_bytes(&self) -> u64;
}

/// Storage of a connection that has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptySnapshot;

impl Snapshot for EmptySnapshot {
    fn get(&self, _key: &str) -> Option<(Vec<u8>, u64)> {
        None
    }

    fn keys(&self, _prefix: &str, _after: Option<&str>, _limit: u32) -> Vec<String> {
        Vec::new()
    }

    fn used_bytes(&self) -> u64 {
        0
    }
}

/// A write that waits for the call's outcome to be committed. There is at most one for each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageWrite {
    pub key: String,
    /// None: delete.
    pub value: Option<Vec<u8>>,
    /// The version that the guest saw (0: no entry) and that the commit must still find. None: whatever is there.
    pub expect: Option<u64>,
}
