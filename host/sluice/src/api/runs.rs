//! Runs.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sluice_model::record::Counts;
use sluice_model::run::{Mode, RunState, Trigger};
use sluice_service::connection;
use sluice_service::page::Page;
use sluice_service::sync::{self, Run};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, id, json};
use super::connections::Reason;
use super::page::{Paging, listed, page};
use super::problem::Problem;
use super::traces::{exchange, line, paged};

/// One execution of a sync of one stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(super) struct RunView {
    id: String,
    connection: String,
    stream: String,
    #[schema(value_type = String)]
    mode: Mode,
    /// With mode `backfill`: from when, and up to when.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<WindowView>,
    /// `manual`, `hook` or `schedule`.
    #[schema(value_type = String)]
    trigger: Trigger,
    #[schema(value_type = String)]
    state: RunState,
    /// Whether it is over.
    over: bool,
    counts: CountsView,
    pages: u64,
    /// How many records the vendor says there are, while it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_hint: Option<u64>,
    #[schema(format = "date-time")]
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// When it goes on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
    /// Tries in a row that moved nothing.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
    /// Seconds until everything is read at the pace so far, where the vendor says how much that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_s: Option<u64>,
    /// With mode `check`: how the stream differs from what the vendor has.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<FindingsView>,
    /// When a person took it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    undone: Option<String>,
}

/// How a stream differs from what its vendor has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Findings)]
pub(super) struct FindingsView {
    /// Records that the vendor has and the stream does not.
    missing: FindingView,
    /// Records that say something else.
    differing: FindingView,
    /// Records that the vendor does not have any more.
    extra: FindingView,
}

/// How many, and the first hundred of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub(super) struct FindingView {
    count: u64,
    ids: Vec<String>,
}

fn findings(found: sync::Findings) -> FindingsView {
    let one = |found: sync::Finding| FindingView {
        count: found.count,
        ids: found.ids,
    };
    FindingsView {
        missing: one(found.missing),
        differing: one(found.differing),
        extra: one(found.extra),
    }
}

/// A stretch of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Window)]
pub(super) struct WindowView {
    #[schema(format = "date-time")]
    from: String,
    /// The first moment behind it.
    #[schema(format = "date-time")]
    to: String,
}

/// What taking a run back came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Undone)]
pub(super) struct UndoneView {
    /// Records that the run had added, and that are gone again.
    removed: u64,
    /// Records that are what they were before.
    restored: u64,
    /// Records whose earlier version is not kept any more; they stay.
    lost: u64,
    /// Who follows the change feed has the reversal when they have read up to here.
    last_seq: u64,
    /// Destinations that had something of the run already. What follows the feed takes the reversal by itself; files keep
    /// both, and the later one counts.
    delivered_to: Vec<String>,
}

/// What became of the changes. `received` is added, updated, unchanged, deleted and quarantined.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Counts)]
pub(super) struct CountsView {
    received: u64,
    added: u64,
    updated: u64,
    unchanged: u64,
    deleted: u64,
    quarantined: u64,
    /// How many of them the stream's filter left out; they are deleted where they were there before.
    filtered: u64,
    /// Records taken away because a complete reading did not meet them again.
    vanished: u64,
}

pub(super) fn view(run: Run) -> RunView {
    RunView {
        id: run.id.to_string(),
        connection: run.connection.to_string(),
        stream: run.stream,
        mode: run.mode,
        window: run.window.map(|window| WindowView {
            from: window.start.to_string(),
            to: window.end.to_string(),
        }),
        trigger: run.trigger,
        state: run.state,
        over: run.state.ended(),
        counts: counts(&run.counts),
        pages: run.pages,
        total_hint: run.total_hint,
        created: run.created.to_string(),
        started: run.started.map(|at| at.to_string()),
        ended: run.ended.map(|at| at.to_string()),
        next_attempt: run.next_attempt.map(|at| at.to_string()),
        failures: run.failures,
        error: run.error.map(Reason::from),
        eta_s: run.eta_s,
        findings: run.findings.map(findings),
        undone: run.undone.map(|at| at.to_string()),
    }
}

fn counts(counts: &Counts) -> CountsView {
    CountsView {
        received: counts.received(),
        added: counts.added,
        updated: counts.updated,
        unchanged: counts.unchanged,
        deleted: counts.deleted,
        quarantined: counts.quarantined,
        filtered: counts.filtered,
        vanished: counts.vanished,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    limit: Option<u32>,
    after: Option<String>,
    connection: Option<String>,
}

/// The newest runs, of one connection or of all.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Wanted>,
) -> Result<Response, Problem> {
    let name = format!("runs\0{}", asked.connection.as_deref().unwrap_or_default());
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let of = match &asked.connection {
        Some(which) => Some(connection::get(&app.service, caller.org, which).await?.id),
        None => None,
    };
    let found = sync::list(&app.service, caller.org, of, &page).await?;
    Ok(json(&listed(&name, found, view)))
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(run): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(sync::get(&app.service, caller.org, id(&run)?).await?)))
}

pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    At(run): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(
        sync::cancel(&app.service, caller.org, id(&run)?).await?,
    )))
}

pub(super) async fn undo(
    State(app): State<App>,
    caller: Caller,
    At(run): At<String>,
) -> Result<Response, Problem> {
    let (undone, delivered) = sync::undo(&app.service, caller.org, id(&run)?).await?;
    Ok(json(&UndoneView {
        removed: undone.removed,
        restored: undone.restored,
        lost: undone.lost,
        last_seq: undone.last_seq,
        delivered_to: delivered.iter().map(ToString::to_string).collect(),
    }))
}

pub(super) async fn trace(
    State(app): State<App>,
    caller: Caller,
    At(run): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let id = id(&run)?;
    let found = async |page: &Page| sync::trace(&app.service, caller.org, id, page).await;
    paged(("trace", &run), &asked, found, exchange).await
}

pub(super) async fn logs(
    State(app): State<App>,
    caller: Caller,
    At(run): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let id = id(&run)?;
    let found = async |page: &Page| sync::logs(&app.service, caller.org, id, page).await;
    paged(("logs", &run), &asked, found, line).await
}
