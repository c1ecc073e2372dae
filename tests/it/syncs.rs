//! What syncs do besides reading: take the old records' place at once, let themselves be taken back, begin by themselves,
//! and put records through rules.

use serde_json::{Value, json};

use crate::github::{self, REPOSITORY, StandIn};
use crate::server::{Api, Server, wait_for};

fn record(api: &Api, connection: &str, id: &str) -> Option<Value> {
    let path = format!("/api/v1/connections/{connection}/records/issues/{id}");
    let answer = api.send("GET", &path, "", b"");
    (answer.status == 200).then(|| answer.json())
}

/// The ids of the stream's records, in order, with their titles.
fn titles(api: &Api, connection: &str) -> Vec<(String, String)> {
    let path = format!("/api/v1/connections/{connection}/records?stream=issues&latest=true");
    let all = api.all(&path);
    all.iter()
        .map(|record| {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            (text(&record["id"]), text(&record["data"]["title"]))
        })
        .collect()
}

fn stream(api: &Api, connection: &str) -> Value {
    let list = api.get(&format!("/api/v1/connections/{connection}/streams"));
    let streams = list["items"].as_array().expect("items");
    streams
        .iter()
        .find(|stream| stream["stream"] == "issues")
        .expect("issues")
        .clone()
}

fn set(api: &Api, connection: &str, options: &Value) -> Value {
    let body = json!({ "options": options, "revision": stream(api, connection)["revision"] });
    api.put(&format!("/api/v1/connections/{connection}/streams/issues"), &body)
}

#[test]
fn a_complete_reading_takes_the_old_records_place() {
    let stand_in = StandIn::with_issues(250);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let connection = github::ready(&server);
    github::sync(&api, &connection, "issues", "incremental");
    let before = titles(&api, &connection);
    assert_eq!(before.len(), 250);

    // It breaks off in the middle: what was there serves on, and the cursor is where it was.
    assert!(stand_in.control().remove(REPOSITORY, 7));
    assert!(stand_in.control().touch(REPOSITORY, 9, "Touched"));
    stand_in.control().fail_every(
        2,
        "/issues",
        vendor::Fault::Status {
            status: 422,
            retry_after: None,
        },
    );
    let failed = github::sync(&api, &connection, "issues", "full");
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(titles(&api, &connection), before);
    stand_in.control().behave();
    let report = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    assert_eq!(report["ok"], true, "{report}");

    let full = github::sync(&api, &connection, "issues", "full");
    assert_eq!(full["state"], "succeeded", "{full}");
    let counts = &full["counts"];
    assert_eq!(
        (&counts["vanished"], &counts["updated"], &counts["unchanged"]),
        (&json!(1), &json!(1), &json!(248)),
        "{full}"
    );
    let after = titles(&api, &connection);
    assert_eq!(after.len(), 249);
    assert_eq!(after.iter().filter(|(_, title)| title == "Touched").count(), 1);
    let feed = api.feed(&format!("/api/v1/connections/{connection}/records"));
    let last: Vec<_> = feed.iter().rev().take(2).map(|row| row["op"].clone()).collect();
    assert_eq!(last, [json!("deleted"), json!("updated")]);
    // And it goes on from there.
    let next = github::sync(&api, &connection, "issues", "incremental");
    assert_eq!(next["counts"]["added"], 0, "{next}");
}

#[test]
fn a_complete_reading_survives_kills() {
    let stand_in = StandIn::with_issues(3000);
    let mut server = Server::start(&stand_in.setup());
    let connection = github::ready(&server);
    github::sync(&server.api(), &connection, "issues", "incremental");
    for number in 1..=100 {
        assert!(stand_in.control().remove(REPOSITORY, number * 3));
    }
    let run = github::start_sync(&server.api(), &connection, &["issues"], "full").remove(0);
    let mut cut = 0;
    for pages in [3, 9, 17, 24, 29] {
        let api = server.api();
        let far = wait_for("its pages", || {
            let found = api.get(&format!("/api/v1/runs/{run}"));
            (found["over"] == true || found["pages"].as_u64() >= Some(pages)).then_some(found)
        });
        if far["over"] == true {
            break;
        }
        server.kill();
        server.run();
        cut += 1;
        // Before it has ended nobody sees half of it.
        let held = titles(&server.api(), &connection).len();
        assert!([3000, 2900].contains(&held), "{held} records after kill {cut}");
    }
    assert!(cut > 0, "the run was over before it could be cut");
    let ended = github::ended(&server.api(), &run);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["counts"]["vanished"], 100, "{ended}");
    assert_eq!(titles(&server.api(), &connection).len(), 2900);
}

