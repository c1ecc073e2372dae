//! Streams whose readers look at a snapshot, because what is there is being replaced.
//!
//! The snapshot is one of the whole database; only reads of that stream's records use it. Whether a stream is being replaced
//! is what its own state says, in the same look as its records; the snapshot is taken before that and let go of after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use redb::ReadTransaction;
use sluice_model::id::{ConnectionId, OrgId};

use crate::table::Reader;
use crate::{Error, Store};

/// The streams that are frozen now.
#[derive(Default)]
pub(crate) struct Frozen(Mutex<HashMap<(OrgId, ConnectionId, String), Arc<ReadTransaction>>>);

impl Frozen {
    /// The reader that this stream's records are to be read with while they are being replaced.
    pub(crate) fn reader(&self, org: OrgId, connection: ConnectionId, stream: &str) -> Option<Reader> {
        let frozen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = frozen.get(&(org, connection, stream.to_owned()))?;
        Some(Reader::new(Arc::clone(transaction)))
    }
}

impl Store {
    /// From now on readers of the stream's records see it as it is now, or as it was when this was asked for first.
    pub(crate) fn freeze(&self, org: OrgId, connection: ConnectionId, stream: &str) -> Result<(), Error> {
        let transaction = Arc::new(self.begin_read()?);
        let mut frozen = self.frozen().0.lock().unwrap_or_else(PoisonError::into_inner);
        frozen
            .entry((org, connection, stream.to_owned()))
            .or_insert(transaction);
        Ok(())
    }

    pub(crate) fn thaw(&self, org: OrgId, connection: ConnectionId, stream: &str) {
        let mut frozen = self.frozen().0.lock().unwrap_or_else(PoisonError::into_inner);
        frozen.remove(&(org, connection, stream.to_owned()));
    }
}
