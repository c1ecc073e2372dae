//! The event store's readers and the platform's own entries.

mod kinds;

use serde_json::Value;
use sluice_model::Timestamp;
use sluice_model::event::{CloudEvent, NewEvent};
use sluice_model::id::{EventId, OrgId};

use crate::Service;
pub(crate) use kinds::sample;
pub use kinds::{EventKind, TEST_KIND, catalogue};

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

/// Which events are looked for; all, without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sought {
    /// Only kinds that begin so.
    pub kind: String,
    /// Only what is about the connection with this id: its own events, and the platform's that name it.
    pub connection: Option<String>,
    /// Only what was recorded before then.
    pub until: Option<Timestamp>,
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
    let sought = Sought {
        kind: kind_prefix.unwrap_or_default().to_owned(),
        ..Sought::default()
    };
    seek(service, org, after, limit, &sought).await
}

/// The events after number `after` that are looked for, in their order, at most `limit`. A part may be empty and not be the end.
///
/// # Errors
///
/// If the database does not answer.
pub async fn seek(
    service: &Service,
    org: OrgId,
    after: u64,
    limit: u32,
    sought: &Sought,
) -> Result<Events, sluice_store::Error> {
    let limit = crate::page::Page { after: None, limit }.bounded();
    let found = service.store().events(org, after, limit, &sought.kind).await?;
    let (mut next, mut end) = (found.next, found.end);
    let mut items = Vec::with_capacity(found.events.len());
    for event in found.events {
        if sought.until.is_some_and(|until| event.at >= until) {
            (next, end) = (event.seq.saturating_sub(1), true);
            break;
        }
        let event = view(event);
        if sought.has(&event) {
            items.push(event);
        }
    }
    Ok(Events { items, next, end })
}

/// One event, by its number.
///
/// # Errors
///
/// If the database does not answer.
pub async fn get(service: &Service, org: OrgId, seq: u64) -> Result<Option<Event>, sluice_store::Error> {
    Ok(service.store().event(org, seq).await?.map(view))
}

fn view(event: sluice_store::event::Event) -> Event {
    Event {
        seq: event.seq,
        id: event.id,
        kind: event.kind,
        subject: event.subject,
        source_id: event.source_id,
        occurred: event.occurred,
        recorded: event.at,
        data: event.data,
    }
}

impl Sought {
    /// Whether an event is looked for.
    #[must_use]
    pub fn has(&self, event: &Event) -> bool {
        event.kind.starts_with(&self.kind)
            && self.until.is_none_or(|until| event.recorded < until)
            && self
                .connection
                .as_ref()
                .is_none_or(|id| is_about(&event.kind, &event.subject, &event.data, id))
    }
}

/// Only the platform's own data are read for it.
fn is_about(kind: &str, subject: &str, data: &str, connection: &str) -> bool {
    subject == connection
        || (kind.starts_with("sluice.")
            && serde_json::from_str::<Value>(data)
                .is_ok_and(|data| data.get("connection").and_then(Value::as_str) == Some(connection)))
}

impl Event {
    /// The event in the shape of CloudEvents 1.0, as endpoints get it.
    #[must_use]
    pub fn cloud_event(&self, org: OrgId) -> String {
        CloudEvent {
            org,
            id: self.id,
            seq: self.seq,
            kind: &self.kind,
            subject: &self.subject,
            source_id: self.source_id.as_deref(),
            time: self.occurred.unwrap_or(self.recorded),
            recorded: self.recorded,
            data: &self.data,
        }
        .text()
    }
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
