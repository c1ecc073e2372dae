//! Connections: one account at one vendor. Created as a draft with its configuration checked and its secret sealed,
//! active once the connector has told whose account it is.

mod migration;
mod remove;
mod rollback;
mod secret;
mod state;
mod test;
mod trace;
mod trial;
mod upgrade;

use serde_json::{Value, json};
use sluice_model::Timestamp;
use sluice_model::connection::ConnectionState;
use sluice_model::event::NewEvent;
use sluice_model::id::{ConnectionId, InstallId, OrgId};
use sluice_store::connection::{ConnectionChange, NewConnection};
use sluice_store::credential::Life;

pub use migration::{Migrated, MigrationError, check as check_migrations};
pub use remove::{Data, Removed, Tombstone, holder, remove, removed};
pub use rollback::{Rollback, Which, roll_back};
pub use secret::{Given, set_secret};
pub(crate) use secret::{check_part, choose_scheme};
pub(crate) use state::{News, degrade, is_over, move_to, settle, state_after};
pub use state::{pause, resume, turn_all};
pub use test::{Step, TestReport, test};
pub use trace::{exchanges, logs};
pub use trial::{Carried, Trial, trial};
pub use upgrade::{To, Upgrade, Version, upgrade};

use crate::page::{Listed, Page};
use crate::problem::Problem;
use crate::schema::Violation;
use crate::sync::contract::Contract;
use crate::{Service, catalogue, event, install};
use secret::put_secret;

/// A connection as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    pub id: ConnectionId,
    /// Unique for its connector in the organization.
    pub name: String,
    pub connector: String,
    pub install: InstallId,
    pub state: ConnectionState,
    pub config: Value,
    /// The auth scheme of the manifest that it uses.
    pub auth: Option<String>,
    pub account: Option<Account>,
    /// The channel that it follows; pinned to its install without.
    pub channel: Option<String>,
    /// What becomes of streams that its account did not have before.
    pub contract: Contract,
    /// Why it is in its state, where that is not a good one.
    pub error: Option<Problem>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Counts the changes; an update names the one it builds on.
    pub revision: u64,
}

/// Whose account it is, as the vendor says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Account {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// A connection to be made.
#[derive(Debug, Clone)]
pub struct New {
    pub name: String,
    /// A connector's id or an install's.
    pub connector: String,
    pub config: Value,
    /// None: the manifest's first scheme.
    pub auth: Option<String>,
    pub secret: Option<Given>,
}

