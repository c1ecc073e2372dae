//! The way of a webhook from the wire to the disk: looked at or not, verified over the wire bytes, told apart, committed.
//! Nothing is kept of what is refused, and a question is answered only after what has to be remembered of it is durable.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde_json::{Value, json};
use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, HookId, ReceiptId};
use sluice_model::manifest::{Dedupe, Webhook};
use sluice_model::signature::{Admitted, Answer, Fetched, Needs, Request, SignatureError, Verified, admit};
use sluice_runtime::Reply;
use sluice_store::receipt::NewReceipt;

use super::address::{Address, address};
use super::flood::Source;
use super::{SECRET_FIELD, coding, material, route};
use crate::{Service, event};

/// A webhook as it came off the wire.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// Names in lower case, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Bytes,
    /// Who sent it.
    pub source: Option<IpAddr>,
}

impl Incoming {
    /// The query as it was sent, without the `?`.
    pub(super) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// What a sender is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is on disk.
    Kept(Accepted),
    /// The same, and the connector's code has answered it already.
    Replied(Accepted, Reply),
    /// It is genuine and concerns no connection.
    Unrouted,
    /// It was a question, and this is the answer.
    Answered(Answer),
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
    /// Its source had too much refused.
    #[error("too much from its source was refused")]
    Flood,
    #[error("more than {limit} bytes")]
    TooLarge { limit: u64 },
    /// Not now: the sender should try again.
    #[error("can't be kept now: {0}")]
    Unavailable(String),
}

impl Refused {
    /// Every code that [`Refused::code`] can give.
    pub const CODES: &[&str] = &[
        "webhook.refused",
        "webhook.flood",
        "webhook.too_large",
        "webhook.unavailable",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "webhook.refused",
            Self::Flood => "webhook.flood",
            Self::TooLarge { .. } => "webhook.too_large",
            Self::Unavailable(_) => "webhook.unavailable",
        }
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unauthorized { .. } => 401,
            Self::Flood => 429,
            Self::TooLarge { .. } => 413,
            Self::Unavailable(_) => 503,
        }
    }
}

/// Whether a webhook is looked at at all, before its body is read.
///
/// # Errors
///
/// [`Refused::Flood`], whether the hook exists or not.
pub fn knock(service: &Service, hook: &str, source: Option<IpAddr>) -> Result<(), Refused> {
    let id = hook.parse().ok();
    if service.flood().admits(Source::of(source), id, service.now()) {
        return Ok(());
    }
    service.metrics().receipts_refused.add(1);
    Err(Refused::Flood)
}

/// Takes a webhook: when this returns [`Taken::Kept`], it is on disk; when it returns [`Taken::Answered`], everything that
/// the answer promises is.
///
/// Cancel-safe: dropped early, the webhook may be kept although nobody was told; the sender's next try finds it.
///
/// # Errors
///
/// [`Refused`], and nothing is kept.
pub async fn receive(service: &Service, hook: &str, incoming: Incoming) -> Result<Taken, Refused> {
    let source = Source::of(incoming.source);
    let taken = take(service, hook, incoming).await;
    let metrics = service.metrics();
    match &taken {
        Ok(Taken::Kept(Accepted { duplicate: false, .. }) | Taken::Replied(..)) => {
            metrics.receipts_accepted.add(1);
        }
        Ok(Taken::Unrouted) => metrics.receipts_unrouted.add(1),
        Ok(Taken::Kept(Accepted { duplicate: true, .. })) => metrics.receipts_duplicate.add(1),
        Ok(Taken::Answered(_)) => metrics.receipts_answered.add(1),
        Err(refused) => {
            if matches!(refused, Refused::Unauthorized { .. }) {
                service.flood().refused(source, service.now());
            }
            metrics.receipts_refused.add(1);
            tracing::debug!(code = refused.code(), %refused, "a webhook was refused");
        }
    }
    taken
}

