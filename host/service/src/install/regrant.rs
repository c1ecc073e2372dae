//! The same version with another grant: rights withdrawn, or optional ones switched on.
//!
//! An install never changes, so this is another one; its connections and channels go over to it. What is withdrawn is gone at the
//! next question (a request, a file, something to be stored), also for calls that are under way, and the install that had it is removed.

use serde_json::json;
use sluice_model::grant::{Approved, Grant, GrantDiff, diff};
use sluice_model::id::{ConnectionId, InstallId, OrgId};

use super::{Error, Install, advice, granted};
use crate::catalogue::{self, Known};
use crate::channel::Moved;
use crate::{Service, channel, event};

/// What is to be changed in a grant. Lines are those of the permission page: `GET https://api.github.com/user`; what a connection
/// may keep goes by its name: `storage`, `files`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub withdraw: Vec<String>,
    /// Of what the manifest asks for.
    pub allow: Vec<String>,
    /// Withdraw first what was not used in so many days.
    pub unused_days: Option<u32>,
    /// Only say what it means.
    pub dry_run: bool,
}

/// Room in the connections' key-value storage.
const STORAGE: &str = "storage";
/// Room for files that are kept.
const FILES: &str = "files";

/// What another grant changes, or changed.
#[derive(Debug, Clone)]
pub struct Regrant {
    pub before: InstallId,
    /// The install with the other grant; the one of before if nothing was changed.
    pub install: Install,
    pub diff: GrantDiff,
    pub moved: Vec<ConnectionId>,
    pub done: bool,
}

/// Gives an install's connections another grant of the same version.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::NoRight`] for a line that is none of its rights.
pub async fn regrant(
    service: &Service,
    org: OrgId,
    id: InstallId,
    wanted: &Wanted,
    actor: &str,
) -> Result<Regrant, Error> {
    let known = catalogue::known(service, org, id).await?;
    let old = granted(&known.install)?;
    let new = changed(service, org, &known, wanted).await?;
    let manifest = &known.manifest;
    let (before, after) = (
        Approved {
            manifest,
            grant: &old,
        },
        Approved {
            manifest,
            grant: &new,
        },
    );
    let mut regrant = Regrant {
        before: id,
        install: super::view(&known),
        diff: diff(before, after),
        moved: Vec::new(),
        done: false,
    };
    if wanted.dry_run || old == new {
        return Ok(regrant);
    }
    let component = service
        .store()
        .component(org, known.install.component_digest)
        .await?
        .ok_or(catalogue::Error::Component)?;
    let stored = sluice_store::install::Install {
        id: service.new_id(),
        grant: serde_json::to_string(&new).unwrap_or_default(),
        approved_by: actor.to_owned(),
        at: service.now(),
        ..known.install.clone()
    };
    service
        .store()
        .put_install(org, stored.clone(), component, None)
        .await?;
    // From here on, whatever is under way: also before the connections have gone over.
    if !regrant.diff.narrower.is_empty()
        && let Some(watch) = known.rights.watch()
    {
        watch.withdraw(&new);
    }
    let now = Known::read(service, stored)?;
    channel::replace(service, org, id, now.install.id)
        .await
        .map_err(Box::new)?;
    let Moved { moved, stayed } = channel::move_all(service, org, id, now.install.id).await?;
    if !regrant.diff.narrower.is_empty() && stayed.is_empty() {
        leave(service, org, &known, now.install.id).await?;
    }
    // Whoever asks for the old install from now on asks for it as it is kept.
    service.catalogue().forget(id);
    event::platform(service, org, "sluice.connector.granted", now.install.id, || {
        json!({
            "connector": now.install.connector, "version": now.install.version, "changed_by": actor,
            "before": id.to_string(), "wider": regrant.diff.wider, "new": regrant.diff.new,
            "narrower": regrant.diff.narrower, "connections": moved.len(),
        })
    })
    .await?;
    regrant.install = super::view(&now);
    regrant.moved = moved;
    regrant.done = true;
    Ok(regrant)
}

/// Removes the install that has what was withdrawn, so that nobody comes by it again: what it was used for is known of the other one
/// then. One that somebody connected with meanwhile stays.
async fn leave(service: &Service, org: OrgId, known: &Known, to: InstallId) -> Result<(), Error> {
    let id = known.install.id;
    known.flush(service, org).await?;
    for (day, usage) in service.store().usage(org, id, 0).await? {
        service.store().note_usage(org, to, day, usage).await?;
    }
    match service.store().remove_install(org, id).await {
        Err(sluice_store::Error::InUse { .. }) => Ok(()),
        other => Ok(other?),
    }
}

async fn changed(service: &Service, org: OrgId, known: &Known, wanted: &Wanted) -> Result<Grant, Error> {
    let mut grant = granted(&known.install)?;
    if let Some(days) = wanted.unused_days {
        grant = advice::of(service, org, known, days).await?.advice.grant;
    }
    let asked = &known.manifest.capabilities;
    for line in &wanted.withdraw {
        if let Some(room) = room(&mut grant, asked, line) {
            room.into_iter().for_each(|(had, _)| *had = 0);
            continue;
        }
        let before = grant.egress.len();
        grant.egress.retain(|rule| rule.to_string() != *line);
        if grant.egress.len() == before {
            return Err(Error::NoRight(line.clone()));
        }
    }
    for line in &wanted.allow {
        if let Some(room) = room(&mut grant, asked, line) {
            room.into_iter().for_each(|(had, asked)| *had = asked);
            continue;
        }
        let rule = asked.egress.iter().find(|rule| rule.to_string() == *line);
        let rule = rule.ok_or_else(|| Error::NoRight(line.clone()))?;
        if !grant.egress.iter().any(|own| own.covers(rule)) {
            grant.egress.push(rule.clone());
        }
    }
    Ok(grant)
}

/// What a connection may keep, by its name: what it has, and what the manifest asks for. None where it is no name, or nothing of it is
/// asked for.
fn room<'a>(grant: &'a mut Grant, asked: &Grant, line: &str) -> Option<Vec<(&'a mut u64, u64)>> {
    match line {
        STORAGE if asked.storage_bytes > 0 => Some(vec![(&mut grant.storage_bytes, asked.storage_bytes)]),
        FILES if asked.files_bytes > 0 => Some(vec![
            (&mut grant.files_bytes, asked.files_bytes),
            (&mut grant.file_bytes, asked.file_bytes),
        ]),
        _ => None,
    }
}
