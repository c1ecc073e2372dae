//! History: what records were before they were changed, for as long as the stream keeps it.
//!
//! A version that is overtaken is kept under the feed number of the one that overtook it. So a record's versions are a
//! chain: from the number of the one that is there, to what it replaced, and on. The numbers rise with time, so what is
//! too old is at the front of a stream's rows.

use std::ops::ControlFlow;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, RunId};
use sluice_model::record::{Change, Item};

use crate::batch::{Batch, Into};
use crate::connection::require_connection;
use crate::key::{Key, Parts, Span};
use crate::record::{FeedHead, Head, Op, stream_key};
use crate::row::{corrupt, utf8};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store, load, stream, stream_settings};

/// How long history is kept where nobody has said otherwise.
pub const KEEP: Duration = Duration::from_secs(7 * 86_400);

/// A record as it once was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its place in the feed of that time; names the version.
    pub seq: u64,
    /// JSON text; `None`: it was deleted.
    pub data: Option<String>,
    pub modified: Option<Timestamp>,
    /// When it was written.
    pub at: Timestamp,
    /// The run that wrote it; none for a webhook, a person, or where nobody knows any more.
    pub run: Option<RunId>,
    /// When it was overtaken; `None` for the one that is there.
    pub overtaken: Option<Timestamp>,
}

impl Store {
    /// The versions of a record that are still kept, the latest first; at most `limit`.
    pub async fn history(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        id: &str,
        limit: usize,
    ) -> Result<Vec<Version>, Error> {
        let of_stream = stream_key(org, connection, stream);
        let id = id.to_owned();
        self.read(move |rows| versions(rows, &of_stream, &id, limit.clamp(1, crate::MAX_LIMIT)))
            .await
    }

    /// Makes a record again what it was as version `seq`. A restored record is written like every other change: it has a
    /// new number and what it was until now becomes history.
    ///
    /// # Errors
    /// [`Error::Missing`] if this record has no such version (any more).
    pub async fn restore_record(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        id: &str,
        seq: u64,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (stream, id) = (stream.to_owned(), id.to_owned());
        self.write(64, move |rows| {
            require_connection(rows, org, connection)?;
            let of_stream = stream_key(org, connection, &stream);
            let versions = versions(rows, &of_stream, &id, crate::MAX_LIMIT)?;
            let wanted = versions.into_iter().find(|version| version.seq == seq);
            let wanted = wanted.ok_or(Error::Missing {
                what: "this version of the record",
            })?;
            let change = match wanted.data {
                Some(data) => Change::Upsert(Item {
                    id,
                    data,
                    modified: wanted.modified,
                }),
                None => Change::Delete(id),
            };
            let batch = Batch::prepare(stream, vec![change], &[])?;
            write_back(rows, (org, connection), None, &batch, now)
        })
        .await
    }
}

/// Writes changes that no run and no webhook brought; `run` is whose word they are again.
pub(crate) fn write_back(
    rows: &mut Writer<'_>,
    (org, connection): (OrgId, ConnectionId),
    run: Option<RunId>,
    batch: &Batch,
    now: Timestamp,
) -> Result<(), Error> {
    let into = Into {
        org,
        connection,
        run,
        history: stream_settings::keeps_history(rows, org, connection, batch.stream())?,
        now,
    };
    let mut state = stream::state(rows, org, connection, batch.stream())?;
    let numbers = Key::org(org).id(connection);
    let mut last = rows.get_number(Table::FeedNumbers, &numbers)?;
    batch.apply(rows, into, &mut state, &mut last)?;
    load::feed_moved(rows, org, connection, last, now)?;
    stream::save(rows, org, connection, batch.stream(), &state)
}

fn versions(rows: &mut impl Rows, of_stream: &Key, id: &str, limit: usize) -> Result<Vec<Version>, Error> {
    let current = rows.look(Table::Records, &of_stream.clone().tail(id), |content| {
        let (head, data) = Head::read(content)?;
        Ok((head, utf8(Table::Records, data)?))
    })?;
    let Some((head, data)) = current else {
        return Ok(Vec::new());
    };
    let feed = rows.look(Table::Feed, &of_stream.clone().number(head.seq), |content| {
        Ok(FeedHead::read(content)?.0)
    })?;
    let mut found = vec![Version {
        seq: head.seq,
        data: (!head.deleted).then_some(data),
        modified: head.modified,
        at: head.at,
        run: feed.and_then(|feed| feed.run),
        overtaken: None,
    }];
    while found.len() < limit {
        let Some(seq) = found.last().map(|version| version.seq) else {
            break;
        };
        let Some(kept) = before(rows, of_stream, seq)? else {
            break;
        };
        found.push(kept.version);
    }
    Ok(found)
}

