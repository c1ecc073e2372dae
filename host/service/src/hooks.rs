//! Hooks: inbound webhook addresses. What comes in is verified by the manifest's recipe over the exact bytes, kept once
//! per delivery, acknowledged after the commit, and handled in the background.

mod address;
mod chores;
mod coding;
mod fetch;
mod flood;
mod guest;
mod handle;
mod making;
mod material;
mod receive;
mod registration;
mod reply;
mod rotation;
mod route;

use serde_json::json;
use sluice_model::Timestamp;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, HookId, OrgId, ReceiptId, kind};
use sluice_model::manifest::Dedupe;
use sluice_model::receipt::ReceiptState;
use sluice_model::signature::{Request as Sent, verify_token};
use sluice_store::app_hook::AppHook;
use sluice_store::hook::HookState;
use sluice_store::receipt::{LeasedReceipt, Request};
pub use sluice_store::registration::{Registration, RegistrationState};
use sluice_store::trace::{LogLine, TraceOwner};

pub(crate) use address::Known;
use address::address;
pub use chores::CODES as CHORE_CODES;
pub(crate) use chores::drive as drive_chores;
pub(crate) use flood::Flood;
pub use handle::CODES as HANDLE_CODES;
pub use handle::declares;
pub(crate) use handle::{drive, sift};
pub use making::{NewHook, create, create_for_app, register};
pub(crate) use material::Material;
pub use receive::{Accepted, Incoming, Refused, Taken, knock, receive};
pub use registration::CODES as REGISTRATION_CODES;
pub(crate) use registration::farewell;
pub(crate) use reply::Replies;
pub use rotation::rotate;

use crate::page::{Listed, Page};
use crate::problem::Problem;
use crate::{Service, catalogue, connection, event, trace as traces};

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
    /// How far its connector has set it up at the vendor; none: a person does that.
    pub registration: Option<Registration>,
    /// Until when secrets before the newest are valid.
    pub older_until: Vec<Timestamp>,
    /// What a person does who sets it up by hand, `{url}` for the address; only of a hook that was asked for by itself, and only
    /// where the connector has not done it.
    pub steps: Vec<String>,
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
    #[error("the manifest of the webhook does not declare events of kind `{0}`")]
    Event(String),
    #[error("webhook `{0}` is not one that its connector sets up at the vendor")]
    ByHand(String),
    #[error("the server does not know the https address that vendors reach it at")]
    NoAddress,
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
        "hook.event",
        "hook.by_hand",
        "hook.public_url",
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
            Self::Event(_) => "hook.event",
            Self::ByHand(_) => "hook.by_hand",
            Self::NoAddress => "hook.public_url",
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
            Self::NoAddress => Some("set `server.public_url` to an https address".to_owned()),
            Self::Missing(_)
            | Self::Event(_)
            | Self::ByHand(_)
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
    let hooks = hooks.into_iter().filter(|hook| hook.state != HookState::Ending);
    Ok(of_apps.chain(hooks.map(view)).collect())
}

/// One hook.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, id: HookId) -> Result<Hook, Error> {
    let mut hook = match live(service, org, id).await {
        Ok(hook) => view(hook),
        Err(Error::Missing(_)) => {
            let hook = service.store().get_app_hook(org, id).await?;
            hook.map(view_of_app)
                .ok_or_else(|| Error::Missing(id.to_string()))?
        }
        Err(error) => return Err(error),
    };
    hook.older_until.retain(|until| *until > service.now());
    explain(service, &mut hook).await?;
    Ok(hook)
}

/// What a person who sets the hook up has to know.
async fn explain(service: &Service, hook: &mut Hook) -> Result<(), Error> {
    let Some(address) = address(service, hook.id).await? else {
        return Ok(());
    };
    let Some(webhook) = address.known.manifest.webhooks.get(address.webhook) else {
        return Ok(());
    };
    let has_token = webhook.challenges.iter().any(|asked| asked.token.is_some());
    let secret = address.secrets.first().filter(|_| has_token);
    hook.verify_token = secret.and_then(verify_token);
    let is_set_up = hook.registration.as_ref().is_some_and(|of| {
        matches!(
            of.state,
            RegistrationState::Pending | RegistrationState::Registered
        )
    });
    if !is_set_up {
        hook.steps.clone_from(&webhook.steps);
    }
    Ok(())
}

