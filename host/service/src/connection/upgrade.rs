//! Another install for a connection: a later version, an earlier one again, or the same with another grant.
//!
//! Both stay installed side by side. What is under way ends with the install that it began with; the next call is made with the
//! other. Nothing is read anew by surprise: what an upgrade means for cursors and ids is said before it is done. What the
//! connection was is kept for a while, in the same commit, so that it can be taken back.

use serde_json::json;
use sluice_model::grant::{Approved, GrantDiff, diff};
use sluice_model::id::{ConnectionId, InstallId, OrgId};
use sluice_model::manifest::Manifest;
use sluice_store::connection::ConnectionChange;
use sluice_store::hook::HookState;

use super::migration::{self, Migrated};
use super::trial::{self, Carried};
use super::{Connection, Error};
use crate::approval::Actor;
use crate::catalogue::{self, Known};
use crate::{Service, event, install};

/// To which install, and who wants it.
#[derive(Debug, Clone, Copy)]
pub struct To<'a> {
    /// An install, or a connector for its newest; the newest of its connector without.
    pub install: Option<&'a str>,
    /// Only say what it means.
    pub dry_run: bool,
    pub actor: &'a Actor,
}

/// What another install means for a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgrade {
    /// The connection as it is then.
    pub connection: Connection,
    pub from: Version,
    pub to: Version,
    /// What it may do then and may not now, and the other way round.
    pub diff: GrantDiff,
    pub new_streams: Vec<String>,
    /// Their records stay; they can't be read any more.
    pub gone_streams: Vec<String>,
    /// Streams whose cursor the connector is asked to carry over at their next run.
    pub carried: Vec<String>,
    /// Streams whose next run has to read everything: their cursor is of a later format, or the ids of their records are made of
    /// other properties.
    pub read_anew: Vec<String>,
    /// What becomes of its configuration and its storage, where the version has another format of them.
    pub migrated: Option<Migrated>,
    /// What the version's code makes of the cursors that it is to carry over; only of a dry run.
    pub cursors: Vec<Carried>,
    /// Whether it was done, and not only looked at.
    pub done: bool,
}

/// An install of the connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub install: InstallId,
    pub version: String,
}

impl Version {
    pub(super) fn of(known: &Known) -> Self {
        Self {
            install: known.install.id,
            version: known.manifest.version.clone(),
        }
    }
}

