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
use crate::server::{Api, Server, Setup, finish, wait_for};

/// Each language, and where `initials` of its faulty connector (`fixtures/sdks`) goes wrong.
const LANGUAGES: [(&str, &str); 3] = [
    (
        "js",
        "TypeError: cannot read property 'name' of undefined at src/connector.ts:55 in initials",
    ),
    ("python", "KeyError: 'name' at connector.py:46 in initials"),
    ("c", "an owner of 0 letters at connector.c:15 in initials"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target directory")
}

/// A component of `target/connectors-sdk`, built if the step before did not.
pub(crate) fn component(name: &str) -> Vec<u8> {
    static BUILT: Once = Once::new();
    let file = target().join(format!("connectors-sdk/{name}.wasm"));
    if !file.exists() {
        BUILT.call_once(|| {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let status = Command::new(cargo)
                .current_dir(root())
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
    connect_with(api, connector, name, config, vendor::TOKEN)
}

fn connect_with(api: &Api, connector: &str, name: &str, config: &Value, token: &str) -> String {
    let body = json!({"name": name, "connector": connector, "config": config, "secret": token});
    let created = api.try_post("/api/v1/connections", &body);
    assert_eq!(created.status, 201, "{}", created.text());
    created.json()["id"].as_str().expect("an id").to_owned()
}

/// What a test of a connection to a repository that is not there, and of one with a wrong token, say.
fn refusals(api: &Api, connector: &str, name: &str) -> [Value; 2] {
    [("acme/nothing", vendor::TOKEN), ("acme/web", "wrong")].map(|(repository, token)| {
        let config = json!({"repositories": [repository]});
        let name = format!("{name}-{token}");
        let connection = connect_with(api, connector, &name, &config, token);
        let report = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
        let steps = report["steps"].as_array().expect("steps");
        let failed = steps.iter().find(|step| step["ok"] == false);
        failed.expect("a step that failed")["error"].clone()
    })
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
    let second = vendor::Repository {
        full_name: "acme/api".to_owned(),
        issues: 130,
        ..vendor::Repository::default()
    };
    let stand_in = StandIn::start(vendor::Options {
        repositories: vec![vendor::Repository::default(), second],
        ..vendor::Options::default()
    });
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let config = json!({"repositories": [REPOSITORY, "acme/api"]});

    let (mut connections, mut refused) = (Vec::new(), Vec::new());
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
        assert_eq!(run["counts"]["added"], 380, "{name}: {run}");
        connections.push((name, connection));
        refused.push(refusals(&api, connector, name));
    }
    assert_eq!(refused[0][0]["code"], "guest.config", "{refused:?}");
    assert_eq!(refused[0][1]["code"], "guest.auth", "{refused:?}");
    assert!(
        refused.iter().all(|said| *said == refused[0]),
        "in the same words: {refused:?}"
    );
    let (_, rust) = &connections[0];
    let expected = issues(&api, rust);
    assert_eq!(expected.len(), 380);
    for (name, connection) in &connections[1..] {
        assert_eq!(
            issues(&api, connection),
            expected,
            "{name} has other records than Rust"
        );
    }

    let of_the_first =
        |(data, _): &&(Value, Value)| data["url"].as_str().is_some_and(|url| url.contains(REPOSITORY));
    let (edited, _) = expected.values().find(of_the_first).expect("an issue");
    let number = edited["number"].as_u64().expect("a number");
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
    if name == "c" {
        // The C library's own, and the SDK's, which names no more than the file either.
        let place = "panicked at connector.c:50 in read_page: page->more does not hold";
        check("asserts", "guest.trap", place);
        check("libc_asserts", "guest.trap", &place.replace(":50", ":51"));
    }
    check("refuses", "guest.config", "that is not how it is done");
    let run = check("strays", "guest.denied", "GET https://example.com/");
    let connection = api.get(&format!("/api/v1/runs/{run}"))["connection"].clone();
    let connection = connection.as_str().expect("an id");
    let state = api.get(&format!("/api/v1/connections/{connection}"))["state"].clone();
    assert_eq!(state, "active", "{name}: nothing is wrong with its configuration");
    check("loops", "guest.deadline", "longer than its 1000 ms");
    check("hoards", "guest.memory", "needs more memory than its");

    // In a write and in a webhook it is told as well.
    let connection = connect(&api, connector, &format!("{name}-told"), &json!({}));
    api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    let order = json!({"writes": [{"op": "create", "data": {}, "idempotency_key": "k1"}]});
    let written = api.try_post(
        &format!("/api/v1/connections/{connection}/streams/throws/writes"),
        &order,
    );
    assert!(written.text().contains(place), "{name}: {}", written.text());
    let hook = github::Hook::create(&api, &connection);
    let answer = github::post(api.address, &hook.id, &hook.sign(&api, b"{}"), b"{}").expect("an answer");
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    let receipts = hook.settled(&api);
    assert!(receipts[0].to_string().contains(place), "{name}: {receipts:?}");
}

/// The answer with who the token belongs to is a file that is worth as much as any.
#[test]
fn every_language_keeps_files() {
    let stand_in = StandIn::with_issues(1);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    for (name, _) in LANGUAGES {
        let installed = github::install(&api, &component(&format!("faulty-{name}")));
        let connector = installed["connector"].as_str().expect("a connector");
        let connection = connect(&api, connector, &format!("{name}-files"), &json!({}));
        let tested = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
        // The account is there, and the first stream is one that goes wrong.
        assert_eq!(tested["account"]["name"], "mona", "{name}: {tested}");
        let run = github::sync(&api, &connection, "keeps", "full");
        assert_eq!(run["counts"]["added"], 1, "{name}: {run}");

        let record = api.get(&format!("/api/v1/connections/{connection}/records/keeps/me"))["data"].clone();
        assert_eq!(record["found"], true, "{name}: {record}");
        let listed = api.all(&format!("/api/v1/connections/{connection}/files"));
        assert_eq!(listed.len(), 1, "{name}: {listed:?}");
        for member in ["id", "name", "media_type", "bytes", "sha256"] {
            assert!(
                !record["file"][member].is_null(),
                "{name} has no {member}: {record}"
            );
            assert_eq!(
                record["file"][member], listed[0][member],
                "{name}: {record} {listed:?}"
            );
        }
        assert_eq!(
            (&listed[0]["name"], &listed[0]["record"]),
            (&json!("me.json"), &json!({"stream": "keeps", "id": "me"})),
            "{name}"
        );
        let id = listed[0]["id"].as_str().expect("an id");
        let content = api.get(&format!("/api/v1/files/{id}/content"));
        assert_eq!(content["login"], "mona", "{name}: {content}");

        let run = github::sync(&api, &connection, "drops", "full");
        assert_eq!(run["state"], "succeeded", "{name}: {run}");
        let left = api.all(&format!("/api/v1/connections/{connection}/files"));
        assert_eq!(left, Vec::<Value>::new(), "{name}");
    }
}

/// What `connector new` makes is built with its language's own tools and taken by the server. The packages are those that
/// `cargo xtask sdks` installed: installing them once more would only cost time.
#[test]
fn a_new_connector_builds_at_once() {
    drop(component("template-c"));
    let server = Server::start(&Setup::default());
    let scratch = tempfile::tempdir().expect("make a directory");
    let python = root().join("target/sdks-venv/bin/python");
    for language in ["rust", "js", "python", "c"] {
        let dir = scratch.path().join(language);
        let place = dir.display().to_string();
        let words = ["connector", "new", "todo", "--lang", language, "--dir", &place];
        let made = server.cli(&words);
        assert_eq!(made.code, Some(0), "{made:?}");
        assert_eq!(server.cli(&words).code, Some(1), "nothing is written over");
        let mut build = match language {
            "rust" => {
                let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let mut build = Command::new(cargo);
                build
                    .args([
                        "build",
                        "--quiet",
                        "--locked",
                        "--release",
                        "--target",
                        "wasm32-wasip2",
                    ])
                    .arg("--target-dir")
                    .arg(target().join("wasm"))
                    .env_remove("RUSTFLAGS")
                    .env_remove("CARGO_ENCODED_RUSTFLAGS")
                    .env_remove("CARGO_BUILD_TARGET");
                build
            }
            "js" => {
                let packages = root().join("sdk-guest/js/node_modules");
                let packages = packages.canonicalize().expect("the packages are installed");
                std::os::unix::fs::symlink(packages, dir.join("sluice-sdk/node_modules")).expect("link them");
                let mut build = Command::new("node");
                build.arg("sluice-sdk/build.mjs");
                build
            }
            _ => {
                let mut build = Command::new(&python);
                build.arg("sluice-sdk/build.py");
                build
            }
        };
        let built = finish(build.current_dir(&dir));
        assert_eq!(built.code, Some(0), "{language}: {built:?}");
        if language == "rust" {
            // Its manifest goes in when it is packed.
            continue;
        }
        let file = fs::read(dir.join("dist/todo.wasm")).expect("read the connector");
        let proposal = server.api().post_bytes("/api/v1/connectors/inspect", &file);
        assert_eq!(proposal.status, 200, "{language}: {}", proposal.text());
        assert_eq!(proposal.json()["connector"]["id"], "todo", "{language}");
    }

    // Where the tools are missing, that is said, with what installs them.
    for (language, program, install) in [
        ("rust", "cargo", "rustup.rs"),
        ("js", "node", "nodejs"),
        ("python", "python3", "apt-get install python3"),
        ("c", "rustc", "wasm-component-ld"),
    ] {
        let dir = scratch.path().join(format!("{language}-bare"));
        let mut command = server.command();
        command
            .env("PATH", scratch.path())
            .args(["--json", "connector", "new", "todo", "--lang", language, "--dir"])
            .arg(dir);
        let made = finish(&mut command);
        assert_eq!(made.code, Some(0), "{made:?}");
        let said: Value = serde_json::from_str(&made.out).expect("JSON");
        let missing = said["missing"].as_array().expect("a list");
        let tool = missing.iter().find(|tool| tool["program"] == program);
        let how = tool.and_then(|tool| tool["install"].as_str()).unwrap_or_default();
        assert!(how.contains(install), "{language}: {said}");
    }
}