/// Why something can't be done with a connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no connection `{0}`")]
    Missing(String),
    #[error("several connections are called `{name}`: {}", .ids.join(", "))]
    Ambiguous { name: String, ids: Vec<String> },
    #[error("a connection of `{connector}` is called `{name}` already")]
    Taken { connector: String, name: String },
    #[error("the name has to be 1 to 80 characters without control characters")]
    Name,
    #[error("the configuration breaks its schema: {0}")]
    Config(#[from] Violation),
    #[error("the connector has no auth scheme `{wanted}`; it has {offered}")]
    Scheme { wanted: String, offered: String },
    #[error("the connection is of `{own}`, and the install of `{other}`")]
    OtherConnector { own: String, other: String },
    /// What the vendor sends there would be lost.
    #[error("the connection has hooks of {webhooks}, which version {version} does not have")]
    HookLost { version: String, webhooks: String },
    /// What an older version reads is what a rollback brings back.
    #[error("what the connection keeps is of format {found}; version {version} reads up to {reads}")]
    StateNewer { version: String, reads: u32, found: u32 },
    #[error("what the connection keeps cannot be brought from format {from} to the next: {reason}")]
    Migration { from: u32, reason: String },
    #[error("it would have more rights than now, and this key may not approve that")]
    NotApproved,
    #[error("there is no move to another install that could be taken back")]
    NoMove,
    #[error("when it was moved, it had more in its storage than is kept")]
    NotKept,
    #[error("the secret is empty, too long, or has characters that no header may carry")]
    Secret,
    /// The broker takes secrets out of what vendors echo; one of three characters would be found in every answer.
    #[error(
        "the secret is shorter than {} bytes: it could not be kept out of what the vendor answers",
        sluice_broker::redact::MIN_SECRET_BYTES
    )]
    ShortSecret,
    #[error("the scheme has no part `{part}`; it has {offered}")]
    Part { part: String, offered: String },
    #[error("the secret's {0} missing")]
    Parts(String),
    #[error("the connection is {} and can't become {}", .0.name(), .1.name())]
    State(ConnectionState, ConnectionState),
    #[error(transparent)]
    Install(#[from] Box<install::Error>),
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "connection.not_found",
        "connection.ambiguous",
        "connection.name_taken",
        "connection.name",
        "connection.config",
        "connection.scheme",
        "connection.connector",
        "connection.hook_lost",
        "connection.state_newer",
        "connection.migration",
        "auth.approval",
        "connection.no_move",
        "connection.not_kept",
        "connection.secret",
        "connection.secret_part",
        "connection.state",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "connection.not_found",
            Self::Ambiguous { .. } => "connection.ambiguous",
            Self::Taken { .. } => "connection.name_taken",
            Self::Name => "connection.name",
            Self::Config(_) => "connection.config",
            Self::Scheme { .. } => "connection.scheme",
            Self::OtherConnector { .. } => "connection.connector",
            Self::HookLost { .. } => "connection.hook_lost",
            Self::StateNewer { .. } => "connection.state_newer",
            Self::Migration { .. } => "connection.migration",
            Self::NotApproved => "auth.approval",
            Self::NoMove => "connection.no_move",
            Self::NotKept => "connection.not_kept",
            Self::Secret | Self::ShortSecret => "connection.secret",
            Self::Part { .. } | Self::Parts(_) => "connection.secret_part",
            Self::State(..) => "connection.state",
            Self::Install(error) => error.code(),
            Self::Catalogue(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Ambiguous { .. } => Some("name it by its id".to_owned()),
            Self::Taken { .. } => Some("choose another name, or change the one that is there".to_owned()),
            Self::Config(_) => Some("`sluice connector info` shows the configuration's schema".to_owned()),
            Self::Secret => Some("give the token alone, without quotes or a line break".to_owned()),
            Self::Install(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Part { .. } | Self::Parts(_) => {
                Some("`sluice connector info` names the parts of each auth scheme".to_owned())
            }
            Self::ShortSecret => Some("give the whole token".to_owned()),
            Self::OtherConnector { .. } => {
                Some("`sluice connector list` shows the installs of each".to_owned())
            }
            Self::HookLost { .. } => Some(
                "remove those hooks first (`sluice hook remove`), or take a version that has their webhooks"
                    .to_owned(),
            ),
            Self::StateNewer { .. } => Some(
                "`sluice connection rollback` brings the version of before back with what was kept then"
                    .to_owned(),
            ),
            Self::Migration { .. } => Some(
                "change the connection's configuration so that it can be migrated, or take another version"
                    .to_owned(),
            ),
            Self::NotApproved => Some("ask somebody whose key may approve".to_owned()),
            Self::NotKept => Some(
                "`sluice connection upgrade --to INSTALL` goes back without cursors and storage".to_owned(),
            ),
            Self::NoMove => {
                Some("a move can be taken back for 30 days, the last five of a connection".to_owned())
            }
            Self::Missing(_) | Self::Name | Self::Scheme { .. } | Self::State(..) | Self::Catalogue(_) => {
                None
            }
        }
    }
}

/// What the store keeps of a connection beside its own columns.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Settings {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    account: Option<Account>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(default, skip_serializing_if = "Contract::is_default")]
    contract: Contract,
}

impl Settings {
    fn of(connection: &Connection) -> Self {
        Self {
            auth: connection.auth.clone(),
            account: connection.account.clone(),
            channel: connection.channel.clone(),
            contract: connection.contract.clone(),
        }
    }
}

