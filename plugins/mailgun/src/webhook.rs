//! Webhooks ("Webhooks", "Event Structure"). Every delivery becomes one event of ours. Its signature proves who sent it and nothing of what
//! it says, so records are not made of it: where an address comes on a list, the list is read. The host has checked the
//! signature, and that its token is used once.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Error, Event, Handled, Receipt, log};

use crate::events::milliseconds;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "event-data", borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    event: Text<'a>,
    #[serde(borrow, default)]
    severity: Text<'a>,
    #[serde(default)]
    timestamp: Option<f64>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))?;
    let payload: Payload<'_> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not Mailgun's JSON: {error}")))?;
    let data = payload.data;
    let mut handled = Handled::nothing();
    let (kind, lists): (_, &[&str]) = match (data.event.as_str(), data.severity.as_str()) {
        ("failed", "permanent") => ("failed.permanent", &["bounces", "events"]),
        ("failed", _) => ("failed.temporary", &[]),
        ("complained", _) => ("complained", &["complaints", "events"]),
        ("unsubscribed", _) => ("unsubscribed", &["unsubscribes", "events"]),
        (kind @ ("accepted" | "clicked" | "delivered" | "opened"), _) => (kind, &[]),
        _ => {
            log::info("a delivery is of a kind that the manifest does not have: passed over");
            return Ok(handled);
        }
    };
    handled.resync.extend(lists.iter().map(|list| (*list).to_owned()));
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not an object: {error}")))?;
    members.remove("signature");
    let id = data.id.as_str();
    handled.events.push(Event {
        kind: kind.to_owned(),
        id: match id.is_empty() {
            true => receipt.id.clone(),
            false => id.to_owned(),
        },
        occurred: milliseconds(data.timestamp),
        data: record::text(&members)?,
    });
    Ok(handled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::receipt;

    fn handled(event: &str) -> Handled {
        handle(&receipt(
            &[],
            &format!(r#"{{"signature":{{}},"event-data":{event}}}"#),
        ))
        .unwrap()
    }

    #[test]
    fn a_failure_is_an_event_without_its_signature_and_asks_for_the_list() {
        let body = include_str!("../fixtures/webhook-failed.json");
        let handled = handle(&receipt(&[], body)).unwrap();
        let event = &handled.events[0];
        assert_eq!(
            (event.kind.as_str(), event.id.as_str()),
            ("failed.permanent", "G9Bn5sl1TC6nu79C8C0bwg")
        );
        assert_eq!(event.occurred, Some(1_714_557_600_709));
        assert!(body.contains("\"token\"") && !event.data.contains("\"token\""));
        assert_eq!(handled.resync, ["bounces", "events"]);
        assert!(handled.changes.is_empty());
    }

    #[test]
    fn kinds_are_told_apart() {
        for (event, kind) in [
            (r#"{"event":"failed","severity":"temporary"}"#, "failed.temporary"),
            (r#"{"event":"opened","id":"a"}"#, "opened"),
            (r#"{"event":"complained"}"#, "complained"),
        ] {
            assert_eq!(handled(event).events[0].kind, kind);
        }
        assert_eq!(handled(r#"{"event":"unsubscribed"}"#).resync[0], "unsubscribes");
        assert_eq!(handled(r#"{"event":"opened"}"#).events[0].id, "rcp_test");
        assert!(handled(r#"{"event":"of_the_future"}"#).events.is_empty());
    }

    #[test]
    fn what_is_not_a_webhook_of_mailgun_is_refused() {
        for body in ["", "[1,", "{}", r#"{"event-data":7}"#, "a=b"] {
            assert!(
                matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }
}
