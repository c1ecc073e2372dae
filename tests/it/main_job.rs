//! The main job from one end to the other, as an operator, a vendor and a reader of the data see it: install, approve,
//! connect, sync, receive a webhook, read the data back; with a power cut in the middle.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::github::{self, Hook, NAME, REPOSITORY, StandIn};
use crate::package;
use crate::server::{Api, Server};

/// What the stand-in holds of each stream.
const HELD: [(&str, u64); 6] = [
    ("repositories", 1),
    ("issues", 250),
    ("pull_requests", 120),
    ("commits", 150),
    ("releases", 12),
    ("workflow_runs", 130),
];

#[test]
fn the_main_job() {
    let stand_in = StandIn::start(vendor::Options::default());
    let mut server = Server::start(&stand_in.setup());

    approve(&server);
    let connection = connect(&server.api());
    first_sync(&server.api(), &connection);
    server.restart();
    let api = server.api();
    for (stream, count) in HELD {
        assert_eq!(
            github::held(&api, &connection, stream),
            count,
            "{stream} after a power cut"
        );
    }
    only_what_changed_is_synced(&api, &connection, &stand_in);
    let hook = webhook(&api, &connection);
    read_back(&server, &connection);
    server.stop();
    server.run();
    let api = server.api();
    assert_eq!(hook.receipts(&api).len(), 1, "the receipt survives a restart");
    pause_and_remove(&api, &connection, &hook);
}

/// The permissions are shown, and only the digest of exactly this manifest approves them.
fn approve(server: &Server) {
    let api = server.api();
    let file = package::github_file().display().to_string();
    let proposal = api.post_bytes("/api/v1/connectors/inspect", package::github());
    assert_eq!(proposal.status, 200, "{}", proposal.text());
    let proposal = proposal.json();
    let page = proposal["permissions"]["text"].as_str().expect("a page");
    for said in [
        "https://api.github.com",
        "/repos/*/*/issues\n",
        "GET",
        "POST",
        "Personal access token",
    ] {
        assert!(page.contains(said), "the page does not say `{said}`:\n{page}");
    }
    let cannot = proposal["permissions"]["page"]["cannot"]
        .as_array()
        .expect("what it cannot do");
    assert!(!cannot.is_empty());
    for line in cannot {
        assert!(page.contains(line.as_str().expect("a line")), "{line}:\n{page}");
    }
    assert_eq!(
        api.get("/api/v1/installs")["items"],
        json!([]),
        "inspecting installs nothing"
    );

    let wrong = format!("sha256:{}", "0".repeat(64));
    for accept in [String::new(), format!("?accept={wrong}")] {
        let refused = api.post_bytes(&format!("/api/v1/installs{accept}"), package::github());
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (409, "package.approval_needed")
        );
    }
    for words in [
        &["--json", "connector", "install", &file][..],
        &["--json", "connector", "install", &file, "--accept", &wrong],
    ] {
        let refused = server.cli(words);
        assert_eq!(refused.code, Some(5), "{refused:?}");
        assert_eq!(refused.error_code(), "package.approval_needed");
    }
    let shown = server.cli(&["connector", "install", &file]);
    assert_eq!(shown.code, Some(5), "{shown:?}");
    assert!(
        shown.err.contains("api.github.com"),
        "the page is shown: {}",
        shown.err
    );
    let digest = proposal["digest"].as_str().expect("a digest");
    assert!(shown.err.contains(digest), "and what approves it: {}", shown.err);

    let installed = server.cli(&["--json", "connector", "install", &file, "--accept", digest]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let installed: Value = serde_json::from_str(&installed.out).expect("an install");
    assert_eq!(installed["connector"], "github");
    assert_eq!(installed["digest"], digest);
    let again = api.post_bytes(&format!("/api/v1/installs?accept={digest}"), package::github());
    assert_eq!(
        again.json()["id"],
        installed["id"],
        "the same file again is the same install"
    );
    let shown = api.get("/api/v1/connectors/github");
    assert_eq!(shown["install"]["id"], installed["id"]);
    assert_eq!(shown["connector"]["streams"].as_array().map(Vec::len), Some(6));
    assert!(
        shown["permissions"]["text"]
            .as_str()
            .expect("a page")
            .contains("https://api.github.com/")
    );
}

