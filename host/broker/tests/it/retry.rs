use std::time::Duration;

use sluice_broker::{CredentialChoice, Request};
use sluice_model::limits::Limits;
use tokio::net::TcpListener;

use crate::rig::{Reply, Rig, broker, caller, ok, open, rule, status, to};

fn reset() -> Reply {
    Reply::Last(Vec::new())
}

#[tokio::test]
async fn what_may_happen_twice_is_sent_again() {
    for (method, key, replies, code, sent) in [
        ("GET", None, vec![status(503, ""), ok("x")], "200", 2),
        ("GET", None, vec![reset(), ok("x")], "200", 2),
        ("GET", None, vec![status(502, "")], "502", 3),
        ("GET", None, vec![reset()], "egress.unreachable", 3),
        ("GET", None, vec![status(500, "")], "500", 1),
        (
            "GET",
            None,
            vec![status(429, "retry-after: 0\r\n"), ok("x")],
            "200",
            2,
        ),
        ("PUT", None, vec![status(504, ""), ok("x")], "200", 2),
        ("POST", None, vec![status(503, ""), ok("x")], "503", 1),
        ("POST", None, vec![reset(), ok("x")], "egress.unreachable", 1),
        ("PATCH", None, vec![reset(), ok("x")], "egress.unreachable", 1),
        ("POST", Some("k"), vec![reset(), ok("x")], "200", 2),
    ] {
        let rig = Rig::new(replies).await;
        let mut request = Request::new(method, "http://api.test/");
        request.idempotency_key = key.map(str::to_owned);
        assert_eq!(rig.code(request).await, code, "{method}");
        assert_eq!(rig.peer.requests().len(), sent, "{method} {code}");
        assert_eq!(rig.caller.trace.take().exchanges[0].attempts as usize, sent);
    }
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_the_callers() {
    for wait in ["3600", "999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let rig = Rig::new(vec![status(429, &format!("retry-after: {wait}\r\n"))]).await;
        assert_eq!(rig.code(Request::new("GET", "http://api.test/")).await, "429");
        assert_eq!(rig.peer.requests().len(), 1);
        let error = rig.get("/").await.unwrap_err();
        let sluice_broker::Error::RateLimited { after } = error else {
            panic!("{error:?}")
        };
        assert!(
            after > Duration::from_secs(3500) && after <= Duration::from_secs(3600),
            "{after:?}"
        );
    }
}

#[tokio::test]
async fn a_used_up_rate_closes_the_gate() {
    let rig = Rig::new(vec![status(
        200,
        "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 60\r\n",
    )])
    .await;
    assert_eq!(rig.code(Request::new("GET", "http://api.test/")).await, "200");
    assert_eq!(
        rig.code(Request::new("GET", "http://api.test/")).await,
        "egress.rate_limited"
    );
    assert_eq!(rig.peer.requests().len(), 1);
}

#[tokio::test]
async fn a_dead_host_is_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = sluice_broker::Config {
        open: open(),
        connect: vec![to("api.test", 80, address)],
        ..Default::default()
    };
    let broker = broker(config, crate::rig::Names::new(&[]));
    let mut caller = caller(
        vec![rule(
            sluice_model::capability::Scheme::Http,
            "api.test",
            80,
            "/**",
        )],
        Limits::default(),
        Default::default(),
    );
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(
            broker
                .send(&caller, Request::new("POST", "http://api.test/"))
                .await
                .unwrap_err()
                .code(),
        );
    }
    assert_eq!(
        codes,
        ["egress.unreachable", "egress.circuit_open", "egress.circuit_open"]
    );
    caller.connection = None;
    let error = broker
        .send(&caller, Request::new("POST", "http://api.test/"))
        .await
        .unwrap_err();
    assert_eq!(
        error.code(),
        "egress.unreachable",
        "a neighbour finds out for itself"
    );
}

#[tokio::test]
async fn a_connection_that_went_stale_costs_nothing() {
    let rig = Rig::new(vec![Reply::Last(
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
    )])
    .await;
    for sent in 1..=3 {
        assert_eq!(rig.code(Request::new("GET", "http://api.test/")).await, "200");
        assert!(rig.peer.requests().len() >= sent);
    }
}

#[tokio::test]
async fn a_waiting_retry_leaves_its_turn_to_others() {
    let limits = Limits {
        http_concurrency: 1,
        ..Limits::default()
    };
    let rig = Rig::limited(vec![status(503, "retry-after: 5\r\n"), ok("x")], limits).await;
    let first = rig.send(Request::new("GET", "http://api.test/a"));
    let mut open = Request::new("POST", "http://other.test/open/b");
    open.credential = CredentialChoice::None;
    let second = rig.send(open);
    // The first is asked first and has the only turn; the second is answered while it waits.
    tokio::select! {
        biased;
        _ = first => panic!("the retry has waited"),
        answer = second => assert_eq!(answer.unwrap().status, 200),
    }
    assert_eq!(rig.peer.requests().len(), 2);
}
