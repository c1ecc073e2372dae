//! Events: the organization's append-only store, numbered without gaps from 1.

use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::id::{EventId, OrgId};

use crate::{Error, Store};

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number in the organization.
    pub seq: u64,
    pub id: EventId,
    pub kind: String,
    pub subject: String,
    pub source_id: Option<String>,
    pub occurred: Option<Timestamp>,
    /// When it was appended.
    pub at: Timestamp,
    /// JSON text.
    pub data: String,
}

/// Events, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    pub events: Vec<Event>,
    /// The number to pass as `after` next: behind what was looked through, also where the filter let nothing pass.
    pub next: u64,
    /// Whether everything there is was looked through.
    pub end: bool,
}

impl Store {
    /// Appends events; answers the number of the last. [`Error::TooLarge`].
    pub async fn append_events(
        &self,
        org: OrgId,
        events: Vec<NewEvent>,
        now: Timestamp,
    ) -> Result<u64, Error> {
        todo!()
    }

    /// Events behind number `after` whose kind begins with `kind` (empty for all), in order. Looks through at most
    /// 10,000 rows at a time.
    pub async fn events(&self, org: OrgId, after: u64, limit: usize, kind: &str) -> Result<Events, Error> {
        todo!()
    }

    /// The number of the last event, 0 if there is none.
    pub async fn last_event(&self, org: OrgId) -> Result<u64, Error> {
        todo!()
    }
}
