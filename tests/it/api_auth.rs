//! The door of the API, from outside: every route of its own document asks for a key, strangers of every kind are sent
//! away, and no spelling of a path gets around that.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::server::{Answer, Server, Setup, http};

/// What anybody may call. Everything else needs a key.
const PUBLIC: [&str; 5] = [
    "/health/live",
    "/health/ready",
    "/hooks/{hook}",
    // The link, and the cookie that it sets, are the key of these.
    "/connect/callback",
    "/connect/{link}",
];

fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    http::request(address, method, path, headers, b"")
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// Method and path of every operation, as the document has them.
fn operations(document: &Value) -> Vec<(String, String)> {
    let methods = ["get", "post", "put", "delete", "patch", "head", "options"];
    let paths = document["paths"].as_object().expect("paths");
    let mut found = Vec::new();
    for (path, item) in paths {
        for method in item.as_object().expect("a path").keys() {
            if methods.contains(&method.as_str()) {
                found.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    found
}

/// A path with something in the place of its parameters.
fn filled(path: &str) -> String {
    let segments = path.split('/');
    let filled = segments.map(|segment| if segment.starts_with('{') { "x" } else { segment });
    filled.collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_asks_for_a_key() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    let document = api.get("/api/v1/openapi.json");
    let operations = operations(&document);
    assert!(operations.len() >= 40, "only {} operations", operations.len());
    let revoked = api.post("/api/v1/keys", &json!({"name": "to be revoked"}));
    let id = revoked["id"].as_str().expect("an id");
    assert_eq!(api.delete(&format!("/api/v1/keys/{id}")).status, 204);
    let bearer = |key: &str| format!("Bearer {key}");
    let (revoked, good) = (bearer(revoked["key"].as_str().expect("a key")), bearer(&api.key));
    let guessed = bearer(&format!("slk_{}", "a".repeat(52)));
    let cut = &good[..good.len() - 1];
    let basic = good.replace("Bearer", "Basic");
    let long = bearer(&format!("slk_{}", "a".repeat(8000)));

    for (method, path) in &operations {
        let filled = filled(path);
        if PUBLIC.contains(&path.as_str()) {
            continue;
        }
        for (what, headers) in [
            ("no key", &[][..]),
            ("a guessed key", &[("authorization", guessed.as_str())]),
            ("a revoked key", &[("authorization", &revoked)]),
            ("a key that is cut off", &[("authorization", cut)]),
            ("a key as a password", &[("authorization", &basic)]),
            ("a key without its scheme", &[("authorization", &api.key)]),
            ("a long key", &[("authorization", &long)]),
            (
                "two keys",
                &[("authorization", good.as_str()), ("authorization", &guessed)],
            ),
            ("a key in a cookie", &[("cookie", &good)]),
            (
                "another method's clothes",
                &[
                    ("x-http-method-override", "GET"),
                    ("x-original-url", "/health/live"),
                ],
            ),
        ] {
            let answer = send(api.address, method, &filled, headers);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (401, "auth.key"),
                "{method} {path} with {what}: {}",
                answer.text()
            );
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Bearer"),
                "{method} {path}"
            );
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
    // What is in no table needs a key too: without one, nobody learns what there is.
    for path in [
        "/",
        "/api",
        "/api/v2/keys",
        "/api/v1/nothing",
        "/favicon.ico",
        "/api/v1/keys/",
    ] {
        let answer = send(api.address, "GET", path, &[]);
        assert_eq!(answer.status, 401, "{path}");
        let answer = send(api.address, "GET", path, &[("authorization", &good)]);
        assert_eq!(answer.status, 404, "{path}");
    }
    for path in ["/health/live", "/health/ready"] {
        let answer = send(api.address, "GET", path, &[]);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.len() < 50, "it says nothing else: {}", answer.text());
    }
    let answer = send(api.address, "PATCH", "/api/v1/keys", &[("authorization", &good)]);
    assert_eq!(answer.status, 405, "{}", answer.text());
}

#[test]
fn strangers_are_sent_away() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    let key = format!("Bearer {}", api.key);
    let ours = api.address.to_string();
    let port = api.address.port();
    let with = |headers: &[(&str, &str)]| {
        let mut all = vec![("authorization", key.as_str())];
        all.extend_from_slice(headers);
        send(api.address, "GET", "/api/v1/connections", &all)
    };
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "0.0.0.0",
        "user@127.0.0.1",
        "",
    ] {
        let answer = with(&[("host", host)]);
        assert!(
            matches!(answer.status, 400 | 403),
            "Host `{host}`: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert_eq!(with(&[("host", "evil.example")]).status, 403);
    assert_eq!(with(&[("host", &ours), ("host", "evil.example")]).status / 100, 4);
    for host in [ours.as_str(), "localhost", "127.0.0.1", "LocalHost:1"] {
        assert_eq!(with(&[("host", host)]).status, 200, "Host `{host}`");
    }
    for origin in [
        "http://evil.example",
        "null",
        "",
        &format!("http://evil.example:{port}"),
        "http://localhost:1",
    ] {
        assert_eq!(with(&[("origin", origin)]).status, 403, "Origin `{origin}`");
    }
    assert_eq!(with(&[("origin", &format!("http://{ours}"))]).status, 200);
    for site in ["cross-site", "same-site"] {
        assert_eq!(with(&[("sec-fetch-site", site)]).status, 403, "{site}");
    }
    let answer = with(&[]);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        answer.header("access-control-allow-origin"),
        None,
        "no other page may read it"
    );
}

#[test]
fn no_spelling_of_a_path_gets_around_the_door() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    let key = format!("Bearer {}", api.key);
    for path in [
        "//api/v1/keys",
        "/api//v1/keys",
        "/api/v1//keys",
        "/health/live/../../api/v1/keys",
        "/health/./live",
        "/health/live;/../../api/v1/keys",
        "/health/live%2f..%2f..%2fapi%2fv1%2fkeys",
        "/health/live/%2e%2e/%2e%2e/api/v1/keys",
        "/hooks/%2e%2e/api/v1/keys",
        "/hooks/../api/v1/keys",
        "/hooks/..%2fapi/v1/keys",
        "/hooks/x;/../../api/v1/keys",
        "/api/v1/%6beys",
        "/api/v1/keys%00",
        "/api/v1/keys%2",
        "/api/v1/keys\\",
        "/api/v1/keys%5c",
        "/api/v1/keys;a=b",
        "/api/v1/keys%3ba",
        "/api/v1/keys%252f",
    ] {
        for headers in [&[][..], &[("authorization", key.as_str())]] {
            let answer = send(api.address, "GET", path, headers);
            assert_eq!(
                answer.status / 100,
                4,
                "{path}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    let long = format!("/api/v1/{}", "a/".repeat(3000));
    assert_eq!(send(api.address, "GET", &long, &[]).status / 100, 4);
    // An absolute request target names a host too (RFC 9112 §3.2.2).
    for (target, status) in [
        ("http://evil.example/api/v1/keys".to_owned(), 403),
        (format!("http://{}/api/v1/keys", api.address), 200),
    ] {
        let answer = send(api.address, "GET", &target, &[("authorization", &key)]);
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
    // Requests that are none. The server may close without a word; it may not fall over.
    for garbage in [
        &b"\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/v1/keys HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /api/v1/keys HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /api/v1/keys HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        if let Ok(answer) = http::raw_and_close(api.address, garbage) {
            assert_eq!(answer.status / 100, 4, "{}", answer.text());
        }
    }
    // Page tokens and limits.
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=99999999999999999999",
        "after=x",
        "limit=1&limit=2",
        "colour=red",
        "after=AAAAAAAAAAAAAAAA",
    ] {
        let answer = send(
            api.address,
            "GET",
            &format!("/api/v1/connections?{query}"),
            &[("authorization", &key)],
        );
        assert!(
            matches!(answer.code().as_str(), "request.query" | "request.page_token"),
            "{query}: {}",
            answer.text()
        );
    }
    assert_eq!(send(api.address, "GET", "/health/ready", &[]).status, 200);
}
