//! Records: the latest version of each id, a hash of its content, and a feed of what changed.
//!
//! The feed is compacted: it has one row per id, the latest, under a number that only goes up within a connection. Who
//! reads it from the last number they saw misses no record's latest state and sees none twice; states in between that
//! were overwritten before they looked are gone.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId};

use crate::{Error, Listing, Page, Store};

/// A record as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    /// JSON text, as it came.
    pub data: String,
    pub modified: Option<Timestamp>,
    /// When it was written.
    pub at: Timestamp,
    /// Its place in the connection's feed.
    pub seq: u64,
}

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Added,
    Updated,
    Deleted,
}

/// A row of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    pub seq: u64,
    pub stream: String,
    pub id: String,
    pub op: Op,
    pub at: Timestamp,
    /// JSON text; `None` for a delete.
    pub data: Option<String>,
}

/// A record that was refused, and why. One row per id; an id that comes in well later takes it away.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Quarantined {
    /// Empty if the record has none.
    pub id: String,
    pub data: String,
    pub reason_code: String,
    pub reason: String,
    /// RFC 6901, where in the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

/// What a stream of a connection holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCount {
    pub stream: String,
    pub records: u64,
    pub quarantined: u64,
}

impl Store {
    /// One record; `None` also for a deleted one.
    pub async fn get_record(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        id: &str,
    ) -> Result<Option<Record>, Error> {
        todo!()
    }

    /// A stream's records, by id.
    pub async fn list_records(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        page: Page<String>,
    ) -> Result<Listing<Record, String>, Error> {
        todo!()
    }

    /// What changed behind number `after`, in order; of one stream or of all.
    pub async fn changes(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: Option<&str>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<ChangeRow>, Error> {
        todo!()
    }

    /// How many records the stream has.
    pub async fn count(&self, org: OrgId, connection: ConnectionId, stream: &str) -> Result<u64, Error> {
        todo!()
    }

    /// The counts of every stream that was ever written.
    pub async fn counts(&self, org: OrgId, connection: ConnectionId) -> Result<Vec<StreamCount>, Error> {
        todo!()
    }

    /// The stream's refused records. The page's key is opaque: pass on what came.
    pub async fn list_quarantined(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        page: Page<Vec<u8>>,
    ) -> Result<Listing<Quarantined, Vec<u8>>, Error> {
        todo!()
    }
}
