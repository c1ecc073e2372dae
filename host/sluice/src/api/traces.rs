//! Traces and logs: what calls of a connector asked of the network, and what it wrote.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use sluice_model::exchange::Exchange;
use sluice_service::page::{Listed, Page};
use sluice_service::sync::LogLine;
use sluice_service::{connection, hooks};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, id, json};
use super::page::{Paging, listed, page};
use super::problem::Problem;

/// One brokered request and what came of it, redacted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Exchange)]
pub(super) struct ExchangeView {
    #[schema(format = "date-time")]
    started: String,
    took_ms: u64,
    method: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    sent_bytes: u64,
    received_bytes: u64,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A line that the connector wrote.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogLine)]
pub(super) struct LogView {
    #[schema(format = "date-time")]
    at: String,
    level: String,
    message: String,
    fields: BTreeMap<String, String>,
}

/// One page of the list of this name, of whatever has it.
pub(super) async fn paged<T, V: Serialize, E: Into<Problem>>(
    (list, of): (&str, &str),
    asked: &Paging,
    found: impl AsyncFnOnce(&Page) -> Result<Listed<T>, E>,
    view: impl Fn(T) -> V,
) -> Result<Response, Problem> {
    let name = format!("{list}\0{of}");
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let found = found(&page).await.map_err(Into::into)?;
    Ok(json(&listed(&name, found, view)))
}

/// Of a connection's calls that are part of no run, receipt or link.
pub(super) async fn of_connection(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let found = async |page: &Page| connection::exchanges(&app.service, caller.org, &which, page).await;
    paged(("trace", &which), &asked, found, exchange).await
}

/// What was said in them.
pub(super) async fn logs_of_connection(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let found = async |page: &Page| connection::logs(&app.service, caller.org, &which, page).await;
    paged(("logs", &which), &asked, found, line).await
}

/// Of a receipt's handling.
pub(super) async fn of_receipt(
    State(app): State<App>,
    caller: Caller,
    At(receipt): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let id = id(&receipt)?;
    let found = async |page: &Page| hooks::trace(&app.service, caller.org, id, page).await;
    paged(("trace", &receipt), &asked, found, exchange).await
}

/// What was said in it.
pub(super) async fn logs_of_receipt(
    State(app): State<App>,
    caller: Caller,
    At(receipt): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let id = id(&receipt)?;
    let found = async |page: &Page| hooks::logs(&app.service, caller.org, id, page).await;
    paged(("logs", &receipt), &asked, found, line).await
}

pub(super) fn exchange(exchange: Exchange) -> ExchangeView {
    ExchangeView {
        started: exchange.started.to_string(),
        took_ms: u64::try_from(exchange.took.as_millis()).unwrap_or(u64::MAX),
        method: exchange.method,
        url: exchange.url,
        credential: exchange.credential,
        address: exchange.address,
        status: exchange.status,
        sent_bytes: exchange.sent_bytes,
        received_bytes: exchange.received_bytes,
        attempts: exchange.attempts,
        error: exchange.error,
    }
}

pub(super) fn line(line: LogLine) -> LogView {
    LogView {
        at: line.at.to_string(),
        level: line.level,
        message: line.message,
        fields: line.fields.into_iter().collect(),
    }
}
