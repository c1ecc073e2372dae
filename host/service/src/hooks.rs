//! Hooks: inbound webhook addresses. What comes in is verified by the manifest's recipe over the exact bytes, kept once
//! per delivery, acknowledged after the commit, and handled in the background.

mod handle;
mod receive;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, HookId, OrgId, ReceiptId};
use sluice_model::receipt::ReceiptState;
use sluice_model::secret::Secret;
use sluice_model::signature::{Request as Sent, SecretUse};
use sluice_store::hook::HookState;
use sluice_store::receipt::{LeasedReceipt, Request};

pub use handle::CODES as HANDLE_CODES;
pub(crate) use handle::{drive, sift};
pub use receive::{Accepted, Incoming, Refused, receive};

use crate::catalogue::Known as KnownInstall;
use crate::page::{Listed, Page};
use crate::problem::Problem;
use crate::{Service, catalogue, connection, event};

/// An inbound webhook address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub id: HookId,
    pub connection: ConnectionId,
    /// The manifest's name of the webhook.
    pub webhook: String,
    /// Where the vendor is to send: a path of this server.
    pub path: String,
    pub created: Timestamp,
}

/// One webhook received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub id: ReceiptId,
    pub hook: HookId,
    pub connection: ConnectionId,
    pub state: ReceiptState,
    pub received: Timestamp,
    pub handled: Option<Timestamp>,
    /// The vendor's delivery id, or what stands for it.
    pub dedupe_key: String,
    pub body_bytes: u64,
    /// Tries that failed.
    pub failures: u32,
    /// When the next try is due.
    pub next_attempt: Option<Timestamp>,
    /// How often a person had it handled again.
    pub replays: u32,
    pub error: Option<Problem>,
}

/// Why something can't be done with a hook or a receipt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no hook `{0}`")]
    Missing(String),
    #[error("there is no receipt {0}")]
    NoReceipt(ReceiptId),
    #[error("the connector has no webhook `{wanted}`; it has {offered}")]
    Webhook { wanted: String, offered: String },
    #[error("the secret has to be 8 to 4096 characters")]
    Secret,
    #[error("the secret is the vendor's and has to be entered: its public key, an id, or an id and a key")]
    Entered,
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "hook.not_found",
        "receipt.not_found",
        "hook.webhook",
        "hook.secret",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "hook.not_found",
            Self::NoReceipt(_) => "receipt.not_found",
            Self::Webhook { .. } => "hook.webhook",
            Self::Secret | Self::Entered => "hook.secret",
            Self::Connection(error) => error.code(),
            Self::Catalogue(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Connection(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Missing(_)
            | Self::NoReceipt(_)
            | Self::Webhook { .. }
            | Self::Secret
            | Self::Entered
            | Self::Catalogue(_) => None,
        }
    }
}

/// What [`receive`] needs to know of a hook, read once and kept until the hook or its connection goes.
pub(crate) struct Address {
    org: OrgId,
    hook: HookId,
    connection: ConnectionId,
    /// Which of the manifest's webhooks it is.
    webhook: usize,
    known: Arc<KnownInstall>,
    secrets: Vec<Secret>,
}

/// Hooks that were asked for since the start.
#[derive(Default)]
pub(crate) struct Known {
    addresses: Mutex<HashMap<HookId, Arc<Address>>>,
}

/// More are not kept at once: what is idle can be read again.
const MAX_KNOWN: usize = 10_000;

/// The field under which a hook's secret is kept.
const SECRET_FIELD: &str = "hook-secret";

impl Known {
    fn get(&self, hook: HookId) -> Option<Arc<Address>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hook)
            .cloned()
    }

    fn put(&self, address: Arc<Address>) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= MAX_KNOWN {
            addresses.clear();
        }
        addresses.insert(address.hook, address);
    }

    fn forget_hook(&self, hook: HookId) {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&hook);
    }

    pub(crate) fn forget(&self, connection: ConnectionId) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.retain(|_, address| address.connection != connection);
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("hook", &self.hook)
            .finish_non_exhaustive()
    }
}

