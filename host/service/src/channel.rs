//! Channels: names under which an organization offers versions of a connector to its connections, and who goes over by himself.
//!
//! A connection is pinned to its install, or follows a channel. What is published to a channel has been approved, by a person or
//! by the policy; its followers go over to it one after the other, each in a commit of its own. Calls that are under way end with
//! what they began with. One whose configuration or hooks do not fit the version stays where it is, and that is told.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sluice_model::id::{ConnectionId, InstallId, OrgId};

use crate::approval::Actor;
use crate::connection::{self, Connection};
use crate::install;
use crate::problem::Problem;
use crate::{Service, event};

/// The channel that every install is published to.
pub const NEWEST: &str = "newest";

/// Channels of one connector.
const MAX_CHANNELS: usize = 100;

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub connector: String,
    pub name: String,
    /// The install that it offers.
    pub install: InstallId,
    pub revision: u64,
}

/// What of other versions needs nobody's approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auto {
    /// Nothing.
    #[default]
    Never,
    /// A version that may do nothing which the one before may not, signed by a publisher that the trust policy lists or with the
    /// same key as before.
    Narrower,
}

/// What becomes of other versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpgradePolicy {
    pub auto: Auto,
    /// After so many days, an approval that nobody decided on ends. 1 to 90.
    pub approval_days: u32,
}

impl Default for UpgradePolicy {
    fn default() -> Self {
        Self {
            auto: Auto::Never,
            approval_days: 14,
        }
    }
}

/// Who went over to an install, and who did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    pub moved: Vec<ConnectionId>,
    pub stayed: Vec<(ConnectionId, Problem)>,
}

/// Why a channel or the policy is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is no name of a channel")]
    Name(String),
    #[error("the connector has no channel `{0}`")]
    Missing(String),
    #[error("a connector has at most {MAX_CHANNELS} channels")]
    TooMany,
    #[error("`approval_days` has to be 1 to 90")]
    Policy,
    #[error("the install is of `{0}`")]
    OtherConnector(String),
    #[error("what is kept about versions no longer reads: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Install(#[from] install::Error),
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "channel.name",
        "channel.not_found",
        "channel.too_many",
        "channel.policy",
        "channel.connector",
        "channel.unreadable",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "channel.name",
            Self::Missing(_) => "channel.not_found",
            Self::TooMany => "channel.too_many",
            Self::Policy => "channel.policy",
            Self::OtherConnector(_) => "channel.connector",
            Self::Unreadable(_) => "channel.unreadable",
            Self::Install(error) => error.code(),
            Self::Connection(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Name(_) => Some(
                "a lower-case letter, then at most 31 lower-case letters, digits or `-`; `newest` is set by installing"
                    .to_owned(),
            ),
            Self::Missing(_) => Some("`sluice connector channel list` shows those there are".to_owned()),
            Self::Install(error) => error.hint(),
            Self::Connection(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::TooMany | Self::Policy | Self::OtherConnector(_) | Self::Unreadable(_) => None,
        }
    }
}

/// What is kept of a channel.
#[derive(Serialize, Deserialize)]
struct Offer {
    install: InstallId,
}

/// The organization's policy, and its revision.
///
/// # Errors
///
/// If the database does not answer, or not in a way that reads.
pub async fn policy(service: &Service, org: OrgId) -> Result<(UpgradePolicy, u64), Error> {
    let kept = service.store().version_setting(org, POLICY).await?;
    let policy = match kept.text.as_str() {
        "" => UpgradePolicy::default(),
        text => read(text)?,
    };
    Ok((policy, kept.revision))
}

/// Changes the policy that had this revision.
///
/// # Errors
///
/// [`Error::Policy`]; `store.revision` if somebody else changed it meanwhile.
pub async fn set_policy(
    service: &Service,
    org: OrgId,
    policy: UpgradePolicy,
    revision: u64,
    actor: &Actor,
) -> Result<(UpgradePolicy, u64), Error> {
    if !(1..=90).contains(&policy.approval_days) {
        return Err(Error::Policy);
    }
    let text = write(&policy)?;
    let revision = service
        .store()
        .set_version_setting(org, POLICY, revision, text)
        .await?;
    event::platform(
        service,
        org,
        "sluice.versions.policy",
        org,
        || json!({"auto": policy.auto, "approval_days": policy.approval_days, "changed_by": actor.key}),
    )
    .await?;
    Ok((policy, revision))
}

