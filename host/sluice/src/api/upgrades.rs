//! Other installs for connections: going over, and what that would mean for one or for all of a connector.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_service::connection::{self, To};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::connections::Reason;
use super::connectors::DiffView;
use super::page::{Paging, listed, page};
use super::problem::Problem;

/// To which install.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = UpgradeRequest)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UpgradeRequest {
    /// An install's id; the newest of the connector without it.
    install: Option<String>,
    /// Only say what it means.
    dry_run: bool,
}

/// What another install means for a connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upgrade)]
pub(super) struct UpgradeView {
    connection: String,
    from: VersionView,
    to: VersionView,
    /// What it may do then and may not now, and the other way round.
    diff: DiffView,
    new_streams: Vec<String>,
    /// Their records stay; they can't be read any more.
    gone_streams: Vec<String>,
    /// Streams whose cursor the connector is asked to carry over at their next run.
    carried: Vec<String>,
    /// Streams whose next run has to be in mode full.
    read_anew: Vec<String>,
    /// What becomes of its configuration and its storage, where the version has another format of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    migrated: Option<MigratedView>,
    /// What the version's code makes of the streams' cursors; only of a dry run.
    cursors: Vec<CarriedView>,
    /// Whether it was done, and not only looked at.
    done: bool,
}

/// What becomes of what a connection keeps, in the format of another version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Migrated)]
pub(super) struct MigratedView {
    from: u32,
    to: u32,
    /// Why, as the manifest says: one for each format between.
    reasons: Vec<String>,
    config_changes: bool,
    /// The configuration then, where it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Value>,
    /// Keys of the connector's storage.
    storage_renamed: u64,
    storage_removed: u64,
    storage_kept: u64,
}

/// A cursor that the version's code was asked to carry over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CarriedCursor)]
pub(super) struct CarriedView {
    stream: String,
    /// None: the stream's own cursor. Of the partitions of a stream, the first 32 are tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<String>,
    /// Whether it is; otherwise the stream is read from its beginning.
    carried: bool,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Reason>,
}

impl UpgradeView {
    pub(super) fn of(upgrade: connection::Upgrade) -> Self {
        let migrated = upgrade.migrated.map(|migrated| MigratedView {
            from: migrated.from,
            to: migrated.to,
            reasons: migrated.reasons,
            config_changes: migrated.config.is_some(),
            config: migrated.config.map(|(_, after)| after),
            storage_renamed: migrated.storage.renamed,
            storage_removed: migrated.storage.removed,
            storage_kept: migrated.storage.kept,
        });
        let cursor = |cursor: connection::Carried| CarriedView {
            stream: cursor.stream,
            partition: cursor.partition,
            carried: cursor.carried,
            problem: cursor.problem.map(Reason::from),
        };
        Self {
            connection: upgrade.connection.id.to_string(),
            from: VersionView::of(upgrade.from),
            to: VersionView::of(upgrade.to),
            diff: DiffView::of(upgrade.diff),
            new_streams: upgrade.new_streams,
            gone_streams: upgrade.gone_streams,
            carried: upgrade.carried,
            read_anew: upgrade.read_anew,
            migrated,
            cursors: upgrade.cursors.into_iter().map(cursor).collect(),
            done: upgrade.done,
        }
    }
}

/// An install of the connector.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstalledVersion)]
pub(super) struct VersionView {
    install: String,
    version: String,
}

impl VersionView {
    pub(super) fn of(version: connection::Version) -> Self {
        Self {
            install: version.install.to_string(),
            version: version.version,
        }
    }
}

pub(super) async fn upgrade(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Json(wanted): Json<UpgradeRequest>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &id).await?;
    let actor = caller.actor();
    let to = To {
        install: wanted.install.as_deref(),
        dry_run: wanted.dry_run,
        actor: &actor,
    };
    let upgrade = connection::upgrade(&app.service, caller.org, found.id, to).await?;
    Ok(json(&UpgradeView::of(upgrade)))
}

/// What a version means for one connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstallTrial)]
pub(super) struct TrialView {
    connection: String,
    name: String,
    /// `same`: it goes over as it is; `changes`: something of it is migrated, carried over or read anew; `fails`: it stays.
    outcome: &'static str,
    /// Why it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade: Option<UpgradeView>,
}

impl TrialView {
    fn of(trial: connection::Trial) -> Self {
        let (outcome, problem, upgrade) = match trial.upgrade {
            Err(problem) => ("fails", Some(Reason::from(problem)), None),
            Ok(upgrade) => {
                let lists = [&upgrade.carried, &upgrade.read_anew, &upgrade.gone_streams];
                let is_same = upgrade.migrated.is_none() && lists.iter().all(|list| list.is_empty());
                let outcome = if is_same { "same" } else { "changes" };
                (outcome, None, Some(UpgradeView::of(upgrade)))
            }
        };
        Self {
            connection: trial.connection.to_string(),
            name: trial.name,
            outcome,
            problem,
            upgrade,
        }
    }
}

pub(super) async fn trial(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let page = page("trial", asked.limit, asked.after.as_deref())?;
    let found = connection::trial(&app.service, caller.org, &id, &page).await?;
    Ok(json(&listed("trial", found, TrialView::of)))
}
