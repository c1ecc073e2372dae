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
                let seq = seq_of(key)?;
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

    /// One event, by its number.
    pub async fn event(&self, org: OrgId, seq: u64) -> Result<Option<Event>, Error> {
        self.read(move |rows| get(rows, org, seq)).await
    }

    /// The number of the last event that was appended before `time`, 0 if there is none: what to read after to get
    /// everything since then. Right as long as the clock was never set back.
    pub async fn last_event_before(&self, org: OrgId, time: Timestamp) -> Result<u64, Error> {
        self.read(move |rows| {
            let (mut low, mut high) = (0, rows.get_number(Table::EventNumbers, &Key::org(org))?);
            // Everything up to `low` was before; nothing behind `high` was.
            while low < high {
                let middle = low + (high - low).div_ceil(2);
                let of_org = Key::org(org);
                let span = Span::prefix(&of_org).from(of_org.number(middle));
                let found = rows.collect(Table::Events, &span, false, 1, |key, content| {
                    let seq = seq_of(key)?;
                    let (head, _): (Head, _) = split_head(Table::Events, content)?;
                    Ok(Some((seq, head.at)))
                })?;
                match found.first() {
                    // What was there is no longer kept, so it was before; what is kept begins behind it.
                    Some((seq, at)) if *at < time => low = (*seq).min(high),
                    Some(_) | None => high = middle - 1,
                }
            }
            Ok(low)
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

pub(crate) fn get(rows: &mut impl Rows, org: OrgId, seq: u64) -> Result<Option<Event>, Error> {
    rows.look(Table::Events, &Key::org(org).number(seq), |content| {
        let (head, data): (Head, _) = split_head(Table::Events, content)?;
        Ok(head.event(seq, utf8(Table::Events, data)?))
    })
}

/// The ids and kinds of events behind number `after`, up to `last`, in order; reads no data.
pub(crate) fn heads(
    rows: &mut impl Rows,
    org: OrgId,
    (after, last): (u64, u64),
    limit: usize,
) -> Result<Vec<(u64, EventId, String)>, Error> {
    let of_org = Key::org(org);
    let span = Span::prefix(&of_org)
        .after(of_org.clone().number(after))
        .before(of_org.number(last.saturating_add(1)));
    rows.collect(Table::Events, &span, false, limit, |key, content| {
        let (head, _): (Head, _) = split_head(Table::Events, content)?;
        Ok(Some((seq_of(key)?, head.id, head.kind)))
    })
}

/// Deletes events that were appended before `before`, up to `limit` of them. Whether there may be more.
pub(crate) fn forget(
    rows: &mut Writer<'_>,
    org: OrgId,
    before: Timestamp,
    limit: usize,
) -> Result<bool, Error> {
    let mut old = Vec::new();
    rows.scan(
        Table::Events,
        &Span::prefix(&Key::org(org)),
        false,
        |key, content| {
            let (head, _): (Head, _) = split_head(Table::Events, content)?;
            if head.at >= before || old.len() >= limit {
                return Ok(ControlFlow::Break(()));
            }
            old.push(seq_of(key)?);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    for seq in &old {
        rows.delete(Table::Events, &Key::org(org).number(*seq))?;
    }
    Ok(old.len() >= limit)
}

fn seq_of(key: &[u8]) -> Result<u64, Error> {
    let seq = Parts::new(key.get(16..).unwrap_or_default()).number();
    seq.ok_or_else(|| corrupt(Table::Events, "a key is too short"))
}

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
        rows.tell();
        crate::endpoint::note_news(rows, org)?;
        Ok(last)
    }
}
