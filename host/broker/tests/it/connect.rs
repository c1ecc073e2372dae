//! Connections to servers that do not speak HTTP.

use std::time::Duration;

use sluice_broker::connect::{Peer, Security};
use sluice_broker::{Broker, Config, Error};
use sluice_model::id::OrgId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::rig::{Names, broker, open, to};

/// A server that answers what it is sent first with this, and then says everything again.
async fn server(answer: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 64];
                let _ = socket.read(&mut asked).await;
                let _ = socket.write_all(answer).await;
                let (mut from, mut back) = socket.split();
                let _ = tokio::io::copy(&mut from, &mut back).await;
            });
        }
    });
    address
}

fn reaching(address: std::net::SocketAddr, config: Config) -> Broker {
    let connect = vec![to("db.test", 5432, address)];
    broker(Config { connect, ..config }, Names::new(&[&["10.0.0.1"]]))
}

fn opened() -> Config {
    Config {
        open: open(),
        connect_timeout: Duration::from_millis(250),
        ..Config::default()
    }
}

const TLS: Security = Security::Negotiated {
    ask: b"may I?",
    agreed: b'S',
};

fn peer(host: &str, org: u8, security: Security) -> Peer<'_> {
    Peer {
        org: OrgId::from_bytes([org; 16]),
        host,
        port: 5432,
        security,
    }
}

#[tokio::test]
async fn bytes_go_both_ways() {
    let broker = reaching(server(b"hello").await, opened());
    let mut stream = broker
        .connect(&peer("DB.test.", 1, Security::Plain))
        .await
        .unwrap();
    stream.write_all(b"x").await.unwrap();
    let mut told = [0; 5];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"hello");
}

#[tokio::test]
async fn the_policy_for_addresses_holds() {
    let address = server(b"").await;
    let code = async |broker: &Broker, host: &str| {
        let connected = broker.connect(&peer(host, 1, Security::Plain)).await;
        connected.map_or_else(|error| error.code(), |_| "ok")
    };
    let closed = reaching(address, Config::default());
    assert_eq!(code(&closed, "db.test").await, "egress.denied_address");
    assert_eq!(code(&closed, "127.0.0.1").await, "egress.denied_address");
    assert_eq!(code(&closed, "other.test").await, "egress.denied_address");
    assert_eq!(code(&closed, "db.test/x").await, "egress.bad_request");
    let own = reaching(address, opened());
    own.set_own(vec![address]);
    assert_eq!(code(&own, "db.test").await, "egress.denied_self");
}

#[tokio::test]
async fn tls_is_agreed_on_or_there_is_no_connection() {
    let outcome = async |answer: &'static [u8]| {
        let broker = reaching(server(answer).await, opened());
        broker.connect(&peer("db.test", 1, TLS)).await.unwrap_err()
    };
    assert!(matches!(outcome(b"N").await, Error::Tls { .. }));
    // What comes in the clear behind the yes is not taken for what TLS protects.
    assert!(matches!(
        outcome(b"Sand something in the clear").await,
        Error::Tls { .. }
    ));
    // A server that says nothing ends at the time for connections.
    assert!(matches!(
        outcome(b"").await,
        Error::Timeout { .. } | Error::Tls { .. }
    ));
}

#[tokio::test]
async fn each_connection_holds_a_permit_of_its_organization() {
    let one = Config {
        org_concurrency: 1,
        ..opened()
    };
    let broker = reaching(server(b"").await, one);
    let held = broker
        .connect(&peer("db.test", 1, Security::Plain))
        .await
        .unwrap();
    let second = broker.connect(&peer("db.test", 1, Security::Plain)).await;
    assert!(matches!(second, Err(Error::Timeout { .. })));
    assert!(broker.connect(&peer("db.test", 2, Security::Plain)).await.is_ok());
    drop(held);
    assert!(broker.connect(&peer("db.test", 1, Security::Plain)).await.is_ok());
}
