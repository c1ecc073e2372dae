//! Loads: made, shown, tried again, and carried batch by batch.
//!
//! A batch is read from the change feed, handed to the destination, and when that has acknowledged it, the load's position
//! moves. Whatever is cut off in between is repeated, and a destination takes a repetition for what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_destination::{Batch, Op, Row, Table};
use sluice_mapping::{Shape, Type};
use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, DestinationId, LoadId, OrgId};
use sluice_model::schedule::Schedule;
use sluice_store::load::{Advance, LoadLease, LoadSettings};
use sluice_store::record::{ChangeRow, Op as Change};
use sluice_store::run::RunError;
use tokio_util::sync::CancellationToken;

use super::{Error, get, open};
use crate::catalogue::streams::Streams;
use crate::problem::Problem;
use crate::sync::stream;
use crate::{Service, catalogue, connection, event};

/// A load as it may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    pub id: LoadId,
    pub connection: ConnectionId,
    pub destination: DestinationId,
    pub settings: LoadSettings,
    pub state: LoadState,
    /// By stream: everything up to and with this number of the change feed is there.
    pub positions: BTreeMap<String, u64>,
    /// The streams that have changes behind that.
    pub owed: Vec<String>,
    /// Rows and bytes that the destination took, and when it did last.
    pub rows: u64,
    pub bytes: u64,
    pub loaded: Option<Timestamp>,
    /// Tries in a row that failed, and why the last one did.
    pub failures: u32,
    pub error: Option<Problem>,
    pub failing_since: Option<Timestamp>,
    /// When it is worked on next.
    pub next: Option<Timestamp>,
}

/// How a load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadState {
    /// Everything is there.
    UpToDate,
    /// It waits for its time, or is being carried.
    Loading,
    /// The last try failed; it is tried again by itself.
    Failing,
}

/// Waits between tries: the destination is somebody else's, and its owner may need a while. There is no last one.
const RETRY: Schedule = Schedule {
    first: std::time::Duration::from_secs(5),
    factor: 3.0,
    max: std::time::Duration::from_secs(900),
    tries: u32::MAX,
};
/// Rows and bytes of a batch: a few round trips' worth, and a fraction of what may be held.
const BATCH: (usize, usize) = (20_000, 8 << 20);
/// Batches that are carried under one lease before others have their turn.
const TURN: usize = 50;
/// Records whose fields are looked at where no schema says what they are.
const SAMPLES: usize = 200;
/// A day.
const MAX_EVERY_S: u32 = 86_400;

/// Has the connection's records loaded into the destination from now on, those that are there included.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Stream`], [`Error::LoadSettings`], [`Error::Prefix`]; `store.conflict` where it is loaded
/// there already.
pub async fn create_load(
    service: &Service,
    org: OrgId,
    (which, connection): (&str, &str),
    settings: LoadSettings,
) -> Result<Load, Error> {
    let destination = get(service, org, which).await?;
    let found = connection::get(service, org, connection).await?;
    let known = catalogue::known(service, org, found.install).await?;
    let known = Streams::of(service, org, found.id, &known).await?;
    if let Some(unknown) = settings.streams.iter().find(|name| known.get(name).is_none()) {
        return Err(Error::Stream(unknown.clone()));
    }
    if settings.prefix.len() > 64 || settings.prefix.contains(char::is_control) {
        return Err(Error::LoadSettings(
            "the prefix is longer than 64 bytes, or has control characters",
        ));
    }
    if settings.every_s > MAX_EVERY_S {
        return Err(Error::LoadSettings("changes can be gathered for a day at most"));
    }
    for other in service.store().destination_loads(org, destination.id).await? {
        if other.connection != found.id && other.settings.prefix == settings.prefix {
            let named = connection::get(service, org, &other.connection.to_string()).await;
            return Err(Error::Prefix {
                connection: named.map_or_else(|_| other.connection.to_string(), |named| named.name),
                prefix: settings.prefix,
            });
        }
    }
    let made = service
        .store()
        .create_load(
            org,
            service.new_id(),
            (found.id, destination.id),
            settings,
            service.now(),
        )
        .await?;
    event::platform(
        service,
        org,
        "sluice.load.created",
        made.id,
        || json!({"connection": found.id.to_string(), "destination": destination.id.to_string()}),
    )
    .await?;
    view(service, org, made).await
}

/// What is loaded into a destination.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn list_loads(service: &Service, org: OrgId, which: &str) -> Result<Vec<Load>, Error> {
    let destination = get(service, org, which).await?;
    let mut loads = Vec::new();
    for load in service.store().destination_loads(org, destination.id).await? {
        loads.push(view(service, org, load).await?);
    }
    Ok(loads)
}

/// Ends a load. What was delivered stays there.
///
/// # Errors
///
/// [`Error::NoLoad`].
pub async fn remove_load(service: &Service, org: OrgId, names: (&str, &str)) -> Result<(), Error> {
    let found = find(service, org, names).await?;
    service.store().remove_load(org, found.id).await?;
    event::platform(
        service,
        org,
        "sluice.load.removed",
        found.id,
        || json!({"connection": found.connection.to_string(), "destination": found.destination.to_string()}),
    )
    .await?;
    Ok(())
}

