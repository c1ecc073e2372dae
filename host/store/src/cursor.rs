//! Cursors: where a stream, or a partition of it, goes on; and where a run goes on that leaves the stream's alone.

use sluice_model::id::{ConnectionId, OrgId, RunId};

use crate::batch::Into;
use crate::key::{Key, Parts, Span};
use crate::row::{cap_name, from_json, utf8};
use crate::stream::{self, Kept, State};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store};

/// More partitions of one stream are refused.
pub const MAX_PARTITIONS: usize = 10_000;

/// A cursor and the version of its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub text: String,
    pub version: u32,
}

/// One uninterrupted sequence of pages within a run: a partition, or the whole stream; then, where the vendor restates what
/// it has told, a look back. Their order is the order in which a run takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Leg {
    #[serde(default)]
    pub lookback: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    pub leg: Leg,
    /// The run's own cursor in this leg, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The leg has been read to its end.
    pub done: bool,
}

/// Where a page stands in its run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    pub leg: Leg,
    /// The version of the cursor's format.
    pub version: u32,
    /// The cursor is the run's own: the stream's stays where it is.
    pub own: bool,
    /// It is the last page of its leg.
    pub last: bool,
}

impl Store {
    /// Where the stream, or this partition of it, goes on.
    pub async fn cursor(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        partition: Option<&str>,
    ) -> Result<Option<Cursor>, Error> {
        self.read_now(|rows| {
            let kept = match partition {
                None => Some(stream::state(rows, org, connection, stream)?.cursor),
                Some(name) => {
                    rows.get_json(Table::Cursors, &key(org, connection, stream, OF_STREAM, name))?
                }
            };
            Ok(kept.and_then(|kept: Kept| {
                Some(Cursor {
                    version: kept.version,
                    text: kept.cursor?,
                })
            }))
        })
    }

    /// The cursors of the stream's partitions, the first so many by name.
    pub async fn partition_cursors(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        most: usize,
    ) -> Result<Vec<(String, Cursor)>, Error> {
        cap_name("a stream's name", stream)?;
        let of_stream = prefix(org, connection, stream).mark(OF_STREAM);
        self.read(move |rows| {
            let found = rows.collect(
                Table::Cursors,
                &Span::prefix(&of_stream),
                false,
                most,
                |key, content| {
                    let name = key.get(of_stream.bytes().len()..).unwrap_or_default();
                    let name = utf8(Table::Cursors, name)?;
                    Ok(Some((name, from_json::<Kept>(Table::Cursors, content)?)))
                },
            )?;
            let one = |(name, kept): (String, Kept)| {
                let version = kept.version;
                let cursor = kept.cursor.map(|text| Cursor { text, version });
                cursor.map(|cursor| (name, cursor))
            };
            Ok(found.into_iter().filter_map(one).collect())
        })
        .await
    }

    /// Forgets the stream's cursors; its records stay. The next incremental run begins from nothing.
    pub async fn forget_cursors(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
    ) -> Result<(), Error> {
        cap_name("a stream's name", stream)?;
        let stream = stream.to_owned();
        self.write(64, move |rows| {
            crate::connection::require_connection(rows, org, connection)?;
            crate::run::require_idle(rows, org, connection, &stream)?;
            let mut state = stream::state(rows, org, connection, &stream)?;
            state.cursor = Kept::default();
            stream::save(rows, org, connection, &stream, &state)?;
            let mut budget = MAX_PARTITIONS * 2;
            rows.delete_prefix(Table::Cursors, &prefix(org, connection, &stream), &mut budget)
        })
        .await
    }
}

/// The stream's cursors, and those that a generation will bring.
const OF_STREAM: u8 = 0;
const PENDING: u8 = 1;

/// Whether a key, without organization and connection, is of a cursor that stands.
pub(crate) fn is_of_stream(rest: &[u8]) -> bool {
    let mut parts = Parts::new(rest);
    parts.text().is_some() && parts.tail().first() == Some(&OF_STREAM)
}

fn prefix(org: OrgId, connection: ConnectionId, stream: &str) -> Key {
    Key::org(org).id(connection).text(stream)
}

fn key(org: OrgId, connection: ConnectionId, stream: &str, mark: u8, partition: &str) -> Key {
    prefix(org, connection, stream).mark(mark).tail(partition)
}

