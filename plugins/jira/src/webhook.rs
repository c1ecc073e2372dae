//! Jira's webhooks, as an administrator sets them up (Jira docs, "Webhooks"). A payload shows its issue in the shape of the
//! API's version 2, so it only tells what to read; what was deleted is deleted at once.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::{Change, Error, Event, Handled, Receipt};

/// The kinds that `connector.toml` declares, and the stream that each is about.
const KINDS: [(&str, &str); 12] = [
    ("jira:issue_created", "issues"),
    ("jira:issue_updated", "issues"),
    ("jira:issue_deleted", "issues"),
    ("comment_created", "issues"),
    ("comment_updated", "issues"),
    ("comment_deleted", "issues"),
    ("worklog_created", "worklogs"),
    ("worklog_updated", "worklogs"),
    ("worklog_deleted", "worklogs"),
    ("project_created", "projects"),
    ("project_updated", "projects"),
    ("project_deleted", "projects"),
];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "webhookEvent", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    timestamp: Id<'a>,
    #[serde(borrow, default)]
    issue: Option<Object<'a>>,
    #[serde(borrow, default)]
    worklog: Option<Object<'a>>,
    #[serde(borrow, default)]
    project: Option<Object<'a>>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))?;
    let payload: Payload<'_> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not JSON: {error}")))?;
    let mut handled = Handled::nothing();
    let Some((kind, stream)) = KINDS.iter().find(|(kind, _)| *kind == payload.kind.as_str()) else {
        return Ok(handled);
    };
    let object = match *stream {
        "worklogs" => payload.worklog.as_ref(),
        "projects" => payload.project.as_ref(),
        _ => payload.issue.as_ref(),
    };
    let id = object.map(|object| object.id.to_string()).unwrap_or_default();
    let occurred = match payload.timestamp {
        Id::Number(at) => Some(at),
        _ => None,
    };
    let told = receipt
        .headers
        .iter()
        .find(|(name, _)| name == "x-atlassian-webhook-identifier")
        .map(|(_, value)| value.clone());
    handled.events.push(Event {
        kind: (*kind).to_owned(),
        id: told.unwrap_or_else(|| format!("{kind}-{id}-{}", payload.timestamp)),
        occurred,
        data: body.to_owned(),
    });
    let is_own = !kind.starts_with("comment_");
    if is_own && kind.ends_with("_deleted") && !id.is_empty() {
        handled.changes.push(((*stream).to_owned(), Change::Delete(id)));
    } else {
        handled.resync.push((*stream).to_owned());
    }
    Ok(handled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::receipt;

    #[test]
    fn a_change_is_an_event_and_asks_for_its_stream() {
        let body = include_str!("../fixtures/webhook-issue.json");
        let handled = handle(&receipt(&[("x-atlassian-webhook-identifier", "w-1")], body)).unwrap();
        let event = &handled.events[0];
        assert_eq!(
            (event.kind.as_str(), event.id.as_str()),
            ("jira:issue_updated", "w-1")
        );
        assert_eq!(event.occurred, Some(1_714_557_600_250));
        assert_eq!(
            (handled.resync, handled.changes.len()),
            (vec!["issues".to_owned()], 0)
        );
    }

    #[test]
    fn what_was_deleted_is_deleted_at_once() {
        let check = |body: &str, stream: &str, id: &str| {
            let handled = handle(&receipt(&[], body)).unwrap();
            assert!(
                matches!(&handled.changes[..], [(name, Change::Delete(gone))] if name == stream && gone == id),
                "{body}"
            );
        };
        check(
            r#"{"timestamp":1,"webhookEvent":"jira:issue_deleted","issue":{"id":"10001","key":"DOOR-1"}}"#,
            "issues",
            "10001",
        );
        check(
            r#"{"timestamp":1,"webhookEvent":"worklog_deleted","worklog":{"id":"103","issueId":"10001"}}"#,
            "worklogs",
            "103",
        );
        check(
            r#"{"timestamp":1,"webhookEvent":"project_deleted","project":{"id":10000,"key":"DOOR"}}"#,
            "projects",
            "10000",
        );
        // A comment that is gone leaves its issue.
        let comment = handle(&receipt(
            &[],
            r#"{"timestamp":1,"webhookEvent":"comment_deleted","issue":{"id":"10001"},"comment":{"id":"5"}}"#,
        ));
        assert!(comment.unwrap().changes.is_empty());
    }

    #[test]
    fn other_kinds_mean_nothing_and_what_is_no_payload_is_refused() {
        assert_eq!(
            handle(&receipt(&[], r#"{"webhookEvent":"board_created"}"#)).unwrap(),
            Handled::nothing()
        );
        for body in ["", "[1,", "payload=1"] {
            assert!(
                matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn the_manifest_declares_these_kinds_and_the_recipe_is_jiras() {
        use sluice_model::clock::Timestamp;
        use sluice_model::secret::Secret;
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let hook = &manifest.webhooks[0];
        let declared: Vec<&str> = hook.events.iter().map(|event| event.kind.as_str()).collect();
        let ours: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(declared, ours);
        let (secret, now) = (
            Secret::new(b"signing".to_vec()),
            Timestamp::from_millis(1_795_000_000_000),
        );
        let headers = hook.recipe.sign(&sent(&[], b"{}"), &secret, now);
        assert_eq!(headers[0].0, "x-hub-signature");
        assert!(headers[0].1.starts_with("sha256="));
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