#[test]
fn a_run_and_a_record_can_be_taken_back() {
    let stand_in = StandIn::with_issues(30);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let connection = github::ready(&server);
    github::sync(&api, &connection, "issues", "incremental");
    let before = titles(&api, &connection);
    assert!(stand_in.control().touch(REPOSITORY, 9, "Wrong"));
    let run = github::sync(&api, &connection, "issues", "incremental");
    assert_eq!(run["counts"]["updated"], 1, "{run}");
    let wrong = titles(&api, &connection);
    let (id, _) = wrong
        .iter()
        .find(|(_, title)| title == "Wrong")
        .expect("the edited one");

    let refused = server.cli(&["run", "undo", run["id"].as_str().expect("an id")]);
    assert_eq!(refused.code, Some(2), "nobody can be asked: {refused:?}");
    let undone = server.cli(&[
        "--json",
        "run",
        "undo",
        run["id"].as_str().expect("an id"),
        "--yes",
    ]);
    assert_eq!(undone.code, Some(0), "{undone:?}");
    let undone: Value = serde_json::from_str(&undone.out).expect("what it came to");
    assert_eq!((&undone["restored"], &undone["removed"]), (&json!(1), &json!(0)));
    assert_eq!(titles(&api, &connection), before);

    // The cursor went back too: the next run brings it again. Then the one record is restored by hand.
    let again = github::sync(&api, &connection, "issues", "incremental");
    assert_eq!(again["counts"]["updated"], 1, "{again}");
    let path = format!("/api/v1/connections/{connection}/records/issues/{id}");
    let history = api.get(&format!("{path}/history"));
    let versions = history["items"].as_array().expect("items");
    assert_eq!(versions.len(), 4, "{history}");
    assert_eq!(versions[0]["data"]["title"], "Wrong");
    assert_eq!(versions[0]["run"], again["id"]);
    let first = versions[3]["seq"].as_u64().expect("a number");
    let restored = server.cli(&[
        "connection",
        "restore",
        &connection,
        "issues",
        id,
        "--version",
        &first.to_string(),
    ]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert_eq!(titles(&api, &connection), before);
    let missing = api.try_post(&format!("{path}/restore"), &json!({ "seq": 1_000_000 }));
    assert_eq!((missing.status, missing.code().as_str()), (404, "store.missing"));
}

#[test]
fn a_stream_is_read_by_itself() {
    let stand_in = StandIn::with_issues(5);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let connection = github::ready(&server);
    for (options, pointer) in [
        (json!({"cadence": {"every_s": 1}}), "/cadence/every_s"),
        (json!({"cadence": {"cron": "nope"}}), "/cadence/cron"),
        (json!({"history_s": 1_000_000_000}), "/history_s"),
    ] {
        let body = json!({ "options": options }).to_string();
        let path = format!("/api/v1/connections/{connection}/streams/issues");
        let refused = api.send("PUT", &path, "application/json", body.as_bytes());
        assert_eq!((refused.status, refused.code().as_str()), (422, "stream.options"));
        assert!(refused.text().contains(pointer), "{}", refused.text());
    }
    let scheduled = server.cli(&["connection", "schedule", &connection, "issues", "--every", "10s"]);
    assert_eq!(scheduled.code, Some(0), "{scheduled:?}");
    assert!(stream(&api, &connection)["next"].is_string());
    let run = wait_for("the run of the schedule", || {
        let runs = api.get(&format!("/api/v1/runs?connection={connection}"));
        let run = runs["items"].as_array()?.first()?.clone();
        (run["over"] == true).then_some(run)
    });
    assert_eq!(
        (&run["trigger"], &run["state"]),
        (&json!("schedule"), &json!("succeeded")),
        "{run}"
    );
    assert_eq!(github::held(&api, &connection, "issues"), 5);
    let off = server.cli(&["connection", "schedule", &connection, "issues", "--off"]);
    assert_eq!(off.code, Some(0), "{off:?}");
    assert!(stream(&api, &connection)["next"].is_null());
    let streams = server.cli(&["connection", "streams", &connection]);
    assert!(
        streams.out.contains("on-time") && streams.out.contains("when asked"),
        "{streams:?}"
    );
}

#[test]
fn budgets_are_shown_and_what_is_old_is_marked() {
    let stand_in = StandIn::with_issues(3);
    let server = Server::start(&stand_in.setup());
    let connection = github::ready(&server);
    let api = server.api();
    set(&api, &connection, &json!({"stale_after_s": 3600}));
    assert_eq!(stream(&api, &connection)["stale"], true, "it was never read");
    github::sync(&api, &connection, "issues", "incremental");
    assert_eq!(stream(&api, &connection)["stale"], false);
    set(&api, &connection, &json!({"stale_after_s": 0}));
    assert_eq!(
        stream(&api, &connection)["stale"],
        true,
        "nothing is as young as that"
    );
    let said = server.cli(&["connection", "budgets", &connection, "--json"]);
    let said: Value = serde_json::from_str(&said.out).unwrap();
    let told = said["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|budget| budget["bucket"] == "core");
    let told = told.unwrap_or_else(|| panic!("what the vendor said: {said}"));
    assert_eq!(told["limit"], 1_000_000, "{told}");
    assert!(told["remaining"].as_u64().unwrap() < 1_000_000, "{told}");
}

#[test]
fn records_go_through_rules() {
    let stand_in = StandIn::with_issues(40);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let connection = github::ready(&server);
    github::sync(&api, &connection, "issues", "incremental");
    let rules = json!({
        "filter": {"field": "number", "greater": 10},
        "select": ["number", "title", "state"],
        "map": [{"rename": {"from": "title", "to": "name"}}],
    });
    let preview = api.post(
        &format!("/api/v1/connections/{connection}/streams/issues/preview"),
        &json!({ "rules": rules, "samples": [{"id": 1, "number": 3, "title": "a"}, {"id": 2, "number": 11, "title": "b", "x": 1}] }),
    );
    let outcomes: Vec<_> = preview["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| one["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["dropped", "kept"], "{preview}");
    assert!(preview["items"][1]["after"].get("x").is_none());
    set(&api, &connection, &json!({ "rules": rules }));
    assert_eq!(
        stream(&api, &connection)["options"]["rules"]["select"],
        rules["select"]
    );
    let run = github::sync(&api, &connection, "issues", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["counts"]["filtered"], 10, "{run}");
    assert_eq!(github::held(&api, &connection, "issues"), 30);
    let path = format!("/api/v1/connections/{connection}/records?stream=issues&latest=true");
    for kept in api.all(&path) {
        let id = kept["id"].as_str().expect("an id");
        let data = record(&api, &connection, id).expect("the record")["data"].clone();
        let names: Vec<_> = data.as_object().expect("an object").keys().cloned().collect();
        assert!(
            names
                .iter()
                .all(|name| ["id", "number", "name", "state"].contains(&name.as_str())),
            "{names:?}"
        );
        assert!(data["number"].as_u64() > Some(10));
    }
    // Rules that can't be are refused with their place; a program that never ends is stopped, and its records set aside.
    let body =
        json!({ "options": { "rules": { "map": [{"rename": {"from": 1}}] } }, "revision": 1 }).to_string();
    let stream_path = format!("/api/v1/connections/{connection}/streams/issues");
    let refused = api.send("PUT", &stream_path, "application/json", body.as_bytes());
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("/map/0"), "{}", refused.text());
    set(
        &api,
        &connection,
        &json!({ "rules": { "map": [{"jq": ". + {n: ([range(1000000000)] | length)}"}] } }),
    );
    let run = github::sync(&api, &connection, "issues", "full");
    assert_eq!(
        (&run["state"], &run["counts"]["quarantined"]),
        (&json!("partial"), &json!(40)),
        "{run}"
    );
    assert_eq!(
        github::held(&api, &connection, "issues"),
        30,
        "what is set aside has not vanished"
    );
}

#[test]
fn a_frozen_contract_stops_at_what_is_new() {
    let stand_in = StandIn::with_issues(20);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let connection = github::ready(&server);
    set(
        &api,
        &connection,
        &json!({ "rules": { "contract": { "new_fields": "freeze", "changed_types": "freeze" } } }),
    );
    // The first run under it is what it learns from.
    let run = github::sync(&api, &connection, "issues", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    let before = titles(&api, &connection);
    // What is as it was goes on; a member that no record had stops the run, and nothing of it is kept.
    assert!(stand_in.control().touch(REPOSITORY, 3, "Touched"));
    let run = github::sync(&api, &connection, "issues", "full");
    assert_eq!(
        (&run["state"], &run["counts"]["updated"]),
        (&json!("succeeded"), &json!(1)),
        "{run}"
    );
    assert_ne!(titles(&api, &connection), before);
    let before = titles(&api, &connection);
    assert!(stand_in.control().grow(REPOSITORY, 5, "brand_new"));
    let run = github::sync(&api, &connection, "issues", "incremental");
    assert_eq!(
        (&run["state"], &run["error"]["code"]),
        (&json!("failed"), &json!("mapping.frozen")),
        "{run}"
    );
    assert!(
        run["error"]["message"]
            .as_str()
            .is_some_and(|words| words.contains("brand_new")),
        "{run}"
    );
    assert_eq!(titles(&api, &connection), before);
}

#[test]
fn what_cannot_be_read_so_is_refused() {
    let stand_in = StandIn::with_issues(5);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let connection = github::ready(&server);
    let path = format!("/api/v1/connections/{connection}/sync");
    for (body, code) in [
        (json!({"mode": "backfill", "streams": ["issues"]}), "sync.window"),
        (
            json!({"mode": "backfill", "streams": ["issues"], "from": "2026-01-01T00:00:00Z"}),
            "sync.window",
        ),
        (
            json!({"mode": "full", "from": "2026-01-01T00:00:00Z", "streams": ["issues"]}),
            "sync.window",
        ),
        (
            json!({"mode": "backfill", "streams": ["issues"], "from": "yesterday"}),
            "request.body",
        ),
        (json!({"to": "2026-01-01T00:00:00Z"}), "request.body"),
    ] {
        let refused = api.try_post(&path, &body);
        assert_eq!(refused.code(), code, "{body}: {}", refused.text());
    }
}

#[test]
fn a_check_says_what_differs_and_keeps_nothing() {
    let stand_in = StandIn::with_issues(120);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let connection = github::ready(&server);

    // Before anything is kept: what would be.
    let dry = server.cli(&[
        "connection",
        "sync",
        github::NAME,
        "--stream",
        "issues",
        "--dry-run",
        "--limit",
        "3",
        "--json",
    ]);
    let dry: Value = serde_json::from_str(&dry.out).expect("JSON");
    assert_eq!(dry["trial"]["records"].as_array().map(Vec::len), Some(3), "{dry}");
    assert_eq!(dry["trial"]["more"], true, "{dry}");
    assert!(
        !dry["trial"]["exchanges"]
            .as_array()
            .expect("exchanges")
            .is_empty(),
        "{dry}"
    );
    assert_eq!(github::held(&api, &connection, "issues"), 0);

    let nothing = github::sync(&api, &connection, "issues", "check");
    assert_eq!(nothing["findings"]["missing"]["count"], 120, "{nothing}");
    assert_eq!(github::held(&api, &connection, "issues"), 0);
    github::sync(&api, &connection, "issues", "incremental");
    let cursor = stream(&api, &connection);
    let same = github::sync(&api, &connection, "issues", "check");
    for kind in ["missing", "differing", "extra"] {
        assert_eq!(same["findings"][kind]["count"], 0, "{same}");
    }

    // What the vendor has otherwise without ever telling.
    let before = titles(&api, &connection);
    assert!(stand_in.control().remove(REPOSITORY, 7));
    assert!(stand_in.control().touch(REPOSITORY, 9, "Touched"));
    let checked = server.cli(&[
        "connection",
        "sync",
        github::NAME,
        "--stream",
        "issues",
        "--check",
        "--wait",
    ]);
    assert_eq!(checked.code, Some(6), "{checked:?}");
    assert!(
        checked.err.contains("2 differ") || checked.out.contains("2 differ"),
        "{checked:?}"
    );
    let runs = api.get(&format!("/api/v1/runs?connection={connection}&limit=1"));
    let found = &runs["items"][0]["findings"];
    assert_eq!(
        (
            &found["differing"]["count"],
            &found["extra"]["count"],
            &found["missing"]["count"]
        ),
        (&json!(1), &json!(1), &json!(0)),
        "{found}"
    );
    assert_eq!(titles(&api, &connection), before, "a check changes nothing");
    assert_eq!(stream(&api, &connection)["records"], cursor["records"]);
    // Repaired by a complete reading; then there is nothing to find.
    github::sync(&api, &connection, "issues", "full");
    let repaired = github::sync(&api, &connection, "issues", "check");
    assert_eq!(repaired["findings"]["extra"]["count"], 0, "{repaired}");
    assert_eq!(repaired["findings"]["differing"]["count"], 0, "{repaired}");
}
