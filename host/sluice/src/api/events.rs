//! The event store.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sluice_service::event::{self, Event};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, json};
use super::page::limit;
use super::problem::Problem;
use super::records::number;
use super::text::Raw;

/// One entry of the event store.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventView {
    /// Its place in the order; grows, and may skip.
    seq: u64,
    id: String,
    kind: String,
    /// The id of what it is about.
    subject: String,
    /// The vendor's id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred: Option<String>,
    #[schema(format = "date-time")]
    recorded: String,
    #[schema(value_type = Object)]
    data: Raw,
}

/// A part of the event store.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Events)]
pub(super) struct EventsView {
    items: Vec<EventView>,
    /// Ask with it as `after` for what follows.
    next: u64,
    /// Whether there was nothing more at the time.
    end: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    after: Option<String>,
    limit: Option<u32>,
    /// Only events whose kind begins so.
    kind: Option<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Wanted>,
) -> Result<Response, Problem> {
    let after = number("after", asked.after.as_deref())?;
    let limit = limit(asked.limit)?;
    let found = event::list(&app.service, caller.org, after, limit, asked.kind.as_deref()).await?;
    Ok(json(&EventsView {
        items: found.items.into_iter().map(view).collect(),
        next: found.next,
        end: found.end,
    }))
}

/// One event, by its number.
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(seq): At<String>,
) -> Result<Response, Problem> {
    let missing = || {
        Problem::new(
            "event.not_found",
            format!("there is no event {}", seq.escape_debug()),
        )
    };
    let number: u64 = seq.parse().map_err(|_| missing())?;
    let before = number.checked_sub(1).ok_or_else(missing)?;
    let found = event::list(&app.service, caller.org, before, 1, None).await?;
    let event = found
        .items
        .into_iter()
        .find(|event| event.seq == number)
        .ok_or_else(missing)?;
    Ok(json(&view(event)))
}

fn view(event: Event) -> EventView {
    EventView {
        seq: event.seq,
        id: event.id.to_string(),
        kind: event.kind,
        subject: event.subject,
        source_id: event.source_id,
        occurred: event.occurred.map(|at| at.to_string()),
        recorded: event.recorded.to_string(),
        data: Raw::new(event.data),
    }
}
