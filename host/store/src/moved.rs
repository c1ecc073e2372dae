//! Moves: what a connection was before it came to another install, so that it can be taken back there for a while.
//!
//! What must always hold: what is kept is of the commit that moves, whole or not at all; and so is taking it back. Records,
//! their feed, credentials and hooks are not kept: they are read on from what is taken back.

use std::collections::HashMap;

use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::id::{ConnectionId, InstallId, OrgId, kind};

use crate::connection::{Connection, require_connection};
use crate::event::Encoded;
use crate::install::{require_install, use_key};
use crate::key::{Key, Parts, Span};
use crate::row::{corrupt, from_json, utf8};
use crate::stream::{self, Kept};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store, cursor, storage};

/// A connection's move from one install to another.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Move {
    /// Counts the connection's moves.
    pub number: u64,
    pub from: InstallId,
    pub to: InstallId,
    pub at: Timestamp,
    /// JSON text, as it was.
    pub config: String,
    /// JSON text, as it was.
    pub settings: String,
    /// Streams and partitions whose cursor is kept.
    pub cursors: u64,
    /// Keys of the connector's storage that are kept, and their bytes.
    pub storage_keys: u64,
    pub storage_bytes: u64,
    /// Whether cursors and storage are kept: not, where there was more than is kept.
    pub kept: bool,
}

/// What is to be taken back.
#[derive(Debug, Clone)]
pub struct Back {
    /// The move.
    pub number: u64,
    /// The revision of the connection that was looked at.
    pub expected: u64,
    /// The connection's settings then.
    pub settings: String,
    /// Appended with it.
    pub event: NewEvent,
    pub now: Timestamp,
}

/// Moves of a connection that are kept; each has a copy of its storage.
pub const MAX_MOVES: u64 = 5;

/// How long a move can be taken back, in milliseconds: 30 days.
pub const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// More bytes of storage are not kept: they are copied within the commit that moves.
pub const MAX_KEPT_BYTES: u64 = 8 << 20;

/// More keys and cursors are not kept.
pub(crate) const MAX_KEPT_ROWS: usize = 20_000;

/// What a row is called, and what is in it.
type Named = (Vec<u8>, Vec<u8>);

/// What a row is of.
const STREAM: u8 = 0;
const PARTITION: u8 = 1;
const STORED: u8 = 2;

impl Store {
    /// The moves of a connection that are kept, the last first.
    pub async fn moves(&self, org: OrgId, connection: ConnectionId) -> Result<Vec<Move>, Error> {
        self.read(move |rows| moves(rows, org, connection)).await
    }

    /// Takes a connection back to where it was before this move: install, configuration, cursors and storage, if it is still at
    /// this revision. What it is now is kept as a move of its own. Answers the connection as it is then.
    ///
    /// # Errors
    /// [`Error::Missing`] if the move or its install is gone or its state was not kept, [`Error::Revision`], and
    /// [`Error::ActiveRun`] while a run could still move a cursor.
    pub async fn take_back(&self, org: OrgId, id: ConnectionId, back: Back) -> Result<Connection, Error> {
        let Back {
            number,
            expected,
            settings,
            event,
            now,
        } = back;
        let events = Encoded::prepare(vec![event], now)?;
        let bytes = events.bytes() + 2 * usize::try_from(MAX_KEPT_BYTES).unwrap_or_default();
        self.write(bytes, move |rows| {
            let old = require_connection(rows, org, id)?;
            if old.revision != expected {
                return Err(Error::Revision {
                    what: "the connection",
                    expected,
                    found: old.revision,
                });
            }
            let kept: Option<Move> = rows.get_json(Table::Moves, &key(org, id, number))?;
            let kept = kept.filter(|kept| kept.kept && !is_over(kept, now));
            let kept = kept.ok_or(Error::Missing { what: "the move" })?;
            require_install(rows, org, kept.from)?;
            let active = Span::prefix(&Key::org(org).id(id));
            let active = rows.collect(Table::ActiveRuns, &active, false, 1, |_, content| {
                Ok(content.try_into().ok().map(sluice_model::id::RunId::from_bytes))
            })?;
            if let Some(run) = active.first() {
                return Err(Error::ActiveRun { run: *run });
            }
            let mut new = old.clone();
            new.install = kept.from;
            new.config.clone_from(&kept.config);
            new.settings = settings;
            new.revision += 1;
            new.updated = now;
            // Read before what is there now is kept: that may push the oldest move out.
            let (cursors, partitions, stored) = (
                kept_rows(rows, org, id, number, STREAM)?,
                kept_rows(rows, org, id, number, PARTITION)?,
                kept_rows(rows, org, id, number, STORED)?,
            );
            keep(rows, org, &old, new.install, now)?;
            restore_cursors(rows, org, id, cursors, partitions)?;
            storage::replace(rows, org, id, stored)?;
            rows.delete(Table::InstallUses, &use_key(org, old.install, id))?;
            rows.put(Table::InstallUses, &use_key(org, new.install, id), &[])?;
            rows.put_json(Table::Connections, &Key::org(org).id(id), &new)?;
            events.append(rows, org)?;
            Ok(new)
        })
        .await
    }
}

