//! Taking a move to another install back, within 30 days.
//!
//! What comes back is the install with its grant, the configuration, the auth scheme, every cursor and the connector's storage, as
//! they were in the commit that moved. What stays is everything else: records and their changes (they are read on from
//! the restored cursors, and what comes twice changes nothing), credentials, hooks and what they received, runs, events, and
//! whatever was done at the vendor. The connection is pinned to what it came back to. Runs under way are ended first, at the place that
//! they have committed: a page that is read by the version that goes may not move a cursor that came back.

use std::time::Duration;

use serde_json::json;
use sluice_model::Timestamp;
use sluice_model::grant::GrantDiff;
use sluice_model::id::{ConnectionId, OrgId, RunId};
use sluice_store::moved::{Back, KEPT_MS, Move};

use super::upgrade::{change, hooks_fit};
use super::{Connection, Error, Settings, Version, settings_text, view};
use crate::approval::Actor;
use crate::{Service, catalogue, event, sync};

/// What taking a move back means for a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollback {
    /// The connection as it is then.
    pub connection: Connection,
    /// The move that is taken back.
    pub number: u64,
    pub from: Version,
    pub to: Version,
    /// When it was moved, and until when that can be taken back.
    pub moved: Timestamp,
    pub until: Timestamp,
    pub diff: GrantDiff,
    /// Whether the configuration was changed since.
    pub config_changes: bool,
    /// Cursors of streams and partitions that come back; streams that have none among them begin anew.
    pub cursors: u64,
    /// Keys of the connector's storage that come back in the place of what is there, and their bytes.
    pub storage_keys: u64,
    pub storage_bytes: u64,
    /// Runs that were under way and were ended for it.
    pub interrupted: Vec<RunId>,
    /// What stays as it is.
    pub stays: &'static [&'static str],
    /// Whether it was done, and not only looked at.
    pub done: bool,
}

/// Of everything that a connection has, what taking a move back leaves alone.
const STAYS: &[&str] = &[
    "records, their changes and their history: they are read on from the restored cursors",
    "credentials",
    "hooks and what they received",
    "runs, events and deliveries",
    "what was done at the vendor",
];

/// What of a connection's moves is to be taken back, and who wants it.
#[derive(Debug, Clone, Copy)]
pub struct Which<'a> {
    /// The number of a move; without, the last whose install is still there.
    pub number: Option<u64>,
    /// Only say what it means.
    pub dry_run: bool,
    pub actor: &'a Actor,
}

/// Takes a move back. A dry run only says what that means.
///
/// # Errors
///
/// [`Error::NoMove`], [`Error::NotKept`]; [`Error::HookLost`] if it has a hook that the version of before does not have;
/// [`Error::NotApproved`] if somebody who may not approve would give it more rights; `run.active` if a run does not let go within 30 seconds;
/// whatever keeps the install of before from being called. Nothing is changed then, but that runs may have been ended.
pub async fn roll_back(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    which: Which<'_>,
) -> Result<Rollback, Error> {
    let connection = super::get(service, org, &id.to_string()).await?;
    let now = service.now();
    let found = service.store().moves(org, id).await?;
    let wanted = |own: &&Move| which.number.is_none_or(|number| own.number == number);
    let mut back = None;
    for own in found.iter().filter(wanted) {
        // Where there is no install to go back to, the move before is the last.
        match catalogue::known(service, org, own.from).await {
            Err(catalogue::Error::Missing) => {}
            Err(error) => return Err(error.into()),
            Ok(known) => {
                back = Some((own, known));
                break;
            }
        }
    }
    let (back, after) = back.ok_or(Error::NoMove)?;
    let until = Timestamp::from_millis(back.at.as_millis().saturating_add(KEPT_MS));
    if until < now {
        return Err(Error::NoMove);
    }
    if !back.kept {
        return Err(Error::NotKept);
    }
    let before = catalogue::known(service, org, connection.install).await?;
    // What is not believed any more, or does not load, is nothing to go back to.
    after.code(service, org).await?;
    hooks_fit(service, org, id, &after.manifest).await?;
    let diff = change(&before, &after)?;
    if diff.asks_for_more() && !which.actor.approves {
        return Err(Error::NotApproved);
    }
    let mut rollback = Rollback {
        number: back.number,
        from: Version::of(&before),
        to: Version::of(&after),
        moved: back.at,
        until,
        diff,
        config_changes: config_of(back).as_ref() != Some(&connection.config),
        cursors: back.cursors,
        storage_keys: back.storage_keys,
        storage_bytes: back.storage_bytes,
        interrupted: Vec::new(),
        stays: STAYS,
        done: false,
        connection,
    };
    if which.dry_run {
        return Ok(rollback);
    }
    let was: Settings = serde_json::from_str(&back.settings).unwrap_or_default();
    // Whose account it is has not changed with the version; and who goes back does not follow.
    let settings = Settings {
        auth: was.auth.or_else(|| rollback.connection.auth.clone()),
        channel: None,
        ..Settings::of(&rollback.connection)
    };
    let told = event::of_platform(service, "sluice.connection.rolled_back", id, || {
        json!({"connector": rollback.connection.connector, "from": rollback.from.version, "to": rollback.to.version,
               "install": rollback.to.install.to_string(), "cursors": rollback.cursors,
               "storage_keys": rollback.storage_keys, "by": which.actor.key})
    });
    let back = Back {
        number: rollback.number,
        expected: rollback.connection.revision,
        settings: settings_text(&settings),
        event: told,
        now,
    };
    let kept = take_back(service, org, id, &back, &mut rollback.interrupted).await?;
    service.known_hooks().forget(id);
    rollback.connection = view(kept)?;
    rollback.done = true;
    Ok(rollback)
}

/// Takes back, and ends the runs that are in the way.
async fn take_back(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    back: &Back,
    interrupted: &mut Vec<RunId>,
) -> Result<sluice_store::connection::Connection, Error> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let run = match service.store().take_back(org, id, back.clone()).await {
            Err(sluice_store::Error::Missing { what: "the move" }) => return Err(Error::NoMove),
            Err(sluice_store::Error::ActiveRun { run }) => run,
            other => return Ok(other?),
        };
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        let ended = sync::interrupt(service, org, run, left).await;
        let ended = ended.map_err(|error| match error {
            sync::Error::Store(error) => Error::Store(error),
            sync::Error::Connection(error) => error,
            _ => Error::Store(sluice_store::Error::ActiveRun { run }),
        })?;
        if !ended || interrupted.len() >= MAX_INTERRUPTED {
            return Err(Error::Store(sluice_store::Error::ActiveRun { run }));
        }
        interrupted.push(run);
    }
}

/// For runs to let go: a call of the connector's is cut off at once, and a page that came is still committed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Runs that are ended for one rollback; a schedule that begins new ones as fast is not waited out.
const MAX_INTERRUPTED: usize = 256;

/// As values: a text may say the same in another order.
fn config_of(back: &Move) -> Option<serde_json::Value> {
    serde_json::from_str(&back.config).ok()
}
