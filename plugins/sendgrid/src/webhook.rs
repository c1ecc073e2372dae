//! The Event Webhook ("Event Webhook Reference"): a delivery is a list, and each entry becomes one event of ours with SendGrid's id. An
//! address that bounced, was blocked or unsubscribed is changed in its stream too. The host has checked the signature.

use serde::Deserialize;
use serde_json::json;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Error, Event, Handled, Receipt, log};

use crate::suppression::milliseconds;

/// The kinds that `connector.toml` declares.
pub(crate) const KINDS: [&str; 11] = [
    "bounce",
    "click",
    "deferred",
    "delivered",
    "dropped",
    "group_resubscribe",
    "group_unsubscribe",
    "open",
    "processed",
    "spamreport",
    "unsubscribe",
];

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    event: Text<'a>,
    #[serde(borrow, default)]
    sg_event_id: Text<'a>,
    #[serde(borrow, default)]
    email: Text<'a>,
    #[serde(borrow, default)]
    timestamp: Id<'a>,
    /// Of a bounce: `bounce` or `blocked`.
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    reason: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))?;
    let mut handled = Handled::nothing();
    for (at, element) in record::each::<Entry<'_>>(body).enumerate() {
        let (entry, text) = element?;
        let kind = entry.event.as_str();
        if !KINDS.contains(&kind) {
            log::info("an event is of a kind that the manifest does not have: passed over");
            continue;
        }
        if let Some(change) = changed(&entry)? {
            handled.changes.push(change);
        }
        if kind == "spamreport" && !handled.resync.iter().any(|stream| stream == "spam_reports") {
            // The list also has the address that the report came from.
            handled.resync.push("spam_reports".to_owned());
        }
        let id = entry.sg_event_id.as_str();
        handled.events.push(Event {
            kind: kind.to_owned(),
            id: match id.is_empty() {
                true => format!("{}-{at}", receipt.id),
                false => id.to_owned(),
            },
            occurred: milliseconds(&entry.timestamp),
            data: text.to_owned(),
        });
    }
    Ok(handled)
}

/// The entry of the list that the address has come on, in the list's own shape.
fn changed(entry: &Entry<'_>) -> Result<Option<(String, Change)>, Error> {
    let (email, Id::Number(created)) = (entry.email.as_str(), &entry.timestamp) else {
        return Ok(None);
    };
    let refused = || json!({"created": created, "email": email, "reason": entry.reason.as_str(), "status": entry.status.as_str()});
    let (stream, data) = match (entry.event.as_str(), entry.kind.as_str()) {
        ("bounce", "blocked") => ("blocks", refused()),
        ("bounce", _) => ("bounces", refused()),
        ("unsubscribe", _) => ("unsubscribes", json!({"created": created, "email": email})),
        _ => return Ok(None),
    };
    let item = record::item(email, &record::text(&data)?, milliseconds(&entry.timestamp));
    Ok(Some((stream.to_owned(), Change::Upsert(item))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::receipt;

    #[test]
    fn every_entry_is_an_event_and_a_bounce_is_a_record() {
        let handled = handle(&receipt(&[], include_str!("../fixtures/webhook-events.json"))).unwrap();
        let told: Vec<(&str, &str)> = handled
            .events
            .iter()
            .map(|event| (event.kind.as_str(), event.id.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("delivered", "ZGVsaXZlcmVkLTE="),
                ("bounce", "Ym91bmNlLTE="),
                ("bounce", "YmxvY2stMQ=="),
                ("spamreport", "c3BhbS0x")
            ]
        );
        assert_eq!(handled.events[0].occurred, Some(1_714_557_600_000));
        let changed: Vec<(&str, &str)> = handled
            .changes
            .iter()
            .map(|(stream, change)| (stream.as_str(), change.id()))
            .collect();
        assert_eq!(
            changed,
            [
                ("bounces", "cellar@doors.example"),
                ("blocks", "attic@doors.example")
            ]
        );
        assert_eq!(handled.resync, ["spam_reports"]);
        let (_, Change::Upsert(item)) = &handled.changes[0] else {
            panic!()
        };
        assert_eq!(
            item.data,
            r#"{"created":1714557600,"email":"cellar@doors.example","reason":"550 No such door","status":"5.1.1"}"#
        );
    }

    #[test]
    fn what_is_unknown_is_passed_over() {
        let few = r#"[{"event":"of_the_future","email":"a"},{"event":"unsubscribe","email":"a@b.c","timestamp":1},{"event":"open","sg_event_id":7}]"#;
        let handled = handle(&receipt(&[], few)).unwrap();
        assert_eq!(handled.changes.len(), 1);
        let ids: Vec<&str> = handled.events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["rcp_test-1", "rcp_test-2"]);
        assert!(handle(&receipt(&[], "[]")).unwrap().events.is_empty());
    }

    #[test]
    fn what_is_not_a_webhook_of_sendgrid_is_refused() {
        for body in ["", "{}", "[1,", "[7]", "a=b"] {
            assert!(
                matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn the_manifest_declares_these_kinds() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let kinds = manifest.webhooks[0]
            .events
            .iter()
            .map(|event| event.kind.as_str());
        assert_eq!(kinds.collect::<Vec<_>>(), KINDS);
    }
}