/// Makes a draft: the configuration is checked, the secret sealed and bound to the origins that its scheme names for
/// this configuration.
///
/// # Errors
///
/// If the connector is not installed, the configuration breaks its schema or the name is taken; nothing is kept then.
pub async fn create(service: &Service, org: OrgId, new: New) -> Result<Connection, Error> {
    let name_fits = (1..=80).contains(&new.name.chars().count()) && !new.name.chars().any(char::is_control);
    // A name that reads like an id would shadow one.
    if !name_fits || new.name.parse::<ConnectionId>().is_ok() {
        return Err(Error::Name);
    }
    let install = install::get(service, org, &new.connector)
        .await
        .map_err(Box::new)?;
    let known = catalogue::known(service, org, install.id).await?;
    known.config.check(&new.config)?;
    let auth = choose_scheme(&known.manifest, new.auth)?;
    if let (Some(scheme), Some(given)) = (
        auth.as_deref().and_then(|name| known.manifest.auth(name)),
        &new.secret,
    ) {
        secret::check(scheme, given)?;
    }
    let settings = Settings {
        auth: auth.clone(),
        ..Settings::default()
    };
    let id = service.new_id();
    let stored = NewConnection {
        id,
        install: install.id,
        connector: install.connector.clone(),
        name: new.name.clone(),
        config: new.config.to_string(),
        at: service.now(),
    };
    let created = service
        .store()
        .create_connection(org, stored)
        .await
        .map_err(|error| match error {
            sluice_store::Error::Conflict { .. } => Error::Taken {
                connector: install.connector.clone(),
                name: new.name,
            },
            other => other.into(),
        })?;
    let change = ConnectionChange {
        settings: Some(settings_text(&settings)),
        ..ConnectionChange::default()
    };
    let kept = service
        .store()
        .update_connection(org, id, created.revision, change, service.now())
        .await?;
    if let (Some(scheme), Some(secret)) = (&auth, new.secret) {
        put_secret(
            service,
            org,
            &known.manifest,
            &view(kept.clone())?,
            scheme,
            secret,
        )
        .await?;
    }
    event::platform(
        service,
        org,
        "sluice.connection.created",
        id,
        || json!({"connector": install.connector, "name": kept.name}),
    )
    .await?;
    view(kept)
}

/// One connection, by its id or its name.
///
/// # Errors
///
/// [`Error::Missing`], or [`Error::Ambiguous`] for a name that connections of several connectors have.
pub async fn get(service: &Service, org: OrgId, which: &str) -> Result<Connection, Error> {
    if let Ok(id) = which.parse::<ConnectionId>() {
        let found = service.store().get_connection(org, id).await?;
        return view(found.ok_or_else(|| Error::Missing(which.to_owned()))?);
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = sluice_store::Page {
            after,
            limit: sluice_store::MAX_LIMIT,
        };
        let part = service.store().list_connections(org, page).await?;
        found.extend(
            part.items
                .into_iter()
                .filter(|connection| connection.name == which),
        );
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    let ids = || found.iter().map(|connection| connection.id.to_string()).collect();
    if found.len() > 1 {
        return Err(Error::Ambiguous {
            name: which.to_owned(),
            ids: ids(),
        });
    }
    view(found.pop().ok_or_else(|| Error::Missing(which.to_owned()))?)
}

/// The connections of an organization, oldest first.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(service: &Service, org: OrgId, page: &Page) -> Result<Listed<Connection>, Error> {
    let after = page.after.as_deref().and_then(|after| after.parse().ok());
    let found = service
        .store()
        .list_connections(
            org,
            sluice_store::Page {
                after,
                limit: page.bounded(),
            },
        )
        .await?;
    let items = found.items.into_iter().map(view).collect::<Result<_, _>>()?;
    Ok(Listed {
        items,
        next: found.next.map(|id| id.to_string()),
    })
}

/// What is known of a connection's credential without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub version: u32,
    pub life: Life,
    /// Since this process started.
    pub last_used: Option<Timestamp>,
}