/// Tries a load again now; `anew`: from the first change on, for a destination that lost what it had.
///
/// # Errors
///
/// [`Error::NoLoad`].
pub async fn retry_load(
    service: &Service,
    org: OrgId,
    names: (&str, &str),
    anew: bool,
) -> Result<Load, Error> {
    let found = find(service, org, names).await?;
    let due = service
        .store()
        .retry_load(org, found.id, anew, service.now())
        .await?;
    view(service, org, due).await
}

/// Destinations that have something of the connection's stream behind number `after`.
///
/// # Errors
///
/// If the database does not answer.
pub async fn loaded_past(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    (stream, after): (&str, u64),
) -> Result<Vec<DestinationId>, sluice_store::Error> {
    let loads = service.store().connection_loads(org, connection).await?;
    let past = loads.into_iter().filter(|load| load.position(stream) > after);
    Ok(past.map(|load| load.destination).collect())
}

async fn find(
    service: &Service,
    org: OrgId,
    (which, connection): (&str, &str),
) -> Result<sluice_store::load::Load, Error> {
    let destination = get(service, org, which).await?;
    let found = connection::get(service, org, connection).await?;
    let loads = service.store().connection_loads(org, found.id).await?;
    let load = loads.into_iter().find(|load| load.destination == destination.id);
    load.ok_or_else(|| Error::NoLoad {
        connection: connection.to_owned(),
        destination: which.to_owned(),
    })
}

async fn view(service: &Service, org: OrgId, load: sluice_store::load::Load) -> Result<Load, Error> {
    let owed = service.store().owed_streams(org, &load).await?;
    let state = match &load.turn.error {
        Some(_) => LoadState::Failing,
        None if load.turn.due.is_none() && owed.is_empty() => LoadState::UpToDate,
        None => LoadState::Loading,
    };
    Ok(Load {
        id: load.id,
        connection: load.connection,
        destination: load.destination,
        settings: load.settings,
        state,
        positions: load.positions,
        owed,
        rows: load.rows,
        bytes: load.bytes,
        loaded: load.loaded,
        failures: load.turn.failures,
        error: load.turn.error.map(|error| Problem {
            code: error.code,
            message: error.message,
        }),
        failing_since: load.turn.failing_since,
        next: load.turn.due.filter(|_| !load.turn.held),
    })
}

/// Carries a leased load until everything is there, its turn is over, or the destination fails. An error is the store's.
pub(crate) async fn drive(
    service: &Service,
    lease: LoadLease,
    stop: &CancellationToken,
) -> Result<(), sluice_store::Error> {
    let LoadLease { org, load } = lease;
    let store = service.store();
    let carried = carry(service, org, &load, stop).await;
    let (cut_short, failed) = match carried {
        Ok(cut_short) => (cut_short, None),
        Err(Error::Store(
            error @ (sluice_store::Error::Failed { .. } | sluice_store::Error::Fenced { .. }),
        )) => {
            return ended(error);
        }
        Err(error) => {
            let problem = problem(&error);
            tracing::warn!(load = %load.id, code = problem.code, message = problem.message, "a load failed");
            let wait = RETRY
                .wait(load.turn.failures.saturating_add(1), service.jitter(), None)
                .unwrap_or(RETRY.max);
            let error = RunError {
                code: problem.code,
                message: problem.message,
            };
            (false, Some((error, service.now().after(wait))))
        }
    };
    let released = store
        .release_load(
            org,
            load.id,
            load.turn.fencing,
            (cut_short, failed),
            service.now(),
        )
        .await;
    let now = match released {
        Ok(now) => now,
        Err(error) => return ended(error),
    };
    let turned = match (&load.turn.error, &now.turn.error) {
        (None, Some(error)) => Some(("sluice.load.failing", Some(error.code.clone()))),
        (Some(_), None) => Some(("sluice.load.recovered", None)),
        _ => None,
    };
    if let Some((kind, code)) = turned {
        let (connection, destination) = (load.connection.to_string(), load.destination.to_string());
        let body = || json!({"connection": connection, "destination": destination, "code": code});
        event::platform(service, org, kind, load.id, body).await?;
    }
    Ok(())
}

/// A load that is gone or another's is not ours to end.
fn ended(error: sluice_store::Error) -> Result<(), sluice_store::Error> {
    match error {
        sluice_store::Error::Fenced { .. } | sluice_store::Error::Missing { .. } => Ok(()),
        error => Err(error),
    }
}

fn problem(error: &Error) -> Problem {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    Problem::new(error.code(), message)
}

