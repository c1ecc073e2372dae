use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sluice_broker::{Body, Place, Request};
use sluice_model::limits::Limits;

use crate::rig::{Reply, Rig, ok};

#[tokio::test]
async fn a_request_on_the_wire() {
    let rig = Rig::new(vec![ok("hi")]).await;
    let mut request = Request::new("POST", "http://API.test./a/./b?q=1#frag");
    request.headers = vec![
        ("X-One".into(), "1".into()),
        ("Accept-Encoding".into(), "br".into()),
    ];
    request.body = Body::Bytes(Bytes::from_static(b"body"));
    request.idempotency_key = Some("k1".into());
    assert_eq!(rig.read(request).await.unwrap(), (200, "hi".into()));
    let seen = rig.peer.requests().remove(0);
    assert!(
        seen.starts_with("POST /a/b?q=1 HTTP/1.1\r\nhost: api.test\r\n"),
        "{seen}"
    );
    for field in [
        "x-one: 1",
        "accept-encoding: gzip",
        "idempotency-key: k1",
        "content-length: 4",
        "authorization: Bearer s3",
    ] {
        assert!(seen.contains(&format!("\r\n{field}")), "{field} in {seen}");
    }
    assert!(seen.ends_with("\r\n\r\nbody"));

    let trace = rig.caller.trace.take();
    let exchange = &trace.exchanges[0];
    assert_eq!(
        (
            exchange.status,
            exchange.attempts,
            exchange.sent_bytes,
            exchange.received_bytes
        ),
        (Some(200), 1, 4, 2)
    );
    assert_eq!(exchange.url, "http://api.test/a/b?q=1");
    assert_eq!(exchange.credential.as_deref(), Some("token"));
    assert_eq!(exchange.address, Some(rig.peer.address.to_string()));
    assert_eq!(exchange.error, None);
}

#[tokio::test]
async fn what_is_malformed_or_denied_never_leaves() {
    let rig = Rig::new(vec![ok("")]).await;
    for (method, url, code) in [
        ("GET", "http://other.test/closed", "egress.denied"),
        ("GET", "https://api.test/", "egress.denied"),
        ("GET", "http://api.test:22/", "egress.denied"),
        ("GET", "http://evilapi.test/", "egress.denied"),
        ("GET", "http://api.test.evil.net/", "egress.denied"),
        ("GET", "http://api.test@evil.net/", "egress.bad_request"),
        ("GET", "http://api.test\\@evil.net/", "egress.bad_request"),
        ("GET", "file:///etc/passwd", "egress.bad_request"),
        ("GET", "//api.test/", "egress.bad_request"),
        ("GET", "*", "egress.bad_request"),
        ("GET", "", "egress.bad_request"),
        ("GET", "http://api.test/\r\nx: y", "egress.bad_request"),
        ("GET", "http://other.test/open/..%2fclosed", "egress.bad_request"),
        ("GET", "http://other.test/open/../closed", "egress.denied"),
        ("CONNECT", "http://api.test/", "egress.bad_request"),
        ("TRACE", "http://api.test/", "egress.bad_request"),
        ("GET / HTTP/1.1\r\n", "http://api.test/", "egress.bad_request"),
    ] {
        assert_eq!(rig.code(Request::new(method, url)).await, code, "{method} {url}");
    }
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "x-forwarded-for",
        "authorization",
        "a b",
    ] {
        let mut request = Request::new("GET", "http://api.test/");
        request.headers = vec![(name.into(), "x".into())];
        assert_eq!(rig.code(request).await, "egress.bad_request", "{name}");
    }
    assert_eq!(rig.peer.connections(), 0);
    assert_eq!(rig.caller.trace.take().exchanges.len(), 24);
}