/// Moves a cursor of the stream.
pub(crate) fn advance(
    rows: &mut Writer<'_>,
    into: Into,
    stream: &str,
    state: &mut State,
    run: RunId,
    place: &Place,
    cursor: Option<String>,
) -> Result<(), Error> {
    let Some(partition) = &place.leg.partition else {
        state.cursor.advance(run, cursor, place.version);
        return Ok(());
    };
    if cursor.is_none() {
        return Ok(());
    }
    let key = key(into.org, into.connection, stream, OF_STREAM, partition);
    let mut kept: Kept = rows.get_json(Table::Cursors, &key)?.unwrap_or_default();
    kept.advance(run, cursor, place.version);
    rows.put_json(Table::Cursors, &key, &kept)
}

/// Notes the cursor with which a leg of a generation ended.
pub(crate) fn put_pending(
    rows: &mut Writer<'_>,
    into: Into,
    stream: &str,
    place: &Place,
    cursor: Option<String>,
) -> Result<(), Error> {
    let partition = place.leg.partition.as_deref().unwrap_or_default();
    let kept = Kept {
        cursor,
        version: place.version,
        ..Kept::default()
    };
    rows.put_json(
        Table::Cursors,
        &key(into.org, into.connection, stream, PENDING, partition),
        &kept,
    )
}

/// The generation is in place: the cursors that it ended with are the stream's. A partition that it did not have has none.
pub(crate) fn take_over(
    rows: &mut Writer<'_>,
    into: Into,
    stream: &str,
    state: &mut State,
    run: RunId,
) -> Result<(), Error> {
    let of_mark = |mark| prefix(into.org, into.connection, stream).mark(mark);
    let read = |rows: &mut Writer<'_>, mark| {
        let of_mark = of_mark(mark);
        rows.collect(
            Table::Cursors,
            &Span::prefix(&of_mark),
            false,
            MAX_PARTITIONS,
            |key, content| {
                let partition = utf8(
                    Table::Cursors,
                    key.get(of_mark.bytes().len()..).unwrap_or_default(),
                )?;
                Ok(Some((partition, from_json::<Kept>(Table::Cursors, content)?)))
            },
        )
    };
    let pending = read(rows, PENDING)?;
    let old = read(rows, OF_STREAM)?;
    for (partition, _) in &old {
        if !pending.iter().any(|(name, _)| name == partition) {
            rows.delete(Table::Cursors, &of_mark(OF_STREAM).tail(partition))?;
        }
    }
    let old: std::collections::HashMap<_, _> = old.into_iter().collect();
    for (partition, new) in pending {
        rows.delete(Table::Cursors, &of_mark(PENDING).tail(&partition))?;
        if partition.is_empty() {
            state.cursor.advance(run, new.cursor, new.version);
            continue;
        }
        let mut kept = old.get(&partition).cloned().unwrap_or_default();
        kept.advance(run, new.cursor, new.version);
        rows.put_json(Table::Cursors, &of_mark(OF_STREAM).tail(&partition), &kept)?;
    }
    Ok(())
}

pub(crate) fn clear_pending(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
    budget: &mut usize,
) -> Result<(), Error> {
    rows.delete_prefix(
        Table::Cursors,
        &prefix(org, connection, stream).mark(PENDING),
        budget,
    )
}

/// Sets the cursors that this run moved last back to where they stood before it. Those that a later run has moved since stay.
pub(crate) fn set_back(
    rows: &mut Writer<'_>,
    into: Into,
    stream: &str,
    state: &mut State,
    run: RunId,
) -> Result<(), Error> {
    state.cursor.set_back(run);
    let of_stream = prefix(into.org, into.connection, stream).mark(OF_STREAM);
    let partitions = rows.collect(
        Table::Cursors,
        &Span::prefix(&of_stream),
        false,
        MAX_PARTITIONS,
        |key, content| {
            Ok(Some((
                Key::empty().tail(key),
                from_json::<Kept>(Table::Cursors, content)?,
            )))
        },
    )?;
    for (key, mut kept) in partitions {
        if kept.set_back(run) {
            rows.put_json(Table::Cursors, &key, &kept)?;
        }
    }
    Ok(())
}