/// Keeps what the connection is, in the commit that moves it.
pub(crate) fn keep(
    rows: &mut Writer<'_>,
    org: OrgId,
    old: &Connection,
    to: InstallId,
    now: Timestamp,
) -> Result<(), Error> {
    let (id, before) = (old.id, moves(rows, org, old.id)?);
    let number = before.first().map_or(1, |last| last.number + 1);
    for kept in &before {
        if is_over(kept, now) || kept.number + MAX_MOVES <= number {
            forget_move(rows, org, id, kept.number)?;
        }
    }
    let mut new = Move {
        number,
        from: old.install,
        to,
        at: now,
        config: old.config.clone(),
        settings: old.settings.clone(),
        cursors: 0,
        storage_keys: 0,
        storage_bytes: 0,
        kept: false,
    };
    let of = |mark, tail: &[u8]| row_key(org, id, number, mark).tail(tail);
    let of_connection = Key::org(org).id(id);
    let start = of_connection.bytes().len();
    let span = Span::prefix(&of_connection);
    let limit = MAX_KEPT_ROWS + 1;
    let partitions = rows.collect(Table::Cursors, &span, false, limit, |key, content| {
        let rest = key.get(start..).unwrap_or_default();
        Ok(cursor::is_of_stream(rest).then(|| (rest.to_vec(), content.to_vec())))
    })?;
    let used = storage::used(rows, org, id)?;
    let stored = if used > MAX_KEPT_BYTES {
        Vec::new()
    } else {
        rows.collect(Table::Storage, &span, false, limit, |key, content| {
            let (_, value) = storage::split(content)?;
            Ok(Some((
                key.get(start..).unwrap_or_default().to_vec(),
                value.to_vec(),
            )))
        })?
    };
    let streams = stream::names(rows, org, id)?;
    let many = streams.len().max(partitions.len()).max(stored.len());
    if used <= MAX_KEPT_BYTES && many <= MAX_KEPT_ROWS {
        new.kept = true;
        new.storage_bytes = used;
        new.storage_keys = stored.len() as u64;
        for name in streams {
            let cursor = stream::state(rows, org, id, &name)?.cursor;
            if cursor.cursor.is_some() {
                new.cursors += 1;
                rows.put_json(Table::MovedRows, &of(STREAM, name.as_bytes()), &cursor)?;
            }
        }
        new.cursors += partitions.len() as u64;
        for (mark, list) in [(PARTITION, partitions), (STORED, stored)] {
            for (tail, content) in list {
                rows.put(Table::MovedRows, &of(mark, &tail), &[&content])?;
            }
        }
    }
    rows.put_json(Table::Moves, &key(org, id, number), &new)
}

