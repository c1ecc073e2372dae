//! A vendor that refuses, or answers what it should not: the run says why, the cursor stays, and when the vendor behaves
//! again everything is there.

use serde_json::{Value, json};
use vendor::Fault;

use crate::github::{self, NAME, StandIn};
use crate::package;
use crate::server::{Api, Server, wait_for};

const ISSUES: u64 = 250;

struct Place {
    stand_in: StandIn,
    server: Server,
    connection: String,
}

fn place() -> Place {
    let stand_in = StandIn::with_issues(ISSUES as usize);
    let server = Server::start(&stand_in.setup());
    let connection = github::ready(&server);
    Place {
        stand_in,
        server,
        connection,
    }
}

/// The connection reads everything, exactly once.
fn reads_everything(api: &Api, connection: &str) {
    let run = github::sync(api, connection, "issues", "incremental");
    assert_eq!(run["state"], "succeeded", "{run}");
    let feed = api.feed(&format!("/api/v1/connections/{connection}/records?stream=issues"));
    assert_eq!(feed.len() as u64, ISSUES);
    assert!(feed.iter().all(|row| row["op"] == "added"));
}

#[test]
fn a_token_that_is_wrong_or_missing() {
    let stand_in = StandIn::with_issues(ISSUES as usize);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    github::install(&api, package::github());
    let connection = github::connect(&api, NAME, "not-the-token");
    let path = format!("/api/v1/connections/{connection}");
    let report = api.post(&format!("{path}/test"), &json!({}));
    let last = report["steps"]
        .as_array()
        .expect("steps")
        .last()
        .expect("a step")
        .clone();
    assert_eq!(
        (&report["ok"], &last["name"], &last["error"]["code"]),
        (&json!(false), &json!("account"), &json!("guest.auth")),
        "{report}"
    );
    let found = api.get(&path);
    assert_eq!(
        (&found["state"], &found["error"]["code"]),
        (&json!("needs-reauth"), &json!("guest.auth")),
        "{found}"
    );
    let body = json!({"name": "none", "connector": "github", "config": {"repositories": ["acme/web"]}});
    let without = api.post("/api/v1/connections", &body);
    let without = without["id"].as_str().expect("an id");
    let report = api.post(&format!("/api/v1/connections/{without}/test"), &json!({}));
    let last = report["steps"]
        .as_array()
        .expect("steps")
        .last()
        .expect("a step")
        .clone();
    assert_eq!(last["error"]["code"], "secret.missing", "{report}");
    let before = stand_in.control().requests();
    api.post(&format!("/api/v1/connections/{without}/test"), &json!({}));
    assert_eq!(
        stand_in.control().requests(),
        before,
        "without a secret nothing is asked"
    );

    // A token that is withdrawn while it is in use, and the right one afterwards.
    api.put(&format!("{path}/secret"), &json!({"secret": vendor::TOKEN}));
    let report = api.post(&format!("{path}/test"), &json!({}));
    assert_eq!(report["ok"], true, "{report}");
    stand_in.control().fail_every(1, "/repos/", Fault::status(401));
    let run = github::sync(&api, &connection, "issues", "full");
    assert_eq!(
        (&run["state"], &run["error"]["code"]),
        (&json!("failed"), &json!("guest.auth")),
        "{run}"
    );
    assert_eq!(api.get(&path)["state"], "needs-reauth");
    stand_in.control().behave();
    assert_eq!(
        api.post(&format!("{path}/test"), &json!({}))["ok"],
        true,
        "a test makes it active again"
    );
    reads_everything(&api, &connection);
}

#[test]
fn answers_that_are_not_what_was_asked_for() {
    let place = place();
    let (api, control) = (place.server.api(), place.stand_in.control());
    for fault in [Fault::Html, Fault::InvalidJson] {
        control.fail_every(1, "/issues", fault.clone());
        let run = github::sync(&api, &place.connection, "issues", "full");
        assert_eq!(run["state"], "failed", "{fault:?}: {run}");
        assert_eq!(run["error"]["code"], "guest.invalid_data", "{fault:?}: {run}");
        assert_eq!(run["counts"]["received"], 0, "{fault:?}: {run}");
        let trace = api.all(&format!(
            "/api/v1/runs/{}/trace",
            run["id"].as_str().expect("an id")
        ));
        assert!(!trace.is_empty(), "{fault:?}: the trace says what was asked for");
    }
    assert_eq!(github::held(&api, &place.connection, "issues"), 0);
    control.behave();
    reads_everything(&api, &place.connection);
}

