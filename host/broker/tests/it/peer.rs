use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use sluice_broker::Request;
use sluice_model::limits::Limits;
use tokio::time::Instant;

use crate::rig::{Reply, Rig, ok};

fn get() -> Request {
    Request::new("GET", "http://api.test/")
}

#[tokio::test]
async fn the_deadline_ends_everything() {
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for reply in [
        Reply::Stall(Vec::new()),
        Reply::Stall(b"HTTP/1.1 200 OK\r\nx-a: ".to_vec()),
        Reply::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec()),
        Reply::Stall(chunked),
        Reply::Endless(
            b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
            b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
        ),
    ] {
        let rig = Rig::hurried(vec![reply]).await;
        let begun = Instant::now();
        assert_eq!(rig.code(get()).await, "egress.timeout");
        assert!(begun.elapsed().as_secs() < 5);
        assert_eq!(
            rig.caller.trace.take().exchanges[0].error.as_deref(),
            Some("egress.timeout")
        );
    }
}

#[tokio::test]
async fn sizes_are_capped() {
    let limits = || Limits {
        response_bytes: 100_000,
        ..Limits::default()
    };
    let chunk = || {
        b"400\r\n"
            .iter()
            .copied()
            .chain([b'x'; 1024])
            .chain(*b"\r\n")
            .collect::<Vec<_>>()
    };
    let endless = Reply::Endless(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        chunk(),
    );
    assert_eq!(
        Rig::limited(vec![endless], limits()).await.code(get()).await,
        "egress.too_large"
    );

    let head = Reply::Endless(
        b"HTTP/1.1 200 OK\r\n".to_vec(),
        format!("x-a: {}\r\n", "y".repeat(8000)).into(),
    );
    assert_eq!(Rig::new(vec![head]).await.code(get()).await, "egress.too_large");

    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 20 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    answer.extend(bomb);
    assert_eq!(
        Rig::limited(vec![Reply::Send(answer)], limits())
            .await
            .code(get())
            .await,
        "egress.too_large"
    );
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    for (answer, code) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
            "egress.truncated",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "egress.truncated",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n",
            "egress.protocol",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx",
            "egress.protocol",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
            "egress.protocol",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "egress.protocol",
        ),
        ("hello\r\n\r\n", "egress.protocol"),
    ] {
        let rig = Rig::new(vec![Reply::Last(answer.into())]).await;
        assert_eq!(rig.code(get()).await, code, "{answer}");
        let connections = rig.peer.connections();
        let _ = rig.code(get()).await;
        assert!(rig.peer.connections() > connections, "{answer}");
    }
}

#[tokio::test]
async fn gzip_is_undone() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"hello hello").unwrap();
    let body = encoder.finish().unwrap();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    let rig = Rig::new(vec![Reply::Send(answer)]).await;
    let response = rig.send(get()).await.unwrap();
    assert_eq!(
        (
            response.header("content-encoding"),
            response.header("content-length")
        ),
        (None, None)
    );
    assert_eq!(response.collect().await.unwrap(), "hello hello");
}

#[tokio::test]
async fn head_has_no_body() {
    let rig = Rig::new(vec![
        Reply::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-encoding: gzip\r\n\r\n".to_vec()),
        ok("x"),
    ])
    .await;
    let response = rig.send(Request::new("HEAD", "http://api.test/")).await.unwrap();
    assert_eq!(response.header("content-length"), Some("5"));
    assert_eq!(response.collect().await.unwrap(), "");
    assert_eq!(rig.get("/").await.unwrap().1, "x");
    assert_eq!(rig.peer.connections(), 1);
}
