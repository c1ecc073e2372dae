//! Puts a guest call together: whose it is, what it may do, what it sees; and turns its effects into what the store
//! commits.

use std::sync::Arc;
use std::time::Duration;

use sluice_broker::{Budget, Caller, Credential, RateHint, RateScope, Trace, VendorApp};
use sluice_model::grant::Rights;
use sluice_model::id::{ConnectionId, InstallId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::manifest::Manifest;
use sluice_runtime::{Call, CallError, ConnectionView, Effects, Outcome, Snapshot};
use sluice_store::storage::{StorageView, StorageWrite, StorageWrites};
use sluice_store::trace::LogLine;
use tokio_util::sync::CancellationToken;

use crate::catalogue::streams::Streams;
use crate::catalogue::{self, Known};
use crate::connection::Connection;
use crate::file::{self, ConnectionShelf};
use crate::vault::ConnectionVault;
use crate::{Service, auth, connection};

/// A connection with everything that calls for it need, read once and used for many calls.
pub(crate) struct Callee {
    pub(crate) org: OrgId,
    pub(crate) connection: Connection,
    pub(crate) known: Arc<Known>,
    pub(crate) streams: Streams,
    rights: Arc<Rights>,
    limits: Limits,
    config: String,
    /// The manifest's hints, about the hosts that this connection's configuration names.
    rates: Vec<RateHint>,
    pub(crate) app: Option<Arc<VendorApp>>,
}

/// Why no call could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    #[error("its configuration does not fill the grant's patterns: {0}")]
    Expand(String),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &["connection.config"];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connection(error) => error.code(),
            Self::Catalogue(error) => error.code(),
            Self::Expand(_) => "connection.config",
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Connection(error) => error.hint(),
            Self::Catalogue(_) => None,
            Self::Expand(_) => Some("correct the connection's configuration".to_owned()),
        }
    }
}

impl Callee {
    /// Reads the connection and its install as they are now.
    pub(crate) async fn read(service: &Service, org: OrgId, id: ConnectionId) -> Result<Self, Error> {
        let connection = connection::get(service, org, &id.to_string()).await?;
        Self::of(service, org, connection).await
    }

    /// The connection as it is now, with another install of its connector.
    pub(crate) async fn by(
        service: &Service,
        org: OrgId,
        id: ConnectionId,
        install: InstallId,
    ) -> Result<Self, Error> {
        let mut connection = connection::get(service, org, &id.to_string()).await?;
        connection.install = install;
        Self::of(service, org, connection).await
    }

    pub(crate) async fn of(service: &Service, org: OrgId, connection: Connection) -> Result<Self, Error> {
        let known = catalogue::known(service, org, connection.install).await?;
        let streams = Streams::of(service, org, connection.id, &known).await;
        let streams = streams.map_err(catalogue::Error::Store)?;
        let rights = known
            .rights
            .expand(&connection.config)
            .map_err(|error| Error::Expand(error.to_string()))?;
        let limits = rights.limits().clone();
        let config = connection.config.to_string();
        let rates = hints(&known.manifest, &connection.config);
        let app = match connection
            .auth
            .as_deref()
            .and_then(|name| known.manifest.auth(name))
        {
            // Nothing asks whose budget it is where every budget is the connection's.
            Some(scheme) if rates.iter().any(|hint| hint.scope == RateScope::App) => {
                auth::app::of_vendor(service, org, &known.manifest.id, scheme).await
            }
            _ => None,
        };
        Ok(Self {
            org,
            connection,
            known,
            streams,
            rights: Arc::new(rights),
            limits,
            config,
            rates,
            app: app.map(Arc::new),
        })
    }

    /// The longest that one call may take.
    pub(crate) fn call_time(&self) -> Duration {
        self.limits.call_time
    }

    /// One call. Its exchanges are collected in a trace of its own.
    pub(crate) async fn call(&self, service: &Service, cancel: CancellationToken) -> Result<Call, Error> {
        self.prepare(service, cancel, None, true).await
    }

    /// One call that sets a hook up at the vendor or ends it, with the hook's secret to be sent.
    pub(crate) async fn call_about_hook(
        &self,
        service: &Service,
        secret: Option<Arc<Credential>>,
    ) -> Result<Call, Error> {
        let mut vault = self.vault(service, None, true);
        vault.hook = secret;
        self.with_vault(service, CancellationToken::new(), vault).await
    }

    /// One call of a flow's own code, which comes by the credential that others wait for.
    pub(crate) async fn call_in_flow(&self, service: &Service) -> Result<Call, Error> {
        self.prepare(service, CancellationToken::new(), None, false).await
    }

    /// One call with this credential as the connection's own, before it is kept.
    pub(crate) async fn call_with(
        &self,
        service: &Service,
        cancel: CancellationToken,
        trial: Option<Arc<Credential>>,
    ) -> Result<Call, Error> {
        self.prepare(service, cancel, trial, true).await
    }