/// The channels, of all connectors; `newest` is not among them.
///
/// # Errors
///
/// If the database does not answer, or not in a way that reads.
pub async fn list(service: &Service, org: OrgId) -> Result<Vec<Channel>, Error> {
    let kept = service.store().version_settings(org, CHANNELS).await?;
    let channel = |(name, kept): (String, sluice_store::trust::Kept)| {
        let (connector, name) = name.strip_prefix(CHANNELS)?.split_once('/')?;
        let of = |offer: Offer| Channel {
            connector: connector.to_owned(),
            name: name.to_owned(),
            install: offer.install,
            revision: kept.revision,
        };
        Some(read::<Offer>(&kept.text).map(of))
    };
    kept.into_iter().filter_map(channel).collect()
}

/// The install that a channel of a connector offers.
///
/// # Errors
///
/// If the database does not answer, or not in a way that reads.
pub async fn offer_of(
    service: &Service,
    org: OrgId,
    connector: &str,
    name: &str,
) -> Result<Option<InstallId>, Error> {
    if name == NEWEST {
        return Ok(install::newest_id(service, org, connector).await?);
    }
    let kept = service
        .store()
        .version_setting(org, &key(connector, name))
        .await?;
    if kept.text.is_empty() {
        return Ok(None);
    }
    Ok(Some(read::<Offer>(&kept.text)?.install))
}

/// Publishes an install to a channel: its followers go over to it.
///
/// # Errors
///
/// [`Error::Name`], [`Error::OtherConnector`], [`Error::TooMany`].
pub async fn publish(
    service: &Service,
    org: OrgId,
    connector: &str,
    name: &str,
    to: &install::Install,
    actor: &str,
) -> Result<Moved, Error> {
    check(name)?;
    if to.connector != connector {
        return Err(Error::OtherConnector(to.connector.clone()));
    }
    let place = key(connector, name);
    let kept = service.store().version_setting(org, &place).await?;
    if kept.revision == 0 {
        let prefix = format!("{CHANNELS}{connector}/");
        let others = service.store().version_settings(org, &prefix).await?;
        if others.len() >= MAX_CHANNELS {
            return Err(Error::TooMany);
        }
    }
    let text = write(&Offer { install: to.id })?;
    service
        .store()
        .set_version_setting(org, &place, kept.revision, text)
        .await?;
    let moved = followers(service, org, connector, name, to.id).await?;
    event::platform(service, org, "sluice.channel.published", to.id, || {
        json!({
            "connector": connector, "channel": name, "version": to.version, "published_by": actor,
            "moved": moved.moved.len(), "stayed": moved.stayed.len(),
        })
    })
    .await?;
    Ok(moved)
}

/// A new install is the newest: who follows that goes over. What does not is told by its own event.
pub(crate) async fn published(service: &Service, org: OrgId, install: &sluice_store::install::Install) {
    if let Err(error) = followers(service, org, &install.connector, NEWEST, install.id).await {
        tracing::warn!(install = %install.id, code = error.code(), %error, "followers did not go over");
    }
}

/// Makes a connection follow a channel, or pins it to what it uses now. It goes over at once to what the channel offers.
///
/// # Errors
///
/// [`Error::Missing`]; what [`connection::upgrade`] refuses. Nothing is changed then.
pub async fn follow(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    channel: Option<String>,
    actor: &Actor,
) -> Result<Connection, Error> {
    let found = connection::get(service, org, &id.to_string()).await?;
    let Some(name) = channel else {
        return Ok(connection::set_channel(service, org, &found, None).await?);
    };
    let offered = offer_of(service, org, &found.connector, &name).await?;
    let offered = offered.ok_or_else(|| Error::Missing(name.clone()))?;
    if offered != found.install {
        go(service, org, id, offered, actor).await?;
    }
    let found = connection::get(service, org, &id.to_string()).await?;
    Ok(connection::set_channel(service, org, &found, Some(name)).await?)
}

