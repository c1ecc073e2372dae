//! The event store.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use sluice_service::event::{self, Event, Sought};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, json};
use super::page::{List, limit};
use super::problem::Problem;
use super::records::number;
use super::replays;
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
    /// Only events about this connection.
    connection: Option<String>,
    /// Only what was recorded from then on, and before then.
    since: Option<String>,
    until: Option<String>,
    /// `cloudevents` for that shape.
    format: Option<String>,
}

impl Wanted {
    /// What is looked for, and behind which number.
    async fn sought(&self, app: &App, caller: &Caller) -> Result<(u64, Sought), Problem> {
        let mut after = number("after", self.after.as_deref())?;
        if let Some(since) = replays::time("since", self.since.as_deref())? {
            let before = app.service.store().last_event_before(caller.org, since).await?;
            after = after.max(before);
        }
        let sought = Sought {
            kind: self.kind.clone().unwrap_or_default(),
            connection: self.connection.clone(),
            until: replays::time("until", self.until.as_deref())?,
        };
        Ok((after, sought))
    }
}

/// A part of the event store as CloudEvents.
#[derive(Debug, Serialize)]
struct CloudEventsView {
    items: Vec<Raw>,
    next: u64,
    end: bool,
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Wanted>,
) -> Result<Response, Problem> {
    let (after, sought) = asked.sought(&app, &caller).await?;
    let limit = limit(asked.limit)?;
    let is_shaped = match asked.format.as_deref() {
        None => false,
        Some("cloudevents") => true,
        Some(_) => {
            return Err(Problem::new(
                "request.query",
                "`format` is `cloudevents`, or is left out",
            ));
        }
    };
    let found = event::seek(&app.service, caller.org, after, limit, &sought).await?;
    if is_shaped {
        let shape = |event: &Event| Raw::new(event.cloud_event(caller.org));
        return Ok(json(&CloudEventsView {
            items: found.items.iter().map(shape).collect(),
            next: found.next,
            end: found.end,
        }));
    }
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
    let event = event::get(&app.service, caller.org, number).await?;
    Ok(json(&view(event.ok_or_else(missing)?)))
}

/// Everything that is looked for, up to what there is now: CloudEvents, one a line.
pub(super) async fn export(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Wanted>,
) -> Result<Response, Problem> {
    let (after, sought) = asked.sought(&app, &caller).await?;
    let org = caller.org;
    let last = app.service.store().last_event(org).await?;
    let parts = stream::try_unfold(Some(after), move |after| {
        let (app, sought) = (app.clone(), sought.clone());
        async move {
            let Some(after) = after.filter(|after| *after < last) else {
                return Ok(None);
            };
            let found = event::seek(&app.service, org, after, EXPORTED, &sought).await?;
            let mut text = String::new();
            for event in found.items.iter().filter(|event| event.seq <= last) {
                text.push_str(&event.cloud_event(org));
                text.push('\n');
            }
            let next = (!found.end).then_some(found.next);
            Ok::<_, sluice_store::Error>(Some((Bytes::from(text), next)))
        }
    });
    let mut response = Body::from_stream(parts).into_response();
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Events that an export reads at once.
const EXPORTED: u32 = 500;

/// A kind of event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventKind)]
pub(super) struct KindView {
    /// `sluice.run.ended`; `github.issues.*` where a connector says no more.
    kind: String,
    description: String,
    /// The connector that emits it; absent for the platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<String>,
    /// JSON Schema of `data`.
    #[schema(value_type = Object)]
    schema: serde_json::Value,
    /// Data that fits it.
    #[schema(value_type = Object)]
    sample: serde_json::Value,
}

/// The kinds of events that there can be.
pub(super) async fn kinds(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let found = event::catalogue(&app.service, caller.org).await?;
    let view = |kind: event::EventKind| KindView {
        kind: kind.kind,
        description: kind.description,
        connector: kind.connector,
        schema: kind.schema,
        sample: kind.sample,
    };
    Ok(json(&List {
        items: found.into_iter().map(view).collect(),
        next: None,
    }))
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
