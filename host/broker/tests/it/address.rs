use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use sluice_broker::{Config, Request, ResolveError};
use sluice_model::capability::{HostPattern, Scheme};
use sluice_model::limits::Limits;

use crate::rig::{Keys, Names, Peer, broker, caller, ok, open, rule, to};

#[tokio::test]
async fn literals_in_special_blocks() {
    let names = Names::new(&[]);
    let broker = broker(Config::default(), names.clone());
    let mut checked = 0;
    for (net, _) in sluice_broker::address::blocks() {
        for ip in [net.network(), net.broadcast()] {
            let host = if ip.is_ipv6() {
                format!("[{ip}]")
            } else {
                ip.to_string()
            };
            let url = format!("http://{host}/");
            let canonical = sluice_broker::Place::parse(&url).unwrap();
            if HostPattern::parse(canonical.host()).is_err() {
                // No grant can name a mapped address in the form in which a URL has it: policy refuses it before vetting.
                continue;
            }
            let rules = vec![rule(Scheme::Http, canonical.host(), 80, "/**")];
            let caller = caller(rules, Limits::default(), Keys::default());
            let error = broker.send(&caller, Request::new("GET", url)).await.unwrap_err();
            assert_eq!(error.code(), "egress.denied_address", "{ip}: {error}");
            checked += 1;
        }
    }
    assert!(checked >= 60);
    assert_eq!(names.asked(), 0);
}

#[tokio::test]
async fn one_forbidden_address_forbids_the_name() {
    for answer in [
        &["127.0.0.1"][..],
        &["1.1.1.1", "10.0.0.5"],
        &["fd00:ec2::254"],
        &["169.254.169.254"],
        &["::ffff:10.0.0.5"],
    ] {
        let names = Names::new(&[answer]);
        let caller = caller(
            vec![rule(Scheme::Http, "x.test", 80, "/**")],
            Limits::default(),
            Keys::default(),
        );
        let broker = broker(Config::default(), names);
        let error = broker
            .send(&caller, Request::new("GET", "http://x.test/"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "egress.denied_address", "{answer:?}");
    }
}

#[tokio::test]
async fn names_outside_the_grant_are_not_resolved() {
    let names = Names::new(&[&["1.1.1.1"]]);
    let broker = broker(Config::default(), names.clone());
    let caller = caller(
        vec![rule(Scheme::Http, "x.test", 80, "/**")],
        Limits::default(),
        Keys::default(),
    );
    for url in [
        "http://secret.evil.net/",
        "http://y.x.test/",
        "http://x.test:81/",
        "https://x.test/",
    ] {
        let error = broker.send(&caller, Request::new("GET", url)).await.unwrap_err();
        assert_eq!(error.code(), "egress.denied", "{url}");
    }
    assert_eq!(names.asked(), 0);
}

#[tokio::test]
async fn rebinding_is_judged_at_each_connection() {
    let peer = Peer::new(vec![crate::rig::Reply::Last(
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
    )])
    .await;
    let port = peer.address.port();
    let names = Names::new(&[&["127.0.0.1"], &["127.0.0.1"], &["10.0.0.5"]]);
    let broker = broker(
        Config {
            open: open(),
            ..Config::default()
        },
        names.clone(),
    );
    let caller = caller(
        vec![rule(Scheme::Http, "x.test", port, "/**")],
        Limits::default(),
        Keys::default(),
    );
    let mut codes = Vec::new();
    for _ in 0..3 {
        let sent = broker
            .send(&caller, Request::new("GET", format!("http://x.test:{port}/")))
            .await;
        codes.push(match sent {
            Ok(response) => {
                response.collect().await.unwrap();
                "ok"
            }
            Err(error) => error.code(),
        });
    }
    assert_eq!(codes, ["ok", "ok", "egress.denied_address"]);
    assert_eq!((peer.connections(), names.asked()), (2, 3));
}

#[tokio::test]
async fn ourselves() {
    let peer = Peer::new(vec![ok("")]).await;
    let port = peer.address.port();
    let config = Config {
        open: open(),
        connect: vec![to("fixed.test", 80, peer.address)],
        ..Config::default()
    };
    let broker = broker(config, Names::new(&[&["127.0.0.1"]]));
    broker.set_own(vec![format!("0.0.0.0:{port}").parse().unwrap()]);
    let rules = vec![
        rule(Scheme::Http, "x.test", port, "/**"),
        rule(Scheme::Http, "127.0.0.9", port, "/**"),
        rule(Scheme::Http, "0.0.0.0", port, "/**"),
        rule(Scheme::Http, "::", port, "/**"),
        rule(Scheme::Http, "fixed.test", 80, "/**"),
    ];
    let caller = caller(rules, Limits::default(), Keys::default());
    for host in [
        format!("x.test:{port}"),
        format!("127.0.0.9:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::]:{port}"),
        "fixed.test".into(),
    ] {
        let error = broker
            .send(&caller, Request::new("GET", format!("http://{host}/")))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "egress.denied_self", "{host}");
    }
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn broken_names() {
    let many: Vec<String> = (0..65).map(|i| format!("1.1.1.{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let failed = Arc::new(Names {
        answers: vec![Err(ResolveError::Failed("x".into()))],
        asked: AtomicUsize::new(0),
    });
    for names in [Names::new(&[&many]), Names::new(&[&[]]), failed] {
        let broker = broker(Config::default(), names);
        let caller = caller(
            vec![rule(Scheme::Http, "x.test", 80, "/**")],
            Limits::default(),
            Keys::default(),
        );
        let error = broker
            .send(&caller, Request::new("GET", "http://x.test/"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "egress.dns");
    }
}