/// Makes an address for a webhook of the connection's connector; the first one if none is named. Without a secret one is
/// made and answered: it is shown this once, to be entered at the vendor.
///
/// # Errors
///
/// [`Error::Webhook`], [`Error::Secret`], [`Error::Entered`].
pub async fn create(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    webhook: Option<&str>,
    secret: Option<Secret>,
) -> Result<(Hook, Option<Secret>), Error> {
    let connection = connection::get(service, org, &id.to_string()).await?;
    let known = catalogue::known(service, org, connection.install).await?;
    let declared = &known.manifest.webhooks;
    let chosen = match webhook {
        Some(name) => known.manifest.webhook(name),
        None => declared.first(),
    };
    let Some(chosen) = chosen else {
        let offered: Vec<_> = declared.iter().map(|webhook| webhook.name.as_str()).collect();
        let offered = if offered.is_empty() {
            "none".to_owned()
        } else {
            offered.join(", ")
        };
        return Err(Error::Webhook {
            wanted: webhook.unwrap_or("(any)").to_owned(),
            offered,
        });
    };
    let made = match &secret {
        Some(secret) if !(8..=4096).contains(&secret.expose().len()) => return Err(Error::Secret),
        Some(_) => None,
        None if chosen.learns_secret() => None,
        None if chosen.recipe.secret_use() == SecretUse::Entered => return Err(Error::Entered),
        None if chosen.recipe.secret_use() == SecretUse::Made => Some(Secret::new(
            data_encoding::HEXLOWER
                .encode(&service.random::<32>())
                .into_bytes(),
        )),
        None => None,
    };
    let hook = sluice_store::hook::Hook {
        id: service.new_id(),
        connection: id,
        webhook: chosen.name.clone(),
        state: HookState::Active,
        created: service.now(),
    };
    service.store().create_hook(org, hook.clone()).await?;
    if let Some(secret) = secret.or_else(|| made.clone()) {
        service
            .store()
            .put_secret(org, &hook.id.to_string(), SECRET_FIELD, secret, service.now())
            .await?;
    }
    event::platform(
        service,
        org,
        "sluice.hook.created",
        hook.id,
        || json!({"connection": id, "webhook": hook.webhook}),
    )
    .await?;
    Ok((view(hook), made))
}

/// The hooks of an organization, or of one connection.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(
    service: &Service,
    org: OrgId,
    connection: Option<ConnectionId>,
) -> Result<Vec<Hook>, Error> {
    Ok(service
        .store()
        .list_hooks(org, connection)
        .await?
        .into_iter()
        .map(view)
        .collect())
}

/// One hook.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, id: HookId) -> Result<Hook, Error> {
    let hook = service.store().get_hook(org, id).await?;
    hook.map(view).ok_or_else(|| Error::Missing(id.to_string()))
}

/// Removes a hook and its secret. Its receipts stay.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn remove(service: &Service, org: OrgId, id: HookId) -> Result<(), Error> {
    service
        .store()
        .remove_hook(org, id)
        .await
        .map_err(|error| missing(error, &id))?;
    service.known_hooks().forget_hook(id);
    event::platform(service, org, "sluice.hook.removed", id, || json!({})).await?;
    Ok(())
}

/// The headers that the vendor would send with this body, signed with the hook's own secret: for trying a hook by hand.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn sign(
    service: &Service,
    org: OrgId,
    id: HookId,
    body: &[u8],
) -> Result<Vec<(String, String)>, Error> {
    let address = address(service, id).await?.filter(|address| address.org == org);
    let address = address.ok_or_else(|| Error::Missing(id.to_string()))?;
    let Some(webhook) = address.known.manifest.webhooks.get(address.webhook) else {
        return Ok(Vec::new());
    };
    let Some(secret) = address.secrets.first() else {
        return Ok(Vec::new());
    };
    let request = Sent {
        method: "POST",
        url: "",
        headers: &[],
        body,
    };
    Ok(webhook.recipe.sign(&request, secret, service.now()))
}

