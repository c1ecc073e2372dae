//! Another install for a connection: a later version, an earlier one again, or the same with another grant.
//!
//! Both stay installed side by side. What is under way ends with the install that it began with; the next call is made with the
//! other. Nothing is read anew by surprise: what an upgrade means for cursors and ids is said before it is done.

use serde_json::json;
use sluice_model::grant::PermissionPage;
use sluice_model::id::{ConnectionId, InstallId, OrgId};
use sluice_model::manifest::Manifest;
use sluice_store::connection::ConnectionChange;

use super::{Connection, Error};
use crate::{Service, catalogue, event, install};

/// What another install means for a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgrade {
    /// The connection as it is then.
    pub connection: Connection,
    pub from: Version,
    pub to: Version,
    /// Lines of the permission page that only the one or only the other has.
    pub may_now: Vec<String>,
    pub may_no_more: Vec<String>,
    pub new_streams: Vec<String>,
    /// Their records stay; they can't be read any more.
    pub gone_streams: Vec<String>,
    /// Streams whose cursor the connector is asked to carry over at their next run.
    pub carried: Vec<String>,
    /// Streams whose next run has to read everything: their cursor is of a later format, or the ids of their records are made of
    /// other properties.
    pub read_anew: Vec<String>,
    /// Whether it was done, and not only looked at.
    pub done: bool,
}

/// An install of the connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub install: InstallId,
    pub version: String,
}

/// Moves a connection to another install of its connector: the newest where none is named. A dry run only says what that means.
///
/// # Errors
///
/// [`Error::OtherConnector`]; [`Error::Config`] and [`Error::Scheme`] if its configuration or its auth scheme is not for that install;
/// `store.revision` if somebody else changed it meanwhile. Nothing is changed then.
pub async fn upgrade(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    to: Option<&str>,
    dry_run: bool,
) -> Result<Upgrade, Error> {
    let connection = super::get(service, org, &id.to_string()).await?;
    let to = to.unwrap_or(&connection.connector);
    let to = install::get(service, org, to).await.map_err(Box::new)?;
    if to.connector != connection.connector {
        return Err(Error::OtherConnector {
            own: connection.connector,
            other: to.connector,
        });
    }
    let before = catalogue::known(service, org, connection.install).await?;
    let after = catalogue::known(service, org, to.id).await?;
    after.config.check(&connection.config)?;
    if let Some(scheme) = &connection.auth {
        super::choose_scheme(&after.manifest, Some(scheme.clone()))?;
    }
    let page = async |install| {
        install::permissions(service, org, install)
            .await
            .map_err(Box::new)
    };
    let (was, will) = (page(connection.install).await?, page(to.id).await?);
    let mut upgrade = Upgrade {
        from: Version {
            install: connection.install,
            version: before.manifest.version.clone(),
        },
        to: Version {
            install: to.id,
            version: to.version,
        },
        may_now: beyond(&will, &was),
        may_no_more: beyond(&was, &will),
        new_streams: without(&after.manifest, &before.manifest),
        gone_streams: without(&before.manifest, &after.manifest),
        carried: Vec::new(),
        read_anew: Vec::new(),
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
    if dry_run || upgrade.from.install == upgrade.to.install {
        return Ok(upgrade);
    }
    let change = ConnectionChange {
        install: Some(to.id),
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
    event::platform(
        service,
        org,
        "sluice.connection.upgraded",
        id,
        || json!({"connector": to.connector, "from": upgrade.from.version, "to": upgrade.to.version}),
    )
    .await?;
    Ok(upgrade)
}

/// What the one page permits and the other does not.
fn beyond(page: &PermissionPage, other: &PermissionPage) -> Vec<String> {
    let lines = |page: &PermissionPage| -> Vec<String> {
        let requests = page.requests.iter().map(|line| line.rule.clone());
        requests.chain(page.limits.iter().cloned()).collect()
    };
    let known = lines(other);
    lines(page)
        .into_iter()
        .filter(|line| !known.contains(line))
        .collect()
}

/// The streams that the one has and the other has not.
fn without(manifest: &Manifest, other: &Manifest) -> Vec<String> {
    let streams = manifest.streams.iter();
    let only = streams.filter(|stream| other.stream(&stream.name).is_none());
    only.map(|stream| stream.name.clone()).collect()
}
