//! A PostgreSQL server of this test, and how a destination finds it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures_util::future::BoxFuture;
pub(crate) use local_postgres::PASSWORD;
use local_postgres::Postgres;
use sluice_broker::connect::{Peer, Security};
use sluice_broker::{Broker, Config, ConnectTo, Open, Resolve, ResolveError};
use sluice_destination::{Access, Destination, DestinationSettings};
use sluice_model::SystemClock;
use sluice_model::id::OrgId;
use sluice_model::secret::Secret;
use tokio_postgres::{Client, NoTls};

/// The name that the broker finds it by.
pub(crate) const HOST: &str = "db.test";

pub(crate) struct Server {
    postgres: Postgres,
    pub(crate) port: u16,
}

impl Deref for Server {
    type Target = Postgres;

    fn deref(&self) -> &Postgres {
        &self.postgres
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Postgres {
        &mut self.postgres
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(settings: &[&str]) -> Self {
        Self::with_files(settings, &[])
    }

    pub(crate) fn with_files(settings: &[&str], files: &[(&str, &str)]) -> Self {
        let postgres = Postgres::with_files(settings, files);
        Self {
            port: postgres.port(),
            postgres,
        }
    }

    /// A broker that finds it, and nothing else that is not public.
    pub(crate) fn broker(&self) -> Broker {
        broker(self.port, Vec::new())
    }

    pub(crate) fn settings(&self) -> serde_json::Value {
        serde_json::json!({"kind": "postgres", "host": HOST, "port": self.port, "database": "postgres",
            "user": "postgres", "schema": "public", "tls": "disable", "deletes": "remove"})
    }

    pub(crate) fn open(&self) -> Destination {
        self.open_with(&self.settings(), PASSWORD)
    }

    pub(crate) fn open_with(&self, settings: &serde_json::Value, password: &str) -> Destination {
        open(settings, password, self.broker())
    }

    /// Somebody who looks at what came.
    pub(crate) async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }

    pub(crate) async fn try_client(&self) -> Option<Client> {
        let peer = Peer {
            org: OrgId::from_bytes([9; 16]),
            host: HOST,
            port: self.port,
            security: Security::Plain,
        };
        let stream = self.broker().connect(&peer).await.ok()?;
        let mut config = tokio_postgres::Config::new();
        config.user("postgres").dbname("postgres").password(PASSWORD);
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let (client, connection) = config.connect_raw(stream, NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    /// Rows of one text column.
    pub(crate) async fn texts(&self, question: &str) -> Vec<String> {
        let rows = self.client().await.query(question, &[]).await.unwrap();
        rows.iter()
            .map(|row| row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".into()))
            .collect()
    }

    pub(crate) async fn run(&self, statements: &str) {
        self.client().await.batch_execute(statements).await.unwrap();
    }
}

pub(crate) fn open(settings: &serde_json::Value, password: &str, broker: Broker) -> Destination {
    let access = Access {
        broker,
        org: OrgId::from_bytes([1; 16]),
        password: Some(Secret::new(password.into())),
        root: None,
        caller: None,
    };
    Destination::open(DestinationSettings::read(settings).unwrap(), access).unwrap()
}

pub(crate) fn broker(port: u16, extra_ca_pem: Vec<Vec<u8>>) -> Broker {
    let config = Config {
        open: vec![Open {
            net: "127.0.0.1/32".parse().unwrap(),
            port: Some(port),
        }],
        connect: vec![ConnectTo {
            host: HOST.into(),
            port,
            address: ([127, 0, 0, 1], port).into(),
        }],
        extra_ca_pem,
        ..Config::default()
    };
    Broker::new(config, Arc::new(NoNames), Arc::new(SystemClock)).unwrap()
}

/// Nothing is found by name.
pub(crate) struct NoNames;

impl Resolve for NoNames {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<std::net::IpAddr>, ResolveError>> {
        Box::pin(std::future::ready(Err(ResolveError::NoAddress)))
    }
}
