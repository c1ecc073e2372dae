//! Whom a webhook of an app concerns, and what it is about: a place that the manifest names, or the word of the connector's code.
//!
//! What must always hold: only what was verified is routed; an account leads to connections of the hook's own
//! organization and connector, and to none that was removed. Code that is asked has nothing but the delivery: no
//! connection, no way out, no secret. Where it gives no answer the delivery is not acknowledged, so the vendor has it still.

use std::collections::BTreeSet;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::ConnectionId;
use sluice_model::manifest::{AccountBy, Webhook};
use sluice_model::signature::{Place, Request};
use sluice_runtime::{Call, CallError};
use sluice_store::app_hook::MAX_CONCERNED;

use super::address::Address;
use super::coding;
use super::guest::Came;
use super::receive::{Incoming, Refused};
use crate::Service;

/// How long code may take to say whom a webhook concerns: vendors wait for three seconds and more.
const ROUTE_TIME: Duration = Duration::from_secs(2);

/// The connections of the accounts that a webhook names; none if it names none that is connected.
pub(super) async fn concerned(
    service: &Service,
    address: &Address,
    webhook: &Webhook,
    incoming: &Incoming,
    now: Timestamp,
) -> Result<Vec<ConnectionId>, Refused> {
    let accounts = match &webhook.account {
        None => Vec::new(),
        Some(AccountBy::Place(place)) => values(place, incoming).unwrap_or_default(),
        Some(AccountBy::Code) => told(service, address, webhook, incoming, now).await?,
    };
    let accounts: BTreeSet<String> = accounts.into_iter().take(MAX_CONCERNED).collect();
    let connector = &address.known.manifest.id;
    let mut concerned = BTreeSet::new();
    for account in accounts {
        let found = service
            .store()
            .connections_of_account(address.org, connector, &account)
            .await
            .map_err(|error| {
                tracing::error!(hook = %address.hook, code = error.code(), %error, "a webhook was not routed");
                Refused::Unavailable(error.to_string())
            })?;
        concerned.extend(found);
    }
    Ok(concerned.into_iter().take(MAX_CONCERNED).collect())
}

/// The accounts that the connector's code names.
async fn told(
    service: &Service,
    address: &Address,
    webhook: &Webhook,
    incoming: &Incoming,
    now: Timestamp,
) -> Result<Vec<String>, Refused> {
    let unrouted = |code: &str, reason: String| {
        let connector = &address.known.manifest.id;
        tracing::warn!(hook = %address.hook, connector, code, reason, "code did not say whom a webhook concerns");
        Refused::Unavailable(format!("the connector did not say whom it concerns: {reason}"))
    };
    let limit = service.settings().hook_body_bytes;
    let came = Came {
        id: String::new(),
        webhook: &webhook.name,
        received: now,
        method: &incoming.method,
        query: incoming.query(),
        headers: &incoming.headers,
        body: &incoming.body,
    };
    let receipt = came.receipt(limit);
    let receipt = receipt.map_err(|problem| unrouted(&problem.code, problem.message.clone()))?;
    let (org, known) = (address.org, &address.known);
    let code = known.code(service, org).await;
    let code = code.map_err(|error| unrouted(error.code(), error.to_string()))?;
    let mut limits = known.rights.limits().clone();
    limits.call_time = limits.call_time.min(ROUTE_TIME);
    let call = Call::of_nobody(code, org, &known.manifest.id, &limits);
    // The wait for a slot counts as well.
    let outcome = tokio::time::timeout(ROUTE_TIME, service.runtime().route(call, receipt)).await;
    let outcome = outcome.map_err(|_| {
        let error = CallError::Saturated;
        unrouted(error.code(), error.to_string())
    })?;
    service.metrics().guest_calls.add(1);
    known.tally(service, org, &outcome.effects);
    match outcome.result {
        Ok(Ok(accounts)) => Ok(accounts),
        Ok(Err(fault)) => Err(unrouted(fault.kind.code(), fault.to_string())),
        Err(error) => {
            service.metrics().guest_traps.add(1);
            Err(unrouted(error.code(), error.to_string()))
        }
    }
}

/// What a webhook is about, if its manifest says where that stands and it is there.
pub(super) fn order(webhook: &Webhook, incoming: &Incoming) -> Option<String> {
    let found = values(webhook.order.as_ref()?, incoming)?;
    Some(found.join("\n"))
}

fn values(place: &Place, incoming: &Incoming) -> Option<Vec<String>> {
    let body = coding::plain(&incoming.headers, &incoming.body, coding::LOOKED_AT_BYTES).ok()?;
    place.values(&Request {
        method: &incoming.method,
        url: &incoming.target,
        headers: &incoming.headers,
        body: &body,
    })
}