async fn take(service: &Service, hook: &str, incoming: Incoming) -> Result<Taken, Refused> {
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
    let from = |address| webhook.sources.iter().any(|range| range.contains(address));
    if !webhook.sources.is_empty() && !incoming.source.is_some_and(from) {
        spend_like_a_check(service, &incoming.body);
        return Err(Refused::Unauthorized {
            reason: "it comes from elsewhere than the vendor's addresses",
        });
    }
    let Some(_place) = service.flood().enter(address.hook) else {
        return Err(Refused::Unavailable("too many of this hook at once".to_owned()));
    };
    let now = service.now();
    match judge(service, &address, webhook, &incoming, now).await? {
        Admitted::Challenge(answer) => settle(service, &address, answer, now).await,
        Admitted::Webhook(verified) => {
            if webhook.recipe.is_signed() {
                let source = Source::of(incoming.source);
                service.flood().was_genuine(source, address.hook, now);
            }
            let concerned = match address.connection {
                Some(_) => None,
                None => Some(route::concerned(service, &address, webhook, &incoming, now).await?),
            };
            let new = receipt(service.new_id(), &address, webhook, incoming, verified, now);
            match concerned {
                Some(concerned) => spread(service, &address, webhook, &concerned, new).await,
                None if webhook.reply => keep_and_ask(service, &address, new).await,
                None => keep(service, &address, new).await.map(Taken::Kept),
            }
        }
    }
}

/// Whether it is the vendor's, and what it is.
async fn judge(
    service: &Service,
    address: &Address,
    webhook: &Webhook,
    incoming: &Incoming,
    now: Timestamp,
) -> Result<Admitted, Refused> {
    let public = service.settings().public_url.as_deref();
    let url = public.map_or_else(String::new, |public| format!("{public}{}", incoming.target));
    let request = Request {
        method: &incoming.method,
        url: &url,
        headers: &incoming.headers,
        body: &incoming.body,
    };
    let refused = |error: SignatureError| Refused::Unauthorized { reason: error.code() };
    let admit = |fetched: Option<&Fetched>| {
        admit(
            &webhook.challenges,
            &webhook.recipe,
            &request,
            &address.secrets,
            fetched,
            now,
        )
    };
    // Whatever can be refused without the vendor's key is: nothing is fetched for it.
    match admit(None) {
        Err(SignatureError::Material) => {}
        other => return other.map_err(refused),
    }
    let needs = webhook.recipe.needs(&request).map_err(refused)?;
    if needs == Needs::Nothing {
        return Err(refused(SignatureError::Material));
    }
    let fetched: Arc<Fetched> = material::get(service, address, &needs, now)
        .await
        .map_err(|missing| match missing {
            material::Missing::Unfit => refused(SignatureError::Material),
            material::Missing::Now => {
                Refused::Unavailable("what verifies it could not be fetched from the vendor".to_owned())
            }
        })?;
    admit(Some(&fetched)).map_err(refused)
}

/// Makes durable what an answer promises.
async fn settle(
    service: &Service,
    address: &Address,
    mut answer: Answer,
    now: Timestamp,
) -> Result<Taken, Refused> {
    let unkept = |error: sluice_store::Error| {
        tracing::error!(hook = %address.hook, code = error.code(), %error, "an answer's promise was not kept");
        Refused::Unavailable(error.to_string())
    };
    let (org, hook) = (address.org, address.hook);
    if let Some(secret) = answer.keep.take() {
        let kept = service
            .store()
            .put_first_secret(org, &hook.to_string(), SECRET_FIELD, secret, now)
            .await;
        service.known_hooks().forget_hook(hook);
        if !kept.map_err(unkept)? {
            return Err(Refused::Unauthorized {
                reason: "the hook has learned another secret already",
            });
        }
        event::platform(
            service,
            org,
            "sluice.hook.secret_learned",
            hook,
            || json!({"connection": address.connection}),
        )
        .await
        .map_err(unkept)?;
    }
    if let Some(url) = answer.visit.take() {
        service
            .store()
            .owe_visit(org, hook, url, now)
            .await
            .map_err(unkept)?;
    }
    Ok(Taken::Answered(answer))
}

