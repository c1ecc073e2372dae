//! Replays: events of a time, delivered to an endpoint again or at last, as a job.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;
use sluice_service::replay::{self, Replay, ReplayOf, Wanted};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, id, json};
use super::page::{Paging, listed, page};
use super::problem::Problem;

/// A replay.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replay)]
pub(super) struct ReplayView {
    id: String,
    endpoint: String,
    /// `dead`, `missed` or `all`.
    what: &'static str,
    events: Vec<String>,
    /// Events behind this number, up to `last`; it is at `place`.
    after: u64,
    last: u64,
    place: u64,
    /// Deliveries that it may make due, and has.
    cap: u64,
    made: u64,
    looked: u64,
    /// `running`, `done`, `capped` or `cancelled`.
    state: &'static str,
    #[schema(format = "date-time")]
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
}

fn view(replay: Replay) -> ReplayView {
    ReplayView {
        id: replay.id.to_string(),
        endpoint: replay.endpoint.to_string(),
        what: replay.what.name(),
        events: replay.kinds,
        after: replay.after,
        last: replay.last,
        place: replay.place,
        cap: replay.cap,
        made: replay.made,
        looked: replay.looked,
        state: replay.state.name(),
        created: replay.created.to_string(),
        ended: replay.ended.map(|at| at.to_string()),
    }
}

/// A replay to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewReplay)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    /// An endpoint's id or name.
    endpoint: String,
    /// `dead`: whose delivery is dead; `missed`: that, and what was not owed at the time; `all`: also what was delivered.
    what: String,
    /// Patterns of kinds; all that the endpoint wants without.
    #[serde(default)]
    events: Vec<String>,
    /// Events recorded since…
    #[schema(format = "date-time")]
    since: Option<String>,
    /// …and before.
    #[schema(format = "date-time")]
    until: Option<String>,
    /// Only behind this number.
    after: Option<u64>,
    /// Only up to this number.
    last: Option<u64>,
    /// Deliveries that are made due at most; 100,000 without, 1,000,000 at most.
    cap: Option<u64>,
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<Creation>,
) -> Result<Response, Problem> {
    let what = match new.what.as_str() {
        "dead" => ReplayOf::Dead,
        "missed" => ReplayOf::Missed,
        "all" => ReplayOf::All,
        _ => {
            return Err(Problem::new(
                "request.body",
                "`what` is `dead`, `missed` or `all`",
            ));
        }
    };
    let wanted = Wanted {
        endpoint: new.endpoint,
        what,
        kinds: new.events,
        since: time("since", new.since.as_deref())?,
        until: time("until", new.until.as_deref())?,
        after: new.after,
        last: new.last,
        cap: new.cap,
        by: caller.key.to_string(),
    };
    let replay = replay::create(&app.service, caller.org, wanted).await?;
    Ok((StatusCode::ACCEPTED, json(&view(replay))).into_response())
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let page = page("replays", asked.limit, asked.after.as_deref())?;
    let found = replay::list(&app.service, caller.org, &page).await?;
    Ok(json(&listed("replays", found, view)))
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(
        replay::get(&app.service, caller.org, id(&which)?).await?,
    )))
}

pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(
        replay::cancel(&app.service, caller.org, id(&which)?).await?,
    )))
}

/// A moment in RFC 3339.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let read = text.parse::<jiff::Timestamp>();
    let millis = read.ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
    match millis {
        Some(millis) => Ok(Some(Timestamp::from_millis(millis))),
        None => Err(Problem::new(
            "request.body",
            format!("`{name}` is not a time like 2026-01-31T12:00:00Z"),
        )),
    }
}
