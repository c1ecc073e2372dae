//! Records: the latest version of each id, a hash of its content, and a feed of what changed.
//!
//! The feed is compacted: it has one row per id, the latest, under a number that only goes up within a connection. Who
//! reads it from the last number they saw misses no record's latest state and sees none twice; states in between that
//! were overwritten before they looked are gone.

use std::ops::ControlFlow;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, RunId};

use crate::key::{Key, Parts, Span};
use crate::row::{corrupt, from_json, utf8};
use crate::stream;
use crate::table::{Rows, Table};
use crate::{Error, Listing, MAX_LIMIT, Page, Store, load};

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
        let place = stream_key(org, connection, stream).tail(id);
        self.read_stream_now((org, connection, stream), |rows| {
            let found = rows.look(Table::Records, &place, |content| {
                let (head, data) = Head::read(content)?;
                if head.deleted {
                    Ok(None)
                } else {
                    record(id, head, data).map(Some)
                }
            })?;
            Ok(found.flatten())
        })
    }

    /// A record's JSON, here and now; none where it is not there or can't be read.
    #[must_use]
    pub fn record_now(&self, org: OrgId, connection: ConnectionId, stream: &str, id: &str) -> Option<String> {
        let place = stream_key(org, connection, stream).tail(id);
        let found = self.read_stream_now((org, connection, stream), |rows| {
            rows.look(Table::Records, &place, |content| {
                let (head, data) = Head::read(content)?;
                if head.deleted {
                    return Ok(None);
                }
                utf8(Table::Records, data).map(Some)
            })
        });
        found.ok().flatten().flatten()
    }

    /// A stream's records, by id.
    pub async fn list_records(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        page: Page<String>,
    ) -> Result<Listing<Record, String>, Error> {
        let of_stream = stream_key(org, connection, stream);
        self.read_stream((org, connection, stream), move |rows| {
            let limit = page.limit();
            let mut span = Span::prefix(&of_stream);
            if let Some(after) = page.after {
                span = span.after(of_stream.clone().tail(after));
            }
            let mut bytes = 0;
            let mut records: Vec<Record> = Vec::new();
            let mut more = false;
            rows.scan(Table::Records, &span, false, |key, content| {
                let (head, data) = Head::read(content)?;
                if head.deleted {
                    return Ok(ControlFlow::Continue(()));
                }
                if records.len() >= limit || (bytes > 0 && bytes + data.len() > MAX_LIST_BYTES) {
                    more = true;
                    return Ok(ControlFlow::Break(()));
                }
                let id = Parts::new(key.get(of_stream.bytes().len()..).unwrap_or_default()).tail_text();
                let id = id.ok_or_else(|| corrupt(Table::Records, "an id is not UTF-8"))?;
                bytes += data.len();
                records.push(record(id, head, data)?);
                Ok(ControlFlow::Continue(()))
            })?;
            let next = records.last().filter(|_| more).map(|record| record.id.clone());
            Ok(Listing { items: records, next })
        })
        .await
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
        let stream = stream.map(str::to_owned);
        let limit = limit.clamp(1, MAX_LIMIT);
        self.read(move |rows| {
            let streams = match stream {
                Some(stream) => vec![stream],
                None => stream::names(rows, org, connection)?,
            };
            let ends = load::end_of_feed(rows, org, connection)?;
            let mut found: Vec<ChangeRow> = Vec::new();
            for stream in streams {
                found.extend(feed_of(rows, (org, connection), &stream, after, limit)?);
            }
            found.retain(|row| row.seq <= ends);
            found.sort_unstable_by_key(|row| row.seq);
            found.truncate(limit);
            let mut bytes = 0;
            let mut changes = Vec::with_capacity(found.len());
            for mut row in found {
                fill(rows, (org, connection), &mut row)?;
                bytes += row.data.as_ref().map_or(0, String::len);
                if bytes > MAX_LIST_BYTES && !changes.is_empty() {
                    break;
                }
                changes.push(row);
            }
            Ok(changes)
        })
        .await
    }

    /// How many records the stream has.
    pub async fn count(&self, org: OrgId, connection: ConnectionId, stream: &str) -> Result<u64, Error> {
        self.read_stream_now((org, connection, stream), |rows| {
            Ok(stream::state(rows, org, connection, stream)?.records)
        })
    }

    /// The counts of every stream that was ever written; as they were before, while a generation takes a stream's records' place.
    pub async fn counts(&self, org: OrgId, connection: ConnectionId) -> Result<Vec<StreamCount>, Error> {
        let names = self
            .read(move |rows| stream::names(rows, org, connection))
            .await?;
        let count = |name: String| {
            let state = self.read_stream_now((org, connection, &name), |rows| {
                stream::state(rows, org, connection, &name)
            })?;
            Ok(StreamCount {
                stream: name,
                records: state.records,
                quarantined: state.quarantined,
            })
        };
        names.into_iter().map(count).collect()
    }

    /// The stream's refused records. The page's key is opaque: pass on what came.
    pub async fn list_quarantined(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        page: Page<Vec<u8>>,
    ) -> Result<Listing<Quarantined, Vec<u8>>, Error> {
        let of_stream = stream_key(org, connection, stream);
        self.read(move |rows| {
            let limit = page.limit();
            let mut span = Span::prefix(&of_stream);
            if let Some(after) = page.after {
                span = span.after(of_stream.clone().tail(after));
            }
            let found = rows.collect(Table::Quarantine, &span, false, limit + 1, |key, content| {
                let place = key.get(of_stream.bytes().len()..).unwrap_or_default().to_vec();
                Ok(Some((
                    place,
                    from_json::<Quarantined>(Table::Quarantine, content)?,
                )))
            })?;
            let listing = Listing::cut(found, limit, |(place, _)| place.clone());
            let items = listing
                .items
                .into_iter()
                .map(|(_, quarantined)| quarantined)
                .collect();
            Ok(Listing {
                items,
                next: listing.next,
            })
        })
        .await
    }
}

