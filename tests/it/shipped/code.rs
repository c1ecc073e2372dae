//! GitLab.

use serde_json::json;

use super::{Delivery, World, id_of};
use crate::server::within;

const ISSUE: &str = include_str!("../../../plugins/gitlab/fixtures/webhook-issue.json");

#[test]
fn gitlab_is_read_and_its_webhooks_are_taken_by_token_and_by_signature() {
    let world = World::at("gitlab", &["gitlab.com"]);
    let connection = world.connect(&json!({"auth": "token", "secret": "a made up secret",
        "config": {"host": "gitlab.com", "projects": [7]}}));
    for stream in ["issues", "merge_requests", "pipelines"] {
        world.reads(&connection, stream, "incremental", 1);
    }
    world.reads(&connection, "projects", "full", 1);

    // Entered at the project, with a token that only GitLab and the host know.
    let hook = world.hook(&connection, &json!({"webhook": "events"}));
    let there = world.at_vendor(&hook);
    assert_eq!(
        (&there["issues_events"], &there["enable_ssl_verification"]),
        (&json!(true), &json!(true))
    );
    let token = there["token"].as_str().expect("a token").to_owned();
    assert_eq!(token.len(), 64, "made by the host");
    let sent = |token: &str, key: &str| {
        let headers = [
            ("x-gitlab-token", token),
            ("idempotency-key", key),
            ("x-gitlab-event", "Issue Hook"),
        ];
        world.send(&id_of(&hook), &Delivery::of(&headers, ISSUE))
    };
    assert_eq!(sent("another token, as long as it is", "d0").status, 401);
    world.refuses(&id_of(&hook), &Delivery::of(&[], ISSUE));
    // What the payload says of the issue is not believed: GitLab says that there is none any more.
    let issue = "https://gitlab.com/api/v4/projects/7/issues/6";
    world.says("GET", issue, 404, &json!({"message": "404 Not found"}));
    assert_eq!(sent(&token, "d1").json()["duplicate"], false);
    assert_eq!(sent(&token, "d1").json()["duplicate"], true);
    let events = world.events("gitlab.issue.open", 1);
    assert_eq!(events[0]["source_id"], "d1", "{events:?}");
    world.records(&connection, "issues", 0);

    // And here it is again: by the other webhook, which GitLab signs.
    let signed = world.hook(&connection, &json!({"webhook": "signed"}));
    let secret = signed["secret"].as_str().expect("a signing token").to_owned();
    assert!(secret.starts_with("whsec_"), "as GitLab takes it");
    let now = json!({"id": 76, "iid": 6, "project_id": 7, "title": "It creaks again", "updated_at": "2024-05-02T10:00:00.000Z",
        "created_at": "2024-05-01T10:00:00.000Z", "state": "opened"});
    world.says("GET", issue, 200, &now);
    world.takes(&signed, ISSUE, &secret);
    world.events("gitlab.issue.open", 2);
    world.records(&connection, "issues", 1);
    world.remove(&id_of(&signed));
    world.forgets(&hook);
    let seen = within(std::time::Duration::from_secs(1), || {
        let log = world.server.log();
        (log.contains(&token) || log.contains(&secret)).then_some(())
    });
    assert!(seen.is_none(), "no secret is in the log");
}