/// What version `seq` overtook.
pub(crate) fn before(rows: &mut impl Rows, of_stream: &Key, seq: u64) -> Result<Option<Kept>, Error> {
    rows.look(Table::History, &of_stream.clone().number(seq), Kept::read)
}

/// A row of the history.
pub(crate) struct Kept {
    pub(crate) version: Version,
    /// It was the record's first, or its first after a deletion.
    pub(crate) added: bool,
}

/// `when it was overtaken, flags, its run, length of the id, id, head, JSON`.
pub(crate) fn keep(
    rows: &mut Writer<'_>,
    of_stream: &Key,
    overtaker: u64,
    old_place: &Key,
    (id, head, data): (&[u8], &Head, &[u8]),
    now: Timestamp,
) -> Result<(), Error> {
    let feed = rows.look(Table::Feed, old_place, |content| Ok(FeedHead::read(content)?.0))?;
    let run = feed.and_then(|feed| feed.run);
    let added = feed.is_some_and(|feed| feed.op == Op::Added);
    let flags = u8::from(run.is_some()) * OF_RUN + u8::from(added) * ADDED;
    let writer = [&[flags][..], run.as_ref().map_or(&[][..], |run| run.as_bytes())].concat();
    let len = u32::try_from(id.len()).unwrap_or(u32::MAX).to_be_bytes();
    rows.put(
        Table::History,
        &of_stream.clone().number(overtaker),
        &[
            &now.as_millis().to_be_bytes(),
            &writer,
            &len,
            id,
            &head.bytes(),
            data,
        ],
    )
}

const OF_RUN: u8 = 1;
const ADDED: u8 = 2;

impl Kept {
    fn read(content: &[u8]) -> Result<Self, Error> {
        let bad = || corrupt(Table::History, "a row does not parse");
        let (overtaken, flags, run, rest) = Self::parse(content).ok_or_else(bad)?;
        let (head, data) = Head::read(rest)?;
        Ok(Self {
            version: Version {
                seq: head.seq,
                data: if head.deleted {
                    None
                } else {
                    Some(utf8(Table::History, data)?)
                },
                modified: head.modified,
                at: head.at,
                run,
                overtaken: Some(overtaken),
            },
            added: flags & ADDED != 0,
        })
    }

    fn parse(content: &[u8]) -> Option<(Timestamp, u8, Option<RunId>, &[u8])> {
        let mut parts = Parts::new(content);
        let overtaken = Timestamp::from_millis(parts.number()?);
        let (flags, rest) = parts.tail().split_first()?;
        let mut parts = Parts::new(rest);
        let run = if flags & OF_RUN == 0 {
            None
        } else {
            Some(parts.id()?)
        };
        parts.text()?;
        Some((overtaken, *flags, run, parts.tail()))
    }
}

/// Forgets up to `limit` versions of an organization's records that are kept for long enough. Whether there may be more.
pub(crate) fn forget(rows: &mut Writer<'_>, org: OrgId, now: Timestamp, limit: usize) -> Result<bool, Error> {
    let mut gone = Vec::new();
    let mut span = Span::prefix(&Key::org(org));
    // One stream after the other: its rows are in the order of time.
    loop {
        let first = rows.collect(Table::History, &span, false, 1, |key, _| {
            let mut parts = Parts::new(key);
            let _ = parts.id::<sluice_model::id::kind::Org>();
            Ok(parts
                .id::<sluice_model::id::kind::Connection>()
                .zip(parts.text().map(str::to_owned)))
        })?;
        let Some((connection, stream)) = first.into_iter().next() else {
            break;
        };
        let keep = stream_settings::history_of(rows, org, connection, &stream)?;
        let of_stream = stream_key(org, connection, &stream);
        let left = limit - gone.len();
        let mut taken = 0;
        rows.scan(
            Table::History,
            &Span::prefix(&of_stream),
            false,
            |key, content| {
                let overtaken = Parts::new(content).number().map(Timestamp::from_millis);
                if taken >= left || overtaken.is_none_or(|at| now.since(at) < keep) {
                    return Ok(ControlFlow::Break(()));
                }
                taken += 1;
                gone.push(Key::empty().tail(key));
                Ok(ControlFlow::Continue(()))
            },
        )?;
        if gone.len() >= limit {
            break;
        }
        span = Span::prefix(&Key::org(org)).after(of_stream.number(u64::MAX));
    }
    for key in &gone {
        rows.delete(Table::History, key)?;
    }
    Ok(gone.len() >= limit)
}
