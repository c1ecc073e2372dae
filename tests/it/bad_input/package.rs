//! Connector files and configurations that are refused at the door.

use serde_json::{Value, json};

use crate::github::{self, REPOSITORY, StandIn};
use crate::server::{Api, Server, Setup};
use crate::{guests, package};

/// Inspecting and installing refuse a file with the same code; gives the detail.
fn refused(api: &Api, file: &[u8], status: u16, code: &str) -> String {
    let inspected = api.post_bytes("/api/v1/connectors/inspect", file);
    assert_eq!(
        (inspected.status, inspected.code().as_str()),
        (status, code),
        "{}",
        inspected.text()
    );
    let installed = api.post_bytes("/api/v1/installs?accept=sha256:00", file);
    assert_eq!(
        (installed.status, installed.code().as_str()),
        (status, code),
        "{}",
        installed.text()
    );
    inspected.json()["detail"].as_str().expect("a detail").to_owned()
}

#[test]
fn files_that_are_no_connectors() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    let good = package::github();

    refused(
        &api,
        &guests::component("core_module"),
        422,
        "package.not_component",
    );
    for bytes in [&b""[..], b"\0asm", b"<html>", b"\x7fELF"] {
        refused(&api, bytes, 422, "package.malformed");
    }
    for part in [9, 100, good.len() / 2, good.len() - 1] {
        let detail = refused(&api, &good[..part], 422, "package.malformed");
        let shown = |c: char| !c.is_control() && c != char::REPLACEMENT_CHARACTER;
        assert!(detail.chars().all(shown), "{detail:?}");
    }
    let large = vec![0; 100 << 20];
    for path in ["/api/v1/connectors/inspect", "/api/v1/installs?accept=x"] {
        let answer = api.post_bytes(path, &large);
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert!(
            matches!(answer.code().as_str(), "request.too_large" | "package.too_large"),
            "{}",
            answer.text()
        );
    }
    refused(&api, &guests::component("neighbour"), 422, "package.no_manifest");

    // For another world or version: what is missing is named, before anybody approves it.
    let manifest = package::manifest(good);
    for (guest, code) in [
        ("import_unknown", "package.imports_refused"),
        ("import_newer", "package.imports_refused"),
        ("other_world", "package.exports_missing"),
    ] {
        let file = package::with_manifest(&guests::component(guest), &manifest);
        let detail = refused(&api, &file, 422, code);
        let names = detail
            .split_once(": ")
            .map(|(_, names)| names)
            .unwrap_or_default();
        assert!(!names.is_empty(), "{guest}: {detail}");
    }
    let file = package::changed("contract = \"0.1\"", "contract = \"9.9\"");
    let detail = refused(&api, &file, 422, "package.contract");
    assert!(detail.contains("9.9") && detail.contains("0.1"), "{detail}");

    assert_eq!(api.get("/api/v1/installs")["items"], json!([]));
    github::install(&api, good);
}

#[test]
fn manifests_that_are_refused_with_their_line() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    let manifest = package::manifest(package::github());
    let line_of = |text: &str| {
        let at = manifest.lines().position(|line| line.contains(text));
        at.expect("a line") + 1
    };
    for (from, to, says) in [
        (
            "category = \"development\"",
            "categori = \"development\"",
            "categori",
        ),
        ("host = \"api.github.com\"", "host = \"api.*.com\"", "egress"),
        (
            "host = \"api.github.com\"",
            "host = \"*api.github.com\"",
            "egress",
        ),
        ("host = \"api.github.com\"", "host = \"API.github.com\"", "egress"),
        ("manifest = 1", "manifest = 2", "manifest"),
        ("scheme = \"bearer\"", "scheme = \"barer\"", "scheme"),
        (
            "origins = [\"https://api.github.com\"]",
            "origins = [\"ftp://api.github.com\"]",
            "origins",
        ),
    ] {
        let detail = refused(&api, &package::changed(from, to), 422, "manifest.invalid");
        let line = format!("line {},", line_of(from));
        assert!(
            detail.contains(&line) && detail.contains(says),
            "{to}: `{line}` and `{says}` in: {detail}"
        );
    }
    assert_eq!(api.get("/api/v1/installs")["items"], json!([]));
}

#[test]
fn configurations_that_break_their_schema() {
    let stand_in = StandIn::with_issues(1);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    github::install(&api, package::github());
    let create = |name: &str, connector: &str, config: Value, secret: Value| {
        let body = json!({"name": name, "connector": connector, "config": config, "secret": secret});
        let answer = api.try_post("/api/v1/connections", &body);
        (
            answer.status,
            answer.code(),
            answer.json()["detail"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let many: Vec<String> = (0..200).map(|number| format!("acme/r{number}")).collect();
    for (config, pointer) in [
        (json!({"repositories": ["not a repository"]}), "/repositories/0"),
        (json!({"repositories": [REPOSITORY, 7]}), "/repositories/1"),
        (json!({"repositories": "acme/web"}), "/repositories"),
        (json!({"repositories": many}), "/repositories"),
        (json!({"repositories": [REPOSITORY], "ownr": "x"}), "ownr"),
        (json!({}), ""),
        (json!([]), ""),
    ] {
        let (status, code, detail) = create("bad", "github", config.clone(), Value::Null);
        assert_eq!((status, code.as_str()), (422, "connection.config"), "{config}");
        assert!(detail.contains(pointer), "{config}: {detail}");
    }
    let config = json!({"repositories": [REPOSITORY]});
    let long = "x".repeat(1 << 17);
    for secret in ["", "two\nlines", "\u{7}", &long] {
        let (status, code, detail) = create("bad", "github", config.clone(), json!(secret));
        assert_eq!((status, code.as_str()), (422, "connection.secret"));
        assert!(
            secret.is_empty() || !detail.contains(secret),
            "an error repeats the secret"
        );
    }
    for name in ["", "a\nb", &"n".repeat(81)] {
        assert_eq!(
            create(name, "github", config.clone(), Value::Null).1,
            "connection.name"
        );
    }
    let (status, code, _) = create("bad", "gitlab", config.clone(), Value::Null);
    assert_eq!((status, code.as_str()), (404, "install.not_found"));
    assert_eq!(
        api.get("/api/v1/connections")["items"],
        json!([]),
        "nothing was made"
    );

    // Bodies that are no requests.
    for (body, kind, expected) in [
        (&b"{"[..], "application/json", "request.body"),
        (b"{\"name\":1}", "application/json", "request.body"),
        (b"{\"nam\":\"x\"}", "application/json", "request.body"),
        (b"\xff\xfe", "application/json", "request.body"),
        (
            b"name=x",
            "application/x-www-form-urlencoded",
            "request.content_type",
        ),
        (b"{}", "text/plain", "request.content_type"),
    ] {
        let answer = api.send("POST", "/api/v1/connections", kind, body);
        assert_eq!(answer.code(), expected, "{}", answer.text());
        assert!((400..500).contains(&answer.status));
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = api.send("POST", "/api/v1/connections", "application/json", deep.as_bytes());
    assert_eq!(answer.code(), "request.body", "{}", answer.text());
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    let answer = api.send(
        "POST",
        "/api/v1/connections",
        "application/json",
        large.as_bytes(),
    );
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "request.too_large")
    );
    assert_eq!(create("good", "github", config.clone(), Value::Null).0, 201);
    assert_eq!(
        create("good", "github", config, Value::Null).1,
        "connection.name_taken"
    );
}
