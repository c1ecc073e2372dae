//! A connection's secret goes in, is used, is part of every failure there is, and can be read nowhere.

use std::fs;
use std::path::Path;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use serde_json::{Value, json};
use vendor::{Fault, Options};

use crate::github::{self, Hook, NAME, StandIn};
use crate::server::{Api, Server};

/// Characters that each encoding writes differently, so that every needle below is its own.
const CANARY: &str = "cnry\"Zq7Xw9\\Pv3+Kd8/Lm2=Rt5%Hs1&Jb6";

/// The canary in every form in which it could lie somewhere.
fn needles() -> Vec<(&'static str, Vec<u8>)> {
    let bytes = CANARY.as_bytes();
    let percent: String = bytes
        .iter()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    let json = json!(CANARY).to_string();
    let mut needles = vec![
        ("plain", bytes.to_vec()),
        ("hex", HEXLOWER.encode(bytes).into_bytes()),
        ("upper-case hex", HEXUPPER.encode(bytes).into_bytes()),
        ("percent", percent.to_ascii_uppercase().into_bytes()),
        ("percent as it is", percent.into_bytes()),
        ("JSON", json.trim_matches('"').as_bytes().to_vec()),
        (
            "JSON twice",
            json!(json)
                .to_string()
                .trim_matches(['"', '\\'])
                .as_bytes()
                .to_vec(),
        ),
        (
            "Debug",
            format!("{CANARY:?}").trim_matches('"').as_bytes().to_vec(),
        ),
        // What every form that keeps letters has.
        ("a part", b"Zq7Xw9".to_vec()),
    ];
    // Base64 at each of the three places where the text may begin; the ends depend on what stands beside it.
    for shift in 0..3 {
        let shifted = [&b"\0\0"[..shift], bytes].concat();
        for encoding in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
            let text = encoding.encode(&shifted);
            needles.push(("base64", text.as_bytes()[4..text.len() - 2].to_vec()));
        }
    }
    needles
}

fn assert_absent(place: &str, bytes: &[u8]) {
    for (form, needle) in needles() {
        let found = bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!found, "the secret is in {place}, as {form}");
    }
}

fn scan_files(directory: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(directory).expect("list the data") {
        let path = entry.expect("list the data").path();
        if path.is_dir() {
            count += scan_files(&path);
        } else {
            assert_absent(
                &path.display().to_string(),
                &fs::read(&path).expect("read the data"),
            );
            count += 1;
        }
    }
    count
}

