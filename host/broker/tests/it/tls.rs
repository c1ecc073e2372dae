use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sluice_broker::{Broker, Config, Request};
use sluice_model::capability::Scheme;
use sluice_model::limits::Limits;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::rig::{Names, broker, caller, open, rule, to};

/// Answers with protocol, authority and path, over HTTP/2 or HTTP/1.1.
async fn peer(name: &str, alpn: &[u8]) -> (SocketAddr, Vec<u8>) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let two = alpn == b"h2";
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else {
                    return;
                };
                let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                    let head = format!(
                        "{:?} {} {:?}",
                        request.version(),
                        request.uri(),
                        request.headers().get("host")
                    );
                    let body = request
                        .into_body()
                        .collect()
                        .await
                        .map(|body| body.to_bytes())
                        .unwrap_or_default();
                    let text = format!("{head} {}", String::from_utf8_lossy(&body));
                    Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(text))))
                });
                if two {
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                } else {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                }
            });
        }
    });
    (address, authority.pem().into_bytes())
}

fn trusting(address: SocketAddr, extra_ca_pem: Vec<Vec<u8>>) -> Broker {
    let connect = vec![to("api.test", 443, address)];
    broker(
        Config {
            open: open(),
            connect,
            extra_ca_pem,
            ..Config::default()
        },
        Names::new(&[]),
    )
}

async fn get(broker: &Broker) -> Result<String, &'static str> {
    let caller = caller(
        vec![rule(Scheme::Https, "api.test", 443, "/**")],
        Limits::default(),
        Default::default(),
    );
    let mut request = Request::new("PUT", "https://api.test/a?b");
    request.body = sluice_broker::Body::Bytes(Bytes::from_static(b"body"));
    let response = broker
        .send(&caller, request)
        .await
        .map_err(|error| error.code())?;
    Ok(String::from_utf8(response.collect().await.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn both_protocols() {
    let (address, ca) = peer("api.test", b"h2").await;
    let broker = trusting(address, vec![ca]);
    for _ in 0..3 {
        assert_eq!(
            get(&broker).await.unwrap(),
            "HTTP/2.0 https://api.test/a?b None body"
        );
    }
    let many = futures_util::future::join_all((0..20).map(|_| get(&broker))).await;
    assert!(many.iter().all(Result::is_ok), "{many:?}");
    let (address, ca) = peer("api.test", b"http/1.1").await;
    assert_eq!(
        get(&trusting(address, vec![ca])).await.unwrap(),
        "HTTP/1.1 /a?b Some(\"api.test\") body"
    );
}

#[tokio::test]
async fn certificates_are_checked() {
    let (address, ca) = peer("other.test", b"h2").await;
    assert_eq!(get(&trusting(address, vec![ca])).await, Err("egress.tls"));
    let (address, _) = peer("api.test", b"h2").await;
    assert_eq!(get(&trusting(address, Vec::new())).await, Err("egress.tls"));
}

#[tokio::test]
async fn a_stalled_handshake_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = trusting(listener.local_addr().unwrap(), Vec::new());
    let limits = Limits {
        request_time: std::time::Duration::from_millis(200),
        ..Limits::default()
    };
    let caller = caller(
        vec![rule(Scheme::Https, "api.test", 443, "/**")],
        limits,
        Default::default(),
    );
    let error = broker
        .send(&caller, Request::new("GET", "https://api.test/"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "egress.timeout");
}

#[test]
fn authorities_must_be_certificates() {
    for pem in [
        &b""[..],
        b"hello",
        b"-----BEGIN CERTIFICATE-----\naGk=\n-----END CERTIFICATE-----\n",
    ] {
        let config = Config {
            extra_ca_pem: vec![pem.to_vec()],
            ..Config::default()
        };
        let error = Broker::new(config, Names::new(&[]), Arc::new(sluice_model::SystemClock)).unwrap_err();
        assert_eq!(error.code(), "config.egress_ca");
    }
}
