//! Events: entries of an organization's append-only, ordered event store.

use crate::clock::Timestamp;
use crate::id::EventId;

/// An event that is to be appended. The store numbers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Ours.
    pub id: EventId,
    /// What happened, e.g. `github.issues.opened` or `sluice.run.failed`.
    pub kind: String,
    /// What it is about: a connection, a run, an install; an id's text.
    pub subject: String,
    /// The vendor's id of the event where there is one: the same for a redelivery.
    pub source_id: Option<String>,
    /// When it happened, where it is told.
    pub occurred: Option<Timestamp>,
    /// JSON text.
    pub data: String,
}
