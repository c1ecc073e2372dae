//! Webhooks ("Bounce webhook" and the like). Every delivery becomes one event of ours. Nothing vouches for what it says, so a bounce is read
//! from Postmark and changed with it. The host has checked the token, or the user and the password.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::{Change, Error, Event, Handled, Receipt, log};

use crate::{api, outbound};

/// Postmark's kinds, and those that `connector.toml` declares.
pub(crate) const KINDS: [(&str, &str); 6] = [
    ("Bounce", "bounce"),
    ("Click", "click"),
    ("Delivery", "delivery"),
    ("Open", "open"),
    ("SpamComplaint", "spam_complaint"),
    ("SubscriptionChange", "subscription_change"),
];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "RecordType", borrow, default)]
    kind: Text<'a>,
    #[serde(rename = "ID", borrow, default)]
    id: Id<'a>,
    #[serde(rename = "ReceivedAt", borrow, default)]
    received: Text<'a>,
    #[serde(rename = "BouncedAt", borrow, default)]
    bounced: Text<'a>,
    #[serde(rename = "DeliveredAt", borrow, default)]
    delivered: Text<'a>,
    #[serde(rename = "ChangedAt", borrow, default)]
    changed: Text<'a>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))?;
    let payload: Payload<'_> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not Postmark's JSON: {error}")))?;
    let kind = payload.kind.as_str();
    if kind.is_empty() {
        return Err(Error::invalid_data("the payload has no `RecordType`"));
    }
    let mut handled = Handled::nothing();
    let Some((_, declared)) = KINDS.iter().find(|(theirs, _)| *theirs == kind) else {
        log::info("a delivery is of a kind that the manifest does not have: passed over");
        return Ok(handled);
    };
    match (kind, &payload.id) {
        ("Bounce" | "SpamComplaint", Id::Number(id)) => handled.changes.extend(bounce(*id)?),
        ("SubscriptionChange", _) => handled.resync.push("suppressions".to_owned()),
        _ => {}
    }
    let times = [
        &payload.received,
        &payload.bounced,
        &payload.delivered,
        &payload.changed,
    ];
    handled.events.push(Event {
        kind: (*declared).to_owned(),
        // Postmark gives a delivery no id.
        id: receipt.id.clone(),
        occurred: times.iter().find_map(|at| at.timestamp()),
        data: body.to_owned(),
    });
    Ok(handled)
}

/// The bounce as Postmark has it now ("Get a single bounce"); one that it has not is nothing.
fn bounce(id: u64) -> Result<Option<(String, Change)>, Error> {
    let response = api::get(&format!("bounces/{id}")).send()?;
    if matches!(response.status, 404 | 422) {
        return Ok(None);
    }
    let change = outbound::upsert(api::ok(response)?.text()?)?;
    if change.id() != id.to_string() {
        return Err(Error::invalid_data(
            "Postmark has another bounce under this number",
        ));
    }
    Ok(Some(("bounces".to_owned(), change)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, receipt};

    fn handled(body: &str) -> Handled {
        handle(&receipt(&[], body)).unwrap()
    }

    #[test]
    fn a_bounce_is_an_event_and_the_record_that_postmark_has() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://api.postmarkapp.com/bounces/692560173");
            testing::answer(200, &[], include_str!("../fixtures/bounce.json"))
        });
        let handled = handled(include_str!("../fixtures/webhook-bounce.json"));
        assert_eq!(handled.events[0].kind, "bounce");
        assert_eq!(handled.events[0].occurred, Some(1_714_557_600_000));
        let [(stream, Change::Upsert(item))] = &handled.changes[..] else {
            panic!()
        };
        assert_eq!((stream.as_str(), item.id.as_str()), ("bounces", "692560173"));
    }

    #[test]
    fn what_postmark_does_not_have_changes_nothing() {
        let body = include_str!("../fixtures/webhook-bounce.json");
        testing::serve(|_| testing::answer(422, &[], r#"{"ErrorCode":407,"Message":"Bounce not found."}"#));
        assert!(handled(body).changes.is_empty());
        testing::serve(|_| testing::answer(200, &[], r#"{"ID":1}"#));
        assert!(matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))));
        testing::serve(|_| testing::answer(500, &[], ""));
        assert!(matches!(handle(&receipt(&[], body)), Err(Error::Transient(_))));
    }

    #[test]
    fn kinds_are_told_apart() {
        for (theirs, ours) in KINDS {
            let told = handled(&format!(r#"{{"RecordType":"{theirs}","MessageID":"m"}}"#));
            assert_eq!(told.events[0].kind, ours);
            assert_eq!(told.resync.is_empty(), ours != "subscription_change");
        }
        assert!(handled(r#"{"RecordType":"OfTheFuture"}"#).events.is_empty());
        for body in ["", "[1,", "{}", r#"{"RecordType":7}"#, "a=b"] {
            assert!(
                matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn the_manifest_declares_these_kinds() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        for webhook in &manifest.webhooks {
            let kinds: Vec<&str> = webhook.events.iter().map(|event| event.kind.as_str()).collect();
            assert_eq!(kinds, KINDS.map(|(_, ours)| ours));
        }
    }
}