/// A hook's receipts, newest first.
///
/// # Errors
///
/// If the database does not answer.
pub async fn receipts(
    service: &Service,
    org: OrgId,
    hook: HookId,
    page: &Page,
) -> Result<Listed<Receipt>, Error> {
    let after = page.after.as_deref().and_then(|after| after.parse().ok());
    let wanted = sluice_store::Page {
        after,
        limit: page.bounded(),
    };
    let found = service.store().list_receipts(org, hook, wanted).await?;
    let items = found.items.into_iter().map(view_receipt).collect();
    Ok(Listed {
        items,
        next: found.next.map(|id| id.to_string()),
    })
}

/// One receipt and the request that it was.
///
/// # Errors
///
/// [`Error::NoReceipt`].
pub async fn receipt(service: &Service, org: OrgId, id: ReceiptId) -> Result<(Receipt, Request), Error> {
    let receipt = service
        .store()
        .get_receipt(org, id)
        .await?
        .ok_or(Error::NoReceipt(id))?;
    let request = service
        .store()
        .get_receipt_request(org, id)
        .await?
        .ok_or(Error::NoReceipt(id))?;
    Ok((view_receipt(receipt), request))
}

/// Has a receipt handled again, whatever became of it.
///
/// # Errors
///
/// [`Error::NoReceipt`]; `store.state` while it is being handled.
pub async fn replay(service: &Service, org: OrgId, id: ReceiptId) -> Result<Receipt, Error> {
    let replayed = service.store().replay_receipt(org, id, service.now()).await;
    let replayed = replayed.map_err(|error| match error {
        sluice_store::Error::Missing { .. } => Error::NoReceipt(id),
        other => other.into(),
    })?;
    Ok(view_receipt(replayed))
}

/// The address that a hook's id names, whoever it belongs to: the id is what the sender knows.
async fn address(service: &Service, id: HookId) -> Result<Option<Arc<Address>>, Error> {
    if let Some(address) = service.known_hooks().get(id) {
        return Ok(Some(address));
    }
    let Some((org, hook)) = service.store().get_hook_public(id).await? else {
        return Ok(None);
    };
    if hook.state != HookState::Active {
        return Ok(None);
    }
    let connection = connection::get(service, org, &hook.connection.to_string()).await?;
    let known = catalogue::known(service, org, connection.install).await?;
    let webhook = known
        .manifest
        .webhooks
        .iter()
        .position(|webhook| webhook.name == hook.webhook);
    let Some(webhook) = webhook else { return Ok(None) };
    let secret = service
        .store()
        .get_secret(org, &id.to_string(), SECRET_FIELD)
        .await?;
    let address = Address {
        org,
        hook: id,
        connection: hook.connection,
        webhook,
        known,
        secrets: secret.into_iter().collect(),
    };
    let address = Arc::new(address);
    service.known_hooks().put(Arc::clone(&address));
    Ok(Some(address))
}

fn missing(error: sluice_store::Error, id: &HookId) -> Error {
    match error {
        sluice_store::Error::Missing { .. } => Error::Missing(id.to_string()),
        other => other.into(),
    }
}

fn view(hook: sluice_store::hook::Hook) -> Hook {
    Hook {
        id: hook.id,
        connection: hook.connection,
        path: format!("/hooks/{}", hook.id),
        webhook: hook.webhook,
        created: hook.created,
    }
}

fn view_receipt(receipt: sluice_store::receipt::Receipt) -> Receipt {
    Receipt {
        id: receipt.id,
        hook: receipt.hook,
        connection: receipt.connection,
        state: receipt.state,
        received: receipt.received,
        handled: receipt.handled,
        dedupe_key: receipt.dedupe_key,
        body_bytes: receipt.body_bytes,
        failures: receipt.failures,
        next_attempt: receipt.due.filter(|_| receipt.state == ReceiptState::RetryAt),
        replays: receipt.replays,
        error: receipt.error.map(|error| Problem {
            code: error.code,
            message: error.message,
        }),
    }
}
