use bytes::Bytes;
use sluice_broker::{Body, Capture, CaptureInto, CredentialChoice, Held, Request};
use sluice_model::capability::Scheme;
use sluice_model::secret::Secret;

use crate::rig::{Reply, Rig, SECRET, ok, origin};

fn with(choice: CredentialChoice, url: &str) -> Request {
    Request {
        credential: choice,
        ..Request::new("GET", url)
    }
}

fn named(name: &str) -> CredentialChoice {
    CredentialChoice::Named(name.into())
}

#[tokio::test]
async fn each_application_is_sent_and_its_echo_redacted() {
    let rig = Rig::new(vec![Reply::Echo]).await;
    for (choice, name, sent) in [
        (
            CredentialChoice::Default,
            "token",
            format!("authorization: Bearer {SECRET}\r\n"),
        ),
        (
            CredentialChoice::WhereBound,
            "token",
            format!("authorization: Bearer {SECRET}\r\n"),
        ),
        (
            named("query"),
            "query",
            "GET /p?a=1&key=s3cr3t%2Fc4n4ry%2Bv4lue HTTP/1.1\r\n".into(),
        ),
        (named("header"), "header", format!("x-api-key: k {SECRET}\r\n")),
        (
            named("basic"),
            "basic",
            "authorization: Basic bWU6czNjcjN0L2M0bjRyeSt2NGx1ZQ==\r\n".into(),
        ),
    ] {
        let (_, echo) = rig
            .read(with(choice, "http://api.test/p?a=1&key=mine"))
            .await
            .unwrap();
        let seen = rig.peer.requests().pop().unwrap();
        assert!(seen.contains(&sent), "{sent} in {seen}");
        assert!(echo.contains(&format!("[redacted:{name}]")), "{echo}");
        for form in [SECRET, "s3cr3t%2F", "bWU6czNj"] {
            assert!(!echo.contains(form), "{form} in {echo}");
        }
        let trace = rig.caller.trace.take();
        assert_eq!(trace.reflected, 1);
        assert!(!format!("{trace:?}").contains("c4n4ry"), "{trace:?}");
    }
    assert_eq!(rig.broker.reflections(), 5);
}

