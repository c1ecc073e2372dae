//! `sluice connector dev`: what is saved is tried at once, used by a running server where it is good, and what that does with it is told.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::{CREDENTIAL, finish, made, root, said, sluice};
use crate::server::{Server, Setup, http};
use crate::{github, sdks};

#[test]
fn what_is_saved_is_tried_at_once() {
    drop(sdks::component("template-c"));
    let scratch = tempfile::tempdir().expect("make a directory");
    let dir = scratch.path().join("todo");
    made("c", &dir);
    let place = dir.display().to_string();
    let mut command = sluice(&["--json", "connector", "dev", &place, "--rounds", "2"]);
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start it");
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    let mut round = || -> Value {
        let line = lines.next().expect("a round").expect("a line");
        serde_json::from_str(&line).expect("JSON")
    };
    let first = round();
    assert_eq!(
        (&first["ok"], &first["round"]),
        (&json!(true), &json!(1)),
        "{first}"
    );
    let source = dir.join("connector.c");
    let text = fs::read_to_string(&source).expect("read it");
    fs::write(&source, text.replace("\"name\"", "\"nick\"")).expect("write it");
    let second = round();
    assert_eq!(
        (&second["ok"], &second["round"]),
        (&json!(false), &json!(2)),
        "{second}"
    );
    assert!(
        second.to_string().contains("the vendor does not say who it is"),
        "{second}"
    );
    assert_eq!(process.wait().expect("its end").code(), Some(1));
}

#[test]
fn a_good_build_is_used_by_a_running_server() {
    drop(sdks::component("template-c"));
    let scratch = tempfile::tempdir().expect("make a directory");
    let dir = scratch.path().join("todo");
    made("c", &dir);
    let place = dir.display().to_string();
    let server = Server::start(&Setup::default());
    let api = server.api();
    let component = fs::read(dir.join("dist/todo.wasm")).expect("read it");
    let installed = github::install(&api, &component);
    let body = json!({"name": "home", "connector": installed["connector"], "config": {"list": "home"}, "secret": CREDENTIAL});
    let connection = api.post("/api/v1/connections", &body);
    let uses = || {
        api.get(&format!(
            "/api/v1/connections/{}",
            connection["id"].as_str().expect("an id")
        ))["install"]
            .clone()
    };
    assert_eq!(uses(), installed["id"]);

    let round = || {
        let mut command = sluice(&[
            "--json",
            "connector",
            "dev",
            &place,
            "--into",
            "home",
            "--rounds",
            "1",
        ]);
        command
            .args(["--server", &format!("http://{}", api.address), "--api-key-file"])
            .arg(server.key_file());
        finish(&mut command)
    };
    let first = round();
    assert_eq!(first.code, Some(0), "{first:?}");
    let used = said(&first)["used"].clone();
    assert_eq!(uses(), used["install"], "{first:?}");
    assert!(
        used["version"]
            .as_str()
            .is_some_and(|version| version.starts_with("0.1.0-dev.")),
        "{used}"
    );

    // What asks for more is not used before somebody agreed.
    let manifest = fs::read_to_string(dir.join("connector.toml")).expect("read it");
    fs::write(
        dir.join("connector.toml"),
        manifest.replace("[\"/me\",", "[\"/more\", \"/me\","),
    )
    .expect("write it");
    let second = round();
    assert_eq!(
        (second.code, second.error_code().as_str()),
        (Some(1), "package.approval_needed"),
        "{second:?}"
    );
    assert_eq!(uses(), used["install"]);
}

#[test]
fn what_a_running_server_does_with_it_is_told() {
    drop(sdks::component("template-c"));
    let scratch = tempfile::tempdir().expect("make a directory");
    let dir = scratch.path().join("todo");
    made("c", &dir);
    fs::remove_dir_all(dir.join("tests")).expect("remove its cases");
    for file in ["connector.c", "connector.toml"] {
        fs::copy(root().join("fixtures/sdks/c").join(file), dir.join(file)).expect("copy it");
    }
    let stand_in = github::StandIn::with_issues(1);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let installed = github::install(&api, &sdks::component("faulty-c"));
    let body =
        json!({"name": "home", "connector": installed["connector"], "config": {}, "secret": vendor::TOKEN});
    let connection = api.post("/api/v1/connections", &body)["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    // What was over before is no news.
    github::sync(&api, &connection, "keeps", "full");

    let place = dir.display().to_string();
    let mut command = sluice(&["--json", "connector", "dev", &place, "--into", "home"]);
    command
        .args(["--server", &format!("http://{}", api.address), "--api-key-file"])
        .arg(server.key_file());
    let process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut process = Ended(process.expect("start it"));
    let mut lines = BufReader::new(process.0.stdout.take().expect("its output")).lines();
    let mut line = || -> Value {
        let line = lines.next().expect("a line").expect("a line");
        serde_json::from_str(&line).expect("JSON")
    };
    // What `check` has to say of a connector that goes wrong on purpose is no matter here.
    let round = line();
    assert_eq!(round["round"], 1, "{round}");

    let run = github::start_sync(&api, &connection, &["keeps"], "full").remove(0);
    let sent = line();
    assert_eq!(
        (&sent["run"], &sent["sent"]["url"], &sent["sent"]["credential"]),
        (
            &json!(run),
            &json!("https://api.github.com/user"),
            &json!("token")
        ),
        "{sent}"
    );
    let over = line();
    assert_eq!(over["over"]["state"], "succeeded", "{over}");
    // What goes wrong is told with its line in the source, as the connector wrote it and as the run ended.
    let run = github::start_sync(&api, &connection, &["throws"], "full").remove(0);
    let log = line();
    assert_eq!(log["run"], json!(run), "{log}");
    for said in [&log["log"]["message"], &line()["over"]["error"]["message"]] {
        let said = said.as_str().expect("a message");
        assert!(said.contains("at connector.c:15 in initials"), "{said}");
    }

    // The same of what is done on request …
    let order = json!({"writes": [{"op": "create", "data": {"name": "x"}, "idempotency_key": "k1"}]});
    let wrote = api.try_post(
        &format!("/api/v1/connections/{connection}/streams/throws/writes"),
        &order,
    );
    assert!(wrote.text().contains("connector.c:"), "{}", wrote.text());
    let ended = loop {
        let told = line();
        assert_eq!(told["connection"], json!(connection), "{told}");
        let message = told["log"]["message"].as_str().unwrap_or_default().to_owned();
        if message.starts_with("writes to throws (1): ") {
            break message;
        }
    };
    assert!(ended.contains("connector.c:"), "{ended}");

    // … and of webhooks.
    let made = api.post("/api/v1/hooks", &json!({"connection": connection}));
    let hook = made["id"].as_str().expect("an id");
    let signed = api
        .post_bytes(&format!("/api/v1/hooks/{hook}/sign"), b"{}")
        .json();
    let header = &signed["headers"][0];
    let headers = [(
        header["name"].as_str().expect("a name"),
        header["value"].as_str().expect("a value"),
    )];
    let came = http::request(api.address, "POST", &format!("/hooks/{hook}"), &headers, b"{}");
    let came = came.expect("an answer").json();
    let problem = loop {
        let told = line();
        assert_eq!(told["receipt"], came["receipt"], "{told}");
        let error = ["/tries_again/message", "/over/error/message"];
        if let Some(message) = error.iter().find_map(|at| told.pointer(at)) {
            break message.as_str().expect("a message").to_owned();
        }
    };
    assert!(problem.contains("connector.c:"), "{problem}");
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
