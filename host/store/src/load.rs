//! Loads: a connection's records on their way into a destination. Each is a leased row with its own position in the change
//! feed of every stream, so that a destination that is down or slow delays nobody else.
//!
//! What must always hold: a position moves only after the destination has acknowledged what is before it, by whoever has the
//! lease; and a load behind which there are changes is due, whatever happened meanwhile: the change and the due row are one
//! commit, and a worker that is done looks again in the commit with which it lets go.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, DestinationId, LoadId, OrgId, kind};

use crate::connection::require_connection;
use crate::due::{self, Work};
use crate::key::{Key, Parts, Span};
use crate::record::{self, ChangeRow, changes_of};
use crate::row::{cap, cap_name, from_json};
use crate::run::RunError;
use crate::table::{Rows, Table, Writer};
use crate::turn::{self, Turn, Turned};
use crate::{Error, MAX_LIMIT, Store, destination, link, stream};

/// What is loaded, and how.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LoadSettings {
    /// Streams; all of them where it names none.
    pub streams: Vec<String>,
    /// What the names of tables begin with; the stream's name follows.
    pub prefix: String,
    /// Seconds from a change until it is loaded, so that changes go together.
    pub every_s: u32,
}

/// A load as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Load {
    pub id: LoadId,
    pub connection: ConnectionId,
    pub destination: DestinationId,
    #[serde(flatten)]
    pub settings: LoadSettings,
    pub created: Timestamp,
    #[serde(flatten)]
    pub turn: Turn,
    /// By stream: what is loaded up to and with this number.
    pub positions: BTreeMap<String, u64>,
    /// Rows and bytes that the destination took, and when it did last.
    pub rows: u64,
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<Timestamp>,
}

impl Load {
    /// Whether this stream is among what is loaded.
    #[must_use]
    pub fn takes(&self, stream: &str) -> bool {
        self.settings.streams.is_empty() || self.settings.streams.iter().any(|taken| taken == stream)
    }

    /// What of the stream is loaded.
    #[must_use]
    pub fn position(&self, stream: &str) -> u64 {
        self.positions.get(stream).copied().unwrap_or(0)
    }
}

/// A leased load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadLease {
    pub org: OrgId,
    pub load: Load,
}

/// What a destination acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    pub stream: String,
    /// Everything up to and with this number is there. Less than before where the destination has lost something.
    pub through: u64,
    pub rows: u64,
    pub bytes: u64,
    pub at: Timestamp,
    /// The lease's new end.
    pub until: Timestamp,
}

impl Store {
    /// Adds a load, due at once. [`Error::Missing`], [`Error::Conflict`] where the connection is loaded there already,
    /// [`Error::TooLarge`] beyond 32 of a connection.
    pub async fn create_load(
        &self,
        org: OrgId,
        id: LoadId,
        (connection, destination): (ConnectionId, DestinationId),
        settings: LoadSettings,
        now: Timestamp,
    ) -> Result<Load, Error> {
        cap("a load's prefix", settings.prefix.len(), 256)?;
        for stream in &settings.streams {
            cap_name("a stream's name", stream)?;
        }
        self.write(512, move |rows| {
            require_connection(rows, org, connection)?;
            if !rows.has(Table::Destinations, &Key::org(org).id(destination))? {
                return Err(destination::MISSING);
            }
            let others = of_connection(rows, org, connection)?;
            cap("another load", others.len() + 1, MAX_LOADS)?;
            if others.iter().any(|other| other.destination == destination) {
                return Err(Error::Conflict {
                    what: "a load of this connection into",
                    name: destination.to_string(),
                });
            }
            let load = Load {
                id,
                connection,
                destination,
                settings,
                created: now,
                turn: Turn {
                    due: Some(now),
                    ..Turn::default()
                },
                positions: BTreeMap::new(),
                rows: 0,
                bytes: 0,
                loaded: None,
            };
            let by_connection = Key::org(org).id(connection).id(id);
            rows.put(Table::LoadsByConnection, &by_connection, &[])?;
            due::add(rows, Work::Loads, org, load.turn.due, id)?;
            turn::save(rows, org, &load)?;
            Ok(load)
        })
        .await
    }

    /// One load.
    pub async fn get_load(&self, org: OrgId, id: LoadId) -> Result<Option<Load>, Error> {
        self.read_now(|rows| rows.get_json(Table::Loads, &Key::org(org).id(id)))
    }

    /// The connection's loads.
    pub async fn connection_loads(&self, org: OrgId, connection: ConnectionId) -> Result<Vec<Load>, Error> {
        self.read_now(|rows| of_connection(rows, org, connection))
    }