/// A draft becomes active when the vendor says whose account it is.
fn connect(api: &Api) -> String {
    let connection = github::connect(api, NAME, vendor::TOKEN);
    let draft = api.get(&format!("/api/v1/connections/{connection}"));
    assert_eq!(
        (&draft["state"], &draft["name"]),
        (&json!("draft"), &json!(NAME)),
        "{draft}"
    );
    let early = api.try_post(&format!("/api/v1/connections/{connection}/sync"), &json!({}));
    assert_eq!(
        (early.status, early.code().as_str()),
        (409, "sync.not_active"),
        "a draft does not sync"
    );
    let report = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(report["account"]["name"], "mona", "{report}");
    let steps: Vec<_> = report["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| &step["name"])
        .collect();
    assert_eq!(steps, ["configuration", "credential", "account", "records"]);
    let exchange = &report["exchanges"][0];
    assert_eq!(
        (&exchange["method"], &exchange["status"], &exchange["credential"]),
        (&json!("GET"), &json!(200), &json!("token")),
        "{exchange}"
    );
    let active = api.get(&format!("/api/v1/connections/{NAME}"));
    assert_eq!(
        (&active["state"], &active["id"]),
        (&json!("active"), &json!(connection)),
        "{active}"
    );
    connection
}

fn first_sync(api: &Api, connection: &str) {
    let runs = github::start_sync(api, connection, &[], "full");
    assert_eq!(runs.len(), HELD.len(), "every stream has its run");
    let mut synced = BTreeSet::new();
    for run in runs {
        let run = github::ended(api, &run);
        github::assert_adds_up(&run);
        let stream = run["stream"].as_str().expect("a stream").to_owned();
        let (_, count) = HELD
            .iter()
            .find(|(name, _)| *name == stream)
            .expect("a known stream");
        assert_eq!(run["state"], "succeeded", "{run}");
        assert_eq!(run["counts"]["added"], *count, "{run}");
        assert_eq!(github::held(api, connection, &stream), *count);
        let trace = api.all(&format!(
            "/api/v1/runs/{}/trace",
            run["id"].as_str().expect("an id")
        ));
        assert!(
            trace.iter().all(|exchange| exchange["url"]
                .as_str()
                .is_some_and(|url| url.starts_with("https://api.github.com/"))),
            "{trace:?}"
        );
        assert!(!trace.is_empty());
        synced.insert(stream);
    }
    assert_eq!(synced.len(), HELD.len());
    assert_eq!(
        api.all(&format!("/api/v1/runs?connection={connection}")).len(),
        HELD.len()
    );
}

fn only_what_changed_is_synced(api: &Api, connection: &str, stand_in: &StandIn) {
    let not_modified = || {
        stand_in.control().stats()["statuses"]["304"]
            .as_u64()
            .unwrap_or(0)
    };
    let before = not_modified();
    for run in github::start_sync(api, connection, &[], "incremental") {
        let run = github::ended(api, &run);
        github::assert_adds_up(&run);
        assert_eq!(run["state"], "succeeded", "{run}");
        let counts = &run["counts"];
        assert_eq!(
            (&counts["added"], &counts["updated"]),
            (&json!(0), &json!(0)),
            "{run}"
        );
    }
    assert!(
        not_modified() > before,
        "tags spare reading what has not changed: {}",
        stand_in.control().stats()["statuses"]
    );

    let feed = |after: u64| {
        api.get(&format!(
            "/api/v1/connections/{connection}/records?stream=issues&after={after}"
        ))
    };
    let end = api.feed(&format!("/api/v1/connections/{connection}/records"));
    let end = end.last().expect("a feed")["seq"].as_u64().expect("a number");
    let records = api.all(&format!(
        "/api/v1/connections/{connection}/records?stream=issues&latest=true"
    ));
    assert_eq!(records.len(), 250);
    let number = records[100]["data"]["number"].as_u64().expect("a number");
    assert!(
        stand_in
            .control()
            .touch(REPOSITORY, number, "Somebody edited this")
    );
    let run = github::sync(api, connection, "issues", "incremental");
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(
        (&run["counts"]["added"], &run["counts"]["updated"]),
        (&json!(0), &json!(1)),
        "{run}"
    );
    let changes = feed(end);
    let changes = changes["items"].as_array().expect("items");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(
        (&changes[0]["id"], &changes[0]["op"], &changes[0]["data"]["title"]),
        (
            &records[100]["id"],
            &json!("updated"),
            &json!("Somebody edited this")
        )
    );
    assert_eq!(github::held(api, connection, "issues"), 250);
}

/// A signed webhook becomes a record's change and an event; a copy of it becomes nothing.
fn webhook(api: &Api, connection: &str) -> Hook {
    let hook = Hook::create(api, connection);
    let shown = api.get(&format!("/api/v1/hooks/{}", hook.id));
    assert!(shown.get("secret").is_none(), "the secret is shown once: {shown}");
    let records = api.all(&format!(
        "/api/v1/connections/{connection}/records?stream=issues&latest=true"
    ));
    let mut issue = records[7]["data"].clone();
    issue["title"] = json!("Closed by a webhook");
    issue["state"] = json!("closed");
    let body =
        json!({"action": "closed", "issue": issue, "repository": {"full_name": REPOSITORY}}).to_string();
    let first = hook.deliver(api, "issues", "delivery-1", body.as_bytes());
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.json()["duplicate"], false);
    let receipts = hook.settled(api);
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0]["state"], "handled", "{receipts:?}");
    assert_eq!(receipts[0]["id"], first.json()["receipt"]);
    let again = hook.deliver(api, "issues", "delivery-1", body.as_bytes());
    assert_eq!(
        (again.status, &again.json()["duplicate"]),
        (200, &json!(true)),
        "{}",
        again.text()
    );
    assert_eq!(again.json()["receipt"], first.json()["receipt"]);
    assert_eq!(hook.receipts(api).len(), 1);

    let id = records[7]["id"].as_str().expect("an id");
    let record = api.get(&format!("/api/v1/connections/{connection}/records/issues/{id}"));
    assert_eq!(record["data"]["title"], "Closed by a webhook", "{record}");
    let changes = api.feed(&format!("/api/v1/connections/{connection}/records?stream=issues"));
    let last = changes.last().expect("a change");
    assert_eq!(
        (&last["id"], &last["op"]),
        (&json!(id), &json!("updated")),
        "{last}"
    );
    let events = api.feed("/api/v1/events?kind=github.");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["kind"], &events[0]["source_id"], &events[0]["subject"]),
        (
            &json!("github.issues.closed"),
            &json!("delivery-1"),
            &json!(connection)
        )
    );
    let detail = api.get(&format!(
        "/api/v1/receipts/{}",
        receipts[0]["id"].as_str().expect("an id")
    ));
    assert_eq!(detail["request"]["body"], body, "the exact bytes are kept");
    hook
}

