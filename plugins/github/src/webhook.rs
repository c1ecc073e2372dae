//! Webhooks (GitHub docs, "Webhook events and payloads"). Every event becomes one event of ours; those that carry a whole
//! record of a stream change it too. The host has checked the signature.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Error, Event, Handled, Receipt};

/// The members of a payload that decide what it means.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    action: Text<'a>,
    #[serde(rename = "ref", borrow, default)]
    reference: Text<'a>,
    #[serde(borrow, default)]
    issue: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pull_request: Option<&'a RawValue>,
    #[serde(borrow, default)]
    release: Option<&'a RawValue>,
    #[serde(borrow, default)]
    workflow_run: Option<&'a RawValue>,
    #[serde(borrow, default)]
    repository: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let name = header(receipt, "x-github-event")?;
    let delivery = header(receipt, "x-github-delivery")?;
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))?;
    let payload: Payload<'_> = serde_json::from_str(body).map_err(|error| {
        // The other content type that GitHub offers is a form; the README says which one to choose.
        Error::invalid_data(format!(
            "the payload is not JSON (content type application/json): {error}"
        ))
    })?;

    // What GitHub adds, and sends to whoever asked for everything, is nothing that the manifest declares.
    if !EVENTS.contains(&name) {
        return Ok(Handled::nothing());
    }
    let (stream, record) = match name {
        "issues" => ("issues", payload.issue),
        "pull_request" => ("pull_requests", payload.pull_request),
        "release" => ("releases", payload.release),
        "workflow_run" => ("workflow_runs", payload.workflow_run),
        "repository" => ("repositories", payload.repository),
        _ => ("", None),
    };
    let action = payload.action.as_str();
    let mut handled = Handled::nothing();
    let mut occurred = None;
    if let Some(record) = record {
        let head: Head<'_> = serde_json::from_str(record.get())
            .map_err(|error| Error::invalid_data(format!("not a record of `{stream}`: {error}")))?;
        occurred = head.updated_at.timestamp();
        let change = match (stream, action) {
            // A transferred issue gets a new id in its new repository.
            (_, "deleted") | ("issues", "transferred") => Change::Delete(head.id.to_string()),
            _ => Change::Upsert(record::item(head.id.to_string(), record.get(), occurred)),
        };
        handled.changes.push((stream.to_owned(), change));
    }
    if name == "push" && is_default_branch(&payload) {
        // A push tells less about its commits than the API, and no more than 2,048 of them.
        handled.resync.push("commits".to_owned());
    }
    let kind = if action.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{action}")
    };
    handled.events.push(Event {
        kind,
        id: delivery.to_owned(),
        occurred,
        data: body.to_owned(),
    });
    Ok(handled)
}

/// The events that the manifest declares, as GitHub's header names them.
const EVENTS: &[&str] = &[
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "code_scanning_alert",
    "commit_comment",
    "create",
    "delete",
    "dependabot_alert",
    "deploy_key",
    "deployment",
    "deployment_review",
    "deployment_status",
    "discussion",
    "discussion_comment",
    "fork",
    "github_app_authorization",
    "gollum",
    "installation",
    "installation_repositories",
    "issue_comment",
    "issues",
    "label",
    "marketplace_purchase",
    "member",
    "membership",
    "merge_group",
    "meta",
    "milestone",
    "org_block",
    "organization",
    "package",
    "page_build",
    "ping",
    "project",
    "project_card",
    "project_column",
    "projects_v2_item",
    "public",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "push",
    "release",
    "repository",
    "repository_dispatch",
    "repository_import",
    "repository_vulnerability_alert",
    "security_advisory",
    "sponsorship",
    "star",
    "status",
    "team",
    "team_add",
    "watch",
    "workflow_dispatch",
    "workflow_job",
    "workflow_run",
];

fn header<'a>(receipt: &'a Receipt, name: &str) -> Result<&'a str, Error> {
    let header = receipt.headers.iter().find(|(other, _)| other == name);
    match header {
        Some((_, value)) if !value.is_empty() => Ok(value),
        _ => Err(Error::invalid_data(format!("the webhook has no `{name}` header"))),
    }
}

