//! Another grant for an install, what of the one it has was never used, and taking a move to another install back.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sluice_service::connection::{self, Which};
use sluice_service::install::{self, Wanted};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::connectors::DiffView;
use super::installs::{self, InstallView};
use super::problem::Problem;
use super::upgrades::VersionView;

/// What is to be changed in a grant. Lines are those of the permission page: `GET https://api.github.com/user`; `storage` and `files` are
/// what a connection may keep.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = GrantChange)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    withdraw: Vec<String>,
    /// Of what the manifest asks for.
    allow: Vec<String>,
    /// Withdraw first what was not used in so many days.
    unused_days: Option<u32>,
    /// Only say what it means.
    dry_run: bool,
}

/// What another grant changes, or changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedGrant)]
pub(super) struct ChangedView {
    /// The install of before; it is gone where something was withdrawn.
    before: String,
    /// The install with the other grant; the one of before if nothing was changed.
    install: InstallView,
    diff: DiffView,
    /// Connections that use it now.
    moved: Vec<String>,
    done: bool,
}

/// What was used of a grant, and what would be enough.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Advice)]
pub(super) struct AdviceView {
    /// Days that were looked at, today included.
    days: u32,
    days_with_calls: u32,
    /// Calls of the connector's code on these days, at least.
    calls: u64,
    /// Bytes of files that it had downloaded on these days.
    file_bytes: u64,
    /// Rules that no request was made under.
    unused: Vec<String>,
    /// Rules that would be enough in the place of wider ones.
    enough: Vec<String>,
    used: Vec<String>,
    /// Credentials that no request carried.
    unused_credentials: Vec<String>,
    /// What the advised grant changes; a change with `unused_days` applies it.
    diff: DiffView,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Days {
    days: Option<u32>,
}

/// A month, as people plan.
const DAYS: u32 = 30;

pub(super) async fn advice(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Asked(asked): Asked<Days>,
) -> Result<Response, Problem> {
    let found = install::get(&app.service, caller.org, &id).await?;
    let days = asked.days.unwrap_or(DAYS);
    let advised = install::advice(&app.service, caller.org, found.id, days).await?;
    Ok(json(&AdviceView {
        days: advised.days,
        days_with_calls: advised.days_with_calls,
        calls: advised.calls,
        file_bytes: advised.file_bytes,
        unused: advised.advice.unused,
        enough: advised.advice.enough,
        used: advised.advice.used,
        unused_credentials: advised.unused_credentials,
        diff: DiffView::of(advised.diff),
    }))
}

pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Json(change): Json<Change>,
) -> Result<Response, Problem> {
    let found = install::get(&app.service, caller.org, &id).await?;
    let wanted = Wanted {
        withdraw: change.withdraw,
        allow: change.allow,
        unused_days: change.unused_days,
        dry_run: change.dry_run,
    };
    let by = caller.key.to_string();
    let changed = install::regrant(&app.service, caller.org, found.id, &wanted, &by).await?;
    Ok(json(&ChangedView {
        before: changed.before.to_string(),
        install: installs::view(&changed.install),
        diff: DiffView::of(changed.diff),
        moved: changed.moved.iter().map(ToString::to_string).collect(),
        done: changed.done,
    }))
}

/// Which move is to be taken back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RollbackRequest)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Back {
    /// The number of a move; without, the last whose install is still there.
    number: Option<u64>,
    /// Only say what it means.
    dry_run: bool,
}

/// What taking a move back means for a connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rollback)]
pub(super) struct RollbackView {
    connection: String,
    /// Of the move.
    number: u64,
    from: VersionView,
    to: VersionView,
    #[schema(format = "date-time")]
    moved: String,
    #[schema(format = "date-time")]
    until: String,
    diff: DiffView,
    config_changes: bool,
    /// Cursors that come back; streams that have none among them begin anew.
    cursors: u64,
    /// Of the connector's storage, in the place of what is there.
    storage_keys: u64,
    storage_bytes: u64,
    /// Runs that were under way and were ended for it, at what they had committed.
    interrupted: Vec<String>,
    stays: Vec<&'static str>,
    done: bool,
}

pub(super) async fn roll_back(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Json(back): Json<Back>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &id).await?;
    let actor = caller.actor();
    let which = Which {
        number: back.number,
        dry_run: back.dry_run,
        actor: &actor,
    };
    let rollback = connection::roll_back(&app.service, caller.org, found.id, which).await?;
    Ok(json(&RollbackView {
        connection: rollback.connection.id.to_string(),
        number: rollback.number,
        from: VersionView::of(rollback.from),
        to: VersionView::of(rollback.to),
        moved: rollback.moved.to_string(),
        until: rollback.until.to_string(),
        diff: DiffView::of(rollback.diff),
        config_changes: rollback.config_changes,
        cursors: rollback.cursors,
        storage_keys: rollback.storage_keys,
        storage_bytes: rollback.storage_bytes,
        interrupted: rollback.interrupted.iter().map(ToString::to_string).collect(),
        stays: rollback.stays.to_vec(),
        done: rollback.done,
    }))
}