/// Moves a connection to another install of its connector: the newest where none is named. A dry run only says what that means.
///
/// # Errors
///
/// [`Error::OtherConnector`]; [`Error::Config`] and [`Error::Scheme`] if its configuration or its auth scheme is not for that install,
/// [`Error::HookLost`] if it has a hook that is not; [`Error::NotApproved`] if somebody who may not approve goes back to an install
/// that may do more; `store.revision` if somebody else changed it meanwhile. Nothing is changed then.
pub async fn upgrade(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    wanted: To<'_>,
) -> Result<Upgrade, Error> {
    let connection = super::get(service, org, &id.to_string()).await?;
    let to = wanted.install.unwrap_or(&connection.connector);
    let to = install::get(service, org, to).await.map_err(Box::new)?;
    if to.connector != connection.connector {
        return Err(Error::OtherConnector {
            own: connection.connector,
            other: to.connector,
        });
    }
    let before = catalogue::known(service, org, connection.install).await?;
    let after = catalogue::known(service, org, to.id).await?;
    let planned = migration::plan(&before, &after, &connection.config)?;
    let config = match &planned {
        Some(planned) => planned.config.clone(),
        None => connection.config.clone(),
    };
    after.config.check(&config)?;
    let migrated = match &planned {
        Some(planned) => {
            let to = after.manifest.state_version;
            Some(migration::look(service, (org, id), planned, &connection.config, to).await?)
        }
        None => None,
    };
    if let Some(scheme) = &connection.auth {
        super::choose_scheme(&after.manifest, Some(scheme.clone()))?;
    }
    hooks_fit(service, org, id, &after.manifest).await?;
    let diff = change(&before, &after)?;
    // Going on to what was approved last is no decision; going back to what was withdrawn since is one.
    if diff.asks_for_more() && to.id < connection.install && !wanted.actor.approves {
        return Err(Error::NotApproved);
    }
    let mut upgrade = Upgrade {
        from: Version::of(&before),
        to: Version::of(&after),
        diff,
        new_streams: without(&after.manifest, &before.manifest),
        gone_streams: without(&before.manifest, &after.manifest),
        carried: Vec::new(),
        read_anew: Vec::new(),
        migrated,
        cursors: Vec::new(),
        done: false,
        connection,
    };
    for stream in &after.manifest.streams {
        let Some(was) = before.manifest.stream(&stream.name) else {
            continue;
        };
        if was.cursor_version > stream.cursor_version || was.primary_key != stream.primary_key {
            upgrade.read_anew.push(stream.name.clone());
        } else if was.cursor_version < stream.cursor_version {
            upgrade.carried.push(stream.name.clone());
        }
    }
    if upgrade.from.install == upgrade.to.install {
        return Ok(upgrade);
    }
    if wanted.dry_run {
        if !upgrade.carried.is_empty() {
            let then = Connection {
                install: to.id,
                config,
                ..upgrade.connection.clone()
            };
            upgrade.cursors = trial::cursors(service, org, then, &upgrade.carried).await?;
        }
        return Ok(upgrade);
    }
    let told = event::of_platform(service, "sluice.connection.upgraded", id, || {
        json!({"connector": to.connector, "from": upgrade.from.version, "to": upgrade.to.version,
               "install": upgrade.to.install.to_string(), "by": wanted.actor.key})
    });
    let (config, storage) = match planned {
        Some(planned) => (
            upgrade
                .migrated
                .as_ref()
                .and_then(|migrated| migrated.config.as_ref())
                .map(|_| planned.config.to_string()),
            planned.storage,
        ),
        None => (None, Vec::new()),
    };
    let change = ConnectionChange {
        install: Some(to.id),
        config,
        storage,
        event: Some(told),
        ..ConnectionChange::default()
    };
    let (revision, now) = (upgrade.connection.revision, service.now());
    let kept = service
        .store()
        .update_connection(org, id, revision, change, now)
        .await?;
    service.known_hooks().forget(id);
    upgrade.connection = super::view(kept)?;
    upgrade.done = true;
    Ok(upgrade)
}

/// What the one may do and the other may not.
pub(super) fn change(before: &Known, after: &Known) -> Result<GrantDiff, Error> {
    let grant = |known: &Known| install::granted(&known.install).map_err(Box::new);
    let (had, has) = (grant(before)?, grant(after)?);
    let of = |known, grant| Approved {
        manifest: known,
        grant,
    };
    Ok(diff(of(&before.manifest, &had), of(&after.manifest, &has)))
}

/// A hook whose webhook the connector does not have is an address that nobody answers: what the vendor sends would be lost.
pub(super) async fn hooks_fit(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    manifest: &Manifest,
) -> Result<(), Error> {
    let hooks = service.store().list_hooks(org, Some(id)).await?;
    let lost = hooks
        .iter()
        .filter(|hook| hook.state != HookState::Ending && manifest.webhook(&hook.webhook).is_none());
    let mut lost: Vec<String> = lost.map(|hook| hook.webhook.clone()).collect();
    lost.sort();
    lost.dedup();
    if lost.is_empty() {
        return Ok(());
    }
    Err(Error::HookLost {
        version: manifest.version.clone(),
        webhooks: lost.join(", "),
    })
}

/// The streams that the one has and the other has not.
fn without(manifest: &Manifest, other: &Manifest) -> Vec<String> {
    let streams = manifest.streams.iter();
    let only = streams.filter(|stream| other.stream(&stream.name).is_none());
    only.map(|stream| stream.name.clone()).collect()
}
