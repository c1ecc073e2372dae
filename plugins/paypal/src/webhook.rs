//! Webhooks (PayPal docs, "Webhooks", "Show event notification details"). The host has checked the signature, which covers the body by
//! its CRC-32 alone: a body can be made that has the checksum of another. So nothing of the body is believed but the event's id, and
//! the event is PayPal's answer to it.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::Text;
use sluice_sdk::{Error, Event, Handled, Receipt, log};

use crate::config::Config;
use crate::{api, lists};

/// The groups of events that `connector.toml` declares, each as what stands before the first dot.
pub(crate) const GROUPS: [&str; 11] = [
    "billing",
    "catalog",
    "checkout",
    "customer",
    "identity",
    "invoicing",
    "merchant",
    "payment",
    "payment_network",
    "risk",
    "vault",
];

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    event_type: Text<'a>,
    #[serde(borrow, default)]
    create_time: Text<'a>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
}

/// An invoice's event has the invoice one level down.
#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    invoice: Option<&'a RawValue>,
}

pub(crate) fn handle(config: &Config, receipt: &Receipt) -> Result<Handled, Error> {
    let told: Told<'_> = serde_json::from_slice(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("not an event of PayPal's: {error}")))?;
    let id = told.id.as_str();
    if !api::is_id(id) {
        return Err(Error::invalid_data("the event has no `id`"));
    }
    let response = api::get(config, &format!("/v1/notifications/webhooks-events/{id}")).send()?;
    // It may be told before it can be asked for. What was never PayPal's stays unknown, and is given up in the end.
    if response.status == 404 {
        return Err(Error::transient("PayPal does not know the event, or not yet"));
    }
    let response = api::ok(response)?;
    let found: Found<'_> = response.json()?;
    let kind = found.event_type.as_str().to_ascii_lowercase();
    if found.id.as_str() != id || kind.is_empty() {
        return Err(Error::invalid_data("PayPal's answer is another event, or none"));
    }
    let mut handled = Handled::nothing();
    if !GROUPS.contains(&kind.split('.').next().unwrap_or_default()) {
        log::info(&format!(
            "event {id} is of a kind that the manifest does not have: passed over"
        ));
        return Ok(handled);
    }
    records(&mut handled, &kind, found.resource.map_or("{}", RawValue::get));
    handled.events.push(Event {
        kind,
        id: id.to_owned(),
        occurred: found.create_time.timestamp(),
        data: response.text()?.to_owned(),
    });
    Ok(handled)
}

/// The record that the event has whole. A payment's transaction is in PayPal's reports hours later and asks for nothing now.
fn records(handled: &mut Handled, kind: &str, resource: &str) {
    if kind.starts_with("invoicing.invoice.") {
        let of: Option<Resource<'_>> = serde_json::from_str(resource).ok();
        let text = of.and_then(|of| of.invoice).map_or(resource, RawValue::get);
        match serde_json::from_str::<lists::Invoice<'_>>(text) {
            Ok(head) if !head.id.as_str().is_empty() => {
                handled
                    .changes
                    .push(("invoices".to_owned(), lists::invoice(&head, text)));
            }
            _ => handled.resync.push("invoices".to_owned()),
        }
    }
    if kind.starts_with("customer.dispute.") {
        match serde_json::from_str::<lists::Dispute<'_>>(resource) {
            Ok(head) if !head.dispute_id.as_str().is_empty() => {
                handled
                    .changes
                    .push(("disputes".to_owned(), lists::dispute(&head, resource)));
            }
            _ => handled.resync.push("disputes".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer, receipt};

    fn config() -> Config {
        crate::config::of(&testing::connection(r#"{"host":"api-m.sandbox.paypal.com"}"#)).unwrap()
    }

    fn handled(event: &'static str) -> Handled {
        testing::serve(move |_| answer(200, &[], event));
        let told: Told<'_> = serde_json::from_str(event).unwrap();
        let body = format!(r#"{{"id":"{}","event_type":"FORGED"}}"#, told.id.as_str());
        handle(&config(), &receipt(&[], &body)).unwrap()
    }

    #[test]
    fn what_is_believed_is_paypals_answer() {
        let event = include_str!("../fixtures/event-capture.json");
        let handled = handled(event);
        assert_eq!(
            testing::requests()[0].url(),
            "https://api-m.sandbox.paypal.com/v1/notifications/webhooks-events/WH-58D329510W468432D-8HN650336L201105X"
        );
        let told = &handled.events[0];
        assert_eq!(
            (told.kind.as_str(), told.data.as_str()),
            ("payment.capture.completed", event)
        );
        assert_eq!(told.occurred, sluice_sdk::time::parse("2026-01-05T10:00:00.000Z"));
        assert!(handled.changes.is_empty());
    }

    #[test]
    fn invoices_and_disputes_are_records() {
        let paid = handled(include_str!("../fixtures/event-invoice.json"));
        assert_eq!(
            (paid.changes[0].0.as_str(), paid.changes[0].1.id()),
            ("invoices", "INV2-Z56S-5LLA-Q52L-CPZ5")
        );
        let disputed = handled(include_str!("../fixtures/event-dispute.json"));
        assert_eq!(
            (disputed.changes[0].0.as_str(), disputed.changes[0].1.id()),
            ("disputes", "PP-D-12345")
        );
        let odd = handled(r#"{"id":"WH-1","event_type":"INVOICING.INVOICE.CREATED","resource":{}}"#);
        assert_eq!(odd.resync, ["invoices"]);
        assert!(
            handled(r#"{"id":"WH-1","event_type":"NEW.KIND"}"#)
                .events
                .is_empty()
        );
    }

    #[test]
    fn what_paypal_does_not_know_is_not_believed() {
        let body = include_str!("../fixtures/event-capture.json");
        testing::serve(|_| answer(404, &[], r#"{"name":"RESOURCE_NOT_FOUND"}"#));
        assert!(matches!(
            handle(&config(), &receipt(&[], body)),
            Err(Error::Transient(_))
        ));
        testing::serve(|_| {
            answer(
                200,
                &[],
                r#"{"id":"WH-OTHER","event_type":"PAYMENT.CAPTURE.COMPLETED"}"#,
            )
        });
        assert!(matches!(
            handle(&config(), &receipt(&[], body)),
            Err(Error::InvalidData(_))
        ));
        for body in ["", "{}", r#"{"id":"../x"}"#, r#"{"id":7}"#] {
            assert!(
                matches!(handle(&config(), &receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn the_manifest_declares_these_groups() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let events = manifest.webhooks[0].events.iter();
        let kinds: Vec<&str> = events.map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, GROUPS.map(|group| format!("{group}.*")));
    }
}
