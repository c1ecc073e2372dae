//! Webhooks (GitLab docs, "Webhook events"). Every delivery becomes one event of ours. Its record is read from GitLab: a payload shows
//! an issue in another shape than the API, and a secret token proves who sent it and nothing of what it says. The host has checked
//! the token or the signature.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::{Change, Connection, Error, Event, Handled, Receipt, log};

use crate::api::{self, Api};
use crate::config::{self, Scope};
use crate::streams::changed;

/// The kinds that `connector.toml` declares.
const KINDS: [&str; 15] = [
    "access_token",
    "build",
    "deployment",
    "emoji",
    "feature_flag",
    "issue",
    "merge_request",
    "milestone",
    "note",
    "pipeline",
    "push",
    "release",
    "tag_push",
    "wiki_page",
    "work_item",
];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    object_kind: Text<'a>,
    #[serde(borrow, default)]
    object_attributes: Attributes<'a>,
    #[serde(borrow, default)]
    project: Project<'a>,
    /// Of a release, an emoji's or a milestone's older payloads.
    #[serde(borrow, default)]
    action: Text<'a>,
    #[serde(borrow, default)]
    event_type: Text<'a>,
    /// Of a job.
    #[serde(borrow, default)]
    build_status: Text<'a>,
    /// Of a deployment.
    #[serde(borrow, default)]
    status: Text<'a>,
}

#[derive(Default, Deserialize)]
struct Attributes<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    iid: Id<'a>,
    #[serde(borrow, default)]
    action: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
}

#[derive(Default, Deserialize)]
struct Project<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
}

pub(crate) fn handle(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))?;
    let payload: Payload<'_> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not GitLab's JSON: {error}")))?;
    let kind = payload.object_kind.as_str();
    if kind.is_empty() {
        return Err(Error::invalid_data("the payload has no `object_kind`"));
    }
    let mut handled = Handled::nothing();
    if !KINDS.contains(&kind) {
        log::info("a delivery is of a kind that the manifest does not have: passed over");
        return Ok(handled);
    }
    let found = changed_record(connection, kind, &payload)?;
    handled.changes.extend(found);
    let action = action(&payload);
    handled.events.push(Event {
        kind: match (kind, action) {
            ("push" | "tag_push" | "feature_flag", _) | (_, "") => kind.to_owned(),
            (kind, action) => format!("{kind}.{action}"),
        },
        id: delivery(receipt),
        occurred: payload.object_attributes.updated_at.timestamp(),
        data: body.to_owned(),
    });
    Ok(handled)
}

/// What happened to it, as a word: its action, or where it has none its state.
fn action<'p>(payload: &'p Payload<'_>) -> &'p str {
    let found = [
        &payload.object_attributes.action,
        &payload.action,
        &payload.object_attributes.status,
        &payload.build_status,
        &payload.status,
    ]
    .into_iter()
    .map(Text::as_str)
    .find(|word| !word.is_empty());
    let word =
        |text: &&str| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    found.filter(word).unwrap_or_else(|| {
        // An emoji's `event_type` is `award` or `revoke`.
        match payload.event_type.as_str() {
            kind @ ("award" | "revoke") => kind,
            _ => "",
        }
    })
}

/// The record as GitLab has it now, where it is of a stream and of a project that the connection reads.
fn changed_record(
    connection: &Connection,
    kind: &str,
    payload: &Payload<'_>,
) -> Result<Option<(String, Change)>, Error> {
    let about = &payload.object_attributes;
    let (Id::Number(project), Id::Number(id)) = (&payload.project.id, &about.id) else {
        return Ok(None);
    };
    let (stream, path) = match (kind, &about.iid) {
        // Tasks, epics and the like are work items and no issues; the API's list of issues has them where it has them.
        ("issue", Id::Number(iid)) => ("issues", format!("projects/{project}/issues/{iid}")),
        ("merge_request", Id::Number(iid)) => (
            "merge_requests",
            format!("projects/{project}/merge_requests/{iid}"),
        ),
        ("pipeline", _) => ("pipelines", format!("projects/{project}/pipelines/{id}")),
        _ => return Ok(None),
    };
    if matches!(config::read(connection)?.scope()?, Scope::Projects(ids) if !ids.contains(project)) {
        return Ok(None);
    }
    let response = Api::of(connection)?.get(&path).send()?;
    let change = match response.status {
        404 => Change::Delete(id.to_string()),
        _ if api::is_refused(&response) => {
            log::warn("a webhook is about something that the token may not read");
            return Ok(None);
        }
        _ => changed::upsert(response.ok()?.text()?)?,
    };
    // A payload that lies about the number behind an issue's must not put another record in its place.
    if change.id() != id.to_string() {
        return Err(Error::invalid_data("GitLab has another record under this number"));
    }
    Ok(Some((stream.to_owned(), change)))
}