/// Deletes moves that can't be taken back any more, with what was kept of them.
pub(crate) fn forget(rows: &mut Writer<'_>, org: OrgId, now: Timestamp, limit: usize) -> Result<bool, Error> {
    let span = Span::prefix(&Key::org(org));
    let over = rows.collect(Table::Moves, &span, false, limit, |found, content| {
        let kept: Move = from_json(Table::Moves, content)?;
        let mut parts = Parts::new(found);
        let _ = parts.id::<kind::Org>();
        let connection = parts.id::<kind::Connection>();
        let connection = connection.ok_or_else(|| corrupt(Table::Moves, "a key is malformed"))?;
        Ok(is_over(&kept, now).then_some((connection, kept.number)))
    })?;
    let Some((connection, number)) = over.first() else {
        return Ok(false);
    };
    forget_move(rows, org, *connection, *number)?;
    Ok(over.len() > 1)
}

fn is_over(kept: &Move, now: Timestamp) -> bool {
    now.as_millis().saturating_sub(kept.at.as_millis()) > KEPT_MS
}

fn forget_move(rows: &mut Writer<'_>, org: OrgId, id: ConnectionId, number: u64) -> Result<(), Error> {
    let mut budget = 3 * (MAX_KEPT_ROWS + 1);
    let of_move = Key::org(org).id(id).number(number);
    rows.delete_prefix(Table::MovedRows, &of_move, &mut budget)?;
    rows.delete(Table::Moves, &of_move)
}

fn moves(rows: &mut impl Rows, org: OrgId, id: ConnectionId) -> Result<Vec<Move>, Error> {
    let span = Span::prefix(&Key::org(org).id(id));
    rows.collect(Table::Moves, &span, true, 1000, |_, content| {
        from_json(Table::Moves, content).map(Some)
    })
}

/// What was kept of one kind, by what it was called.
fn kept_rows(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: ConnectionId,
    number: u64,
    mark: u8,
) -> Result<Vec<Named>, Error> {
    let prefix = row_key(org, id, number, mark);
    let start = prefix.bytes().len();
    let limit = MAX_KEPT_ROWS + 1;
    rows.collect(
        Table::MovedRows,
        &Span::prefix(&prefix),
        false,
        limit,
        |key, content| {
            Ok(Some((
                key.get(start..).unwrap_or_default().to_vec(),
                content.to_vec(),
            )))
        },
    )
}

fn restore_cursors(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: ConnectionId,
    cursors: Vec<Named>,
    partitions: Vec<Named>,
) -> Result<(), Error> {
    let mut before = HashMap::new();
    for (name, content) in cursors {
        let kept: Kept = from_json(Table::MovedRows, &content)?;
        before.insert(utf8(Table::MovedRows, &name)?, kept);
    }
    for name in stream::names(rows, org, id)? {
        let mut state = stream::state(rows, org, id, &name)?;
        state.cursor = before.remove(&name).unwrap_or_default();
        stream::save(rows, org, id, &name, &state)?;
    }
    let of_connection = Key::org(org).id(id);
    let start = of_connection.bytes().len();
    let span = Span::prefix(&of_connection);
    let there = rows.collect(Table::Cursors, &span, false, usize::MAX, |key, _| {
        let rest = key.get(start..).unwrap_or_default();
        Ok(cursor::is_of_stream(rest).then(|| Key::empty().tail(key)))
    })?;
    there
        .iter()
        .try_for_each(|key| rows.delete(Table::Cursors, key))?;
    for (rest, content) in partitions {
        rows.put(Table::Cursors, &of_connection.clone().tail(rest), &[&content])?;
    }
    Ok(())
}

fn key(org: OrgId, id: ConnectionId, number: u64) -> Key {
    Key::org(org).id(id).number(number)
}

fn row_key(org: OrgId, id: ConnectionId, number: u64, mark: u8) -> Key {
    key(org, id, number).mark(mark)
}