    async fn prepare(
        &self,
        service: &Service,
        cancel: CancellationToken,
        trial: Option<Arc<Credential>>,
        renews: bool,
    ) -> Result<Call, Error> {
        self.with_vault(service, cancel, self.vault(service, trial, renews))
            .await
    }

    async fn with_vault(
        &self,
        service: &Service,
        cancel: CancellationToken,
        vault: ConnectionVault,
    ) -> Result<Call, Error> {
        let connector = self.known.code(service, self.org).await?;
        let caller = Caller {
            org: self.org,
            connection: Some(self.connection.id),
            connector: self.known.manifest.id.clone(),
            rights: Arc::clone(&self.rights),
            vault: Arc::new(vault),
            trace: Trace::default(),
            budget: Budget::new(&self.limits),
            rates: self.rates.clone(),
            app: self.app.clone(),
        };
        Ok(Call {
            connector,
            connection: ConnectionView {
                id: self.connection.id.to_string(),
                config: self.config.clone(),
                account: self.connection.account.as_ref().map(|account| account.id.clone()),
            },
            caller,
            storage: Arc::new(View(
                service.store().storage_snapshot(self.org, self.connection.id),
            )),
            files: Arc::new(ConnectionShelf {
                service: service.clone(),
                org: self.org,
                connection: self.connection.id,
            }),
            limits: self.limits.clone(),
            cancel,
        })
    }

    /// The connection's credentials, with this one as its own where there is one on trial.
    pub(crate) fn vault(
        &self,
        service: &Service,
        trial: Option<Arc<Credential>>,
        renews: bool,
    ) -> ConnectionVault {
        ConnectionVault {
            service: service.clone(),
            org: self.org,
            connection: self.connection.id,
            own: self.connection.auth.clone(),
            manifest: Arc::clone(&self.known.manifest),
            trial,
            renews,
            hook: None,
        }
    }

    /// What the store commits of a call's staged writes.
    pub(crate) fn writes(&self, service: &Service, effects: &mut Effects) -> StorageWrites {
        let writes = std::mem::take(&mut effects.storage);
        let writes = writes
            .into_iter()
            .map(|write| StorageWrite {
                key: write.key,
                value: write.value,
                expect: write.expect,
            })
            .collect();
        StorageWrites {
            writes,
            quota: self.rights.storage_bytes(),
            files: file::writes(service, std::mem::take(&mut effects.files)),
            files_quota: self.rights.files_bytes(),
        }
    }
}

/// The hints, with the hosts that the configuration names. One whose host it does not name is about none.
fn hints(manifest: &Manifest, config: &serde_json::Value) -> Vec<RateHint> {
    let expanded = manifest.rate.iter().filter_map(|hint| {
        let (host, _) = hint.host.expand(config).ok()?;
        Some(RateHint { host, ..hint.clone() })
    });
    expanded.collect()
}

/// Counts a call and logs how it ended if it ended badly.
pub(crate) fn observe<T>(service: &Service, what: &'static str, callee: &Callee, outcome: &Outcome<T>) {
    service.metrics().guest_calls.add(1);
    callee.known.tally(service, callee.org, &outcome.effects);
    let Err(error) = &outcome.result else { return };
    if !matches!(error, CallError::Saturated | CallError::Cancelled) {
        service.metrics().guest_traps.add(1);
    }
    let connector = &callee.known.manifest.id;
    tracing::warn!(connector, connection = %callee.connection.id, what, code = error.code(), %error, "a call failed");
}

/// The log lines of a call, as the store keeps them.
pub(crate) fn logs(service: &Service, effects: &mut Effects) -> Vec<LogLine> {
    let at = service.now();
    let lines = std::mem::take(&mut effects.logs);
    lines
        .into_iter()
        .map(|line| LogLine {
            at,
            level: format!("{:?}", line.level).to_lowercase(),
            message: line.message,
            fields: std::iter::once(("source".to_owned(), format!("{:?}", line.source).to_lowercase()))
                .chain(line.fields.map(|fields| ("fields".to_owned(), fields)))
                .collect(),
        })
        .collect()
}

/// The store's view of a connection's storage, as the runtime asks for it. A read that fails poisons the store, which
/// stops the process; until then the guest sees nothing.
struct View(StorageView);

impl Snapshot for View {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u64)> {
        self.0.get(key).unwrap_or_else(|error| {
            tracing::error!(code = error.code(), %error, "connector storage can't be read");
            None
        })
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.0.keys(prefix, after, limit).unwrap_or_else(|error| {
            tracing::error!(code = error.code(), %error, "connector storage can't be listed");
            Vec::new()
        })
    }

    fn used_bytes(&self) -> u64 {
        // Unknown use counts as full, so that the quota holds.
        self.0.used_bytes().unwrap_or(u64::MAX)
    }
}
