//! The event store's readers and the platform's own entries.

use serde_json::Value;
use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::id::{EventId, OrgId};

use crate::Service;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the organization's order; grows without end, may skip.
    pub seq: u64,
    pub id: EventId,
    /// `github.issues.opened`, `sluice.run.failed`.
    pub kind: String,
    /// The id of what it is about.
    pub subject: String,
    /// The vendor's id of it.
    pub source_id: Option<String>,
    pub occurred: Option<Timestamp>,
    pub recorded: Timestamp,
    /// JSON text.
    pub data: String,
}

/// A part of the event store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    pub items: Vec<Event>,
    /// Ask for what follows with this.
    pub next: u64,
    /// Whether there was nothing more at the time.
    pub end: bool,
}

/// The events after number `after` in their order, at most `limit`; with `kind_prefix` only those of such a kind.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(
    service: &Service,
    org: OrgId,
    after: u64,
    limit: u32,
    kind_prefix: Option<&str>,
) -> Result<Events, sluice_store::Error> {
    let limit = crate::page::Page { after: None, limit }.bounded();
    let found = service
        .store()
        .events(org, after, limit, kind_prefix.unwrap_or_default())
        .await?;
    let items = found
        .events
        .into_iter()
        .map(|event| Event {
            seq: event.seq,
            id: event.id,
            kind: event.kind,
            subject: event.subject,
            source_id: event.source_id,
            occurred: event.occurred,
            recorded: event.at,
            data: event.data,
        })
        .collect();
    Ok(Events {
        items,
        next: found.next,
        end: found.end,
    })
}

/// Appends an event of the platform itself.
pub(crate) async fn platform(
    service: &Service,
    org: OrgId,
    kind: &str,
    subject: impl ToString,
    body: impl FnOnce() -> Value,
) -> Result<(), sluice_store::Error> {
    let event = of_platform(service, kind, subject, body);
    service
        .store()
        .append_events(org, vec![event], service.now())
        .await
        .map(drop)
}

/// An event of the platform itself, to be appended with what it tells of.
pub(crate) fn of_platform(
    service: &Service,
    kind: &str,
    subject: impl ToString,
    body: impl FnOnce() -> Value,
) -> NewEvent {
    NewEvent {
        id: service.new_id(),
        kind: kind.to_owned(),
        subject: subject.to_string(),
        source_id: None,
        occurred: Some(service.now()),
        data: body().to_string(),
    }
}
