//! Mutual TLS against a server that demands a client certificate.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, Issuer, KeyPair};
use ring::digest;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sluice_broker::{Apply, Broker, Caller, Config, Credential, CredentialChoice, Request};
use sluice_model::capability::Scheme;
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::rig::{Keys, Names, broker, caller, open, origin, rule, to};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Authority {
        certificate: certificate.der().clone(),
        pem: certificate.pem(),
        issuer: Issuer::new(params, key),
    }
}

/// Answers with the digest of the certificate that the connection was opened with; counts connections.
async fn peer(authority: &Authority, connections: Arc<AtomicUsize>) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["api.test".to_owned()])
        .unwrap()
        .signed_by(&key, &authority.issuer)
        .unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else {
                    return;
                };
                let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
                let shown = HEXLOWER.encode(digest::digest(&digest::SHA256, &shown).as_ref());
                let service = service_fn(move |_| {
                    let answer = http::Response::new(Full::new(Bytes::from(shown.clone())));
                    async move { Ok::<_, Infallible>(answer) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

/// A certificate by this authority: its credential, and the digest that the server answers with.
fn credential(name: &str, authority: &Authority) -> (Credential, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![format!("{name}.test")])
        .unwrap()
        .signed_by(&key, &authority.issuer)
        .unwrap();
    let parts = [
        ("certificate", certificate.pem()),
        ("private_key", key.serialize_pem()),
    ];
    let bound = vec![origin(Scheme::Https, "api.test", 443)];
    let mut credential = Credential::new(name, Secret::new(Vec::new()), Apply::ClientCertificate, bound);
    credential.parts = parts
        .map(|(name, pem)| (name.to_owned(), Secret::new(pem.into_bytes())))
        .to_vec();
    let shown = HEXLOWER.encode(digest::digest(&digest::SHA256, certificate.der()).as_ref());
    (credential, shown)
}

fn trusting(address: SocketAddr, authority: &Authority) -> Broker {
    let config = Config {
        open: open(),
        connect: vec![to("api.test", 443, address)],
        extra_ca_pem: vec![authority.pem.clone().into_bytes()],
        ..Config::default()
    };
    broker(config, Names::new(&[]))
}

fn with(credential: Credential) -> Caller {
    let mut keys = Keys::default();
    keys.0.insert(String::new(), Arc::new(credential));
    let rules = vec![rule(Scheme::Https, "api.test", 443, "/**")];
    caller(rules, Limits::default(), keys)
}

async fn get(broker: &Broker, caller: &Caller, choice: CredentialChoice) -> Result<String, String> {
    let mut request = Request::new("GET", "https://api.test/");
    request.credential = choice;
    let response = broker
        .send(caller, request)
        .await
        .map_err(|error| error.code().to_owned())?;
    Ok(String::from_utf8(response.collect().await.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn each_certificate_has_connections_of_its_own() {
    let (authority, connections) = (authority(), Arc::new(AtomicUsize::new(0)));
    let broker = trusting(peer(&authority, Arc::clone(&connections)).await, &authority);
    // The same tenant, the same name: a certificate that was rotated.
    let (one, shown_one) = credential("mtls", &authority);
    let (two, shown_two) = credential("mtls", &authority);
    let (one, two) = (with(one), with(two));
    for _ in 0..2 {
        for (caller, shown) in [(&one, &shown_one), (&two, &shown_two)] {
            assert_eq!(
                get(&broker, caller, CredentialChoice::Default).await.as_ref(),
                Ok(shown)
            );
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    assert!(get(&broker, &one, CredentialChoice::None).await.is_err());
}

#[tokio::test]
async fn what_is_no_certificate_is_said_without_quoting_it() {
    let (authority, connections) = (authority(), Arc::new(AtomicUsize::new(0)));
    let broker = trusting(peer(&authority, Arc::clone(&connections)).await, &authority);
    let (good, _) = credential("mtls", &authority);
    let (other, _) = credential("mtls", &authority);
    let exchanged = |name: &str, bytes: &[u8]| {
        let mut bad = good.clone();
        bad.parts.retain(|(part, _)| part != name);
        bad.parts.push((name.to_owned(), Secret::new(bytes.to_vec())));
        bad
    };
    for bad in [
        exchanged("certificate", b"c4n4ry"),
        exchanged("private_key", b"c4n4ry"),
        exchanged("private_key", other.part("private_key").unwrap().expose()),
    ] {
        let caller = with(bad);
        let error = broker
            .send(&caller, Request::new("GET", "https://api.test/"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "egress.bad_request", "{error}");
        let said = format!("{error} {error:?} {:?}", caller.trace.take());
        assert!(!said.contains("c4n4ry") && !said.contains("BEGIN"), "{said}");
    }
}
