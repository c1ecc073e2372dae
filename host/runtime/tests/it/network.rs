//! http through the broker: what the grant opens is reached, what it does not is refused, and both are traced.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sluice_model::exchange::Exchange;

use crate::support::{Making, shared};

/// A server that answers with the path.
async fn server() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = service_fn(|request: Request<Incoming>| async move {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(
                    request.uri().path().to_owned(),
                ))))
            });
            let serving = hyper::server::conn::http1::Builder::new();
            tokio::spawn(async move { serving.serve_connection(TokioIo::new(stream), answer).await });
        }
    });
    port
}

async fn fetched(word: &str, path: &str) -> (String, Vec<Exchange>) {
    let port = server().await;
    let (runtime, connector) = shared().await;
    let mut making = Making::new(&connector, &format!("{word} http://127.0.0.1:{port}{path}"));
    making.port = port;
    let outcome = runtime.check(making.call()).await;
    (outcome.result.unwrap().unwrap().name, outcome.effects.exchanges)
}

#[tokio::test]
async fn one_request() {
    let (said, exchanges) = fetched("fetch", "/open/a").await;
    assert_eq!(said, "200 /open/a");
    assert_eq!((exchanges.len(), exchanges[0].status), (1, Some(200)));
}

#[tokio::test]
async fn many_requests_in_order() {
    let (said, exchanges) = fetched("fetch-all", "/open/").await;
    assert_eq!(said, "/open/0,/open/1,/open/2,/open/3,/open/4");
    assert_eq!(exchanges.len(), 5);
}

#[tokio::test]
async fn a_body_in_pieces() {
    let (said, _) = fetched("fetch-pieces", "/open/pieces").await;
    assert_eq!(said, "200 /open/pieces");
}

#[tokio::test]
async fn outside_the_grant() {
    let (said, exchanges) = fetched("fetch", "/closed").await;
    assert!(said.starts_with("Error::Denied"), "{said}");
    assert_eq!(exchanges[0].error.as_deref(), Some("egress.denied"));
}
