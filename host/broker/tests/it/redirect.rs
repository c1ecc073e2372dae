use bytes::Bytes;
use sluice_broker::{Body, CredentialChoice, Redirects, Request};

use crate::rig::{Rig, ok, status};

fn to(code: u16, location: &str) -> crate::rig::Reply {
    status(code, &format!("location: {location}\r\n"))
}

#[tokio::test]
async fn every_hop_passes_policy() {
    for location in [
        "http://127.0.0.1/",
        "http://10.0.0.5/",
        "http://[::1]/",
        "//169.254.169.254/",
        "http:127.0.0.1",
        "\\\\127.0.0.1",
        "https://api.test/",
        "http://api.test:22/",
        "http://other.test/closed",
        "file:///etc/passwd",
        "http://u@api.test/",
        "http://other.test/open/..%2fclosed",
        "http://api.test/ x",
    ] {
        for code in [301, 302, 303, 307, 308] {
            let rig = Rig::new(vec![to(code, location), ok("reached")]).await;
            assert_eq!(
                rig.code(Request::new("GET", "http://api.test/")).await,
                "egress.redirect_denied",
                "{location}"
            );
            assert_eq!(rig.peer.requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn methods_and_bodies() {
    for (code, line, body) in [
        (301, "GET", ""),
        (302, "GET", ""),
        (303, "GET", ""),
        (307, "POST", "b"),
        (308, "POST", "b"),
    ] {
        let rig = Rig::new(vec![to(code, "/next?q"), ok("done")]).await;
        let mut request = Request::new("POST", "http://api.test/");
        request.body = Body::Bytes(Bytes::from_static(b"b"));
        request.headers = vec![("content-type".into(), "text/plain".into())];
        assert_eq!(rig.read(request).await.unwrap().1, "done");
        let seen = rig.peer.requests().remove(1);
        assert!(
            seen.starts_with(&format!("{line} /next?q HTTP/1.1\r\n")),
            "{code}: {seen}"
        );
        assert!(seen.ends_with(&format!("\r\n\r\n{body}")), "{code}: {seen}");
        assert_eq!(seen.contains("content-type"), !body.is_empty());
        assert_eq!(rig.caller.trace.take().exchanges.len(), 2);
        assert_eq!(rig.peer.connections(), 1);
    }
}

#[tokio::test]
async fn credentials_stay_home() {
    let rig = Rig::new(vec![
        to(302, "http://other.test/open/x"),
        to(302, "http://api.test/back"),
        ok("done"),
    ])
    .await;
    let mut request = Request::new("GET", "http://api.test/");
    request.headers = vec![
        ("cookie".into(), "c00kie=1".into()),
        ("x-kept".into(), "1".into()),
    ];
    assert_eq!(rig.read(request).await.unwrap().1, "done");
    let seen = rig.peer.requests();
    assert!(seen[0].contains("authorization: Bearer") && seen[0].contains("c00kie"));
    assert!(!seen[1].contains("authorization") && !seen[1].contains("c00kie") && seen[1].contains("x-kept"));
    assert!(seen[1].contains("host: other.test\r\n"));
    assert!(
        seen[2].contains("authorization: Bearer"),
        "bound to this origin, so it is applied there again"
    );
    assert!(!seen[2].contains("c00kie"), "what was dropped stays dropped");
}

#[tokio::test]
async fn ends() {
    let rig = Rig::new(vec![to(302, "/again")]).await;
    assert_eq!(
        rig.code(Request::new("GET", "http://api.test/")).await,
        "egress.redirect_denied"
    );
    assert_eq!(rig.peer.requests().len(), 11);

    let rig = Rig::new(vec![to(302, "/again")]).await;
    let mut request = Request::new("GET", "http://api.test/");
    request.redirects = Redirects::Return;
    request.credential = CredentialChoice::None;
    assert_eq!(rig.code(request).await, "302");
    let rig = Rig::new(vec![status(302, "")]).await;
    assert_eq!(rig.code(Request::new("GET", "http://api.test/")).await, "302");
}