/// What offered this install offers another one in its place.
pub(crate) async fn replace(
    service: &Service,
    org: OrgId,
    from: InstallId,
    to: InstallId,
) -> Result<(), Error> {
    for channel in list(service, org).await? {
        if channel.install == from {
            let place = key(&channel.connector, &channel.name);
            let text = write(&Offer { install: to })?;
            service
                .store()
                .set_version_setting(org, &place, channel.revision, text)
                .await?;
        }
    }
    Ok(())
}

/// Every connection of this install goes over to another one.
pub(crate) async fn move_all(
    service: &Service,
    org: OrgId,
    from: InstallId,
    to: InstallId,
) -> Result<Moved, sluice_store::Error> {
    let of_install = |connection: &sluice_store::connection::Connection| connection.install == from;
    move_those(service, org, to, of_install).await
}

async fn followers(
    service: &Service,
    org: OrgId,
    connector: &str,
    name: &str,
    to: InstallId,
) -> Result<Moved, Error> {
    let follows = |connection: &sluice_store::connection::Connection| {
        connection.connector == connector
            && connection.install != to
            && connection::channel_of(connection).as_deref() == Some(name)
    };
    Ok(move_those(service, org, to, follows).await?)
}

async fn move_those(
    service: &Service,
    org: OrgId,
    to: InstallId,
    which: impl Fn(&sluice_store::connection::Connection) -> bool,
) -> Result<Moved, sluice_store::Error> {
    let mut moved = Moved::default();
    let mut after = None;
    loop {
        let page = sluice_store::Page {
            after,
            limit: sluice_store::MAX_LIMIT,
        };
        let found = service.store().list_connections(org, page).await?;
        for connection in found.items.iter().filter(|connection| which(connection)) {
            let id = connection.id;
            match go(service, org, id, to, &Actor::host()).await {
                Ok(()) => moved.moved.push(id),
                Err(connection::Error::Store(error @ sluice_store::Error::Failed { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    let problem = Problem::new(error.code(), &error);
                    event::platform(service, org, "sluice.connection.stayed", id, || {
                        json!({"install": to.to_string(), "code": problem.code, "message": problem.message})
                    })
                    .await?;
                    moved.stayed.push((id, problem));
                }
            }
        }
        after = found.next;
        if after.is_none() {
            return Ok(moved);
        }
    }
}

/// One connection; somebody who changes it meanwhile is waited for by looking again.
async fn go(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    to: InstallId,
    actor: &Actor,
) -> Result<(), connection::Error> {
    let to = to.to_string();
    let mut tries = 0;
    loop {
        let wanted = connection::To {
            install: Some(&to),
            dry_run: false,
            actor,
        };
        match connection::upgrade(service, org, id, wanted).await {
            Ok(_) => return Ok(()),
            Err(connection::Error::Store(sluice_store::Error::Revision { .. })) if tries < TRIES => {
                tries += 1
            }
            Err(error) => return Err(error),
        }
    }
}

/// A connection that changes more often than this while it is moved is told as one that stayed.
const TRIES: u32 = 5;

/// Where settings are kept.
const POLICY: &str = "policy";
const CHANNELS: &str = "channel/";

fn key(connector: &str, name: &str) -> String {
    format!("{CHANNELS}{connector}/{name}")
}

/// A name that somebody may publish to.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let letter = |byte: u8| byte.is_ascii_lowercase();
    let fits = (1..=32).contains(&name.len())
        && name.bytes().next().is_some_and(letter)
        && name
            .bytes()
            .all(|byte| letter(byte) || byte.is_ascii_digit() || byte == b'-');
    if fits && name != NEWEST {
        return Ok(());
    }
    Err(Error::Name(
        name.chars().take(80).flat_map(char::escape_default).collect(),
    ))
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Unreadable(error.to_string()))
}

fn write(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Unreadable(error.to_string()))
}