#[tokio::test]
async fn only_toward_its_origins() {
    let rig = Rig::new(vec![ok("")]).await;
    let elsewhere = "http://other.test/open/x";
    for (choice, url, code) in [
        (CredentialChoice::Default, elsewhere, "secret.origin_mismatch"),
        (named("query"), elsewhere, "secret.origin_mismatch"),
        (named("absent"), elsewhere, "secret.missing"),
        (named("absent"), "http://api.test/", "secret.missing"),
        (CredentialChoice::WhereBound, elsewhere, "200"),
        (CredentialChoice::None, "http://api.test/", "200"),
    ] {
        assert_eq!(
            rig.code(with(choice.clone(), url)).await,
            code,
            "{choice:?} {url}"
        );
    }
    for seen in rig.peer.requests() {
        assert!(
            !seen.contains("s3cr3t") && !seen.contains("authorization"),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn redacted_across_chunks_and_in_headers() {
    let body: String = SECRET
        .chars()
        .map(|letter| format!("1\r\n{letter}\r\n"))
        .collect();
    let answer =
        format!("HTTP/1.1 200 OK\r\nx-echo: <{SECRET}>\r\ntransfer-encoding: chunked\r\n\r\n{body}0\r\n\r\n");
    let rig = Rig::new(vec![Reply::Send(answer.into())]).await;
    let mut response = rig.send(Request::new("GET", "http://api.test/")).await.unwrap();
    assert_eq!(response.header("x-echo"), Some("<[redacted:token]>"));
    let mut read = Vec::new();
    while let Some(chunk) = response.body.chunk(3).await.unwrap() {
        assert!((1..=3).contains(&chunk.len()));
        read.extend_from_slice(&chunk);
    }
    assert_eq!(read, b"[redacted:token]");
}

#[tokio::test]
async fn placeholders_are_replaced_on_the_wire_only() {
    let rig = Rig::new(vec![Reply::Echo]).await;
    let held = |host: &str| Held {
        name: "held".into(),
        secret: Secret::new(b"pl4c3h0ld3r&value".to_vec()),
        origins: vec![origin(Scheme::Http, host, 80)],
    };
    let token = rig.caller.budget.placeholders().insert(held("api.test")).unwrap();
    let mut request = with(CredentialChoice::None, &format!("http://api.test/?q={token}"));
    request.method = "POST".into();
    request.headers = vec![("authorization".into(), format!("Token {token}"))];
    request.body = Body::Bytes(Bytes::from(format!("k={token};")));
    let (_, echo) = rig.read(request).await.unwrap();
    let seen = rig.peer.requests().remove(0);
    assert!(seen.starts_with("POST /?q=pl4c3h0ld3r%26value HTTP"), "{seen}");
    assert!(seen.contains("\r\nauthorization: Token pl4c3h0ld3r&value\r\n"));
    assert!(seen.ends_with("k=pl4c3h0ld3r&value;"));
    assert!(!echo.contains("pl4c3h0ld3r"), "{echo}");
    assert_eq!(echo.matches("[redacted:held]").count(), 3);

    let (writer, body) = Body::stream(None);
    let mut request = with(CredentialChoice::None, "http://api.test/");
    request.method = "POST".into();
    request.body = body;
    let feed = async move {
        let (head, tail) = token.split_at(20);
        writer.write(Bytes::from(head.to_owned())).await.unwrap();
        writer.write(Bytes::from(tail.to_owned())).await.unwrap();
        writer.finish().await.unwrap();
    };
    assert!(tokio::join!(rig.read(request), feed).0.is_ok());
    assert!(rig.peer.requests()[1].contains("pl4c3h0ld3r&value\r\n0\r\n"));

    let other = rig
        .caller
        .budget
        .placeholders()
        .insert(held("other.test"))
        .unwrap();
    let mut request = with(CredentialChoice::None, "http://api.test/");
    request.headers = vec![("x-a".into(), other)];
    assert_eq!(rig.code(request).await, "secret.origin_mismatch");
    assert_eq!(rig.peer.requests().len(), 2);
}

#[tokio::test]
async fn captures_stay_with_the_host() {
    let json = format!(
        r#"{{"access_token":"{SECRET}","again":"fr3sht0ken","refresh_token":"fr3sht0ken","expires_in":3600}}"#
    );
    let rig = Rig::new(vec![ok(&json), ok("<html>fr3sht0ken")]).await;
    let request = || {
        let capture = |pointer: &str, into| Capture {
            pointer: pointer.into(),
            into,
        };
        let mut request = Request::new("GET", "http://api.test/");
        request.captures = vec![
            capture("/access_token", CaptureInto::Secret("access".into())),
            capture("/refresh_token", CaptureInto::Secret("refresh".into())),
            capture("/expires_in", CaptureInto::ExpiresIn),
            capture("/absent", CaptureInto::Account),
        ];
        request
    };
    let response = rig.send(request()).await.unwrap();
    let values: Vec<_> = response
        .captured
        .iter()
        .map(|(_, secret)| secret.expose().to_vec())
        .collect();
    assert_eq!(values, [SECRET.as_bytes(), b"fr3sht0ken", b"3600"]);
    let body = String::from_utf8(response.collect().await.unwrap().to_vec()).unwrap();
    assert!(!body.contains("fr3sht0ken") && !body.contains("c4n4ry"), "{body}");
    assert!(
        body.contains(r#""again":"[redacted:refresh]""#) && body.contains("[captured:access]"),
        "{body}"
    );
    assert_eq!(rig.code(request()).await, "egress.protocol");
}