fn receipt(
    id: ReceiptId,
    address: &Address,
    webhook: &Webhook,
    incoming: Incoming,
    verified: Verified,
    now: Timestamp,
) -> NewReceipt {
    NewReceipt {
        id,
        hook: address.hook,
        dedupe_key: dedupe_key(webhook, &incoming, id),
        one_time: verified.one_time.map(|token| digest_of(token.as_bytes())),
        order: route::order(webhook, &incoming),
        query: incoming.query().to_owned(),
        method: incoming.method,
        headers: incoming.headers,
        body: incoming.body.into(),
        received: now,
    }
}

/// Keeps a webhook and waits a while for what the connector's code answers.
async fn keep_and_ask(service: &Service, address: &Address, new: NewReceipt) -> Result<Taken, Refused> {
    let waiting = service.replies().wait_for(new.id);
    let accepted = keep(service, address, new).await?;
    // The answer to the first one is not kept; whoever repeats a webhook has it acknowledged.
    if accepted.duplicate {
        return Ok(Taken::Kept(accepted));
    }
    Ok(match waiting.reply().await {
        Some(reply) => Taken::Replied(accepted, reply),
        None => Taken::Kept(accepted),
    })
}

/// Keeps a webhook of an app at each connection that it concerns. Interrupted, the sender's next try goes on with it. Where the
/// connector's code answers the vendor, it does so for one connection: several would have several answers.
async fn spread(
    service: &Service,
    address: &Address,
    webhook: &Webhook,
    concerned: &[ConnectionId],
    new: NewReceipt,
) -> Result<Taken, Refused> {
    let mut first = None;
    let mut waiting = None;
    let mut duplicate = true;
    for connection in concerned {
        let new = NewReceipt {
            id: service.new_id(),
            hook: service.new_id(),
            ..new.clone()
        };
        if webhook.reply && concerned.len() == 1 {
            waiting = Some(service.replies().wait_for(new.id));
        }
        let kept = service
            .store()
            .accept_routed(address.org, address.hook, *connection, new)
            .await;
        let accepted = match kept {
            // It was removed meanwhile, and there is nobody left whom it concerns.
            Err(sluice_store::Error::Missing {
                what: "the connection",
            }) => continue,
            other => settled(service, address, other)?,
        };
        duplicate &= accepted.duplicate;
        first.get_or_insert(accepted.receipt);
    }
    let Some(receipt) = first else {
        return Ok(Taken::Unrouted);
    };
    let accepted = Accepted { receipt, duplicate };
    // Whoever repeats a webhook has it acknowledged: the answer to the first one is not kept.
    let reply = match waiting.filter(|_| !duplicate) {
        Some(waiting) => waiting.reply().await,
        None => None,
    };
    Ok(match reply {
        Some(reply) => Taken::Replied(accepted, reply),
        None => Taken::Kept(accepted),
    })
}

async fn keep(service: &Service, address: &Address, new: NewReceipt) -> Result<Accepted, Refused> {
    let kept = service.store().accept_receipt(address.org, new).await;
    settled(service, address, kept)
}

fn settled(
    service: &Service,
    address: &Address,
    kept: Result<sluice_store::receipt::Accepted, sluice_store::Error>,
) -> Result<Accepted, Refused> {
    match kept {
        Ok(sluice_store::receipt::Accepted::New(receipt)) => Ok(Accepted {
            receipt,
            duplicate: false,
        }),
        Ok(sluice_store::receipt::Accepted::Duplicate(receipt)) => Ok(Accepted {
            receipt,
            duplicate: true,
        }),
        Ok(sluice_store::receipt::Accepted::Replayed) => Err(Refused::Unauthorized {
            reason: "its one-time token was used before",
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
        Dedupe::JsonPointer(pointer) => {
            let plain = coding::plain(&incoming.headers, &incoming.body, coding::LOOKED_AT_BYTES);
            plain.ok().and_then(|body| from_body(&body, pointer))
        }
        Dedupe::BodyHash => None,
        Dedupe::Nothing => return format!("own:{id}"),
    };
    match given {
        Some(id) if id.len() <= MAX_KEY_BYTES => format!("id:{id}"),
        Some(long) => format!("long:{}", digest_of(long.as_bytes())),
        None => format!("body:{}", digest_of(&incoming.body)),
    }
}

fn digest_of(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
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
