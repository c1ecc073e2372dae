//! The way of one webhook from the wire to the disk: verify, deduplicate, commit. No guest code runs here, and nothing
//! is parsed before it is verified.
//!
//! Who sends to an address that does not exist gets the answer, and spends the time, of one whose signature is wrong.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde_json::Value;
use sluice_model::Timestamp;
use sluice_model::id::{HookId, ReceiptId};
use sluice_model::manifest::{Dedupe, Webhook};
use sluice_model::secret::Secret;
use sluice_model::signature::{Needs, Request, SignatureError};
use sluice_store::receipt::NewReceipt;

use super::{Address, address};
use crate::Service;

/// A webhook as it came off the wire.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub method: String,
    /// Without the `?`, as it was sent.
    pub query: String,
    /// Names in lower case, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Bytes,
}

/// A webhook that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    pub receipt: ReceiptId,
    /// It was there before.
    pub duplicate: bool,
}

/// Why a webhook was not taken. The sender learns the status and nothing else.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No such address, or not the vendor's signature: the two can't be told apart from outside.
    #[error("not the vendor's: {reason}")]
    Unauthorized {
        /// For the operator.
        reason: &'static str,
    },
    #[error("more than {limit} bytes")]
    TooLarge { limit: u64 },
    /// Not now: the sender should try again.
    #[error("can't be kept now: {0}")]
    Unavailable(String),
    /// Its recipe needs something fetched from the vendor, which is not done yet.
    #[error("its recipe needs the vendor's certificate or keys, which are not fetched yet")]
    Unsupported,
}

impl Refused {
    /// Every code that [`Refused::code`] can give.
    pub const CODES: &[&str] = &[
        "webhook.refused",
        "webhook.too_large",
        "webhook.unavailable",
        "webhook.unsupported",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "webhook.refused",
            Self::TooLarge { .. } => "webhook.too_large",
            Self::Unavailable(_) => "webhook.unavailable",
            Self::Unsupported => "webhook.unsupported",
        }
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unauthorized { .. } => 401,
            Self::TooLarge { .. } => 413,
            Self::Unavailable(_) | Self::Unsupported => 503,
        }
    }
}

/// Takes a webhook: when this returns `Ok`, it is on disk.
///
/// Cancel-safe: dropped early, the webhook may be kept although nobody was told; the sender's next try finds it.
///
/// # Errors
///
/// [`Refused`], and nothing is kept.
pub async fn receive(service: &Service, hook: &str, incoming: Incoming) -> Result<Accepted, Refused> {
    let taken = take(service, hook, incoming).await;
    let metrics = service.metrics();
    match &taken {
        Ok(Accepted { duplicate: false, .. }) => metrics.receipts_accepted.add(1),
        Ok(Accepted { duplicate: true, .. }) => metrics.receipts_duplicate.add(1),
        Err(refused) => {
            metrics.receipts_refused.add(1);
            tracing::debug!(code = refused.code(), %refused, "a webhook was refused");
        }
    }
    taken
}

async fn take(service: &Service, hook: &str, incoming: Incoming) -> Result<Accepted, Refused> {
    let limit = service.settings().hook_body_bytes;
    if incoming.body.len() as u64 > limit {
        return Err(Refused::TooLarge { limit });
    }
    let found = match hook.parse::<HookId>() {
        Ok(id) => address(service, id).await.map_err(|error| {
            tracing::error!(hook = %id, code = error.code(), %error, "the hook can't be read");
            Refused::Unavailable(error.to_string())
        })?,
        Err(_) => None,
    };
    let Some(address) = found else {
        spend_like_a_check(service, &incoming.body);
        return Err(Refused::Unauthorized {
            reason: "no such hook",
        });
    };
    let Some(webhook) = address.known.manifest.webhooks.get(address.webhook) else {
        return Err(Refused::Unauthorized {
            reason: "no such webhook",
        });
    };
    let now = service.now();
    verify(webhook, &incoming, &address.secrets, now)?;
    let id = service.new_id();
    let new = NewReceipt {
        id,
        hook: address.hook,
        dedupe_key: dedupe_key(webhook, &incoming, id),
        method: incoming.method,
        query: incoming.query,
        headers: incoming.headers,
        body: incoming.body.into(),
        received: now,
    };
    keep(service, &address, new).await
}

/// Whether it is the vendor's. Recipes that need the vendor's certificate or keys, or the address as the sender used it,
/// refuse: neither is had here.
fn verify(webhook: &Webhook, incoming: &Incoming, secrets: &[Secret], now: Timestamp) -> Result<(), Refused> {
    let url = match incoming.query.as_str() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let request = Request {
        method: &incoming.method,
        url: &url,
        headers: &incoming.headers,
        body: &incoming.body,
    };
    let refused = |error: SignatureError| Refused::Unauthorized { reason: error.code() };
    if webhook.recipe.needs(&request).map_err(refused)? != Needs::Nothing {
        return Err(Refused::Unsupported);
    }
    webhook
        .recipe
        .verify(&request, secrets, None, now)
        .map(drop)
        .map_err(refused)
}

async fn keep(service: &Service, address: &Address, new: NewReceipt) -> Result<Accepted, Refused> {
    match service.store().accept_receipt(address.org, new).await {
        Ok(sluice_store::receipt::Accepted::New(receipt)) => Ok(Accepted {
            receipt,
            duplicate: false,
        }),
        Ok(sluice_store::receipt::Accepted::Duplicate(receipt)) => Ok(Accepted {
            receipt,
            duplicate: true,
        }),
        Err(sluice_store::Error::Missing { .. }) => {
            service.known_hooks().forget_hook(address.hook);
            Err(Refused::Unauthorized {
                reason: "no such hook",
            })
        }
        Err(error) => {
            tracing::error!(hook = %address.hook, code = error.code(), %error, "a webhook was not kept");
            Err(Refused::Unavailable(error.to_string()))
        }
    }
}

/// What makes two deliveries the same. Where the vendor's id is missing, the body stands for it; each way of making the
/// key begins differently, so that no body can pose as an id.
fn dedupe_key(webhook: &Webhook, incoming: &Incoming, id: ReceiptId) -> String {
    let given = match &webhook.dedupe {
        Dedupe::Header(name) => incoming
            .headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone()),
        Dedupe::JsonPointer(pointer) => from_body(&incoming.body, pointer),
        Dedupe::BodyHash => None,
        Dedupe::Nothing => return format!("own:{id}"),
    };
    match given {
        Some(id) if id.len() <= MAX_KEY_BYTES => format!("id:{id}"),
        Some(long) => format!(
            "long:{}",
            HEXLOWER.encode(digest(&SHA256, long.as_bytes()).as_ref())
        ),
        None => format!(
            "body:{}",
            HEXLOWER.encode(digest(&SHA256, &incoming.body).as_ref())
        ),
    }
}

fn from_body(body: &[u8], pointer: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    match body.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Vendors' delivery ids are UUIDs and the like.
const MAX_KEY_BYTES: usize = 200;

/// The work of a signature check, for an address that does not exist.
fn spend_like_a_check(service: &Service, body: &[u8]) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &service.random::<32>());
    std::hint::black_box(hmac::sign(&key, body));
}
