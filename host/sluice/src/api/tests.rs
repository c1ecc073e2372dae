//! The API from its front door, over a real database.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode, header};
use serde_json::Value;
use sluice_broker::Broker;
use sluice_model::SystemClock;
use sluice_model::seal::MasterKey;
use sluice_runtime::{Compiler, Runtime};
use sluice_service::{Service, Settings};
use sluice_store::Store;
use tower::ServiceExt;

use super::routes::{Access, ROUTES, Route, router};
use super::{App, Parts};
use crate::explain;
use crate::listen::Counters;

mod approvals;
mod files;

struct Server {
    app: App,
    router: axum::Router,
    key: String,
    revoked: String,
    _dir: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let master =
            MasterKey::from_text("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08").unwrap();
        let store = Store::open(sluice_store::Options::new(dir.path().to_owned(), master)).unwrap();
        let clock = Arc::new(SystemClock);
        let resolver = Arc::new(sluice_broker::System::new().unwrap());
        let broker = Broker::new(sluice_broker::Config::default(), resolver, clock.clone()).unwrap();
        let settings = sluice_runtime::Config {
            slots: 2,
            max_memory_bytes: 1 << 26,
            compiler: Compiler::InProcess,
            ..sluice_runtime::Config::default()
        };
        let runtime = Runtime::new(settings, broker).unwrap();
        let parts = sluice_service::Parts {
            store,
            runtime,
            clock,
            settings: Settings::default(),
        };
        let service = Service::start(parts).await.unwrap();
        let mut texts = Vec::new();
        for name in ["admin", "revoked"] {
            let issued = crate::key::issue(name, true, service.now()).unwrap();
            texts.push(String::from_utf8(issued.key.expose().to_vec()).unwrap());
            let id = issued.row.id;
            service
                .store()
                .put_api_key(service.org(), issued.row)
                .await
                .unwrap();
            if name == "revoked" {
                service
                    .store()
                    .revoke_api_key(service.org(), id, service.now())
                    .await
                    .unwrap();
            }
        }
        let app = App::new(Parts {
            service,
            listener: Counters::default(),
            hosts: super::hosts([127, 0, 0, 1].into(), Some("sluice.example.com".to_owned())),
            public_url: None,
            proxies: Vec::new(),
            body_timeout: Duration::from_secs(5),
            body_memory_bytes: 1 << 20,
            component_bytes: 1 << 19,
            hook_body_bytes: 1 << 16,
            spool: dir.path().to_owned(),
            stop: tokio_util::sync::CancellationToken::new(),
        });
        let revoked = texts.pop().unwrap();
        Self {
            router: router(app.clone()),
            app,
            key: texts.pop().unwrap(),
            revoked,
            _dir: dir,
        }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, http::HeaderMap, Vec<u8>) {
        let response: Response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 10 << 20).await.unwrap();
        (head.status, head.headers, body.to_vec())
    }

    async fn ask(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "127.0.0.1:7420");
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let (status, headers, body) = self
            .send(request.body(Body::from(body.to_owned())).unwrap())
            .await;
        assert!(headers.contains_key("x-request-id") && headers[header::CACHE_CONTROL] == "no-store");
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(
                headers[header::CONTENT_TYPE],
                "application/problem+json",
                "{method} {path}"
            );
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["request_id"].as_str().unwrap(), headers["x-request-id"]);
            assert!(explain::find(problem["code"].as_str().unwrap()).is_some());
            return (status, problem);
        }
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// With the key that is in force.
    async fn code(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let (status, problem) = self.ask(method, path, Some(&self.key), body).await;
        (
            status.as_u16(),
            problem["code"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

/// A path with something in the place of every parameter.
fn concrete(route: &Route) -> String {
    let part = |part: &'static str| if part.starts_with('{') { "x" } else { part };
    route.path.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn method(route: &Route) -> &'static str {
    if route.method == "*" { "POST" } else { route.method }
}

#[tokio::test]
async fn every_route_but_the_public_ones_needs_a_key() {
    let server = Server::start().await;
    let unknown = format!("slk_{}", "a".repeat(52));
    for route in ROUTES {
        let (method, path) = (method(route), concrete(route));
        if path.starts_with("/connect/") {
            continue;
        }
        for key in [
            None,
            Some(unknown.as_str()),
            Some(server.revoked.as_str()),
            Some("x"),
            Some(""),
        ] {
            let (status, problem) = server.ask(method, &path, key, "").await;
            match route.access {
                Access::Key | Access::Approver => assert_eq!(
                    (status.as_u16(), &problem["code"]),
                    (401, &Value::from("auth.key")),
                    "{method} {path}"
                ),
                Access::Public if path.starts_with("/hooks/") => {
                    assert_eq!(problem["code"], "webhook.refused")
                }
                Access::Public => assert_eq!(status, 200, "{path}"),
            }
        }
        // A tail has no end that could be waited for.
        if route.access != Access::Public && !path.ends_with("/tail") {
            let (status, _) = server.ask(method, &path, Some(&server.key), "").await;
            assert_ne!(status, 401, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn pages_of_a_link_that_is_none_say_so_and_do_nothing() {
    let server = Server::start().await;
    let link = "a".repeat(86);
    for (method, path, status) in [
        ("GET", "/connect/x".to_owned(), 404),
        ("POST", "/connect/x".to_owned(), 404),
        ("GET", format!("/connect/{link}"), 404),
        ("POST", format!("/connect/{link}"), 404),
        ("GET", "/connect/callback".to_owned(), 403),
        ("GET", format!("/connect/callback?state={link}&code=x"), 403),
        (
            "GET",
            "/connect/callback?state=%3Cscript%3E&error=%3Cscript%3E".to_owned(),
            403,
        ),
        ("POST", "/connect/callback".to_owned(), 303),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header(header::HOST, "127.0.0.1:7420")
            .header("sec-fetch-site", "cross-site")
            .body(Body::empty())
            .unwrap();
        let (found, headers, body) = server.send(request).await;
        assert_eq!(found.as_u16(), status, "{method} {path}");
        assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY), "{path}");
        assert!(!headers.contains_key(header::SET_COOKIE), "{path}");
        assert!(!String::from_utf8_lossy(&body).contains("<script"), "{path}");
    }
    // A page of somebody else's cannot press the button.
    let foreign = Request::builder()
        .method("POST")
        .uri(format!("/connect/{link}"))
        .header(header::HOST, "127.0.0.1:7420")
        .header(header::ORIGIN, "https://evil.example")
        .body(Body::empty())
        .unwrap();
    assert_eq!(server.send(foreign).await.0, 403);
}

#[tokio::test]
async fn what_is_in_no_table_needs_a_key_too() {
    let server = Server::start().await;
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v2/keys",
        "/api/v1/nothing",
        "/favicon.ico",
        "/Health/live",
        "/hooks",
    ] {
        assert_eq!(server.ask("GET", path, None, "").await.0, 401, "{path}");
        assert_eq!(
            server.code("GET", path, "").await,
            (404, "request.not_found".to_owned()),
            "{path}"
        );
    }
    // Another method of a route tells nobody that the route exists, and no header overrides one.
    assert_eq!(server.ask("PATCH", "/api/v1/keys", None, "").await.0, 401);
    assert_eq!(server.code("PATCH", "/api/v1/keys", "").await.0, 405);
    assert_eq!(server.ask("TRACE", "/api/v1/keys", None, "").await.0, 401);
}

#[tokio::test]
async fn ambiguous_paths_never_reach_a_route() {
    let server = Server::start().await;
    for path in [
        "//api/v1/keys",
        "/health/live/../../api/v1/keys",
        "/health/live;x/keys",
        "/api/v1/%2e%2e/keys",
        "/api/v1/keys%2f",
    ] {
        assert_eq!(server.ask("GET", path, None, "").await.0, 400, "{path}");
        assert_eq!(
            server.code("GET", path, "").await,
            (400, "request.path".to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let server = Server::start().await;
    let status = async |fields: &[(&str, &str)]| {
        let mut request = Request::builder().uri("/health/live");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        server.send(request.body(Body::empty()).unwrap()).await.0.as_u16()
    };
    for good in [
        "127.0.0.1:7420",
        "localhost",
        "[::1]:7420",
        "LOCALHOST:1",
        "sluice.example.com",
    ] {
        assert_eq!(status(&[("host", good)]).await, 200, "{good}");
    }
    for bad in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:7420",
        "",
    ] {
        assert_eq!(status(&[("host", bad)]).await, 403, "{bad}");
    }
    assert_eq!(status(&[]).await, 400);
    assert_eq!(
        status(&[("host", "localhost"), ("host", "evil.example")]).await,
        400
    );
    let from = async |origin| status(&[("host", "localhost:7420"), ("origin", origin)]).await;
    assert_eq!(from("http://localhost:7420").await, 200);
    for bad in [
        "http://evil.example",
        "null",
        "http://localhost:9999",
        "",
        "file://",
    ] {
        assert_eq!(from(bad).await, 403, "{bad}");
    }
    assert_eq!(
        status(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]).await,
        403
    );
}

#[tokio::test]
async fn unknown_hooks_are_answered_alike() {
    let server = Server::start().await;
    let mut seen = Vec::new();
    for hook in [
        "x",
        "hok_00000000000000000000000000",
        "hok_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    ] {
        let request = Request::builder()
            .method("POST")
            .uri(format!("/hooks/{hook}"))
            .body(Body::from("{}"))
            .unwrap();
        let (status, _, body) = server.send(request).await;
        let mut problem: Value = serde_json::from_slice(&body).unwrap();
        problem["request_id"] = Value::Null;
        seen.push((status.as_u16(), problem.to_string()));
    }
    assert!(
        seen.iter().all(|answer| answer.0 == 401 && *answer == seen[0]),
        "{seen:?}"
    );
    let large = Request::builder()
        .method("POST")
        .uri("/hooks/x")
        .body(Body::from(vec![b'x'; (1 << 16) + 1]))
        .unwrap();
    assert_eq!(server.send(large).await.0, 413);
}

#[tokio::test]
async fn bad_requests_have_typed_errors() {
    let server = Server::start().await;
    let connections = "/api/v1/connections";
    for (method, path, body, expected) in [
        ("GET", "/api/v1/connections?limit=0", "", (400, "request.query")),
        (
            "GET",
            "/api/v1/connections?limit=1001",
            "",
            (400, "request.query"),
        ),
        (
            "GET",
            "/api/v1/connections?limit=99999999999999",
            "",
            (400, "request.query"),
        ),
        ("GET", "/api/v1/connections?limti=1", "", (400, "request.query")),
        (
            "GET",
            "/api/v1/connections?after=AAAA",
            "",
            (400, "request.page_token"),
        ),
        ("GET", "/api/v1/events?after=-1", "", (400, "request.query")),
        ("GET", "/api/v1/events/0", "", (404, "event.not_found")),
        ("GET", "/api/v1/runs/x", "", (404, "request.no_such_id")),
        (
            "GET",
            "/api/v1/runs/run_00000000000000000000000000",
            "",
            (404, "run.not_found"),
        ),
        (
            "GET",
            "/api/v1/connections/none",
            "",
            (404, "connection.not_found"),
        ),
        ("POST", connections, "{", (400, "request.body")),
        ("POST", connections, r#"{"name":1}"#, (400, "request.body")),
        (
            "POST",
            connections,
            r#"{"name":"a","connector":"b","sceret":"c"}"#,
            (400, "request.body"),
        ),
        (
            "POST",
            connections,
            r#"{"name":"a","connector":"none"}"#,
            (404, "install.not_found"),
        ),
        ("POST", connections, "", (415, "request.content_type")),
        ("POST", "/api/v1/installs", "", (422, "package.malformed")),
        (
            "DELETE",
            "/api/v1/keys/key_00000000000000000000000000",
            "",
            (404, "key.not_found"),
        ),
    ] {
        let (status, code) = server.code(method, path, body).await;
        assert_eq!((status, code.as_str()), expected, "{method} {path} {body}");
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(server.code("POST", connections, &deep).await.0, 400);
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(server.code("POST", connections, &long).await.0, 413);
}

#[tokio::test]
async fn keys_are_shown_once_and_end_when_revoked() {
    let server = Server::start().await;
    let (status, made) = server
        .ask("POST", "/api/v1/keys", Some(&server.key), r#"{"name":"ci"}"#)
        .await;
    assert_eq!(status, 201);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let (_, list) = server.ask("GET", "/api/v1/keys", Some(key), "").await;
    assert!(!list.to_string().contains(key) && list.to_string().contains(id));
    assert_eq!(
        server
            .ask("DELETE", &format!("/api/v1/keys/{id}"), Some(key), "")
            .await
            .1["code"],
        "key.self"
    );
    assert_eq!(
        server
            .ask("DELETE", &format!("/api/v1/keys/{id}"), Some(&server.key), "")
            .await
            .0,
        204
    );
    assert_eq!(server.ask("GET", "/api/v1/keys", Some(key), "").await.0, 401);
}

#[tokio::test]
async fn a_panic_ends_one_request() {
    let server = Server::start().await;
    let front = axum::middleware::from_fn_with_state(server.app.clone(), super::front::front);
    let boom = axum::routing::get(async || -> &'static str { panic!("on purpose") });
    let router = axum::Router::new().route("/boom", boom).layer(front);
    for count in 1..3 {
        let request = Request::builder()
            .uri("/boom")
            .header(header::HOST, "localhost")
            .body(Body::empty())
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("on purpose"));
        assert_eq!(
            server
                .app
                .requests
                .panicked
                .load(std::sync::atomic::Ordering::Relaxed),
            count
        );
    }
}

#[tokio::test]
async fn secrets_are_listed_and_their_key_rotated_without_a_value() {
    let server = Server::start().await;
    let (store, org) = (server.app.service.store(), server.app.service.org());
    for (connector, value) in [("github", "hunter2-hunter2"), ("slack", "correct-horse")] {
        let secret = sluice_model::secret::Secret::new(value.as_bytes().to_vec());
        store
            .put_secret(
                org,
                &format!("app/{connector}"),
                "oauth",
                secret,
                server.app.service.now(),
            )
            .await
            .unwrap();
    }
    let ask = |method: &'static str, path: &'static str| server.ask(method, path, Some(&server.key), "");
    let (status, key) = ask("GET", "/api/v1/keys/organization").await;
    assert_eq!(
        (status.as_u16(), &key["version"], &key["uses"]),
        (200, &1.into(), &2.into())
    );
    let (status, key) = ask("POST", "/api/v1/keys/organization/rotate").await;
    assert_eq!(
        (status.as_u16(), &key["version"], &key["left"]),
        (200, &2.into(), &0.into())
    );
    let (status, keys) = ask("GET", "/api/v1/keys/master").await;
    assert_eq!(
        (status.as_u16(), &keys["previous"], &keys["left"]),
        (200, &0.into(), &0.into())
    );
    let (status, first) = ask("GET", "/api/v1/secrets?limit=1").await;
    assert_eq!(status, 200);
    let next = format!(
        "/api/v1/secrets?limit=1&after={}",
        first["next"].as_str().unwrap()
    );
    let (_, second) = server.ask("GET", &next, Some(&server.key), "").await;
    assert_eq!(second["next"], Value::Null);
    for (page, connector) in [(&first, "slack"), (&second, "github")] {
        let item = &page["items"][0];
        assert_eq!(
            (&item["kind"], &item["owner"], &item["name"]),
            (&"app".into(), &connector.into(), &"oauth".into())
        );
        assert_eq!((&item["version"], &item["key_version"]), (&1.into(), &2.into()));
        assert!(item["obtained"].is_string() && item["used_by"] == Value::Array(vec![]));
        assert!(!page.to_string().contains("hunter2") && !page.to_string().contains("horse"));
    }
    assert_eq!(
        server.code("GET", "/api/v1/secrets?connection=none", "").await.0,
        404
    );
}

/// Every reference of the document leads somewhere, and every route is in it.
#[test]
fn the_document_is_whole() {
    let document = serde_json::to_value(super::document()).unwrap();
    for route in ROUTES {
        let operation = &document["paths"][route.path][method(route).to_lowercase()];
        assert_eq!(
            operation["operationId"],
            super::document::operation_id(route),
            "{}",
            route.path
        );
        assert_eq!(operation["security"].is_array(), route.access != Access::Public);
    }
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(to)) = fields.get("$ref") {
                    assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to}");
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}
