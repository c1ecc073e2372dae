//! Whom a webhook of an app concerns, and what it is about: data of the manifest, read before any code of the connector's.
//!
//! What must always hold: only what was verified is routed; an account leads to connections of the hook's own
//! organization and connector, and to none that was removed.

use std::collections::BTreeSet;

use sluice_model::id::ConnectionId;
use sluice_model::manifest::Webhook;
use sluice_model::signature::{Place, Request};
use sluice_store::app_hook::MAX_CONCERNED;

use super::address::Address;
use super::coding;
use super::receive::{Incoming, Refused};
use crate::Service;

/// The connections of the accounts that a webhook names; none if it names none that is connected.
pub(super) async fn concerned(
    service: &Service,
    address: &Address,
    webhook: &Webhook,
    incoming: &Incoming,
) -> Result<Vec<ConnectionId>, Refused> {
    let place = webhook.account.as_ref();
    let accounts = place
        .and_then(|place| values(place, incoming))
        .unwrap_or_default();
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