/// A list of records ends early when it has this many bytes: it bounds the memory of an answer.
pub const MAX_LIST_BYTES: usize = 16 << 20;

/// What goes before a record's JSON: `flags, number, written, modified, hash`. A deleted record keeps its head, so that
/// its feed row is found when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) deleted: bool,
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) modified: Option<Timestamp>,
    /// SHA-256 of the JSON text and of when it was modified.
    pub(crate) hash: [u8; 32],
}

const DELETED: u8 = 1;
const MODIFIED: u8 = 2;

impl Head {
    pub(crate) fn bytes(&self) -> [u8; 57] {
        let mut out = [0; 57];
        let flags = u8::from(self.deleted) * DELETED + u8::from(self.modified.is_some()) * MODIFIED;
        let modified = self.modified.unwrap_or_default().as_millis();
        let parts: [&[u8]; 5] = [
            &[flags],
            &self.seq.to_be_bytes(),
            &self.at.as_millis().to_be_bytes(),
            &modified.to_be_bytes(),
            &self.hash,
        ];
        for (place, byte) in out.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }
        out
    }

    pub(crate) fn read(content: &[u8]) -> Result<(Self, &[u8]), Error> {
        Self::parse(content).ok_or_else(|| corrupt(Table::Records, "a row is truncated"))
    }

    fn parse(content: &[u8]) -> Option<(Self, &[u8])> {
        let (flags, rest) = content.split_first()?;
        let mut parts = Parts::new(rest);
        let seq = parts.number()?;
        let at = Timestamp::from_millis(parts.number()?);
        let modified = Timestamp::from_millis(parts.number()?);
        let modified = (flags & MODIFIED != 0).then_some(modified);
        let (hash, data) = parts.tail().split_first_chunk::<32>()?;
        Some((
            Self {
                deleted: flags & DELETED != 0,
                seq,
                at,
                modified,
                hash: *hash,
            },
            data,
        ))
    }
}

/// Before the id in a feed row: `op, time`, and the run that it is of, where it is of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeedHead {
    pub(crate) op: Op,
    pub(crate) at: Timestamp,
    pub(crate) run: Option<RunId>,
}

/// Set on the op where a run follows.
const OF_RUN: u8 = 0x80;

