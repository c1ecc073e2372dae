//! Writes into a stream at its vendor, record by record, each with its own outcome.
//!
//! What the vendor has afterwards is what the record store has afterwards: the connector tells it with the outcome, and it
//! goes through the stream's rules and into the change feed like everything that is read. What is absent: a queue of our own.
//! Who needs one has a link, or repeats a write under the same key.

use sluice_model::fault::Fault;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::WriteKind;
use sluice_model::record::{Change, Item};
use sluice_runtime::{CallError, Effects, PendingWrite, WriteOp, WriteOutcome};
use sluice_store::link::{End, Written};
use tokio_util::sync::CancellationToken;

use crate::call::{self, Callee};
use crate::problem::Problem;
use crate::{Service, connection, hooks, trace};

/// Writes of one request.
pub const MAX_WRITES: usize = 100;

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// JSON text.
    Create(String),
    /// These members of the record with this id; JSON text.
    Update(String, String),
    /// By id.
    Delete(String),
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub op: Op,
    /// The same for every try: a vendor that can tell does not write twice.
    pub key: String,
    /// The vendor's revision that it builds on.
    pub revision: Option<String>,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The record's id, and the record as the vendor has it now; none after a delete.
    Done(String, Option<Item>),
    /// The vendor has another revision: this, where it says.
    Conflict(Option<Item>),
    Failed(Fault),
}

