//! Hooks: inbound webhook addresses. What comes in is verified by the manifest's recipe over the exact bytes, kept once
//! per delivery, acknowledged after the commit, and handled in the background.

mod address;
mod chores;
mod coding;
mod fetch;
mod flood;
mod handle;
mod material;
mod receive;
mod reply;
mod route;

use serde_json::json;
use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, HookId, OrgId, ReceiptId};
use sluice_model::manifest::{Manifest, Webhook};
use sluice_model::receipt::ReceiptState;
use sluice_model::secret::Secret;
use sluice_model::signature::{Recipe, Request as Sent, SecretUse, verify_token};
use sluice_store::app_hook::AppHook;
use sluice_store::chore::Chores;
use sluice_store::hook::HookState;
use sluice_store::receipt::{LeasedReceipt, Request};

pub(crate) use address::Known;
use address::address;
pub use chores::CODES as CHORE_CODES;
pub(crate) use chores::drive as drive_chores;
pub(crate) use flood::Flood;
pub use handle::CODES as HANDLE_CODES;
pub(crate) use handle::{drive, sift};
pub(crate) use material::Material;
pub use receive::{Accepted, Incoming, Refused, Taken, knock, receive};
pub(crate) use reply::Replies;

use crate::page::{Listed, Page};
use crate::problem::Problem;
use crate::{Service, catalogue, connection, event, install};

/// An inbound webhook address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub id: HookId,
    /// Whose it is; none: an app's, for all of its accounts.
    pub connection: Option<ConnectionId>,
    /// The connector of an app's hook.
    pub connector: Option<String>,
    /// The app's hook by whose address its deliveries come.
    pub app: Option<HookId>,
    /// The manifest's name of the webhook.
    pub webhook: String,
    /// Where the vendor is to send: a path of this server.
    pub path: String,
    pub created: Timestamp,
    /// What is entered at a vendor that sends it along with its question; only of a hook that was asked for by itself.
    pub verify_token: Option<String>,
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
    #[error("webhook `{0}` does not say in its manifest where a delivery names its account")]
    NoAccount(String),
    #[error("there is no connector `{0}`")]
    Connector(String),
    #[error("the secret has to be 8 to 4096 characters, an id of the vendor's 1 to 4096")]
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
        "hook.no_account",
        "hook.connector",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "hook.not_found",
            Self::NoReceipt(_) => "receipt.not_found",
            Self::Webhook { .. } => "hook.webhook",
            Self::Secret | Self::Entered => "hook.secret",
            Self::NoAccount(_) => "hook.no_account",
            Self::Connector(_) => "hook.connector",
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
            | Self::NoAccount(_)
            | Self::Connector(_)
            | Self::Secret
            | Self::Entered
            | Self::Catalogue(_) => None,
        }
    }
}

/// The field under which a hook's secret is kept.
pub(crate) const SECRET_FIELD: &str = "hook-secret";

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
    let chosen = chosen(&known.manifest, webhook)?;
    let (kept, made) = secret_for(service, chosen, secret)?;
    let hook = sluice_store::hook::Hook {
        id: service.new_id(),
        connection: id,
        webhook: chosen.name.clone(),
        state: HookState::Active,
        created: service.now(),
        app: None,
        chores: Chores::default(),
    };
    service.store().create_hook(org, hook.clone()).await?;
    let told = json!({"connection": id, "webhook": hook.webhook});
    finish(service, org, view(hook), told, kept)
        .await
        .map(|hook| (hook, made))
}

/// Makes an address for a webhook of all accounts that connections of this connector have: a vendor's app has one address
/// for all of them.
///
/// # Errors
///
/// As [`create`]; [`Error::Connector`], [`Error::NoAccount`].
pub async fn create_for_app(
    service: &Service,
    org: OrgId,
    connector: &str,
    webhook: Option<&str>,
    secret: Option<Secret>,
) -> Result<(Hook, Option<Secret>), Error> {
    let newest = install::newest_id(service, org, connector).await?;
    let newest = newest.ok_or_else(|| Error::Connector(connector.to_owned()))?;
    let known = catalogue::known(service, org, newest).await?;
    let chosen = chosen(&known.manifest, webhook)?;
    if chosen.account.is_none() {
        return Err(Error::NoAccount(chosen.name.clone()));
    }
    let (kept, made) = secret_for(service, chosen, secret)?;
    let hook = AppHook {
        id: service.new_id(),
        connector: connector.to_owned(),
        webhook: chosen.name.clone(),
        state: HookState::Active,
        created: service.now(),
    };
    service.store().create_app_hook(org, hook.clone()).await?;
    let told = json!({"connector": connector, "webhook": hook.webhook});
    finish(service, org, view_of_app(hook), told, kept)
        .await
        .map(|hook| (hook, made))
}

