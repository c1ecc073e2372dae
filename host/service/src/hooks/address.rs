//! The addresses that were asked for, each read once and kept until it or its connection changes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, HookId, OrgId};
use sluice_model::secret::Secret;
use sluice_store::hook::{Hook, HookState};
use sluice_store::rotation::OlderSecret;

use super::{Error, SECRET_FIELD};
use crate::catalogue::Known as KnownInstall;
use crate::{Service, catalogue, connection, install};

/// What [`receive`](super::receive) needs to know of a hook.
pub(crate) struct Address {
    pub(super) org: OrgId,
    pub(super) hook: HookId,
    /// Whose it is; none: an app's, and what comes in says whose it is.
    pub(super) connection: Option<ConnectionId>,
    /// Which of the manifest's webhooks it is.
    pub(super) webhook: usize,
    pub(super) known: Arc<KnownInstall>,
    /// Those that are valid, the newest first.
    pub(super) secrets: Vec<Secret>,
    /// When the first of them is no longer.
    until: Option<Timestamp>,
}

/// Hooks that were asked for since the start.
#[derive(Default)]
pub(crate) struct Known {
    addresses: Mutex<Addresses>,
}

#[derive(Default)]
struct Addresses {
    read: HashMap<HookId, Arc<Address>>,
    /// How often something was forgotten: what was read before is not kept after it.
    forgotten: u64,
}

/// More are not kept at once: what is idle can be read again.
const MAX_KNOWN: usize = 10_000;

impl Known {
    /// The address, or what to keep it with once it was read.
    fn get(&self, hook: HookId) -> Result<Arc<Address>, u64> {
        let addresses = self.lock();
        addresses.read.get(&hook).cloned().ok_or(addresses.forgotten)
    }

    fn put(&self, address: Arc<Address>, forgotten: u64) {
        let mut addresses = self.lock();
        if addresses.forgotten != forgotten {
            return;
        }
        if addresses.read.len() >= MAX_KNOWN {
            addresses.read.clear();
        }
        addresses.read.insert(address.hook, address);
    }

    /// What was read of the hook is not used any more; gives what to keep it with once it is read again.
    pub(crate) fn forget_hook(&self, hook: HookId) -> u64 {
        let mut addresses = self.lock();
        addresses.forgotten += 1;
        addresses.read.remove(&hook);
        addresses.forgotten
    }

    pub(crate) fn forget(&self, connection: ConnectionId) {
        self.keep(|address| address.connection != Some(connection));
    }

    /// Addresses of apps use the newest install of their connector.
    pub(crate) fn forget_apps(&self) {
        self.keep(|address| address.connection.is_some());
    }

    fn keep(&self, kept: impl Fn(&Address) -> bool) {
        let mut addresses = self.lock();
        addresses.forgotten += 1;
        addresses.read.retain(|_, address| kept(address));
    }

    fn lock(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("hook", &self.hook)
            .finish_non_exhaustive()
    }
}

/// The address that a hook's id names, whoever it belongs to: the id is what the sender knows.
pub(super) async fn address(service: &Service, id: HookId) -> Result<Option<Arc<Address>>, Error> {
    let is_valid = |address: &Address| address.until.is_none_or(|until| service.now() < until);
    let forgotten = match service.known_hooks().get(id) {
        Ok(address) if is_valid(&address) => return Ok(Some(address)),
        Ok(_) => service.known_hooks().forget_hook(id),
        Err(forgotten) => forgotten,
    };
    let found = match service.store().get_hook_public(id).await? {
        Some((org, hook)) => of_connection(service, org, hook).await?,
        None => of_app(service, id).await?,
    };
    if let Some(address) = &found {
        service.known_hooks().put(Arc::clone(address), forgotten);
    }
    Ok(found)
}

async fn of_connection(service: &Service, org: OrgId, hook: Hook) -> Result<Option<Arc<Address>>, Error> {
    if hook.state != HookState::Active || hook.app.is_some() {
        return Ok(None);
    }
    let connection = match connection::get(service, org, &hook.connection.to_string()).await {
        // It is being removed.
        Err(connection::Error::Missing(_)) => return Ok(None),
        other => other?,
    };
    let known = catalogue::known(service, org, connection.install).await?;
    read(
        service,
        (org, hook.id),
        Some(hook.connection),
        (&hook.webhook, hook.older_secrets),
        known,
    )
    .await
}

/// The address of an app, by the newest install of its connector.
async fn of_app(service: &Service, id: HookId) -> Result<Option<Arc<Address>>, Error> {
    let Some((org, hook)) = service.store().get_app_hook_public(id).await? else {
        return Ok(None);
    };
    if hook.state != HookState::Active {
        return Ok(None);
    }
    let Some(install) = install::newest_id(service, org, &hook.connector).await? else {
        return Ok(None);
    };
    let known = catalogue::known(service, org, install).await?;
    read(
        service,
        (org, id),
        None,
        (&hook.webhook, hook.older_secrets),
        known,
    )
    .await
}

async fn read(
    service: &Service,
    (org, hook): (OrgId, HookId),
    connection: Option<ConnectionId>,
    (webhook, older): (&str, Vec<OlderSecret>),
    known: Arc<KnownInstall>,
) -> Result<Option<Arc<Address>>, Error> {
    let declared = &known.manifest.webhooks;
    let Some(webhook) = declared.iter().position(|declared| declared.name == webhook) else {
        return Ok(None);
    };
    let (store, owner, now) = (service.store(), hook.to_string(), service.now());
    let (over, older): (Vec<_>, Vec<_>) = older.into_iter().partition(|old| old.until <= now);
    if !over.is_empty() {
        store.drop_older_secrets(org, hook, now).await?;
    }
    let mut secrets = Vec::with_capacity(1 + older.len());
    secrets.extend(store.get_secret(org, &owner, SECRET_FIELD).await?);
    for old in older.iter().rev() {
        secrets.extend(store.get_secret(org, &owner, &old.field).await?);
    }
    Ok(Some(Arc::new(Address {
        org,
        hook,
        connection,
        webhook,
        known,
        secrets,
        until: older.iter().map(|old| old.until).min(),
    })))
}