/// What the API and the command line read is the same.
fn read_back(server: &Server, connection: &str) {
    let api = server.api();
    let feed = api.feed(&format!("/api/v1/connections/{connection}/records?stream=issues"));
    let export = server.cli(&["connection", "export", NAME, "--stream", "issues"]);
    assert_eq!(export.code, Some(0), "{}", export.err);
    let lines: Vec<Value> = export
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect();
    assert_eq!(lines, feed);
    assert_eq!(
        feed.len(),
        250,
        "the feed has the latest of each record, and only that"
    );
    let latest = server.cli(&["connection", "export", NAME, "--stream", "issues", "--latest"]);
    let ids: BTreeSet<String> = latest
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 250);
    let after = feed[248]["seq"].to_string();
    let rest = server.cli(&[
        "connection",
        "export",
        NAME,
        "--stream",
        "issues",
        "--after",
        &after,
    ]);
    assert_eq!(rest.out.lines().count(), 1, "{}", rest.out);
    let missing = server.cli(&["--json", "connection", "show", "nobody"]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
}

fn pause_and_remove(api: &Api, connection: &str, hook: &Hook) {
    let path = format!("/api/v1/connections/{connection}");
    let paused = api.post(&format!("{path}/pause"), &json!({}));
    assert_eq!(paused["state"], "paused");
    let refused = api.try_post(&format!("{path}/sync"), &json!({}));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "sync.not_active")
    );
    let used = api.delete("/api/v1/installs/github");
    assert_eq!((used.status, used.code().as_str()), (409, "install.in_use"));
    let resumed = api.post(&format!("{path}/resume"), &json!({}));
    assert_eq!(resumed["state"], "active");
    let run = github::sync(api, connection, "issues", "incremental");
    assert_eq!(run["state"], "succeeded", "{run}");

    assert_eq!(api.delete(&path).status, 200);
    let gone = api.send("GET", &path, "application/json", b"");
    assert_eq!((gone.status, gone.code().as_str()), (404, "connection.not_found"));
    let refused = github::post(api.address, &hook.id, &[], b"{}").expect("an answer");
    assert_eq!(refused.status, 401, "its hooks are gone with it");
    assert_eq!(api.delete("/api/v1/installs/github").status, 204);
    assert_eq!(api.get("/api/v1/installs")["items"], json!([]));
}