/// What is known of the credential of the scheme that the connection uses.
///
/// # Errors
///
/// If the database does not answer.
pub async fn credential(service: &Service, org: OrgId, of: &Connection) -> Result<Option<Credential>, Error> {
    let heads = service.store().credential_heads(org, of.id).await?;
    let own = heads
        .into_iter()
        .find(|head| of.auth.as_deref() == Some(head.scheme.as_str()));
    Ok(own.map(|head| Credential {
        version: head.version,
        life: head.life,
        last_used: service.credentials().last_used(of.id),
    }))
}

/// What is known of the vendor's budgets that the connection's requests are counted in, since this process started: its own, and
/// those of the app that serves it.
///
/// # Errors
///
/// If the connection's install can't be read.
pub async fn budgets(
    service: &Service,
    org: OrgId,
    of: Connection,
) -> Result<Vec<sluice_broker::Allowance>, crate::call::Error> {
    let callee = crate::call::Callee::of(service, org, of).await?;
    Ok(service.broker().budgets(org, callee.connection.id, callee.app))
}

/// The auth scheme that a connection uses, as far as its settings can be read.
pub(crate) fn scheme_of(stored: &sluice_store::connection::Connection) -> Option<String> {
    serde_json::from_str::<Settings>(&stored.settings).ok()?.auth
}

/// The channel that a connection follows, as far as its settings can be read.
pub(crate) fn channel_of(stored: &sluice_store::connection::Connection) -> Option<String> {
    serde_json::from_str::<Settings>(&stored.settings).ok()?.channel
}

/// Makes it follow a channel, or none.
pub(crate) async fn set_channel(
    service: &Service,
    org: OrgId,
    of: &Connection,
    channel: Option<String>,
) -> Result<Connection, Error> {
    let settings = Settings {
        channel: channel.clone(),
        ..Settings::of(of)
    };
    let told = event::of_platform(
        service,
        "sluice.connection.follows",
        of.id,
        || json!({"connector": of.connector, "channel": channel}),
    );
    change_settings(service, org, of, (&settings, told)).await
}

/// Sets what becomes of streams that its account did not have before.
pub(crate) async fn set_contract(
    service: &Service,
    org: OrgId,
    of: &Connection,
    contract: Contract,
) -> Result<Connection, Error> {
    let told = event::of_platform(
        service,
        "sluice.connection.contract",
        of.id,
        || json!({"new_streams": contract.new_streams}),
    );
    let settings = Settings {
        contract,
        ..Settings::of(of)
    };
    change_settings(service, org, of, (&settings, told)).await
}

async fn change_settings(
    service: &Service,
    org: OrgId,
    of: &Connection,
    (settings, told): (&Settings, NewEvent),
) -> Result<Connection, Error> {
    let change = ConnectionChange {
        settings: Some(settings_text(settings)),
        event: Some(told),
        ..ConnectionChange::default()
    };
    let kept = service
        .store()
        .update_connection(org, of.id, of.revision, change, service.now())
        .await?;
    view(kept)
}

fn settings_text(settings: &Settings) -> String {
    serde_json::to_string(settings).unwrap_or_default()
}

fn view(stored: sluice_store::connection::Connection) -> Result<Connection, Error> {
    let corrupt = |error: serde_json::Error| {
        Error::Store(sluice_store::Error::Corrupt {
            table: "connections",
            reason: error.to_string(),
        })
    };
    let settings: Settings = match stored.settings.as_str() {
        "" => Settings::default(),
        text => serde_json::from_str(text).map_err(corrupt)?,
    };
    Ok(Connection {
        id: stored.id,
        name: stored.name,
        connector: stored.connector,
        install: stored.install,
        state: stored.state,
        config: serde_json::from_str(&stored.config).map_err(corrupt)?,
        auth: settings.auth,
        account: settings.account,
        channel: settings.channel,
        contract: settings.contract,
        error: stored.reason.map(|reason| Problem {
            code: reason.code,
            message: reason.message,
        }),
        created: stored.created,
        updated: stored.updated,
        revision: stored.revision,
    })
}