fn chosen<'m>(manifest: &'m Manifest, webhook: Option<&str>) -> Result<&'m Webhook, Error> {
    let found = match webhook {
        Some(name) => manifest.webhook(name),
        None => manifest.webhooks.first(),
    };
    found.ok_or_else(|| {
        let offered: Vec<_> = manifest
            .webhooks
            .iter()
            .map(|webhook| webhook.name.as_str())
            .collect();
        Error::Webhook {
            wanted: webhook.unwrap_or("(any)").to_owned(),
            offered: if offered.is_empty() {
                "none".to_owned()
            } else {
                offered.join(", ")
            },
        }
    })
}

/// The secret that a new hook has, and whether it was made just now.
fn secret_for(
    service: &Service,
    chosen: &Webhook,
    secret: Option<Secret>,
) -> Result<(Option<Secret>, Option<Secret>), Error> {
    let made = match &secret {
        Some(secret) if !(shortest(chosen)..=4096).contains(&secret.expose().len()) => {
            return Err(Error::Secret);
        }
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
    Ok((secret.or_else(|| made.clone()), made))
}

/// Keeps a new hook's secret and tells of the hook.
async fn finish(
    service: &Service,
    org: OrgId,
    mut hook: Hook,
    told: serde_json::Value,
    secret: Option<Secret>,
) -> Result<Hook, Error> {
    if let Some(secret) = secret {
        service
            .store()
            .put_secret(org, &hook.id.to_string(), SECRET_FIELD, secret, service.now())
            .await?;
    }
    event::platform(service, org, "sluice.hook.created", hook.id, || told).await?;
    hook.verify_token = token_of(service, hook.id).await?;
    Ok(hook)
}

/// What a person or a machine made up has to be long enough; an id that the vendor gave is as long as it is.
fn shortest(webhook: &Webhook) -> usize {
    match (&webhook.recipe, webhook.recipe.secret_use()) {
        (Recipe::Basic, _) => 8,
        (_, SecretUse::Entered) => 1,
        _ => 8,
    }
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
    let of_apps = match connection {
        None => service.store().list_app_hooks(org).await?,
        Some(_) => Vec::new(),
    };
    let hooks = service.store().list_hooks(org, connection).await?;
    let of_apps = of_apps.into_iter().map(view_of_app);
    Ok(of_apps.chain(hooks.into_iter().map(view)).collect())
}

/// One hook.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, id: HookId) -> Result<Hook, Error> {
    let mut hook = match service.store().get_hook(org, id).await? {
        Some(hook) => view(hook),
        None => {
            let hook = service.store().get_app_hook(org, id).await?;
            hook.map(view_of_app)
                .ok_or_else(|| Error::Missing(id.to_string()))?
        }
    };
    hook.verify_token = token_of(service, id).await?;
    Ok(hook)
}

/// The verify token of a hook whose vendor sends one.
async fn token_of(service: &Service, id: HookId) -> Result<Option<String>, Error> {
    let Some(address) = address(service, id).await? else {
        return Ok(None);
    };
    let webhook = address.known.manifest.webhooks.get(address.webhook);
    let has_token =
        webhook.is_some_and(|webhook| webhook.challenges.iter().any(|asked| asked.token.is_some()));
    let secret = address.secrets.first().filter(|_| has_token);
    Ok(secret.and_then(verify_token))
}

/// Removes a hook and its secret. Its receipts stay.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn remove(service: &Service, org: OrgId, id: HookId) -> Result<(), Error> {
    let removed = match service.store().remove_hook(org, id).await {
        Err(sluice_store::Error::Missing { .. }) => service.store().remove_app_hook(org, id).await,
        other => other,
    };
    removed.map_err(|error| missing(error, &id))?;
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

fn missing(error: sluice_store::Error, id: &HookId) -> Error {
    match error {
        sluice_store::Error::Missing { .. } => Error::Missing(id.to_string()),
        other => other.into(),
    }
}

fn view(hook: sluice_store::hook::Hook) -> Hook {
    Hook {
        id: hook.id,
        connection: Some(hook.connection),
        connector: None,
        path: format!("/hooks/{}", hook.app.unwrap_or(hook.id)),
        app: hook.app,
        webhook: hook.webhook,
        created: hook.created,
        verify_token: None,
    }
}

fn view_of_app(hook: AppHook) -> Hook {
    Hook {
        id: hook.id,
        connection: None,
        connector: Some(hook.connector),
        path: format!("/hooks/{}", hook.id),
        app: None,
        webhook: hook.webhook,
        created: hook.created,
        verify_token: None,
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
