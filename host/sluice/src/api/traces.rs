//! Traces and logs: what calls of a connector asked of the network, and what it wrote.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use sluice_model::exchange::Exchange;
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

/// Of a connection's calls that are part of no run, receipt or link.
pub(super) async fn of_connection(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let name = format!("trace\0{which}");
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let found = connection::exchanges(&app.service, caller.org, &which, &page).await?;
    Ok(json(&listed(&name, found, exchange)))
}

/// What was said in them.
pub(super) async fn logs_of_connection(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let name = format!("logs\0{which}");
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let found = connection::logs(&app.service, caller.org, &which, &page).await?;
    Ok(json(&listed(&name, found, line)))
}

/// Of a receipt's handling.
pub(super) async fn of_receipt(
    State(app): State<App>,
    caller: Caller,
    At(receipt): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let name = format!("trace\0{receipt}");
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let found = hooks::trace(&app.service, caller.org, id(&receipt)?, &page).await?;
    Ok(json(&listed(&name, found, exchange)))
}

/// What was said in it.
pub(super) async fn logs_of_receipt(
    State(app): State<App>,
    caller: Caller,
    At(receipt): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let name = format!("logs\0{receipt}");
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let found = hooks::logs(&app.service, caller.org, id(&receipt)?, &page).await?;
    Ok(json(&listed(&name, found, line)))
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