#[test]
fn a_body_that_ends_early_is_not_a_success() {
    let place = place();
    let (api, control) = (place.server.api(), place.stand_in.control());
    for fault in [Fault::Truncated, Fault::Reset, Fault::status(503)] {
        control.fail_every(1, "/issues", fault.clone());
        let run = github::start_sync(&api, &place.connection, &["issues"], "full").remove(0);
        let waiting = wait_for("a failed try", || {
            let run = api.get(&format!("/api/v1/runs/{run}"));
            assert_eq!(run["over"], false, "{fault:?}: it passes: {run}");
            (run["failures"].as_u64() >= Some(1)).then_some(run)
        });
        assert_eq!(waiting["counts"]["received"], 0, "{fault:?}: {waiting}");
        assert_eq!(waiting["pages"], 0, "{fault:?}: {waiting}");
        assert!(waiting["error"]["code"].is_string(), "{fault:?}: {waiting}");
        assert_eq!(github::held(&api, &place.connection, "issues"), 0, "{fault:?}");
        let cancelled = api.post(&format!("/api/v1/runs/{run}/cancel"), &json!({}));
        assert!(cancelled["id"].is_string());
        let run = github::ended(&api, &run);
        assert_eq!(run["state"], "cancelled", "{fault:?}: {run}");
    }
    // Now and then is what a sync gets over by itself.
    control.fail_every(3, "/issues", Fault::Truncated);
    reads_everything(&api, &place.connection);
}

#[test]
fn a_page_that_repeats_for_ever() {
    let place = place();
    let (api, control) = (place.server.api(), place.stand_in.control());
    control.fail_every(1, "/issues", Fault::Repeat);
    let run = github::sync(&api, &place.connection, "issues", "full");
    assert_eq!(
        (&run["state"], &run["error"]["code"]),
        (&json!("failed"), &json!("sync.no_progress")),
        "{run}"
    );
    control.behave();
    let run = github::sync(&api, &place.connection, "issues", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(github::held(&api, &place.connection, "issues"), ISSUES);
}

#[test]
fn records_without_an_id_are_set_aside() {
    let place = place();
    let (api, control) = (place.server.api(), place.stand_in.control());
    control.fail_next(1, Fault::WithoutId);
    let run = github::sync(&api, &place.connection, "issues", "full");
    assert_eq!(run["state"], "partial", "{run}");
    let quarantined = run["counts"]["quarantined"].as_u64().expect("a count");
    assert_eq!(quarantined, 100, "the page that has no ids, and no other: {run}");
    let set_aside = quarantine(&api, &place.connection);
    assert_eq!(set_aside.len() as u64, quarantined);
    for row in &set_aside {
        assert_eq!(row["code"], "record.no_id", "{row}");
        assert!(
            row["data"].as_str().is_some_and(|data| data.contains("no_id")),
            "{row}"
        );
    }
    let run = github::sync(&api, &place.connection, "issues", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(
        github::held(&api, &place.connection, "issues"),
        ISSUES,
        "read again they are good"
    );
}

#[test]
fn records_that_break_their_schema_are_set_aside() {
    let stand_in = StandIn::with_issues(ISSUES as usize);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let stricter = package::changed(
        "number = { type = \"integer\" }",
        "number = { type = \"integer\", maximum = 100 }",
    );
    github::install(&api, &stricter);
    let connection = github::connect(&api, NAME, vendor::TOKEN);
    let report = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    assert_eq!(report["ok"], true, "{report}");
    let run = github::sync(&api, &connection, "issues", "full");
    let counts = &run["counts"];
    assert_eq!(
        (
            &run["state"],
            &counts["received"],
            &counts["added"],
            &counts["quarantined"]
        ),
        (
            &json!("partial"),
            &json!(ISSUES),
            &json!(100),
            &json!(ISSUES - 100)
        ),
        "{run}"
    );
    assert_eq!(github::held(&api, &connection, "issues"), 100);
    let set_aside = quarantine(&api, &connection);
    assert_eq!(set_aside.len() as u64, ISSUES - 100);
    for row in &set_aside {
        assert_eq!(
            (&row["code"], &row["pointer"]),
            (&json!("record.schema"), &json!("/number")),
            "{row}"
        );
        assert!(
            row["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("100")),
            "{row}"
        );
    }
}

fn quarantine(api: &Api, connection: &str) -> Vec<Value> {
    api.all(&format!(
        "/api/v1/connections/{connection}/quarantine?stream=issues"
    ))
}