/// Carries what is owed. Whether the turn was over before everything was there.
async fn carry(
    service: &Service,
    org: OrgId,
    load: &sluice_store::load::Load,
    stop: &CancellationToken,
) -> Result<bool, Error> {
    let destination = get(service, org, &load.destination.to_string()).await?;
    let owner = connection::get(service, org, &load.connection.to_string()).await?;
    let known = catalogue::known(service, org, owner.install).await?;
    let known = Streams::of(service, org, owner.id, &known).await?;
    let place = open::held(service, org, &destination).await?;
    let streams = service.store().owed_streams(org, load).await?;
    let carrier = Carrier {
        service,
        org,
        load,
        place,
        known,
    };
    let mut left = TURN;
    for stream in streams {
        let ruled = stream::has_rules(service, org, load.connection, &stream).await?;
        let mut after = load.position(&stream);
        while left > 0 && !stop.is_cancelled() {
            left -= 1;
            match carrier.next(&stream, ruled, after).await {
                Ok(Some(through)) => after = through,
                Ok(None) => break,
                Err(error) => {
                    // What is held open may be what is broken.
                    service.destinations().forget(destination.id);
                    return Err(error);
                }
            }
        }
    }
    Ok(left == 0 || stop.is_cancelled())
}

/// What carries the batches of one turn.
struct Carrier<'a> {
    service: &'a Service,
    org: OrgId,
    load: &'a sluice_store::load::Load,
    place: Arc<sluice_destination::Destination>,
    known: Streams,
}

impl Carrier<'_> {
    /// Carries the changes behind `after`; up to where, or none if there were none.
    async fn next(&self, stream: &str, ruled: bool, after: u64) -> Result<Option<u64>, Error> {
        let load = self.load;
        let of = (self.org, load.connection);
        let changes = self.service.store().feed_part(of, stream, after, BATCH).await?;
        let Some(through) = changes.last().map(|last| last.seq) else {
            return Ok(None);
        };
        let schema = schema(&self.known, stream, ruled, &changes);
        let batch = Batch {
            table: Table {
                connection: load.connection,
                stream: stream.to_owned(),
                name: format!("{}{stream}", load.settings.prefix),
                schema,
            },
            after,
            through,
            rows: changes.into_iter().map(row).collect(),
        };
        let loaded = tokio::time::timeout(open::LONGEST, self.place.load(&batch)).await;
        let loaded =
            loaded.unwrap_or_else(|_| Err(sluice_destination::Error::Lost("no answer in time".to_owned())));
        let (through, rows, bytes) = match loaded {
            Ok(loaded) => (through, loaded.rows, loaded.bytes),
            // It was put back to an earlier state: from there on again.
            Err(sluice_destination::Error::Behind { has, .. }) if has < after => {
                tracing::warn!(load = %load.id, stream, has, after, "a destination has less than it had");
                (has, 0, 0)
            }
            Err(error) => return Err(error.into()),
        };
        let now = self.service.now();
        let advance = Advance {
            stream: stream.to_owned(),
            through,
            rows,
            bytes,
            at: now,
            until: now.after(self.service.settings().lease),
        };
        self.service
            .store()
            .advance_load(self.org, load.id, load.turn.fencing, advance)
            .await?;
        Ok(Some(through))
    }
}

fn row(change: ChangeRow) -> Row {
    Row {
        seq: change.seq,
        id: change.id,
        op: match (change.op, change.data) {
            (Change::Deleted, _) | (_, None) => Op::Delete,
            (_, Some(data)) => Op::Upsert(data),
        },
        at: change.at,
    }
}

/// What the records look like: as the connector declares; where rules have changed them or nothing is declared, as the first
/// of the batch do. What does not fit is not lost, wherever it is loaded.
fn schema(known: &Streams, stream: &str, ruled: bool, changes: &[ChangeRow]) -> Value {
    let declared = known.get(stream).map(|declared| &declared.schema);
    let says = |schema: &&Value| {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.is_some_and(|properties| !properties.is_empty())
    };
    if let Some(schema) = declared.filter(|_| !ruled).filter(says) {
        return schema.clone();
    }
    let mut shape = Shape::default();
    let samples = changes.iter().filter_map(|change| change.data.as_deref());
    for sample in samples.take(SAMPLES) {
        if let Ok(of) = Shape::of(sample) {
            shape.merge(&of);
        }
    }
    let mut properties = serde_json::Map::new();
    for (pointer, types) in shape.fields() {
        // Only the record's own members: those inside them go with them.
        let Some(name) = pointer.strip_prefix('/').filter(|name| !name.contains('/')) else {
            continue;
        };
        let types: BTreeSet<&str> = types.iter().map(|of| type_name(*of)).collect();
        let name = name.replace("~1", "/").replace("~0", "~");
        properties.insert(name, json!({"type": types}));
    }
    json!({"type": "object", "properties": properties})
}

const fn type_name(of: Type) -> &'static str {
    match of {
        Type::Text => "string",
        Type::Integer => "integer",
        Type::Number => "number",
        Type::Boolean => "boolean",
        Type::Array => "array",
        Type::Object => "object",
    }
}
