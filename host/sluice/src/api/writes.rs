//! Writes into a stream at its vendor.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_service::connection;
use sluice_service::write::{self, Op, Outcome, Write};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{At, Json, json};
use super::page::List;
use super::problem::Problem;
use super::text::Raw;

/// Records to be written, at most 100.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WriteRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteRequest {
    writes: Vec<WriteBody>,
}

/// One write. `create` has data, `update` id and data, `delete` an id.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Write)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteBody {
    /// `create`, `update` or `delete`.
    op: String,
    #[serde(default)]
    id: Option<String>,
    /// The members to set.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
    /// The same for every try: a vendor that can tell does not write twice.
    idempotency_key: String,
    /// The vendor's revision that it builds on.
    #[serde(default)]
    revision: Option<String>,
}

/// What became of a write.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WriteOutcome)]
pub(super) struct OutcomeView {
    /// `done`, `conflict` or `failed`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The record as the vendor has it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Where in the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
}

pub(super) async fn write(
    State(app): State<App>,
    caller: Caller,
    At((which, stream)): At<(String, String)>,
    Json(wanted): Json<WriteRequest>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &which).await?;
    let writes = wanted.writes.into_iter().map(read).collect::<Result<_, _>>()?;
    let outcomes = write::write(&app.service, caller.org, found.id, &stream, writes).await?;
    Ok(json(&List {
        items: outcomes.into_iter().map(view).collect(),
        next: None,
    }))
}

fn read(body: WriteBody) -> Result<Write, Problem> {
    let data = body.data.map(|data| data.get().to_owned());
    let op = match (body.op.as_str(), body.id, data) {
        ("create", None, Some(data)) => Op::Create(data),
        ("update", Some(id), Some(data)) => Op::Update(id, data),
        ("delete", Some(id), None) => Op::Delete(id),
        _ => {
            return Err(Problem::new(
                "write.record",
                "`create` has data, `update` id and data, `delete` an id",
            ));
        }
    };
    if !(1..=255).contains(&body.idempotency_key.len()) || !body.idempotency_key.is_ascii() {
        return Err(Problem::new(
            "write.record",
            "an idempotency key has 1 to 255 characters of ASCII",
        ));
    }
    Ok(Write {
        op,
        key: body.idempotency_key,
        revision: body.revision,
    })
}

fn view(outcome: Outcome) -> OutcomeView {
    let empty = OutcomeView {
        outcome: "done",
        id: None,
        data: None,
        code: None,
        reason: None,
        pointer: None,
    };
    match outcome {
        Outcome::Done(id, item) => OutcomeView {
            id: Some(id),
            data: item.map(|item| Raw::new(item.data)),
            ..empty
        },
        Outcome::Conflict(item) => {
            let (id, data) = item.map(|item| (item.id, Raw::new(item.data))).unzip();
            OutcomeView {
                outcome: "conflict",
                id,
                data,
                ..empty
            }
        }
        Outcome::Failed(fault) => OutcomeView {
            outcome: "failed",
            code: Some(fault.kind.code()),
            reason: Some(fault.message),
            pointer: fault.pointer,
            ..empty
        },
    }
}
