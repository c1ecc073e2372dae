//! Receipts: webhooks as they came in, and having one handled again.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use http::StatusCode;
use serde::Serialize;
use sluice_model::receipt::ReceiptState;
use sluice_service::hooks::{self, Receipt};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{At, id, json};
use super::connections::Reason;
use super::problem::Problem;

/// One webhook received.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(super) struct ReceiptView {
    id: String,
    hook: String,
    connection: String,
    #[schema(value_type = String)]
    state: ReceiptState,
    #[schema(format = "date-time")]
    received: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    handled: Option<String>,
    /// The vendor's delivery id, or what stands for it.
    dedupe_key: String,
    body_bytes: u64,
    /// Tries that failed.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
    /// How often a person had it handled again.
    replays: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
}

/// A receipt and the request that it was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceiptDetail)]
pub(super) struct ReceiptDetail {
    receipt: ReceiptView,
    request: RequestView,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceivedRequest)]
pub(super) struct RequestView {
    method: String,
    query: String,
    headers: Vec<(String, String)>,
    /// `utf-8` or `base64`.
    encoding: &'static str,
    body: String,
}

pub(super) fn view(receipt: Receipt) -> ReceiptView {
    ReceiptView {
        id: receipt.id.to_string(),
        hook: receipt.hook.to_string(),
        connection: receipt.connection.to_string(),
        state: receipt.state,
        received: receipt.received.to_string(),
        handled: receipt.handled.map(|at| at.to_string()),
        dedupe_key: receipt.dedupe_key,
        body_bytes: receipt.body_bytes,
        failures: receipt.failures,
        next_attempt: receipt.next_attempt.map(|at| at.to_string()),
        replays: receipt.replays,
        error: receipt.error.map(Reason::from),
    }
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(receipt): At<String>,
) -> Result<Response, Problem> {
    let (receipt, request) = hooks::receipt(&app.service, caller.org, id(&receipt)?).await?;
    let (encoding, body) = match String::from_utf8(request.body) {
        Ok(text) => ("utf-8", text),
        Err(error) => ("base64", BASE64.encode(error.as_bytes())),
    };
    let request = RequestView {
        method: request.method,
        query: request.query,
        headers: request.headers,
        encoding,
        body,
    };
    Ok(json(&ReceiptDetail {
        receipt: view(receipt),
        request,
    }))
}

pub(super) async fn replay(
    State(app): State<App>,
    caller: Caller,
    At(receipt): At<String>,
) -> Result<Response, Problem> {
    let replayed = hooks::replay(&app.service, caller.org, id(&receipt)?).await?;
    Ok((StatusCode::ACCEPTED, json(&view(replayed))).into_response())
}