/// Everything that the API tells about the connection and what it did.
fn scan_api(server: &Server, connection: &str) {
    let api = server.api();
    let mut paths: Vec<String> = [
        "/metrics",
        "/api/v1/connections?limit=1000",
        "/api/v1/runs?limit=1000",
        "/api/v1/hooks",
        "/api/v1/events?limit=1000",
        "/api/v1/keys",
        "/api/v1/installs",
        "/api/v1/connectors",
        "/api/v1/connectors/github",
    ]
    .map(str::to_owned)
    .to_vec();
    for part in ["", "/streams", "/records?limit=1000", "/quarantine?stream=issues"] {
        paths.push(format!("/api/v1/connections/{connection}{part}"));
    }
    for run in api.all("/api/v1/runs") {
        let id = run["id"].as_str().expect("an id");
        paths.extend(["", "/trace", "/logs"].map(|part| format!("/api/v1/runs/{id}{part}")));
    }
    for hook in api.get("/api/v1/hooks")["items"].as_array().expect("items") {
        let id = hook["id"].as_str().expect("an id");
        paths.push(format!("/api/v1/hooks/{id}/receipts"));
    }
    for path in paths {
        let answer = api.send("GET", &path, "application/json", b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_absent(&path, &answer.body);
    }
    for words in [
        &["connection", "show", NAME][..],
        &["--json", "connection", "list"],
        &["--json", "-v", "connection", "test", NAME],
        &["status"],
        &["doctor"],
    ] {
        let said = server.cli(words);
        assert_absent(&words.join(" "), format!("{}{}", said.out, said.err).as_bytes());
    }
}

/// A test and a sync under a fault, whatever comes of them; nothing of what is said has the secret.
fn provoke(api: &Api, connection: &str) -> Vec<String> {
    let path = format!("/api/v1/connections/{connection}");
    let report = api.try_post(&format!("{path}/test"), &json!({}));
    assert_absent("a test's report", &report.body);
    let mut codes: Vec<String> = report.json()["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|step| step["error"]["code"].as_str().map(str::to_owned))
        .collect();
    let started = api.try_post(
        &format!("{path}/sync"),
        &json!({"streams": ["issues"], "mode": "full"}),
    );
    assert_absent("a sync's answer", &started.body);
    if let Some(run) = started.json()["items"][0]["id"].as_str() {
        let tried = crate::server::wait_for("a try", || {
            let found = api.get(&format!("/api/v1/runs/{run}"));
            let waits = matches!(found["state"].as_str(), Some("waiting-rate" | "retry-wait"));
            let tried = found["over"] == true || waits;
            tried.then_some(found)
        });
        codes.extend(tried["error"]["code"].as_str().map(str::to_owned));
        if tried["over"] == false {
            assert_absent(
                "a cancelled run",
                &api.try_post(&format!("/api/v1/runs/{run}/cancel"), &json!({}))
                    .body,
            );
            github::ended(api, run);
        }
    }
    let input = json!({"repository": github::REPOSITORY, "title": "x"});
    let acted = api.try_post(&format!("{path}/actions/create_issue"), &input);
    assert_absent("an action's answer", &acted.body);
    if acted.status >= 400 {
        codes.push(acted.code());
    }
    codes
}

#[test]
fn a_secret_can_be_read_nowhere() {
    let options = Options {
        token: Some(CANARY.to_owned()),
        ..Options::default()
    };
    let stand_in = StandIn::start(options);
    let control = stand_in.control();
    let mut setup = stand_in.setup();
    setup.set = vec![
        ("SLUICE_LOG__FILTER", "debug".to_owned()),
        ("SLUICE_LIMITS__REQUEST_TIME_S", "2".to_owned()),
    ];
    let mut server = Server::start(&setup);
    let connection = github::ready_with(&server, CANARY);
    let api = server.api();
    let run = github::sync(&api, &connection, "issues", "full");
    assert_eq!(run["state"], "succeeded", "the secret is used: {run}");
    let hook = Hook::create(&api, &connection);
    assert_eq!(hook.deliver(&api, "ping", "d-1", b"{}").status, 200);
    hook.settled(&api);

    let mut codes = Vec::new();
    let faults = [
        Fault::status(401),
        Fault::status(403),
        Fault::status(404),
        Fault::status(500),
        Fault::RateLimited { reset_s: 3600 },
        Fault::Html,
        Fault::InvalidJson,
        Fault::Truncated,
        Fault::Reset,
        Fault::Slow { ms: 10_000 },
    ];
    for fault in faults {
        control.fail_every(1, "", fault);
        codes.extend(provoke(&server.api(), &connection));
        control.behave();
        // A new process has forgotten the rate limit and the broken circuit.
        server.restart();
        let report = server
            .api()
            .post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
        assert_eq!(report["ok"], true, "{report}");
    }
    // The secret where none belongs: in a name, in a configuration, in a path. What is refused is not repeated either.
    let bodies = [
        json!({"secret": CANARY}),
        json!({"name": 1, "connector": "github", "secret": CANARY}),
        json!({"name": "x", "connector": "github", "config": {}, "secret": CANARY}),
        json!({"name": "x", "connector": "github", "config": {}, "auth": "none", "secret": CANARY}),
        json!({"name": "x", "connector": "github", "config": {"repositories": ["a/b"]}, "secret": format!("{CANARY}\n")}),
    ];
    for body in bodies {
        let answer = server.api().try_post("/api/v1/connections", &body);
        assert!(answer.status >= 400, "{}", answer.text());
        assert_absent("a refusal", &answer.body);
    }
    assert!(codes.len() >= 15, "too little went wrong: {codes:?}");
    codes.sort_unstable();
    codes.dedup();
    assert!(codes.len() >= 4, "too little of it is different: {codes:?}");
    scan_api(&server, &connection);

    // A vendor that cannot prove who it is.
    server.stop();
    let (address, _) = stand_in.place();
    setup.vendor = Some((address, String::new()));
    server.configure(&setup);
    server.run();
    let before = control.requests();
    let failed = provoke(&server.api(), &connection);
    assert!(!failed.is_empty());
    assert_eq!(
        control.requests(),
        before,
        "nothing is said to a vendor that cannot prove who it is"
    );
    scan_api(&server, &connection);
    server.kill();
    assert_absent("the log", server.log().as_bytes());
    assert!(server.log().len() > 1000, "there is a log to look at");
    assert!(scan_files(server.data()) >= 2);
    let config = fs::read(server.config()).expect("read the configuration");
    assert_absent("the configuration", &config);
}

#[test]
fn the_needles_find_what_they_look_for() {
    let base64 = BASE64_NOPAD.encode(format!("x{CANARY}yz").as_bytes());
    for (form, text) in [
        ("plain", format!("token={CANARY};")),
        ("base64", base64),
        ("hex", HEXLOWER.encode(CANARY.as_bytes())),
        ("JSON", Value::String(CANARY.to_owned()).to_string()),
        ("Debug", format!("{CANARY:?}")),
    ] {
        let found = needles().iter().any(|(_, needle)| {
            text.as_bytes()
                .windows(needle.len())
                .any(|window| window == needle.as_slice())
        });
        assert!(found, "{form}");
    }
}
