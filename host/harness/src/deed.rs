//! A deed: an action, or writes to one stream, as it is done for the first time and once more.

use serde_json::{Value, json};
use sluice_model::manifest::WriteKind;
use sluice_model::record::Item;
use sluice_runtime::{PendingWrite, WriteOp, WriteOutcome};

use crate::case::{Act, Case, Write};
use crate::play::parsed;
use crate::rehearsal::{Answered, Problem, Rehearsal, Session};
use crate::tape::Mark;

/// What is done.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Act {
        act: Act,
        key: String,
    },
    Write {
        stream: String,
        writes: Vec<PendingWrite>,
    },
}

/// What came of it: what an action gave, or an outcome for each write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Came {
    pub(crate) output: Option<String>,
    pub(crate) outcomes: Vec<WriteOutcome>,
}

/// A deed of a play, and the connection as it was before.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) what: What,
    pub(crate) came: Result<Came, Problem>,
    pub(crate) session: Session,
    pub(crate) mark: Mark,
}

impl What {
    pub(crate) fn actions(case: &Case) -> Vec<Self> {
        let numbered = case.actions.iter().enumerate();
        numbered
            .map(|(number, act)| Self::Act {
                act: act.clone(),
                key: format!("rehearsal-{number}"),
            })
            .collect()
    }

    /// Neighbours of one stream are one call, as the host makes it.
    pub(crate) fn writes(case: &Case) -> Vec<Self> {
        let numbered: Vec<_> = case.writes.iter().enumerate().collect();
        numbered
            .chunk_by(|(_, one), (_, other)| one.stream == other.stream)
            .filter_map(|batch| {
                let (_, first) = batch.first()?;
                Some(Self::Write {
                    stream: first.stream.clone(),
                    writes: batch
                        .iter()
                        .map(|(number, write)| pending(*number, write))
                        .collect(),
                })
            })
            .collect()
    }

    /// The action's or the stream's name.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Act { act, .. } => act.name.clone(),
            Self::Write { stream, .. } => stream.clone(),
        }
    }

    /// What it is, for people.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Act { act, .. } => format!("action {}", act.name),
            Self::Write { stream, .. } => format!("writes to {stream}"),
        }
    }

    pub(crate) async fn put(&self, rehearsal: &Rehearsal, session: &mut Session) -> Answered<Came> {
        let call = rehearsal.call(session);
        match self {
            Self::Act { act, key } => {
                let (name, input) = (act.name.clone(), act.input.to_string());
                let outcome = rehearsal.runtime.act(call, name, input, key.clone()).await;
                rehearsal.take(session, outcome).map(|output| Came {
                    output: Some(output),
                    outcomes: Vec::new(),
                })
            }
            Self::Write { stream, writes } => {
                let outcome = rehearsal
                    .runtime
                    .write(call, stream.clone(), writes.clone())
                    .await;
                rehearsal.take(session, outcome).map(|outcomes| Came {
                    output: None,
                    outcomes,
                })
            }
        }
    }
}

/// A write of a case, under a key that says which one it is.
fn pending(number: usize, write: &Write) -> PendingWrite {
    let id = write.id.clone().unwrap_or_default();
    let data = write.data.as_ref().map(Value::to_string).unwrap_or_default();
    PendingWrite {
        op: match write.op {
            WriteKind::Create => WriteOp::Create(data),
            WriteKind::Update => WriteOp::Update(Item {
                id,
                data,
                modified: None,
            }),
            WriteKind::Delete => WriteOp::Delete(id),
        },
        idempotency_key: format!("rehearsal-write-{number}"),
        expect_revision: write.expect_revision.clone(),
    }
}

pub(crate) fn of_outcome(outcome: &WriteOutcome) -> Value {
    let of_item = |item: &Item| {
        let modified = item.modified.map(|at| at.to_string());
        json!({"id": item.id, "modified": modified, "data": parsed(&item.data)})
    };
    match outcome {
        WriteOutcome::Done(item) => json!({"done": of_item(item)}),
        WriteOutcome::Conflict(item) => json!({"conflict": item.as_ref().map(of_item)}),
        WriteOutcome::Failed(fault) => {
            json!({"failed": {"code": fault.kind.code(), "message": fault.to_string()}})
        }
    }
}