/// The id that stays the same when GitLab tries again ("Delivery headers"); older ones have none.
fn delivery(receipt: &Receipt) -> String {
    let header = |name: &str| receipt.headers.iter().find(|(other, _)| other == name);
    ["webhook-id", "idempotency-key"]
        .iter()
        .find_map(|name| header(name))
        .map(|(_, value)| value.clone())
        .filter(|id| (1..=200).contains(&id.len()))
        .unwrap_or_else(|| receipt.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, receipt};

    const CONFIG: &str = r#"{"host":"gitlab.com","projects":[7]}"#;

    fn handled(body: &str) -> Handled {
        let receipt = receipt(&[("idempotency-key", "d-1")], body);
        handle(&testing::connection(CONFIG), &receipt).unwrap()
    }

    #[test]
    fn an_issue_is_an_event_and_the_record_that_gitlab_has() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://gitlab.com/api/v4/projects/7/issues/6");
            testing::answer(200, &[], include_str!("../fixtures/issue.json"))
        });
        let handled = handled(include_str!("../fixtures/webhook-issue.json"));
        let event = &handled.events[0];
        assert_eq!((event.kind.as_str(), event.id.as_str()), ("issue.open", "d-1"));
        let [(stream, Change::Upsert(item))] = &handled.changes[..] else {
            panic!("{:?}", handled.changes)
        };
        assert_eq!((stream.as_str(), item.id.as_str()), ("issues", "76"));
        assert!(item.data.contains("\"web_url\""), "the API's shape");
    }

    #[test]
    fn what_is_gone_is_deleted_and_what_may_not_be_read_is_left() {
        let body = include_str!("../fixtures/webhook-issue.json");
        testing::serve(|_| testing::answer(404, &[], r#"{"message":"404 Not found"}"#));
        assert!(matches!(&handled(body).changes[..], [(_, Change::Delete(id))] if id == "76"));
        testing::serve(|_| testing::answer(403, &[], r#"{"message":"403 Forbidden"}"#));
        assert!(handled(body).changes.is_empty());
        testing::serve(|_| testing::answer(200, &[], r#"{"id":77}"#));
        let other = handle(&testing::connection(CONFIG), &receipt(&[], body));
        assert!(matches!(other, Err(Error::InvalidData(_))));
        testing::serve(|_| testing::answer(503, &[], ""));
        let later = handle(&testing::connection(CONFIG), &receipt(&[], body));
        assert!(matches!(later, Err(Error::Transient(_))));
    }

    #[test]
    fn kinds_have_their_action_or_their_state() {
        testing::serve(|_| testing::answer(404, &[], "{}"));
        for (body, kind) in [
            (r#"{"object_kind":"push","ref":"refs/heads/main"}"#, "push"),
            (
                r#"{"object_kind":"merge_request","object_attributes":{"id":9,"iid":1,"action":"merge"},"project":{"id":7}}"#,
                "merge_request.merge",
            ),
            (
                r#"{"object_kind":"pipeline","object_attributes":{"id":31,"status":"success"},"project":{"id":7}}"#,
                "pipeline.success",
            ),
            (
                r#"{"object_kind":"build","build_status":"created"}"#,
                "build.created",
            ),
            (
                r#"{"object_kind":"deployment","status":"running"}"#,
                "deployment.running",
            ),
            (r#"{"object_kind":"release","action":"create"}"#, "release.create"),
            (r#"{"object_kind":"emoji","event_type":"award"}"#, "emoji.award"),
            (
                r#"{"object_kind":"note","object_attributes":{"id":1,"action":"<b>"}}"#,
                "note",
            ),
        ] {
            assert_eq!(handled(body).events[0].kind, kind);
        }
        assert!(handled(r#"{"object_kind":"of_the_future"}"#).events.is_empty());
    }

    #[test]
    fn projects_that_are_left_out_change_no_record() {
        testing::serve(|_| testing::answer(500, &[], ""));
        let body = include_str!("../fixtures/webhook-issue.json").replace("\"id\": 7,", "\"id\": 8,");
        let handled = handled(&body);
        assert!(handled.changes.is_empty() && handled.events.len() == 1);
    }

    #[test]
    fn what_is_not_a_webhook_of_gitlab_is_refused() {
        for body in ["", "[1,", "{}", "a=b"] {
            let refused = handle(&testing::connection(CONFIG), &receipt(&[], body));
            assert!(matches!(refused, Err(Error::InvalidData(_))), "{body}");
        }
        assert_eq!(delivery(&receipt(&[], "")), "rcp_test");
    }

    #[test]
    fn the_manifest_declares_these_kinds() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        for webhook in &manifest.webhooks {
            let kinds = webhook
                .events
                .iter()
                .map(|event| event.kind.trim_end_matches(".*"));
            assert_eq!(kinds.collect::<Vec<_>>(), KINDS);
        }
    }
}
