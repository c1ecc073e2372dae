//! A connector's storage: per connection, keys to bytes with versions, within a granted size. Guests read through a
//! [`StorageView`]; what they write is staged and comes with a commit.

use sluice_model::id::{ConnectionId, OrgId};

use crate::{Error, Store};

/// One staged write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageWrite {
    pub key: String,
    /// `None` deletes.
    pub value: Option<Vec<u8>>,
    /// The version that must be there; 0 for "no such key"; `None` for any.
    pub expect: Option<u64>,
}

/// The staged writes of one call, in order, and the granted size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageWrites {
    pub writes: Vec<StorageWrite>,
    /// Bytes of keys and values together that the connection may use.
    pub quota: u64,
}

/// Reads for guests: synchronous, each get its own short read of the last commit, so nothing is held open while a guest
/// computes. The reads of one call may therefore straddle a commit; a write that depends on what was read says so with
/// [`StorageWrite::expect`].
#[derive(Debug, Clone)]
pub struct StorageView {
    #[expect(dead_code, reason = "the door before the house")]
    store: Store,
}

impl StorageView {
    /// The value and its version. Blocks for a few page reads at most; call it from a guest's thread or fiber.
    pub fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>, Error> {
        todo!()
    }

    /// Keys that begin with `prefix` and come behind `after`, in order; at most `limit`, and 1,000.
    pub fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        todo!()
    }

    /// Bytes of keys and values in use.
    pub fn used_bytes(&self) -> Result<u64, Error> {
        todo!()
    }
}

impl Store {
    /// A view for one call. Does nothing yet, so it cannot fail or wait.
    #[must_use]
    pub fn storage_snapshot(&self, org: OrgId, connection: ConnectionId) -> StorageView {
        todo!()
    }

    /// Commits staged writes by themselves, for calls that are neither a page nor a receipt (an action).
    /// [`Error::Quota`], [`Error::StorageVersion`], [`Error::TooLarge`], [`Error::Missing`].
    pub async fn commit_storage(
        &self,
        org: OrgId,
        connection: ConnectionId,
        staged: StorageWrites,
    ) -> Result<(), Error> {
        todo!()
    }
}