#[tokio::test]
async fn streams_are_complete_or_aborted() {
    let rig = Rig::new(vec![ok("hi")]).await;
    let send = |length: Option<u64>, parts: Vec<&'static str>, finish: bool| {
        let (writer, body) = Body::stream(length);
        let mut request = Request::new("PUT", "http://api.test/");
        request.body = body;
        let feed = async move {
            for part in parts {
                if writer.write(Bytes::from_static(part.as_bytes())).await.is_err() {
                    return;
                }
            }
            if finish {
                let _ = writer.finish().await;
            }
        };
        let rig = &rig;
        async move { tokio::join!(rig.code(request), feed).0 }
    };
    assert_eq!(send(None, vec!["ab", "cd"], true).await, "200");
    assert!(rig.peer.requests()[0].ends_with("2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"));
    assert_eq!(send(Some(4), vec!["ab", "cd"], true).await, "200");
    assert!(rig.peer.requests()[1].ends_with("\r\n\r\nabcd"));
    for (length, parts, finish) in [
        (None, vec!["ab"], false),
        (Some(4), vec!["ab"], true),
        (Some(4), vec!["abcdef"], true),
        (Some(4), vec!["ab"], false),
    ] {
        assert_eq!(send(length, parts, finish).await, "egress.bad_request");
    }
    assert_eq!(rig.peer.requests().len(), 2);
}

#[tokio::test]
async fn budgets() {
    let limits = Limits {
        http_requests: 2,
        request_bytes: 3,
        response_bytes: 4,
        ..Limits::default()
    };
    let rig = Rig::limited(vec![ok("1234"), ok("12345")], limits).await;
    let mut large = Request::new("POST", "http://api.test/");
    large.body = Body::Bytes(Bytes::from_static(b"1234"));
    assert_eq!(rig.code(large).await, "egress.budget");
    let get = || Request::new("GET", "http://api.test/");
    assert_eq!(rig.code(get()).await, "200");
    assert_eq!(rig.code(get()).await, "egress.too_large");
    assert_eq!(rig.code(get()).await, "egress.budget");
}

#[tokio::test]
async fn connections_are_reused_only_by_their_tenant() {
    let mut rig = Rig::new(vec![ok("a")]).await;
    for _ in 0..3 {
        rig.get("/").await.unwrap();
    }
    assert_eq!(rig.peer.connections(), 1);
    rig.caller.org = sluice_model::id::OrgId::from_bytes([2; 16]);
    rig.get("/").await.unwrap();
    assert_eq!(rig.peer.connections(), 2);
    drop(rig.send(Request::new("GET", "http://api.test/")).await.unwrap());
    rig.get("/").await.unwrap();
    assert_eq!(
        rig.peer.connections(),
        3,
        "a half-read connection does not come back"
    );
}

/// What policy saw is what is sent: for whatever URL passes, the request line and Host are the target's.
#[test]
fn policy_and_wire_agree() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rig = runtime.block_on(Rig::new(vec![Reply::Echo]));
    let url = r"(http|HTTP)://(api\.test|API\.Test|api\.test\.|ａpi\.test|ap%69\.test)(:80|:080)?(/[!-~]{0,8}|/\.\.|/%2[eE]){0,4}(\?[!-~]{0,10})?(#[a-z]{0,3})?";
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&url, |url| {
            let mut request = Request::new("GET", url.clone());
            request.credential = sluice_broker::CredentialChoice::None;
            let Ok((200, echo)) = runtime.block_on(rig.read(request)) else {
                return Ok(());
            };
            let place = Place::parse(&url).unwrap();
            let line = echo.lines().next().unwrap();
            let target = line
                .strip_prefix("GET ")
                .and_then(|line| line.strip_suffix(" HTTP/1.1"))
                .unwrap();
            prop_assert_eq!(target.split('?').next().unwrap(), place.target("GET").path);
            prop_assert!(target.starts_with('/') && !target.contains(['#', ' ']));
            let host = format!("\r\nhost: {}\r\n", place.host());
            prop_assert!(echo.contains(host.as_str()), "{}", echo);
            prop_assert_eq!(echo.to_lowercase().matches("\r\nhost:").count(), 1);
            Ok(())
        })
        .unwrap();
}
