//! Webhooks (Stripe docs, "Receive Stripe events in your webhook endpoint"). Every event becomes one event of ours. A
//! change of a record asks for a sync of its stream instead of taking the payload for the record: events arrive in any
//! order, and show the object in the endpoint's version. The host has checked the signature.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::{Error, Event, Handled, Receipt, log};

/// The groups of events that `connector.toml` declares, each as what stands before the first dot.
pub(crate) const GROUPS: [&str; 40] = [
    "account",
    "application_fee",
    "balance",
    "billing",
    "billing_portal",
    "capability",
    "cash_balance",
    "charge",
    "checkout",
    "coupon",
    "credit_note",
    "customer",
    "customer_cash_balance_transaction",
    "entitlements",
    "file",
    "identity",
    "invoice",
    "invoiceitem",
    "issuing_authorization",
    "issuing_card",
    "issuing_dispute",
    "issuing_transaction",
    "mandate",
    "payment_intent",
    "payment_link",
    "payment_method",
    "payout",
    "person",
    "plan",
    "price",
    "product",
    "promotion_code",
    "quote",
    "radar",
    "refund",
    "setup_intent",
    "subscription_schedule",
    "tax_rate",
    "topup",
    "transfer",
];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    object: Text<'a>,
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    created: Id<'a>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))?;
    let payload: Payload<'_> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not JSON: {error}")))?;
    if payload.object.as_str() != "event" {
        return Err(Error::invalid_data(
            "not a snapshot event (`object` is not `event`): choose the payload style `Snapshot` at the endpoint",
        ));
    }
    let (id, kind) = (payload.id.to_string(), payload.kind.as_str());
    if id.is_empty() || kind.is_empty() {
        return Err(Error::invalid_data("the event has no `id` or no `type`"));
    }
    let mut handled = Handled::nothing();
    if !GROUPS.contains(&kind.split('.').next().unwrap_or_default()) {
        log::info(&format!(
            "event {id} is of a kind that the manifest does not have: passed over"
        ));
        return Ok(handled);
    }
    handled
        .resync
        .extend(streams(kind).iter().map(|stream| (*stream).to_owned()));
    handled.events.push(Event {
        kind: kind.to_owned(),
        id,
        occurred: match payload.created {
            Id::Number(seconds) => seconds.checked_mul(1_000),
            _ => None,
        },
        data: body.to_owned(),
    });
    Ok(handled)
}

/// The streams that an event of this kind changes.
fn streams(kind: &str) -> &'static [&'static str] {
    match kind {
        // It does not exist yet.
        "invoice.upcoming" => &[],
        _ if kind.starts_with("customer.subscription.") => &["subscriptions"],
        _ if kind.starts_with("customer.") => &["customers"],
        _ if kind.starts_with("invoice.") => &["invoices"],
        _ if kind.starts_with("charge.dispute.") => &["charges", "disputes"],
        _ if kind.starts_with("charge.refund") => &["charges", "refunds"],
        _ if kind.starts_with("charge.") => &["charges"],
        _ if kind.starts_with("balance.") => &["balance_transactions"],
        _ if kind.starts_with("payment_intent.") => &["payment_intents"],
        _ if kind.starts_with("payout.") => &["payouts"],
        _ if kind.starts_with("price.") => &["prices"],
        _ if kind.starts_with("product.") => &["products"],
        _ if kind.starts_with("refund.") => &["refunds"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::receipt;

    fn handled(kind: &str) -> Handled {
        let body = format!(r#"{{"id":"evt_1","object":"event","type":"{kind}","created":1}}"#);
        handle(&receipt(&[], &body)).unwrap()
    }

    #[test]
    fn an_event_is_an_event_and_asks_for_its_stream() {
        let body = include_str!("../fixtures/webhook-invoice-paid.json");
        let handled = handle(&receipt(&[], body)).unwrap();
        assert_eq!(handled.resync, ["invoices"]);
        assert!(handled.changes.is_empty());
        let event = &handled.events[0];
        assert_eq!(
            (event.kind.as_str(), event.id.as_str()),
            ("invoice.paid", "evt_1PbPaid")
        );
        assert_eq!(
            (event.occurred, event.data.as_str()),
            (Some(1_714_557_661_000), body)
        );
    }

    #[test]
    fn each_kind_has_its_stream() {
        assert_eq!(handled("customer.subscription.deleted").resync, ["subscriptions"]);
        assert_eq!(handled("customer.discount.created").resync, ["customers"]);
        assert_eq!(handled("charge.dispute.created").resync, ["charges", "disputes"]);
        assert_eq!(handled("charge.refunded").resync, ["charges", "refunds"]);
        assert_eq!(handled("price.deleted").resync, ["prices"]);
        assert!(handled("invoice.upcoming").resync.is_empty());
        assert!(handled("invoiceitem.created").resync.is_empty());
        assert_eq!(handled("payment_intent.succeeded").events.len(), 1);
        assert!(handled("climate.order.created").events.is_empty());
    }

    #[test]
    fn what_is_not_a_webhook_of_stripe_is_refused() {
        for body in [
            "",
            "[1,",
            "{}",
            r#"{"object":"event"}"#,
            r#"{"object":"v2.core.event","id":"evt_1","type":"a"}"#,
        ] {
            assert!(
                matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn the_manifest_declares_these_groups() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let kinds: Vec<&str> = manifest.webhooks[0]
            .events
            .iter()
            .map(|event| event.kind.as_str())
            .collect();
        assert_eq!(kinds, GROUPS.map(|group| format!("{group}.*")));
    }

    /// What the manifest's recipe makes of a payload is what Stripe's documentation makes of it ("Verify webhook
    /// signatures manually"), so a receipt gets as far as this file.
    #[test]
    fn the_recipe_is_stripes() {
        use sluice_model::clock::Timestamp;
        use sluice_model::secret::Secret;
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let recipe = &manifest.webhooks[0].recipe;
        let (secret, now) = (
            Secret::new(b"endpoint".to_vec()),
            Timestamp::from_millis(1_795_000_000_000),
        );
        let headers = recipe.sign(&sent(&[], b"{}"), &secret, now);
        let (name, value) = &headers[0];
        assert_eq!(name, "stripe-signature");
        assert!(value.starts_with("t=1795000000,v1="), "{value}");
        let with_others = vec![(name.clone(), format!("{value},v0=00"))];
        assert!(
            recipe
                .verify(&sent(&with_others, b"{}"), &[secret], None, now)
                .is_ok()
        );
    }

    /// What Sluice makes of a delivery before it is verified.
    fn sent<'a>(headers: &'a [(String, String)], body: &'a [u8]) -> sluice_model::signature::Request<'a> {
        sluice_model::signature::Request {
            method: "POST",
            url: "",
            headers,
            body,
        }
    }
}
