//! Connections: create, test, pause, and their secrets, which only ever go in.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_model::Timestamp;
use sluice_model::connection::ConnectionState;
use sluice_model::run::{Mode, Trigger, Window};
use sluice_service::connection::{self, Connection, Credential, Data, New, TestReport};
use sluice_service::sync::{self, Order};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::page::{List, Paging, listed, page};
use super::problem::Problem;
use super::runs;
use super::streams::ContractBody;
use super::text::SecretParts;
use super::traces::{ExchangeView, exchange};

/// One account at one vendor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub(super) struct ConnectionView {
    id: String,
    name: String,
    connector: String,
    install: String,
    #[schema(value_type = String)]
    state: ConnectionState,
    config: Value,
    /// The auth scheme that it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountView>,
    /// The channel that it follows; it is pinned to its install without.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// What becomes of streams that its account did not have before, where that is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<ContractBody>,
    /// What is known of its credential; in a list it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialView>,
    /// Why it is in its state, where that is not a good one.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
    #[schema(format = "date-time")]
    created: String,
    #[schema(format = "date-time")]
    updated: String,
    revision: u64,
}

/// Whose account it is, as the vendor says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountView {
    id: String,
    name: String,
    scopes: Vec<String>,
}

/// A credential without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Credential)]
pub(super) struct CredentialView {
    /// Goes up whenever it is set or refreshed.
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    obtained: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    refresh_due: Option<String>,
    /// Since this server's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    last_used: Option<String>,
    scopes: Vec<String>,
}

/// A stable code and a sentence.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reason)]
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) message: String,
}

impl From<sluice_service::problem::Problem> for Reason {
    fn from(problem: sluice_service::problem::Problem) -> Self {
        Self {
            code: problem.code,
            message: problem.message,
        }
    }
}

pub(super) fn view(connection: Connection, credential: Option<Credential>) -> ConnectionView {
    ConnectionView {
        id: connection.id.to_string(),
        name: connection.name,
        connector: connection.connector,
        install: connection.install.to_string(),
        state: connection.state,
        config: connection.config,
        auth: connection.auth,
        account: connection.account.map(account),
        channel: connection.channel,
        contract: Some(connection.contract)
            .filter(|contract| !contract.is_default())
            .map(ContractBody::from),
        credential: credential.map(|credential| CredentialView {
            version: credential.version,
            obtained: text(credential.life.obtained),
            expires: text(credential.life.expires),
            refresh_due: text(credential.life.due),
            last_used: text(credential.last_used),
            scopes: credential.life.scopes,
        }),
        error: connection.error.map(Reason::from),
        created: connection.created.to_string(),
        updated: connection.updated.to_string(),
        revision: connection.revision,
    }
}

fn text(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

pub(super) fn account(account: connection::Account) -> AccountView {
    AccountView {
        id: account.id,
        name: account.name,
        scopes: account.scopes,
    }
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let page = page("connections", asked.limit, asked.after.as_deref())?;
    let found = connection::list(&app.service, caller.org, &page).await?;
    Ok(json(&listed("connections", found, |found| view(found, None))))
}

/// A connection to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewConnection)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    name: String,
    /// A connector's id or an install's.
    connector: String,
    #[serde(default = "empty")]
    config: Value,
    /// Without it: the first scheme of the manifest.
    auth: Option<String>,
    /// A text, or an object of the scheme's parts. Never answered again.
    #[schema(value_type = Option<Value>, write_only)]
    secret: Option<SecretParts>,
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<Creation>,
) -> Result<Response, Problem> {
    let new = New {
        name: new.name,
        connector: new.connector,
        config: new.config,
        auth: new.auth,
        secret: new.secret.map(|secret| secret.0),
    };
    let created = connection::create(&app.service, caller.org, new).await?;
    Ok((StatusCode::CREATED, json(&view(created, None))).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &id).await?;
    let credential = connection::credential(&app.service, caller.org, &found).await?;
    Ok(json(&view(found, credential)))
}

/// How to remove.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Removal {
    keep_data: bool,
}

/// How a removal went.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RemovedConnection)]
pub(super) struct RemovedView {
    id: String,
    /// Whether its records can still be read, under its id.
    data_kept: bool,
    /// Whether the vendor has taken the grant back; not all offer it.
    vendor_told: bool,
    /// Why a grant that should have been given back was not: it is to be revoked at the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
}

pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Removal>,
) -> Result<Response, Problem> {
    let data = if asked.keep_data { Data::Keep } else { Data::Delete };
    let id = connection::holder(&app.service, caller.org, &which).await?;
    let removed = connection::remove(&app.service, caller.org, id, data).await?;
    Ok(json(&RemovedView {
        id: id.to_string(),
        data_kept: removed.data_kept,
        vendor_told: removed.vendor_told,
        error: removed.problem.map(Reason::from),
    }))
}

/// What is left of a removed connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tombstone)]
pub(super) struct TombstoneView {
    id: String,
    name: String,
    connector: String,
    #[schema(format = "date-time")]
    removed: String,
    /// Whether its records can still be read, under its id.
    data_kept: bool,
}

pub(super) async fn removed(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let page = page("tombstones", asked.limit, asked.after.as_deref())?;
    let found = connection::removed(&app.service, caller.org, &page).await?;
    Ok(json(&listed("tombstones", found, |found| TombstoneView {
        id: found.id.to_string(),
        name: found.name,
        connector: found.connector,
        removed: found.removed.to_string(),
        data_kept: found.data_kept,
    })))
}