/// Why nothing was written, or it is not known what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the connector has no stream `{0}`")]
    Stream(String),
    #[error("records of `{stream}` cannot be {what}d by this connector")]
    Unsupported { stream: String, what: &'static str },
    #[error("{0} writes are more than the {MAX_WRITES} of one request")]
    TooMany(usize),
    #[error("a record is no JSON object: {0}")]
    Record(String),
    #[error("the connector answered {given} writes with {got} outcomes")]
    Outcomes { given: usize, got: usize },
    #[error("{0}")]
    Fault(Fault),
    #[error("what was written was not kept: {}", .0.message)]
    Kept(Problem),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Prepare(#[from] call::Error),
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "sync.stream",
        "write.unsupported",
        "write.too_many",
        "write.record",
        "write.outcomes",
        "write.kept",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stream(_) => "sync.stream",
            Self::Unsupported { .. } => "write.unsupported",
            Self::TooMany(_) => "write.too_many",
            Self::Record(_) => "write.record",
            Self::Outcomes { .. } => "write.outcomes",
            Self::Fault(fault) => fault.kind.code(),
            Self::Kept(_) => "write.kept",
            Self::Call(error) => error.code(),
            Self::Prepare(error) => error.code(),
            Self::Connection(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { .. } => {
                Some("`sluice connector info` shows what each stream can do".to_owned())
            }
            Self::Kept(_) => Some("the vendor has it; the stream's next run reads it".to_owned()),
            Self::Call(error) => error.hint(),
            Self::Prepare(error) => error.hint(),
            Self::Connection(error) => error.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// Writes for a person or a program; what the vendor has afterwards is in the record store when this returns.
///
/// Not cancel-safe: dropped early, the vendor may or may not have written. The same keys find out.
///
/// # Errors
///
/// Before anything is sent [`Error::Stream`], [`Error::Unsupported`], [`Error::TooMany`], [`Error::Record`]; otherwise as the
/// call failed, for all writes together. What became of each is its [`Outcome`].
pub async fn write(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    stream: &str,
    writes: Vec<Write>,
) -> Result<Vec<Outcome>, Error> {
    if writes.len() > MAX_WRITES {
        return Err(Error::TooMany(writes.len()));
    }
    let callee = Callee::read(service, org, id).await?;
    check(&callee, stream, &writes)?;
    let (stop, mut effects) = (CancellationToken::new(), Effects::default());
    let sent = send(service, &callee, stream, &writes, (stop, &mut effects)).await;
    let what = format!("writes to {stream} ({})", writes.len());
    let problem = match &sent {
        Ok(outcomes) => outcomes.iter().find_map(refusal),
        Err(error) => Some((error.code(), error.to_string())),
    };
    trace::keep(service, &callee, &what, problem, &mut effects);
    let outcomes = sent?;
    let written = kept(service, &callee, stream, &outcomes)
        .await
        .map_err(Error::Kept)?;
    let end = End {
        connection: id,
        stream: stream.to_owned(),
    };
    service
        .store()
        .keep_written(org, end, written, service.now())
        .await?;
    Ok(outcomes)
}

/// Why one was not done.
fn refusal(outcome: &Outcome) -> Option<(&'static str, String)> {
    match outcome {
        Outcome::Failed(fault) => Some((fault.kind.code(), fault.to_string())),
        _ => None,
    }
}

fn check(callee: &Callee, stream: &str, writes: &[Write]) -> Result<(), Error> {
    let declared = callee.streams.get(stream);
    let declared = declared.ok_or_else(|| Error::Stream(stream.to_owned()))?;
    for write in writes {
        let (kind, what) = match &write.op {
            Op::Create(_) => (WriteKind::Create, "create"),
            Op::Update(..) => (WriteKind::Update, "update"),
            Op::Delete(_) => (WriteKind::Delete, "delete"),
        };
        if !declared.writes.contains(&kind) {
            return Err(Error::Unsupported {
                stream: stream.to_owned(),
                what,
            });
        }
        if let Op::Create(data) | Op::Update(_, data) = &write.op {
            let read: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(data);
            read.map_err(|error| Error::Record(error.to_string()))?;
        }
    }
    Ok(())
}

/// Whether the stream takes this kind of write.
pub(crate) fn takes(callee: &Callee, stream: &str, kind: WriteKind) -> bool {
    callee
        .known
        .manifest
        .stream(stream)
        .is_some_and(|declared| declared.writes.contains(&kind))
}

/// Has the connector write. One outcome for each, in order. What the call did is left in `effects`, for the trace of what it was made
/// for.
pub(crate) async fn send(
    service: &Service,
    callee: &Callee,
    stream: &str,
    writes: &[Write],
    (cancel, effects): (CancellationToken, &mut Effects),
) -> Result<Vec<Outcome>, Error> {
    if writes.is_empty() {
        return Ok(Vec::new());
    }
    let call = callee.call(service, cancel).await?;
    let pending: Vec<PendingWrite> = writes.iter().map(pending).collect();
    let outcome = service.runtime().write(call, stream.to_owned(), pending).await;
    call::observe(service, "write", callee, &outcome);
    *effects = outcome.effects;
    let staged = callee.writes(service, effects);
    let outcomes = match outcome.result? {
        Ok(outcomes) => outcomes,
        Err(fault) => {
            connection::degrade(service, callee.org, callee.connection.id, &fault).await?;
            return Err(Error::Fault(fault));
        }
    };
    if outcomes.len() != writes.len() {
        return Err(Error::Outcomes {
            given: writes.len(),
            got: outcomes.len(),
        });
    }
    if !staged.is_empty() {
        service
            .store()
            .commit_storage(callee.org, callee.connection.id, staged)
            .await?;
    }
    let told = writes.iter().zip(outcomes).map(|(write, outcome)| match outcome {
        WriteOutcome::Done(item) => match &write.op {
            Op::Delete(id) => Outcome::Done(id.clone(), None),
            // It is the record that was asked for, whatever the answer calls it.
            Op::Update(id, _) => Outcome::Done(
                id.clone(),
                Some(Item {
                    id: id.clone(),
                    ..item
                }),
            ),
            Op::Create(_) => Outcome::Done(item.id.clone(), Some(item)),
        },
        WriteOutcome::Conflict(item) => Outcome::Conflict(item),
        WriteOutcome::Failed(fault) => Outcome::Failed(fault),
    });
    Ok(told.collect())
}

fn pending(write: &Write) -> PendingWrite {
    PendingWrite {
        op: match &write.op {
            Op::Create(data) => WriteOp::Create(data.clone()),
            Op::Update(id, data) => WriteOp::Update(Item {
                id: id.clone(),
                data: data.clone(),
                modified: None,
            }),
            Op::Delete(id) => WriteOp::Delete(id.clone()),
        },
        idempotency_key: write.key.clone(),
        expect_revision: write.revision.clone(),
    }
}

/// What the record store has to take in of these outcomes, after the stream's rules.
pub(crate) async fn kept(
    service: &Service,
    callee: &Callee,
    stream: &str,
    outcomes: &[Outcome],
) -> Result<Written, Problem> {
    let changes = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Done(_, Some(item)) | Outcome::Conflict(Some(item)) => Some(Change::Upsert(item.clone())),
        Outcome::Done(id, None) => Some(Change::Delete(id.clone())),
        Outcome::Conflict(None) | Outcome::Failed(_) => None,
    });
    let changes = changes.map(|change| (stream.to_owned(), change)).collect();
    let (good, bad) = hooks::sift(service, callee, changes).await?;
    Ok(Written {
        changes: good.into_iter().map(|(_, change)| change).collect(),
        quarantined: bad.into_iter().map(|(_, refused)| refused).collect(),
    })
}
