//! Replays: events of a time, delivered to an endpoint again or at last, and webhooks of a time, handled again; as a job.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;
use sluice_service::replay::{self, OfEvents, Replay, ReplayOf, Scope, To, Wanted};
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
    /// `dead`, `missed` or `all`.
    what: &'static str,
    #[serde(flatten)]
    scope: ScopeView,
    /// Deliveries or receipts that it may make due, and has.
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

/// What is looked through.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ReplayScope)]
pub(super) enum ScopeView {
    Events {
        endpoint: String,
        events: Vec<String>,
        /// Events behind this number, up to `last`; it is at `place`.
        after: u64,
        last: u64,
        place: u64,
    },
    Receipts {
        hook: String,
        #[schema(format = "date-time")]
        since: String,
        #[schema(format = "date-time")]
        until: String,
        /// The install that handles them; the connection's own without.
        #[serde(skip_serializing_if = "Option::is_none")]
        install: Option<String>,
        /// The receipt that it is at.
        #[serde(skip_serializing_if = "Option::is_none")]
        place: Option<String>,
    },
}

fn view(replay: Replay) -> ReplayView {
    let scope = match replay.scope {
        Scope::Events(scope) => ScopeView::Events {
            endpoint: scope.endpoint.to_string(),
            events: scope.kinds,
            after: scope.after,
            last: scope.last,
            place: scope.place,
        },
        Scope::Receipts(scope) => ScopeView::Receipts {
            hook: scope.hook.to_string(),
            since: scope.since.to_string(),
            until: scope.until.to_string(),
            install: scope.install.map(|install| install.to_string()),
            place: scope.place.map(|place| place.to_string()),
        },
    };
    ReplayView {
        id: replay.id.to_string(),
        what: replay.what.name(),
        scope,
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
    /// An endpoint's id or name, to which events are delivered…
    endpoint: Option<String>,
    /// …or a hook's id: what came in there is handled again.
    hook: Option<String>,
    /// `dead`: whose delivery or whose receipt is dead; `missed`: that, and what was not owed at the time or is still tried; `all`: also
    /// what was delivered or handled.
    what: String,
    /// Of a hook: the install that handles it, as an id or a connector's name with `@` and a version; without, the connection's own.
    install: Option<String>,
    /// Of an endpoint: patterns of kinds; all that it wants without.
    #[serde(default)]
    events: Vec<String>,
    /// Recorded or received since…
    #[schema(format = "date-time")]
    since: Option<String>,
    /// …and before.
    #[schema(format = "date-time")]
    until: Option<String>,
    /// Of an endpoint: only events behind this number.
    after: Option<u64>,
    /// Of an endpoint: only up to this number.
    last: Option<u64>,
    /// Deliveries or receipts that are made due at most; 100,000 without, 1,000,000 at most.
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
    let is_of_events = !new.events.is_empty() || new.after.is_some() || new.last.is_some();
    let to = match (new.endpoint, new.hook) {
        (Some(endpoint), None) if new.install.is_none() => To::Endpoint(OfEvents {
            endpoint,
            kinds: new.events,
            after: new.after,
            last: new.last,
        }),
        (None, Some(hook)) if !is_of_events => To::Hook {
            hook: id(&hook)?,
            install: new.install,
        },
        _ => {
            return Err(Problem::new(
                "request.body",
                "a replay has an `endpoint` (with `events`, `after`, `last`), or a `hook` (with `install`)",
            ));
        }
    };
    let wanted = Wanted {
        to,
        what,
        since: time("since", new.since.as_deref())?,
        until: time("until", new.until.as_deref())?,
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
