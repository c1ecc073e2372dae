//! Connections: one account at one vendor. Created as a draft with its configuration checked and its secret sealed,
//! active once the connector has told whose account it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_model::Timestamp;
use sluice_model::connection::ConnectionState;
use sluice_model::exchange::Exchange;
use sluice_model::fault::{Fault, FaultKind};
use sluice_model::id::{ConnectionId, InstallId, OrgId};
use sluice_model::manifest::Manifest;
use sluice_model::secret::Secret;
use sluice_store::connection::{ConnectionChange, NewConnection, Reason};
use tokio_util::sync::CancellationToken;

use crate::call::{self, Callee};
use crate::page::{Listed, Page};
use crate::problem::Problem;
use crate::schema::Violation;
use crate::vault::origin_text;
use crate::{Service, catalogue, event, install};

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
    pub secret: Option<Secret>,
}

/// What a test found.
#[derive(Debug, Clone)]
pub struct TestReport {
    pub ok: bool,
    pub account: Option<Account>,
    /// In the order in which they were taken; the first that failed is the last.
    pub steps: Vec<Step>,
    /// What was asked of the vendor.
    pub exchanges: Vec<Exchange>,
}

/// One thing that a test looked at.
#[derive(Debug, Clone)]
pub struct Step {
    /// `configuration`, `credential`, `vendor`, `account`.
    pub name: &'static str,
    pub ok: bool,
    pub took: Duration,
    pub problem: Option<Problem>,
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
    #[error("the secret is empty, too long, or has characters that no header may carry")]
    Secret,
    #[error("the connection is {0:?} and can't become {1:?}")]
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
        "connection.secret",
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
            Self::Secret => "connection.secret",
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
    if let Some(secret) = &new.secret {
        check_secret(secret)?;
    }
    let settings = Settings {
        auth: auth.clone(),
        account: None,
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

/// Asks the vendor who the connection belongs to. A good answer makes it active; a bad one says who has to act. A
/// paused connection stays paused.
///
/// # Errors
///
/// If the connection is gone or the database does not answer: what the test itself finds is in the report.
pub async fn test(service: &Service, org: OrgId, id: ConnectionId) -> Result<TestReport, Error> {
    let mut report = TestReport {
        ok: false,
        account: None,
        steps: Vec::new(),
        exchanges: Vec::new(),
    };
    let started = Instant::now();
    let callee = match Callee::read(service, org, id).await {
        Ok(callee) => callee,
        Err(call::Error::Connection(error)) => return Err(error),
        Err(call::Error::Catalogue(error)) => return Err(error.into()),
        Err(error @ call::Error::Expand(_)) => {
            report.steps.push(Step::failed(
                "configuration",
                started,
                Problem::new(error.code(), error),
            ));
            return Ok(report);
        }
    };
    if let Err(violation) = callee.known.config.check(&callee.connection.config) {
        report.steps.push(Step::failed(
            "configuration",
            started,
            Problem::new("connection.config", violation),
        ));
        return Ok(report);
    }
    report.steps.push(Step::passed("configuration", started));
    if let Some(scheme) = &callee.connection.auth {
        let started = Instant::now();
        if service.store().get_credential(org, id, scheme).await?.is_none() {
            let problem = Problem::new(
                "secret.missing",
                format!("the connection has no secret for `{scheme}`"),
            );
            report.steps.push(Step::failed("credential", started, problem));
            settle(
                service,
                org,
                id,
                None,
                Some((ConnectionState::NeedsReauth, last_problem(&report))),
            )
            .await?;
            return Ok(report);
        }
        report.steps.push(Step::passed("credential", started));
    }
    let started = Instant::now();
    let call = match callee.call(service, CancellationToken::new()).await {
        Ok(call) => call,
        Err(error) => {
            report
                .steps
                .push(Step::failed("vendor", started, Problem::new(error.code(), error)));
            return Ok(report);
        }
    };
    let outcome = service.runtime().check(call).await;
    call::observe(service, "check", &callee, &outcome);
    report.exchanges = outcome.effects.exchanges;
    match outcome.result {
        Ok(Ok(account)) => {
            let account = Account {
                id: account.id,
                name: account.name,
                scopes: account.scopes,
            };
            report.steps.push(Step::passed("account", started));
            report.account = Some(account.clone());
            report.ok = true;
            settle(
                service,
                org,
                id,
                Some(account),
                Some((ConnectionState::Active, None)),
            )
            .await?;
        }
        Ok(Err(fault)) => {
            report.steps.push(Step::failed(
                "account",
                started,
                Problem::new(fault.kind.code(), &fault),
            ));
            if let Some(state) = state_after(&fault) {
                settle(service, org, id, None, Some((state, last_problem(&report)))).await?;
            }
        }
        Err(error) => report.steps.push(Step::failed(
            "account",
            started,
            Problem::new(error.code(), error),
        )),
    }
    Ok(report)
}

/// Keeps background work away until it is resumed.
///
/// # Errors
///
/// [`Error::State`] for a draft.
pub async fn pause(service: &Service, org: OrgId, id: ConnectionId) -> Result<Connection, Error> {
    move_to(service, org, id, ConnectionState::Paused, None).await
}

/// Lets background work go on.
///
/// # Errors
///
/// [`Error::State`] unless it is paused.
pub async fn resume(service: &Service, org: OrgId, id: ConnectionId) -> Result<Connection, Error> {
    let connection = get(service, org, &id.to_string()).await?;
    if connection.state != ConnectionState::Paused {
        return Err(Error::State(connection.state, ConnectionState::Active));
    }
    move_to(service, org, id, ConnectionState::Active, None).await
}

/// Sets the secret anew, bound to the origins of the configuration as it is now. Calls that begin after this use it.
///
/// # Errors
///
/// [`Error::Scheme`], [`Error::Secret`].
pub async fn set_secret(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    scheme: Option<String>,
    secret: Secret,
) -> Result<(), Error> {
    check_secret(&secret)?;
    let connection = get(service, org, &id.to_string()).await?;
    let known = catalogue::known(service, org, connection.install).await?;
    let wanted = scheme.or_else(|| connection.auth.clone());
    let offered = choose_scheme(&known.manifest, wanted)?;
    let Some(scheme) = offered else {
        return Err(Error::Scheme {
            wanted: "(any)".to_owned(),
            offered: "none".to_owned(),
        });
    };
    put_secret(service, org, &known.manifest, &connection, &scheme, secret).await?;
    event::platform(
        service,
        org,
        "sluice.connection.secret_set",
        id,
        || json!({"scheme": scheme}),
    )
    .await?;
    Ok(())
}

/// Removes the connection and what belongs to it: records, cursors, credentials, storage, hooks, receipts.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn remove(service: &Service, org: OrgId, id: ConnectionId) -> Result<(), Error> {
    let connection = get(service, org, &id.to_string()).await?;
    service.store().remove_connection(org, id, service.now()).await?;
    service.credentials().forget(id);
    service.known_hooks().forget(id);
    event::platform(
        service,
        org,
        "sluice.connection.removed",
        id,
        || json!({"connector": connection.connector, "name": connection.name}),
    )
    .await?;
    Ok(())
}

/// What a fault says about the connection as a whole.
pub(crate) fn state_after(fault: &Fault) -> Option<ConnectionState> {
    match fault.kind {
        FaultKind::Auth => Some(ConnectionState::NeedsReauth),
        FaultKind::Config => Some(ConnectionState::Misconfigured),
        _ => None,
    }
}

/// Moves a connection whose fault somebody has to mend, and tells it once.
pub(crate) async fn degrade(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    fault: &Fault,
) -> Result<(), Error> {
    let Some(state) = state_after(fault) else {
        return Ok(());
    };
    let problem = Problem::new(fault.kind.code(), fault);
    settle(service, org, id, None, Some((state, Some(problem)))).await
}

async fn move_to(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    state: ConnectionState,
    problem: Option<Problem>,
) -> Result<Connection, Error> {
    settle(service, org, id, None, Some((state, problem))).await?;
    get(service, org, &id.to_string()).await
}

type NewState = (ConnectionState, Option<Problem>);

/// Writes the account and the state together; who changed the connection meanwhile is not overwritten but built upon.
async fn settle(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    account: Option<Account>,
    new_state: Option<NewState>,
) -> Result<(), Error> {
    for _ in 0..MAX_UPDATES {
        let Some(stored) = service.store().get_connection(org, id).await? else {
            return Err(Error::Missing(id.to_string()));
        };
        let (revision, was) = (stored.revision, stored.state);
        let mut change = ConnectionChange::default();
        if let Some(account) = &account {
            let mut settings: Settings = serde_json::from_str(&stored.settings).unwrap_or_default();
            settings.account = Some(account.clone());
            change.settings = Some(settings_text(&settings));
        }
        let mut told = None;
        if let Some((state, problem)) = &new_state {
            let paused_by_a_person = was == ConnectionState::Paused && account.is_some();
            if !paused_by_a_person {
                if !was.may_become(*state) {
                    return Err(Error::State(was, *state));
                }
                let reason = problem
                    .clone()
                    .map(|Problem { code, message }| Reason { code, message });
                change.state = Some((*state, reason));
                told = (was != *state).then_some((*state, problem));
            }
        }
        match service
            .store()
            .update_connection(org, id, revision, change, service.now())
            .await
        {
            Err(sluice_store::Error::Revision { .. }) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        if let Some((state, problem)) = told {
            event::platform(service, org, "sluice.connection.state", id, || {
                json!({"from": was, "to": state, "code": problem.as_ref().map(|problem| &problem.code),
                       "message": problem.as_ref().map(|problem| &problem.message)})
            })
            .await?;
        }
        return Ok(());
    }
    Err(Error::Store(sluice_store::Error::Revision {
        what: "connection",
        expected: 0,
        found: 0,
    }))
}

/// How often an update starts again because somebody was faster.
const MAX_UPDATES: usize = 16;

async fn put_secret(
    service: &Service,
    org: OrgId,
    manifest: &Arc<Manifest>,
    connection: &Connection,
    scheme: &str,
    secret: Secret,
) -> Result<(), Error> {
    let Some(declared) = manifest.auth(scheme) else {
        return Err(Error::Scheme {
            wanted: scheme.to_owned(),
            offered: offered(manifest),
        });
    };
    let mut origins = Vec::with_capacity(declared.origins.len());
    for origin in &declared.origins {
        let origin = origin.expand(&connection.config).map_err(|error| {
            Error::Config(Violation {
                pointer: String::new(),
                reason: error.to_string(),
            })
        })?;
        origins.push(origin_text(&origin));
    }
    service
        .store()
        .put_credential(org, connection.id, scheme, secret, origins)
        .await?;
    service.credentials().forget(connection.id);
    Ok(())
}

fn choose_scheme(manifest: &Manifest, wanted: Option<String>) -> Result<Option<String>, Error> {
    match wanted {
        None => Ok(manifest.auth.first().map(|scheme| scheme.name.clone())),
        Some(wanted) if manifest.auth(&wanted).is_some() => Ok(Some(wanted)),
        Some(wanted) => Err(Error::Scheme {
            wanted,
            offered: offered(manifest),
        }),
    }
}

fn offered(manifest: &Manifest) -> String {
    let names: Vec<_> = manifest
        .auth
        .iter()
        .map(|scheme| format!("`{}`", scheme.name))
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn check_secret(secret: &Secret) -> Result<(), Error> {
    let bytes = secret.expose();
    let fits = (1..=MAX_SECRET_BYTES).contains(&bytes.len())
        && !bytes.iter().any(|byte| *byte < 0x20 || *byte == 0x7f);
    if fits { Ok(()) } else { Err(Error::Secret) }
}

/// Tokens are short; the longest in use are JWTs of a few KiB.
const MAX_SECRET_BYTES: usize = 16 * 1024;

fn settings_text(settings: &Settings) -> String {
    serde_json::to_string(settings).unwrap_or_default()
}

fn last_problem(report: &TestReport) -> Option<Problem> {
    report.steps.last().and_then(|step| step.problem.clone())
}

impl Step {
    fn passed(name: &'static str, since: Instant) -> Self {
        Self {
            name,
            ok: true,
            took: since.elapsed(),
            problem: None,
        }
    }

    fn failed(name: &'static str, since: Instant, problem: Problem) -> Self {
        Self {
            name,
            ok: false,
            took: since.elapsed(),
            problem: Some(problem),
        }
    }
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
        error: stored.reason.map(|reason| Problem {
            code: reason.code,
            message: reason.message,
        }),
        created: stored.created,
        updated: stored.updated,
        revision: stored.revision,
    })
}
