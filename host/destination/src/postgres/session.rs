//! One connection to a database, dialled by the broker.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use sluice_broker::Broker;
use sluice_broker::connect::{Peer, Security, Stream};
use sluice_model::id::OrgId;
use sluice_model::secret::Secret;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};

use super::fault;
use crate::error::Error;
use crate::settings::{PostgresSettings, Tls};

/// `SSLRequest`: a length and a number (PostgreSQL's manual, "Message Formats"); the server answers with one byte.
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];

/// Bytes that the server may say while one statement runs: a hostile one would fill the memory otherwise. What we ask for
/// is much smaller: the columns of a table.
const ANSWER_BYTES: usize = 16 << 20;

/// What holds in every transaction. The times are shorter than ours, so that the server gives up first.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '300s'; SET LOCAL lock_timeout = '30s'; \
    SET LOCAL idle_in_transaction_session_timeout = '120s'; SET LOCAL search_path = pg_catalog, pg_temp; \
    SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL standard_conforming_strings = on; \
    SET LOCAL client_min_messages = error; \
    SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";

pub(super) struct Session {
    pub(super) client: Client,
    left: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Drop for Session {
    /// Whatever is under way ends with its socket.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    pub(super) async fn open(
        settings: &PostgresSettings,
        broker: &Broker,
        org: OrgId,
        password: Option<&Secret>,
    ) -> Result<Self, Error> {
        let security = match settings.tls {
            Tls::Disable => Security::Plain,
            Tls::Require => Security::Negotiated {
                ask: SSL_REQUEST,
                agreed: b'S',
            },
        };
        let stream = broker
            .connect(&Peer {
                org,
                host: &settings.host,
                port: settings.port,
                security,
            })
            .await?;
        let left = Arc::new(AtomicUsize::new(ANSWER_BYTES));
        let metered = Metered {
            stream,
            left: Arc::clone(&left),
        };
        let mut config = Config::new();
        // TLS is around it already.
        config.ssl_mode(SslMode::Disable);
        config
            .user(&settings.user)
            .dbname(&settings.database)
            .application_name("sluice");
        if let Some(password) = password {
            config.password(password.expose());
        }
        let started = config.connect_raw(metered, NoTls).await;
        let (client, connection) = started.map_err(|error| fault::of_start(&error, &settings.host))?;
        let task = tokio::spawn(async move {
            // Whoever waits for an answer hears of it.
            drop(connection.await);
        });
        let session = Self {
            client,
            left,
            task: task.abort_handle(),
        };
        let encoding = session.setting("server_encoding").await?;
        if encoding != "UTF8" {
            return Err(Error::Unfit(format!(
                "the database's encoding is {encoding}, and has to be UTF8"
            )));
        }
        Ok(session)
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    pub(super) async fn begin(&self) -> Result<(), Error> {
        self.run(BEGIN).await
    }

    pub(super) async fn commit(&self) -> Result<(), Error> {
        self.run("COMMIT").await
    }

    /// Runs statements whose names are quoted.
    pub(super) async fn run(&self, statements: &str) -> Result<(), Error> {
        self.refill();
        let ran = self.client.batch_execute(statements).await;
        ran.map_err(|error| fault::of(&error))
    }

    /// Runs statements, or leaves everything as it was if the database refuses them.
    pub(super) async fn try_run(&self, statements: &str) -> Result<Result<(), Error>, Error> {
        self.run("SAVEPOINT attempt").await?;
        match self.run(statements).await {
            Ok(()) => {
                self.run("RELEASE SAVEPOINT attempt").await?;
                Ok(Ok(()))
            }
            Err(lost @ Error::Lost(_)) => Err(lost),
            Err(refused) => {
                self.run("ROLLBACK TO SAVEPOINT attempt").await?;
                Ok(Err(refused))
            }
        }
    }

    /// Asks with parameters, without a statement that stays.
    pub(super) async fn ask(
        &self,
        question: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        self.refill();
        let rows = self.client.query_typed(question, parameters).await;
        rows.map_err(|error| fault::of(&error))
    }

    pub(super) async fn version(&self) -> Result<String, Error> {
        Ok(format!("PostgreSQL {}", self.setting("server_version").await?))
    }

    /// What a statement that is not run here may answer.
    pub(super) fn refill(&self) {
        self.left.store(ANSWER_BYTES, Ordering::Relaxed);
    }

    async fn setting(&self, name: &str) -> Result<String, Error> {
        let rows = self
            .ask("SELECT pg_catalog.current_setting($1)", &[(&name, Type::TEXT)])
            .await?;
        let first = rows.first().and_then(|row| row.try_get(0).ok());
        first.ok_or_else(|| Error::Unfit(format!("it does not tell its `{name}`")))
    }
}

/// A stream that ends when more comes than was asked for.
struct Metered {
    stream: Stream,
    left: Arc<AtomicUsize>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let came = buffer.filled().len().saturating_sub(before);
        let take = |left: usize| left.checked_sub(came);
        if self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_err()
        {
            return Poll::Ready(Err(io::Error::other("the server says more than it was asked")));
        }
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