/// The stream `commits` follows the default branch.
fn is_default_branch(payload: &Payload<'_>) -> bool {
    #[derive(Deserialize)]
    struct Repository<'a> {
        #[serde(borrow, default)]
        default_branch: Text<'a>,
    }
    let Some(branch) = payload.reference.as_str().strip_prefix("refs/heads/") else {
        return false;
    };
    let repository = payload
        .repository
        .and_then(|text| serde_json::from_str::<Repository<'_>>(text.get()).ok());
    repository.is_some_and(|repository| repository.default_branch.as_str() == branch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::receipt;

    fn handled(event: &str, body: &str) -> Handled {
        handle(&receipt(
            &[("x-github-event", event), ("x-github-delivery", "d-1")],
            body,
        ))
        .unwrap()
    }

    #[test]
    fn an_issue_is_an_event_and_a_record() {
        let body = include_str!("../fixtures/webhook-issues-opened.json");
        let handled = handled("issues", body);
        assert_eq!(handled.events.len(), 1);
        assert_eq!(
            (handled.events[0].kind.as_str(), handled.events[0].id.as_str()),
            ("issues.opened", "d-1")
        );
        assert_eq!(handled.events[0].data, body);
        let (stream, Change::Upsert(item)) = &handled.changes[0] else {
            panic!("{:?}", handled.changes)
        };
        assert_eq!((stream.as_str(), item.id.as_str()), ("issues", "9001"));
        assert!(body.contains(&item.data));
        assert!(item.modified.is_some());
    }

    #[test]
    fn events_are_those_of_the_manifest_and_others_mean_nothing() {
        let declared = include_str!("../connector.toml");
        let (_, declared) = declared.split_once("[[webhooks]]").unwrap();
        let kinds = declared.split("{ kind = \"").skip(1);
        let mut names: Vec<_> = kinds.map(|kind| kind.split(['.', '"']).next().unwrap()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, EVENTS);
        assert_eq!(handled("spaceship", r#"{"action":"landed"}"#), Handled::nothing());
    }

    #[test]
    fn what_is_gone_is_deleted() {
        for (event, member, action) in [
            ("issues", "issue", "deleted"),
            ("issues", "issue", "transferred"),
            ("release", "release", "deleted"),
        ] {
            let handled = handled(
                event,
                &format!(r#"{{"action":"{action}","{member}":{{"id":5}}}}"#),
            );
            assert!(
                matches!(&handled.changes[..], [(_, Change::Delete(id))] if id == "5"),
                "{event}.{action}"
            );
        }
    }

    #[test]
    fn a_push_to_the_default_branch_asks_for_a_sync() {
        let body =
            |reference: &str| format!(r#"{{"ref":"{reference}","repository":{{"default_branch":"main"}}}}"#);
        assert_eq!(handled("push", &body("refs/heads/main")).resync, ["commits"]);
        assert!(handled("push", &body("refs/heads/other")).resync.is_empty());
        assert!(handled("push", &body("refs/tags/main")).resync.is_empty());
        assert_eq!(handled("push", &body("refs/tags/v1")).events[0].kind, "push");
    }

    #[test]
    fn a_comment_changes_no_record() {
        let handled = handled(
            "issue_comment",
            r#"{"action":"created","issue":{"id":1},"comment":{"id":2}}"#,
        );
        assert!(handled.changes.is_empty());
        assert_eq!(handled.events[0].kind, "issue_comment.created");
    }

    #[test]
    fn what_is_not_a_webhook_of_github_is_refused() {
        let refused = |headers: &[(&str, &str)], body: &str| match handle(&receipt(headers, body)) {
            Err(Error::InvalidData(detail)) => detail.message,
            other => panic!("{other:?}"),
        };
        let both = [("x-github-event", "push"), ("x-github-delivery", "d")];
        assert!(refused(&[], "{}").contains("x-github-event"));
        assert!(refused(&both[..1], "{}").contains("x-github-delivery"));
        assert!(refused(&both, "payload=%7B%7D").contains("application/json"));
        assert!(refused(&both, "[1,").contains("JSON"));
    }
}
