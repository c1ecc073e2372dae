//! What a connection keeps, in the format of another install of its connector: computed first, for whoever asks what it means and for
//! the upgrade itself, and then done in the commit that moves the connection.
//!
//! What must always hold: a connection's configuration and storage are of the format of its install (`state_version` of the manifest).
//! They go from one format to the next by what the newer manifest declares, never back: only a rollback does that, with what was
//! kept. Nothing is migrated that could not be taken back.

use serde_json::{Value, json};
use sluice_mapping::{Outcome, Plan, Shape, StreamRules, Surroundings};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::{Manifest, Migration, StorageStep};
use sluice_store::storage::Migrated as Storage;

use super::Error;
use crate::Service;
use crate::catalogue::Known;

/// What becomes of a connection's state.
#[derive(Debug, Clone, PartialEq)]
pub struct Migrated {
    /// Formats.
    pub from: u32,
    pub to: u32,
    /// Why, as the manifest says: a line for each format between.
    pub reasons: Vec<String>,
    /// The configuration before and after, where it changes.
    pub config: Option<(Value, Value)>,
    pub storage: Storage,
}

/// A declared migration that is none.
#[derive(Debug, thiserror::Error)]
#[error("the migration from format {from}: {reason}")]
pub struct MigrationError {
    pub from: u32,
    pub reason: String,
}

impl MigrationError {
    /// Every code that [`MigrationError::code`] can give.
    pub const CODES: &[&str] = &["manifest.migration"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "manifest.migration"
    }
}

/// Whether every migration of a manifest can be done.
///
/// # Errors
///
/// The first that cannot, with the reason.
pub fn check(manifest: &Manifest) -> Result<(), MigrationError> {
    manifest
        .migrations
        .iter()
        .try_for_each(|migration| compile(migration).map(drop))
}

fn compile(migration: &Migration) -> Result<Plan, MigrationError> {
    let refused = |reason: String| MigrationError {
        from: migration.from,
        reason,
    };
    let text = json!({"map": migration.config}).to_string();
    let rules = StreamRules::parse(&text).map_err(|error| refused(error.to_string()))?;
    let plan = Plan::compile(&rules, &[], None).map_err(|error| refused(error.to_string()))?;
    if plan.needs_salt() || plan.streams().next().is_some() {
        return Err(refused(
            "a configuration is neither hashed nor enriched by a stream's records".to_owned(),
        ));
    }
    Ok(plan)
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) config: Value,
    pub(super) storage: Vec<StorageStep>,
    reasons: Vec<String>,
}

/// The configuration as the other install has it, and what becomes of the storage; none where they are of one format.
pub(super) fn plan(before: &Known, after: &Known, config: &Value) -> Result<Option<Planned>, Error> {
    let (from, to) = (before.manifest.state_version, after.manifest.state_version);
    if from == to {
        return Ok(None);
    }
    if from > to {
        return Err(Error::StateNewer {
            version: after.manifest.version.clone(),
            reads: to,
            found: from,
        });
    }
    let mut planned = Planned {
        config: config.clone(),
        storage: Vec::new(),
        reasons: Vec::new(),
    };
    for format in from..to {
        let failed = |reason: String| Error::Migration { from: format, reason };
        let mut declared = after.manifest.migrations.iter();
        let migration = declared
            .find(|migration| migration.from == format)
            .ok_or_else(|| failed("the version does not say how".to_owned()))?;
        let plan = compile(migration).map_err(|error| failed(error.reason))?;
        let text = planned.config.to_string();
        planned.config = match plan.apply(&text, &Shape::default(), &Surroundings::NONE) {
            Outcome::Kept { data, .. } => {
                serde_json::from_str(&data).map_err(|error| failed(error.to_string()))?
            }
            Outcome::Refused(refused) => {
                return Err(failed(format!("{} (at `{}`)", refused.reason, refused.pointer)));
            }
            // There is neither a filter nor a contract.
            Outcome::Dropped | Outcome::Frozen(_) => return Err(failed("nothing is left".to_owned())),
        };
        planned.storage.extend(migration.storage.iter().cloned());
        planned.reasons.push(migration.reason.clone());
    }
    Ok(Some(planned))
}

/// What that comes to for a connection as it is now. Nothing is written.
pub(super) async fn look(
    service: &Service,
    (org, id): (OrgId, ConnectionId),
    planned: &Planned,
    config: &Value,
    to: u32,
) -> Result<Migrated, Error> {
    let storage = match planned.storage.as_slice() {
        [] => Storage::default(),
        steps => service.store().try_storage(org, id, steps.to_vec()).await?,
    };
    let steps = u32::try_from(planned.reasons.len()).unwrap_or(u32::MAX);
    Ok(Migrated {
        from: to.saturating_sub(steps),
        to,
        reasons: planned.reasons.clone(),
        config: (planned.config != *config).then(|| (config.clone(), planned.config.clone())),
        storage,
    })
}