    /// The loads into a destination, oldest first; at most 1,000.
    pub async fn destination_loads(
        &self,
        org: OrgId,
        destination: DestinationId,
    ) -> Result<Vec<Load>, Error> {
        self.read(move |rows| into(rows, org, destination, MAX_LIMIT))
            .await
    }

    /// Removes a load; what was delivered stays there. A worker that has it finds out at its next step. [`Error::Missing`].
    pub async fn remove_load(&self, org: OrgId, id: LoadId) -> Result<(), Error> {
        self.write(64, move |rows| {
            let load: Load = turn::get(rows, org, id)?;
            remove(rows, org, &load)
        })
        .await
    }

    /// Makes a load due now: what failed is tried again. `anew`: from the first change on. [`Error::Missing`].
    pub async fn retry_load(
        &self,
        org: OrgId,
        id: LoadId,
        anew: bool,
        now: Timestamp,
    ) -> Result<Load, Error> {
        self.write(256, move |rows| {
            let mut load: Load = turn::get(rows, org, id)?;
            if anew {
                load.positions.clear();
                load.turn.fencing += 1;
                load.turn.held = false;
            }
            if !load.turn.held {
                turn::set_due(rows, org, &mut load, Some(now))?;
            }
            turn::save(rows, org, &load)?;
            Ok(load)
        })
        .await
    }

