//! Endpoints: where events are delivered, and what became of them there.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_model::endpoint::{DeliveryState, KeyKind, Status};
use sluice_model::secret::Secret;
use sluice_service::endpoint::{self, Wanted};
use sluice_store::delivery::{Attempt, Delivery};
use sluice_store::endpoint::Known;
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::page::{List, listed, page};
use super::problem::Problem;
use super::text::{Raw, SecretText, SecretTexts};

/// Where events are delivered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(super) struct EndpointView {
    id: String,
    name: String,
    url: String,
    /// `active`, `paused` or `off`.
    status: &'static str,
    /// Why it is off: `owner`, `gone` or `failing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    off_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    off_since: Option<String>,
    /// Kinds of events: `github.push`, `github.*`, `*`.
    events: Vec<String>,
    /// Filter, selection and steps over the CloudEvent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    rules: Option<Raw>,
    /// Names of its own headers; the values are not shown.
    headers: Vec<String>,
    /// One event after another.
    ordered: bool,
    concurrency: u32,
    /// Tries a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_second: Option<f64>,
    /// `hmac` or `ed25519`: the kind of its newest key.
    signing: &'static str,
    /// `whpk_…`, the newest first; what Ed25519 signatures are verified with.
    public_keys: Vec<String>,
    #[schema(format = "date-time")]
    created: String,
    /// Deliveries that wait, are dead, and were made.
    waiting: u64,
    dead: u64,
    delivered: u64,
    /// Failures since the last success, and since when.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// The number of the last event that it was looked at for.
    position: u64,
    /// The secret that its deliveries are signed with: shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn view(known: Known) -> EndpointView {
    let Known { endpoint, state } = known;
    EndpointView {
        id: endpoint.id.to_string(),
        name: endpoint.name,
        url: endpoint.url,
        status: state.status.name(),
        off_reason: state.off.map(|(reason, _)| reason.name()),
        off_since: state.off.map(|(_, since)| since.to_string()),
        events: endpoint.kinds,
        rules: (!endpoint.rules.is_empty()).then(|| Raw::new(endpoint.rules)),
        headers: endpoint.headers,
        ordered: endpoint.ordered,
        concurrency: endpoint.concurrency,
        per_second: endpoint.per_second,
        signing: endpoint.signing.name(),
        public_keys: endpoint.public_keys,
        created: endpoint.created.to_string(),
        waiting: state.waiting,
        dead: state.dead,
        delivered: state.delivered,
        failures: state.health.failures,
        failing_since: state.health.since.map(|since| since.to_string()),
        position: state.position,
        secret: None,
    }
}

/// With the secret of an HMAC. The public half of a pair is in the view already.
fn with_secret(known: Known, shown: &Secret) -> EndpointView {
    let is_secret = known.endpoint.signing == KeyKind::Hmac;
    let mut view = view(known);
    view.secret = is_secret.then(|| String::from_utf8_lossy(shown.expose()).into_owned());
    view
}

/// What an endpoint is to be. In a change, what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = EndpointRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    name: Option<String>,
    /// An https address; needed for a new one.
    url: Option<String>,
    /// Kinds of events; all without.
    events: Option<Vec<String>>,
    /// Filter, selection and steps of the mapping language; `{}` for none.
    #[schema(value_type = Option<Object>)]
    rules: Option<Box<RawValue>>,
    /// Headers of its own, by name.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>, write_only)]
    headers: Option<SecretTexts>,
    ordered: Option<bool>,
    /// Tries under way at once, 1 to 32; 8 without.
    concurrency: Option<u32>,
    /// Tries a second; 0 for as fast as it goes.
    per_second: Option<f64>,
    /// `hmac` or `ed25519`; only for a new one.
    signing: Option<String>,
    /// `whsec_…` or `whsk_…`, to be used instead of a new key; only for a new one.
    #[schema(value_type = Option<String>, write_only)]
    secret: Option<SecretText>,
}

impl Change {
    fn wanted(self) -> Wanted {
        let rules = self.rules.map(|rules| rules.get().trim().to_owned());
        Wanted {
            name: self.name,
            url: self.url,
            kinds: self.events,
            rules: rules.map(|rules| {
                if matches!(rules.as_str(), "{}" | "null") {
                    String::new()
                } else {
                    rules
                }
            }),
            headers: self.headers.map(|headers| headers.0.into_iter().collect()),
            ordered: self.ordered,
            concurrency: self.concurrency,
            per_second: self.per_second,
        }
    }
}

fn kind(text: Option<&str>) -> Result<Option<KeyKind>, Problem> {
    match text {
        None => Ok(None),
        Some("hmac") => Ok(Some(KeyKind::Hmac)),
        Some("ed25519") => Ok(Some(KeyKind::Ed25519)),
        Some(_) => Err(Problem::new("request.body", "`signing` is `hmac` or `ed25519`")),
    }
}

pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let found = endpoint::list(&app.service, caller.org).await?;
    Ok(json(&List {
        items: found.into_iter().map(view).collect(),
        next: None,
    }))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(mut new): Json<Change>,
) -> Result<Response, Problem> {
    let signing = kind(new.signing.as_deref())?.unwrap_or(KeyKind::Hmac);
    let given = new.secret.take().map(|secret| secret.0);
    let (known, shown) = endpoint::create(&app.service, caller.org, new.wanted(), signing, given).await?;
    Ok((StatusCode::CREATED, json(&with_secret(known, &shown))).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    Ok(json(&view(
        endpoint::get(&app.service, caller.org, &which).await?,
    )))
}

pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Json(change): Json<Change>,
) -> Result<Response, Problem> {
    if change.signing.is_some() || change.secret.is_some() {
        return Err(Problem::new("request.body", "a key is changed by `rotate`"));
    }
    let known = endpoint::change(&app.service, caller.org, &which, change.wanted()).await?;
    Ok(json(&view(known)))
}

pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    endpoint::remove(&app.service, caller.org, &which).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn pause(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    set(&app, &caller, &which, Status::Paused).await
}

pub(super) async fn resume(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    set(&app, &caller, &which, Status::Active).await
}

pub(super) async fn disable(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    set(&app, &caller, &which, Status::Off).await
}

async fn set(app: &App, caller: &Caller, which: &str, status: Status) -> Result<Response, Problem> {
    Ok(json(&view(
        endpoint::set_status(&app.service, caller.org, which, status).await?,
    )))
}

/// A new key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = EndpointRotation)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// `hmac` or `ed25519`; as before without.
    signing: Option<String>,
    /// `whsec_…` or `whsk_…`, to be used instead of a new one.
    #[schema(value_type = Option<String>, write_only)]
    secret: Option<SecretText>,
    /// For how many seconds the key before goes on signing beside it; a day without, at most 30 days.
    overlap_s: Option<u64>,
}

pub(super) async fn rotate(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Json(rotation): Json<Rotation>,
) -> Result<Response, Problem> {
    let (known, shown) = endpoint::rotate(
        &app.service,
        caller.org,
        &which,
        kind(rotation.signing.as_deref())?,
        rotation.secret.map(|secret| secret.0),
        rotation.overlap_s.map(Duration::from_secs),
    )
    .await?;
    Ok(json(&with_secret(known, &shown)))
}

/// What to test an endpoint with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = EndpointTest)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sample {
    /// A kind of the catalogue; `sluice.endpoint.test` without.
    event: Option<String>,
}

pub(super) async fn test(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Json(sample): Json<Sample>,
) -> Result<Response, Problem> {
    let attempt = endpoint::test(&app.service, caller.org, &which, sample.event.as_deref()).await?;
    Ok(json(&attempt_view(attempt)))
}

/// An event owed to an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(super) struct DeliveryView {
    /// The event's number, which the delivery is known by.
    seq: u64,
    /// The event's id: the `webhook-id` of every try.
    event: String,
    kind: String,
    /// `waiting`, `delivered` or `dead`.
    state: &'static str,
    #[schema(format = "date-time")]
    created: String,
    attempts: u32,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<String>,
    /// What the last try came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    redrives: u32,
}

fn delivery_view(delivery: Delivery) -> DeliveryView {
    DeliveryView {
        seq: delivery.seq,
        event: delivery.event.to_string(),
        kind: delivery.kind,
        state: delivery.state.name(),
        created: delivery.created.to_string(),
        attempts: delivery.attempts,
        failures: delivery.failures,
        next_attempt: delivery.due.map(|due| due.to_string()),
        delivered: delivery.delivered.map(|at| at.to_string()),
        status: delivery.status,
        code: delivery.error,
        redrives: delivery.redrives,
    }
}

/// One try.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(super) struct AttemptView {
    /// From 1; 0 for a test.
    number: u32,
    #[schema(format = "date-time")]
    at: String,
    took_ms: u64,
    /// Whether it was taken: a 2xx.
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The beginning of what the receiver answered, at most 1 KiB.
    #[serde(skip_serializing_if = "String::is_empty")]
    answer: String,
}

fn attempt_view(attempt: Attempt) -> AttemptView {
    AttemptView {
        number: attempt.number,
        at: attempt.at.to_string(),
        took_ms: attempt.took_ms,
        ok: attempt.status.is_some() && attempt.code.is_none(),
        status: attempt.status,
        code: attempt.code,
        message: attempt.message,
        answer: attempt.answer,
    }
}

/// A delivery and its tries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryDetail)]
pub(super) struct DeliveryDetail {
    delivery: DeliveryView,
    /// In order; the last fifty.
    attempts: Vec<AttemptView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Filter {
    state: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

pub(super) async fn deliveries(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Filter>,
) -> Result<Response, Problem> {
    let state = match asked.state.as_deref() {
        None => None,
        Some(name) => Some(
            DeliveryState::ALL
                .into_iter()
                .find(|state| state.name() == name)
                .ok_or_else(|| {
                    Problem::new("request.query", "`state` is `waiting`, `delivered` or `dead`")
                })?,
        ),
    };
    let id = endpoint::get(&app.service, caller.org, &which).await?.endpoint.id;
    let name = format!("deliveries\0{id}\0{}", asked.state.as_deref().unwrap_or_default());
    let page = page(&name, asked.limit, asked.after.as_deref())?;
    let found = endpoint::deliveries(&app.service, caller.org, &which, state, &page).await?;
    Ok(json(&listed(&name, found, delivery_view)))
}

pub(super) async fn delivery(
    State(app): State<App>,
    caller: Caller,
    At((which, seq)): At<(String, String)>,
) -> Result<Response, Problem> {
    let (delivery, attempts) = endpoint::delivery(&app.service, caller.org, &which, number(&seq)?).await?;
    Ok(json(&DeliveryDetail {
        delivery: delivery_view(delivery),
        attempts: attempts.into_iter().map(attempt_view).collect(),
    }))
}

pub(super) async fn redrive(
    State(app): State<App>,
    caller: Caller,
    At((which, seq)): At<(String, String)>,
) -> Result<Response, Problem> {
    let delivery = endpoint::redrive(&app.service, caller.org, &which, number(&seq)?).await?;
    Ok((StatusCode::ACCEPTED, json(&delivery_view(delivery))).into_response())
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| {
        Problem::new(
            "delivery.not_found",
            format!("`{}` is not an event's number", text.escape_debug()),
        )
    })
}