/// One window of one of the vendor's budgets, or how many requests may be under way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
pub(super) struct BudgetView {
    host: String,
    /// The part of the vendor's API that is counted by itself; absent: all of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    bucket: String,
    /// What tells it from other windows of the same budget.
    #[serde(skip_serializing_if = "String::is_empty")]
    window: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// As last told or counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    /// Seconds until all of it is there again.
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_in_s: Option<u64>,
    /// Seconds for which the vendor asked to be left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_for_s: Option<u64>,
    /// Requests that may be under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
}

pub(super) async fn budgets(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &id).await?;
    let budgets = connection::budgets(&app.service, caller.org, found).await?;
    let seconds = |time: std::time::Duration| time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX);
    let items = budgets.into_iter().map(|known| BudgetView {
        host: known.host,
        bucket: known.bucket,
        window: known.window,
        limit: known.limit,
        remaining: known.remaining,
        resets_in_s: known.resets_in.map(seconds),
        closed_for_s: known.closed_for.map(seconds),
        concurrency: known.concurrency,
    });
    Ok(json(&List {
        items: items.collect(),
        next: None,
    }))
}

pub(super) async fn pause(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &id).await?;
    Ok(json(&view(
        connection::pause(&app.service, caller.org, found.id).await?,
        None,
    )))
}

pub(super) async fn resume(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &id).await?;
    Ok(json(&view(
        connection::resume(&app.service, caller.org, found.id).await?,
        None,
    )))
}

/// Which connections.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ConnectionFilter)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Without it: all of the organization.
    connector: Option<String>,
}

pub(super) async fn pause_all(
    State(app): State<App>,
    caller: Caller,
    Json(filter): Json<Filter>,
) -> Result<Response, Problem> {
    turn_all(&app, &caller, filter, true).await
}

pub(super) async fn resume_all(
    State(app): State<App>,
    caller: Caller,
    Json(filter): Json<Filter>,
) -> Result<Response, Problem> {
    turn_all(&app, &caller, filter, false).await
}

async fn turn_all(app: &App, caller: &Caller, filter: Filter, paused: bool) -> Result<Response, Problem> {
    let turned = connection::turn_all(&app.service, caller.org, filter.connector.as_deref(), paused).await?;
    let items = turned.iter().map(ToString::to_string).collect();
    Ok(json(&List::<String> { items, next: None }))
}

/// A new secret.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewSecret)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretChange {
    /// Without it: the scheme that the connection uses.
    auth: Option<String>,
    /// A text, or an object of the scheme's parts.
    #[schema(value_type = Value, write_only)]
    secret: SecretParts,
}

pub(super) async fn set_secret(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Json(change): Json<SecretChange>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &id).await?;
    connection::set_secret(&app.service, caller.org, found.id, change.auth, change.secret.0).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What a test found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestReport)]
pub(super) struct TestView {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountView>,
    /// In the order in which they were taken. What cannot go on after a failure is not taken.
    steps: Vec<StepView>,
    /// What was asked of the vendor.
    exchanges: Vec<ExchangeView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestStep)]
pub(super) struct StepView {
    name: String,
    ok: bool,
    took_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
}

pub(super) async fn test(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &id).await?;
    let TestReport {
        ok,
        account: who,
        steps,
        exchanges,
    } = connection::test(&app.service, caller.org, found.id).await?;
    let steps = steps.into_iter().map(|step| StepView {
        name: step.name.to_owned(),
        ok: step.ok,
        took_ms: u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
        error: step.problem.map(Reason::from),
    });
    Ok(json(&TestView {
        ok,
        account: who.map(account),
        steps: steps.collect(),
        exchanges: exchanges.into_iter().map(exchange).collect(),
    }))
}

/// What to sync.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SyncRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncRequest {
    /// None: every stream that can be read in this mode.
    #[serde(default)]
    streams: Vec<String>,
    /// `incremental`, `full` or `backfill`.
    #[serde(default = "incremental")]
    #[schema(value_type = String)]
    mode: Mode,
    /// With `backfill`: the first moment to read.
    #[serde(default)]
    #[schema(format = "date-time")]
    from: Option<String>,
    /// With `backfill`: the first moment behind what is to be read; now, if absent.
    #[serde(default)]
    #[schema(format = "date-time")]
    to: Option<String>,
}

fn incremental() -> Mode {
    Mode::Incremental
}

pub(super) async fn sync(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Json(wanted): Json<SyncRequest>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &id).await?;
    let order = Order {
        window: window(&wanted, app.service.now())?,
        streams: wanted.streams,
        mode: wanted.mode,
        trigger: Trigger::Manual,
    };
    let runs = sync::start(&app.service, caller.org, found.id, order).await?;
    let items = runs.into_iter().map(runs::view).collect();
    Ok((StatusCode::ACCEPTED, json(&List { items, next: None })).into_response())
}

fn window(wanted: &SyncRequest, now: Timestamp) -> Result<Option<Window>, Problem> {
    let time = |name: &str, text: &str| {
        let bad = || {
            Problem::new(
                "request.body",
                format!("`{name}` is no time, such as 2026-01-31T00:00:00Z"),
            )
        };
        let time: jiff::Timestamp = text.parse().map_err(|_| bad())?;
        let millis = u64::try_from(time.as_millisecond()).map_err(|_| bad())?;
        Ok::<_, Problem>(Timestamp::from_millis(millis))
    };
    let Some(from) = &wanted.from else {
        return match &wanted.to {
            Some(_) => Err(Problem::new("request.body", "`to` goes with `from`")),
            None => Ok(None),
        };
    };
    let start = time("from", from)?;
    let end = wanted.to.as_deref().map_or(Ok(now), |to| time("to", to))?;
    Ok(Some(Window { start, end }))
}
