//! Linear's webhooks (Linear docs, "Webhooks"). A payload shows its object in another shape than the API, so it only tells
//! which stream to read; what was removed is deleted at once.
//!
//! Linear asks to refuse what is older than a minute by `webhookTimestamp`, which is signed as part of the body. The recipe
//! cannot look into the body: a repeated delivery is recognized by its `linear-delivery` instead.

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Change, Error, Event, Handled, Receipt};

/// What Linear calls a record of a stream.
const STREAMS: [(&str, &str); 5] = [
    ("Issue", "issues"),
    ("Project", "projects"),
    ("Cycle", "cycles"),
    ("Comment", "comments"),
    ("User", "users"),
];

/// The types that `connector.toml` declares events of.
const KINDS: [&str; 8] = [
    "Issue",
    "Comment",
    "Project",
    "Cycle",
    "ProjectUpdate",
    "IssueLabel",
    "Reaction",
    "User",
];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    action: Text<'a>,
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(rename = "createdAt", borrow, default)]
    created: Text<'a>,
    #[serde(rename = "organizationId", borrow, default)]
    organization: Text<'a>,
    #[serde(borrow, default)]
    data: Option<Object<'a>>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let body = body(receipt)?;
    let payload = payload(body)?;
    let mut handled = Handled::nothing();
    let kind = payload.kind.as_str();
    if !KINDS.contains(&kind) || !matches!(payload.action.as_str(), "create" | "update" | "remove") {
        return Ok(handled);
    }
    let delivery = receipt
        .headers
        .iter()
        .find(|(name, _)| name == "linear-delivery")
        .map(|(_, value)| value.clone());
    let id = payload.data.as_ref().map_or("", |object| object.id.as_str());
    handled.events.push(Event {
        kind: format!("{kind}.{}", payload.action.as_str()),
        id: delivery
            .unwrap_or_else(|| format!("{id}-{}-{}", payload.action.as_str(), payload.created.as_str())),
        occurred: payload.created.timestamp(),
        data: body.to_owned(),
    });
    let stream = STREAMS.iter().find(|(theirs, _)| *theirs == kind);
    if let Some((_, stream)) = stream {
        if payload.action.as_str() == "remove" && !id.is_empty() {
            handled
                .changes
                .push(((*stream).to_owned(), Change::Delete(id.to_owned())));
        } else {
            handled.resync.push((*stream).to_owned());
        }
    }
    Ok(handled)
}

/// The workspace that it concerns.
pub(crate) fn route(receipt: &Receipt) -> Result<Vec<String>, Error> {
    let payload = payload(body(receipt)?)?;
    let organization = payload.organization.as_str();
    Ok((!organization.is_empty())
        .then(|| organization.to_owned())
        .into_iter()
        .collect())
}

fn body(receipt: &Receipt) -> Result<&str, Error> {
    std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))
}

fn payload(body: &str) -> Result<Payload<'_>, Error> {
    serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::receipt;

    #[test]
    fn a_change_is_an_event_and_asks_for_its_stream() {
        let body = include_str!("../fixtures/webhook-issue.json");
        let handled = handle(&receipt(&[("linear-delivery", "dlv-1")], body)).unwrap();
        let event = &handled.events[0];
        assert_eq!(
            (event.kind.as_str(), event.id.as_str()),
            ("Issue.update", "dlv-1")
        );
        assert_eq!(event.occurred, Some(1_714_557_600_250));
        assert_eq!(
            (handled.resync, handled.changes.len()),
            (vec!["issues".to_owned()], 0)
        );
        assert_eq!(route(&receipt(&[], body)).unwrap(), ["org-doors"]);
    }

    #[test]
    fn what_was_removed_is_deleted_at_once() {
        let body = r#"{"action":"remove","type":"Comment","createdAt":"2024-05-01T10:00:00.000Z","data":{"id":"c1"}}"#;
        let handled = handle(&receipt(&[], body)).unwrap();
        assert!(
            matches!(&handled.changes[..], [(stream, Change::Delete(id))] if stream == "comments" && id == "c1")
        );
        assert_eq!(handled.events[0].id, "c1-remove-2024-05-01T10:00:00.000Z");
    }

    #[test]
    fn other_kinds_mean_nothing_and_what_is_no_payload_is_refused() {
        for body in [
            "{}",
            r#"{"type":"IssueSLA","action":"set"}"#,
            r#"{"type":"Issue","action":"explode"}"#,
        ] {
            assert_eq!(handle(&receipt(&[], body)).unwrap(), Handled::nothing(), "{body}");
        }
        for body in ["", "[1,", "payload=1"] {
            assert!(
                matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn the_manifest_declares_these_kinds_and_the_recipe_is_linears() {
        use sluice_model::clock::Timestamp;
        use sluice_model::secret::Secret;
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let hook = &manifest.webhooks[0];
        let kinds: Vec<&str> = hook
            .events
            .iter()
            .map(|event| event.kind.trim_end_matches(".*"))
            .collect();
        assert_eq!(kinds, KINDS);
        let (secret, now) = (
            Secret::new(b"signing".to_vec()),
            Timestamp::from_millis(1_795_000_000_000),
        );
        let headers = hook.recipe.sign(&sent(&[], b"{}"), &secret, now);
        assert_eq!(
            (headers[0].0.as_str(), headers[0].1.len()),
            ("linear-signature", 64)
        );
        assert!(
            hook.recipe
                .verify(&sent(&headers, b"{}"), std::slice::from_ref(&secret), None, now)
                .is_ok()
        );
        assert!(
            hook.recipe
                .verify(&sent(&headers, b"{ }"), &[secret], None, now)
                .is_err()
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