/// A hook of a connection that nobody removed.
async fn live(service: &Service, org: OrgId, id: HookId) -> Result<sluice_store::hook::Hook, Error> {
    let hook = service.store().get_hook(org, id).await?;
    hook.filter(|hook| hook.state != HookState::Ending)
        .ok_or_else(|| Error::Missing(id.to_string()))
}

/// Removes a hook and its secret. Its receipts stay. What its connector set up at the vendor is ended in the background, as soon
/// as the vendor listens.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn remove(service: &Service, org: OrgId, id: HookId) -> Result<(), Error> {
    let removed = match service.store().remove_hook(org, id, service.now()).await {
        Err(sluice_store::Error::Missing { .. }) => service.store().remove_app_hook(org, id).await,
        other => other,
    };
    removed.map_err(|error| missing(error, &id))?;
    service.known_hooks().forget_hook(id);
    event::platform(service, org, "sluice.hook.removed", id, || json!({})).await?;
    Ok(())
}

/// The headers that the vendor would send with this body, signed with the hook's own secret: for trying a hook by hand. With a kind of
/// event also those that say the kind and the delivery, where the manifest says that they do.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn sign(
    service: &Service,
    org: OrgId,
    id: HookId,
    body: &[u8],
    kind: Option<&str>,
) -> Result<Vec<(String, String)>, Error> {
    let address = address(service, id).await?.filter(|address| address.org == org);
    let address = address.ok_or_else(|| Error::Missing(id.to_string()))?;
    let Some(webhook) = address.known.manifest.webhooks.get(address.webhook) else {
        return Ok(Vec::new());
    };
    let mut headers = Vec::new();
    if let Some(kind) = kind {
        let kind = kind.split('.').next().unwrap_or_default();
        headers.extend(webhook.event_header.clone().map(|name| (name, kind.to_owned())));
        if let Dedupe::Header(name) = &webhook.dedupe {
            headers.push((name.clone(), service.new_id::<kind::Receipt>().to_string()));
        }
    }
    let request = Sent {
        method: "POST",
        url: "",
        headers: &headers,
        body,
    };
    let signed = address
        .secrets
        .first()
        .map(|secret| webhook.recipe.sign(&request, secret, service.now()));
    headers.extend(signed.unwrap_or_default());
    Ok(headers)
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

/// What its handling asked of the network, in its order.
///
/// # Errors
///
/// [`Error::NoReceipt`].
pub async fn trace(
    service: &Service,
    org: OrgId,
    id: ReceiptId,
    page: &Page,
) -> Result<Listed<Exchange>, Error> {
    let found = service.store().get_receipt(org, id).await?;
    let owner = TraceOwner::Receipt(found.ok_or(Error::NoReceipt(id))?.id);
    Ok(traces::exchanges(service, org, owner, page).await?)
}

/// What the connector wrote while it handled it, in its order.
///
/// # Errors
///
/// [`Error::NoReceipt`].
pub async fn logs(
    service: &Service,
    org: OrgId,
    id: ReceiptId,
    page: &Page,
) -> Result<Listed<LogLine>, Error> {
    let found = service.store().get_receipt(org, id).await?;
    let owner = TraceOwner::Receipt(found.ok_or(Error::NoReceipt(id))?.id);
    Ok(traces::logs(service, org, owner, page).await?)
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
        registration: hook.registration,
        older_until: hook.older_secrets.iter().map(|old| old.until).collect(),
        steps: Vec::new(),
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
        registration: None,
        older_until: hook.older_secrets.iter().map(|old| old.until).collect(),
        steps: Vec::new(),
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
