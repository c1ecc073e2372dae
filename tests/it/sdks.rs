//! Connectors in JavaScript, Python and C, made by `cargo xtask sdks`: they read what the one in Rust reads, the limits bite in each of
//! them, and what goes wrong is told by the author's file and line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use serde_json::{Value, json};

use crate::github::{self, REPOSITORY, StandIn};
use crate::package;
use crate::server::{Api, Server, wait_for};

/// Each language, and where `initials` of its faulty connector (`fixtures/sdks`) goes wrong.
const LANGUAGES: [(&str, &str); 3] = [
    (
        "js",
        "TypeError: cannot read property 'name' of undefined at src/connector.ts:36 in initials",
    ),
    ("python", "KeyError: 'name' at connector.py:30 in initials"),
    ("c", "an owner of 0 letters at connector.c:15 in initials"),
];

/// A component of `target/connectors-sdk`, built if the step before did not.
fn component(name: &str) -> Vec<u8> {
    static BUILT: Once = Once::new();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target directory");
    let file: PathBuf = target.join(format!("connectors-sdk/{name}.wasm"));
    if !file.exists() {
        BUILT.call_once(|| {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let status = Command::new(cargo)
                .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
                .args(["run", "--quiet", "--locked", "-p", "xtask", "--", "sdks"])
                .status()
                .expect("start cargo");
            assert!(
                status.success(),
                "`cargo xtask sdks` does not build the connectors"
            );
        });
    }
    fs::read(file).expect("read the connector")
}

fn connect(api: &Api, connector: &str, name: &str, config: &Value) -> String {
    let body = json!({"name": name, "connector": connector, "config": config, "secret": vendor::TOKEN});
    let created = api.try_post("/api/v1/connections", &body);
    assert_eq!(created.status, 201, "{}", created.text());
    created.json()["id"].as_str().expect("an id").to_owned()
}

/// What a connection has of the issues: by id, the data and the time of the last change.
fn issues(api: &Api, connection: &str) -> BTreeMap<String, (Value, Value)> {
    let records = api.all(&format!(
        "/api/v1/connections/{connection}/records?stream=issues&latest=true"
    ));
    let one = |record: &Value| {
        let id = record["id"].as_str().expect("an id").to_owned();
        (id, (record["data"].clone(), record["modified"].clone()))
    };
    records.iter().map(one).collect()
}

#[test]
fn every_language_reads_what_rust_reads() {
    let stand_in = StandIn::start(vendor::Options::default());
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let config = json!({"repositories": [REPOSITORY]});

    let mut connections = Vec::new();
    for (name, file) in [("rust", package::github().to_vec())]
        .into_iter()
        .chain(LANGUAGES.map(|(name, _)| (name, component(&format!("github-issues-{name}")))))
    {
        let installed = github::install(&api, &file);
        let connector = installed["connector"].as_str().expect("a connector");
        let connection = connect(&api, connector, name, &config);
        let report = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
        assert_eq!(
            (&report["ok"], &report["account"]["name"]),
            (&json!(true), &json!("mona")),
            "{name}: {report}"
        );
        let run = github::sync(&api, &connection, "issues", "full");
        assert_eq!(run["counts"]["added"], 250, "{name}: {run}");
        connections.push((name, connection));
    }
    let (_, rust) = &connections[0];
    let expected = issues(&api, rust);
    assert_eq!(expected.len(), 250);
    for (name, connection) in &connections[1..] {
        assert_eq!(
            issues(&api, connection),
            expected,
            "{name} has other records than Rust"
        );
    }

    let number = expected
        .values()
        .next()
        .and_then(|(data, _)| data["number"].as_u64())
        .expect("a number");
    assert!(
        stand_in
            .control()
            .touch(REPOSITORY, number, "Somebody edited this")
    );
    for (name, connection) in &connections {
        let run = github::sync(&api, connection, "issues", "incremental");
        let counts = &run["counts"];
        assert_eq!(
            (&counts["added"], &counts["updated"]),
            (&json!(0), &json!(1)),
            "{name}: {run}"
        );
    }
    let edited = issues(&api, rust);
    assert_ne!(edited, expected);
    for (name, connection) in &connections[1..] {
        assert_eq!(issues(&api, connection), edited, "{name} after a change");
    }
}

#[test]
fn what_goes_wrong_in_javascript_is_told() {
    goes_wrong(LANGUAGES[0]);
}

#[test]
fn what_goes_wrong_in_python_is_told() {
    goes_wrong(LANGUAGES[1]);
}

#[test]
fn what_goes_wrong_in_c_is_told() {
    goes_wrong(LANGUAGES[2]);
}

fn goes_wrong((name, place): (&str, &str)) {
    let stand_in = StandIn::with_issues(1);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let installed = github::install(&api, &component(&format!("faulty-{name}")));
    let connector = installed["connector"].as_str().expect("a connector");
    let check = |stream: &str, code: &str, words: &str| {
        let connection = connect(&api, connector, &format!("{name}-{stream}"), &json!({}));
        // The account is there, and the records are what goes wrong.
        let report = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
        assert_eq!(report["account"]["name"], "mona", "{report}");
        let runs = github::start_sync(&api, &connection, &[stream], "full");
        let run = wait_for("a failure", || {
            let run = api.get(&format!("/api/v1/runs/{}", runs[0]));
            (!run["error"].is_null()).then_some(run)
        });
        assert_eq!(run["error"]["code"], code, "{name} {stream}: {run}");
        let message = run["error"]["message"].as_str().expect("a message");
        assert!(message.contains(words), "{name} {stream}: {message}");
        runs[0].clone()
    };

    let run = check("throws", "guest.internal", place);
    let lines = api.get(&format!("/api/v1/runs/{run}/logs"));
    let line = lines["items"][0]["message"].as_str().expect("a line");
    assert!(line.contains(place), "the log has it too: {lines}");
    check("refuses", "guest.config", "that is not how it is done");
    check("strays", "guest.config", "GET https://example.com/");
    check("loops", "guest.deadline", "longer than its 1000 ms");
    check("hoards", "guest.memory", "needs more memory than its");
}