impl FeedHead {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let op = match self.op {
            Op::Added => 1,
            Op::Updated => 2,
            Op::Deleted => 3,
        };
        let mut out = Vec::with_capacity(25);
        out.push(op | if self.run.is_some() { OF_RUN } else { 0 });
        out.extend(self.at.as_millis().to_be_bytes());
        out.extend(self.run.iter().flat_map(|run| *run.as_bytes()));
        out
    }

    /// The head and the id behind it.
    pub(crate) fn read(content: &[u8]) -> Result<(Self, &str), Error> {
        Self::parse(content).ok_or_else(|| corrupt(Table::Feed, "a row does not parse"))
    }

    fn parse(content: &[u8]) -> Option<(Self, &str)> {
        let (op, rest) = content.split_first()?;
        let mut parts = Parts::new(rest);
        let at = Timestamp::from_millis(parts.number()?);
        let run = if op & OF_RUN == 0 { None } else { Some(parts.id()?) };
        let op = match op & !OF_RUN {
            1 => Op::Added,
            2 => Op::Updated,
            3 => Op::Deleted,
            _ => return None,
        };
        Some((Self { op, at, run }, parts.tail_text()?))
    }
}

/// Changes of one stream behind `after` and up to `ends`, in order, with their records: at most `limit` of them and, from the
/// second on, `bytes`.
pub(crate) fn changes_of(
    rows: &mut impl Rows,
    (org, connection): (OrgId, ConnectionId),
    stream: &str,
    (after, ends): (u64, u64),
    (limit, bytes): (usize, usize),
) -> Result<Vec<ChangeRow>, Error> {
    let mut changes = feed_of(rows, (org, connection), stream, after, limit)?;
    changes.retain(|row| row.seq <= ends);
    let mut held = 0;
    for at in 0..changes.len() {
        let Some(row) = changes.get_mut(at) else { break };
        fill(rows, (org, connection), row)?;
        held += row.id.len() + row.data.as_ref().map_or(0, String::len);
        if held > bytes {
            changes.truncate(at.max(1));
            break;
        }
    }
    Ok(changes)
}

/// Whether a stream has a change behind `after` and up to `ends`.
pub(crate) fn is_behind(
    rows: &mut impl Rows,
    of: (OrgId, ConnectionId),
    stream: &str,
    (after, ends): (u64, u64),
) -> Result<bool, Error> {
    let first = feed_of(rows, of, stream, after, 1)?;
    Ok(first.first().is_some_and(|first| first.seq <= ends))
}

fn feed_of(
    rows: &mut impl Rows,
    (org, connection): (OrgId, ConnectionId),
    stream: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<ChangeRow>, Error> {
    let of_stream = stream_key(org, connection, stream);
    let span = Span::prefix(&of_stream).after(of_stream.clone().number(after));
    rows.collect(Table::Feed, &span, false, limit, |key, content| {
        let seq = Parts::new(key.get(of_stream.bytes().len()..).unwrap_or_default()).number();
        let seq = seq.ok_or_else(|| corrupt(Table::Feed, "a key is too short"))?;
        feed_row(seq, stream, content).map(Some)
    })
}

/// Gives a row of the feed its record.
fn fill(
    rows: &mut impl Rows,
    (org, connection): (OrgId, ConnectionId),
    row: &mut ChangeRow,
) -> Result<(), Error> {
    if row.op == Op::Deleted {
        return Ok(());
    }
    let place = stream_key(org, connection, &row.stream).tail(&row.id);
    let data = rows.look(Table::Records, &place, |content| {
        let (head, data) = Head::read(content)?;
        if head.seq == row.seq {
            utf8(Table::Records, data).map(Some)
        } else {
            Ok(None)
        }
    })?;
    let data = data.flatten();
    row.data = Some(data.ok_or_else(|| corrupt(Table::Feed, "a row has no record"))?);
    Ok(())
}

fn feed_row(seq: u64, stream: &str, content: &[u8]) -> Result<ChangeRow, Error> {
    let (head, id) = FeedHead::read(content)?;
    Ok(ChangeRow {
        seq,
        stream: stream.to_owned(),
        id: id.to_owned(),
        op: head.op,
        at: head.at,
        data: None,
    })
}

fn record(id: &str, head: Head, data: &[u8]) -> Result<Record, Error> {
    let data = utf8(Table::Records, data)?;
    Ok(Record {
        id: id.to_owned(),
        data,
        modified: head.modified,
        at: head.at,
        seq: head.seq,
    })
}

pub(crate) fn stream_key(org: OrgId, connection: ConnectionId, stream: &str) -> Key {
    Key::org(org).id(connection).text(stream)
}
