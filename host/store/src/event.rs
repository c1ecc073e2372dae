//! Events: the organization's append-only store, numbered without gaps from 1.

use std::ops::ControlFlow;

use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::id::{EventId, OrgId};

use crate::key::{Key, Parts, Span};
use crate::org::require;
use crate::row::{MAX_VALUE_BYTES, cap, corrupt, split_head, utf8, with_head};
use crate::table::{Rows, Table, Writer};
use crate::{Error, MAX_LIMIT, Store};

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
        let events = Encoded::prepare(events, now)?;
        self.write(events.bytes(), move |rows| {
            require(rows, org)?;
            events.append(rows, org)
        })
        .await
    }

    /// Events behind number `after` whose kind begins with `kind` (empty for all), in order. Looks through at most
    /// 10,000 rows at a time.
    pub async fn events(&self, org: OrgId, after: u64, limit: usize, kind: &str) -> Result<Events, Error> {
        let (kind, limit) = (kind.to_owned(), limit.clamp(1, MAX_LIMIT));
        self.read(move |rows| {
            let of_org = Key::org(org);
            let span = Span::prefix(&of_org).after(of_org.number(after));
            let (mut events, mut next, mut end) = (Vec::new(), after, true);
            let (mut looked, mut bytes) = (0, 0);
            rows.scan(Table::Events, &span, false, |key, content| {
                if events.len() >= limit || looked >= MAX_LOOKED || bytes > crate::record::MAX_LIST_BYTES {
                    end = false;
                    return Ok(ControlFlow::Break(()));
                }
                let seq = Parts::new(key.get(16..).unwrap_or_default()).number();
                let seq = seq.ok_or_else(|| corrupt(Table::Events, "a key is too short"))?;
                let (head, data): (Head, _) = split_head(Table::Events, content)?;
                looked += 1;
                next = seq;
                if head.kind.starts_with(&kind) {
                    bytes += data.len();
                    events.push(head.event(seq, utf8(Table::Events, data)?));
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(Events { events, next, end })
        })
        .await
    }

    /// The number of the last event, 0 if there is none.
    pub async fn last_event(&self, org: OrgId) -> Result<u64, Error> {
        self.read_now(|rows| rows.get_number(Table::EventNumbers, &Key::org(org)))
    }
}

/// Rows that one call looks through, whatever its filter lets pass.
const MAX_LOOKED: usize = 10_000;

/// What goes before an event's data.
#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    id: EventId,
    kind: String,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    occurred: Option<Timestamp>,
    at: Timestamp,
}

impl Head {
    fn event(self, seq: u64, data: String) -> Event {
        let Self {
            id,
            kind,
            subject,
            source_id,
            occurred,
            at,
        } = self;
        Event {
            seq,
            id,
            kind,
            subject,
            source_id,
            occurred,
            at,
            data,
        }
    }
}

/// Events on their way in, encoded where the caller runs.
pub(crate) struct Encoded(Vec<(Vec<u8>, String)>);

impl Encoded {
    pub(crate) fn prepare(events: Vec<NewEvent>, at: Timestamp) -> Result<Self, Error> {
        let encode = |event: NewEvent| {
            let NewEvent {
                id,
                kind,
                subject,
                source_id,
                occurred,
                data,
            } = event;
            let head = with_head(&Head {
                id,
                kind,
                subject,
                source_id,
                occurred,
                at,
            })?;
            cap("an event", head.len() + data.len(), MAX_VALUE_BYTES)?;
            Ok((head, data))
        };
        events.into_iter().map(encode).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(head, data)| head.len() + data.len()).sum()
    }

    /// Appends them; answers the number of the last event there is then.
    pub(crate) fn append(&self, rows: &mut Writer<'_>, org: OrgId) -> Result<u64, Error> {
        let mut last = rows.get_number(Table::EventNumbers, &Key::org(org))?;
        if self.0.is_empty() {
            return Ok(last);
        }
        for (head, data) in &self.0 {
            last += 1;
            rows.put(
                Table::Events,
                &Key::org(org).number(last),
                &[head, data.as_bytes()],
            )?;
        }
        rows.put_number(Table::EventNumbers, &Key::org(org), last)?;
        Ok(last)
    }
}