    /// Leases up to `limit` due loads, one organization after the other.
    pub async fn lease_due_loads(
        &self,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<LoadLease>, Error> {
        let leased = self.lease_turns(now, lease_for, limit).await?;
        Ok(leased
            .into_iter()
            .map(|(org, load)| LoadLease { org, load })
            .collect())
    }

    /// The changes of a stream behind `after`, in order: at most `limit` of them and, from the second on, `bytes`.
    pub async fn feed_part(
        &self,
        (org, connection): (OrgId, ConnectionId),
        stream: &str,
        after: u64,
        (limit, bytes): (usize, usize),
    ) -> Result<Vec<ChangeRow>, Error> {
        let stream = stream.to_owned();
        self.read(move |rows| {
            let ends = end_of_feed(rows, org, connection)?;
            changes_of(rows, (org, connection), &stream, (after, ends), (limit, bytes))
        })
        .await
    }

    /// The streams of a load that have changes behind its position.
    pub async fn owed_streams(&self, org: OrgId, load: &Load) -> Result<Vec<String>, Error> {
        let load = load.clone();
        self.read(move |rows| owed(rows, org, &load)).await
    }

    /// Notes what the destination has acknowledged. [`Error::Fenced`].
    pub async fn advance_load(
        &self,
        org: OrgId,
        id: LoadId,
        fencing: u64,
        advance: Advance,
    ) -> Result<(), Error> {
        self.write(256, move |rows| {
            let mut load: Load = turn::leased(rows, org, id, fencing)?;
            load.positions.insert(advance.stream, advance.through);
            load.rows += advance.rows;
            load.bytes += advance.bytes;
            load.loaded = Some(advance.at);
            load.turn.went_well();
            turn::set_due(rows, org, &mut load, Some(advance.until))?;
            turn::save(rows, org, &load)
        })
        .await
    }

    /// Lets go of a load: due again when there is more for it, at once where its turn was cut short and otherwise when the
    /// changes have gathered; after an error, `retry_at`. [`Error::Fenced`].
    pub async fn release_load(
        &self,
        org: OrgId,
        id: LoadId,
        fencing: u64,
        (cut_short, failed): (bool, Option<(RunError, Timestamp)>),
        now: Timestamp,
    ) -> Result<Load, Error> {
        self.write(256, move |rows| {
            let mut load: Load = turn::leased(rows, org, id, fencing)?;
            let more = !owed(rows, org, &load)?.is_empty();
            let again = if cut_short { now } else { soon(&load, now) };
            turn::release(rows, org, &mut load, failed, (more.then_some(again), now))?;
            Ok(load)
        })
        .await
    }
}

/// Notes that the connection's feed has come to `last`; what loads it is due soon.
pub(crate) fn feed_moved(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    last: u64,
    now: Timestamp,
) -> Result<(), Error> {
    rows.put_number(Table::FeedNumbers, &Key::org(org).id(connection), last)?;
    changes_wait(rows, org, connection, now)
}

/// When changes that come now are to be loaded.
fn soon(load: &Load, now: Timestamp) -> Timestamp {
    now.after(Duration::from_secs(load.settings.every_s.into()))
}

/// Makes the loads due that nothing has due yet.
pub(crate) fn changes_wait(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    now: Timestamp,
) -> Result<(), Error> {
    for id in ids_of_connection(rows, org, connection)? {
        let mut load: Load = turn::get(rows, org, id)?;
        if load.turn.due.is_none() {
            let soon = soon(&load, now);
            turn::set_due(rows, org, &mut load, Some(soon))?;
            turn::save(rows, org, &load)?;
        }
    }
    link::changes_wait(rows, org, connection, now)
}

/// Makes every load into a destination due that waits after an error.
pub(crate) fn retry_all(
    rows: &mut Writer<'_>,
    org: OrgId,
    destination: DestinationId,
    now: Timestamp,
) -> Result<(), Error> {
    for mut load in into(rows, org, destination, MAX_LIMIT)? {
        if !load.turn.held && load.turn.error.is_some() {
            turn::set_due(rows, org, &mut load, Some(now))?;
            turn::save(rows, org, &load)?;
        }
    }
    Ok(())
}

pub(crate) fn any_into(rows: &mut impl Rows, org: OrgId, destination: DestinationId) -> Result<bool, Error> {
    Ok(!into(rows, org, destination, 1)?.is_empty())
}

/// Removes the loads of a connection that goes.
pub(crate) fn remove_all(rows: &mut Writer<'_>, org: OrgId, connection: ConnectionId) -> Result<(), Error> {
    for load in of_connection(rows, org, connection)? {
        remove(rows, org, &load)?;
    }
    Ok(())
}

fn remove(rows: &mut Writer<'_>, org: OrgId, load: &Load) -> Result<(), Error> {
    due::remove(rows, Work::Loads, org, load.turn.due, load.id)?;
    rows.delete(
        Table::LoadsByConnection,
        &Key::org(org).id(load.connection).id(load.id),
    )?;
    rows.delete(Table::Loads, &Key::org(org).id(load.id))
}

/// The streams that have a change behind the load's position, and that no folding hides.
fn owed(rows: &mut impl Rows, org: OrgId, load: &Load) -> Result<Vec<String>, Error> {
    let ends = end_of_feed(rows, org, load.connection)?;
    let mut owed = Vec::new();
    for stream in stream::names(rows, org, load.connection)? {
        if !load.takes(&stream) {
            continue;
        }
        if record::is_behind(
            rows,
            (org, load.connection),
            &stream,
            (load.position(&stream), ends),
        )? {
            owed.push(stream);
        }
    }
    Ok(owed)
}

/// How far a reader of the feed gets: while a generation takes its place, no further than before it.
pub(crate) fn end_of_feed(rows: &mut impl Rows, org: OrgId, connection: ConnectionId) -> Result<u64, Error> {
    let mut ends = u64::MAX;
    for stream in stream::names(rows, org, connection)? {
        let generation = stream::state(rows, org, connection, &stream)?.generation;
        if let Some(last) = generation.and_then(|generation| generation.folding) {
            ends = ends.min(last);
        }
    }
    Ok(ends)
}

impl Turned for Load {
    type Kind = kind::Load;
    const WORK: Work = Work::Loads;
    const TABLE: Table = Table::Loads;
    const WHAT: &'static str = "the load";

    fn id(&self) -> LoadId {
        self.id
    }

    fn turn(&mut self) -> &mut Turn {
        &mut self.turn
    }
}

fn into(
    rows: &mut impl Rows,
    org: OrgId,
    destination: DestinationId,
    limit: usize,
) -> Result<Vec<Load>, Error> {
    let span = Span::prefix(&Key::org(org));
    rows.collect(Table::Loads, &span, false, limit, |_, content| {
        let load: Load = from_json(Table::Loads, content)?;
        Ok((load.destination == destination).then_some(load))
    })
}

fn of_connection(rows: &mut impl Rows, org: OrgId, connection: ConnectionId) -> Result<Vec<Load>, Error> {
    let ids = ids_of_connection(rows, org, connection)?;
    ids.into_iter().map(|id| turn::get(rows, org, id)).collect()
}

fn ids_of_connection(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
) -> Result<Vec<LoadId>, Error> {
    let span = Span::prefix(&Key::org(org).id(connection));
    rows.collect(Table::LoadsByConnection, &span, false, MAX_LOADS, |key, _| {
        Ok(Parts::new(key.get(32..).unwrap_or_default()).id())
    })
}

/// Loads of one connection.
const MAX_LOADS: usize = 32;
