//! PostgreSQL: one table for each stream, in a transaction that also has the position.
//!
//! What must always hold:
//! - Rows, columns and the position in `_sluice_positions` are one commit, durable on the server's disk. So a repeat finds
//!   the position and does nothing, and a connection that dies at its commit costs a look.
//! - Names are quoted and values go through COPY or as parameters: nothing from outside is SQL.
//! - A table that we did not make is never touched.
//! - The server may be hostile too: what it says is bounded, and nothing of ours waits for it without end.
//!
//! Nothing is kept in the session: settings are the transaction's, statements have no names, so that a pooler between us
//! and the server that gives out transactions does no harm.

mod copy;
mod fault;
mod position;
mod quote;
mod session;
mod table;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_broker::Broker;
use sluice_model::id::OrgId;
use sluice_model::secret::Secret;
use tokio::sync::Mutex;
use tokio::time::timeout;

use self::session::Session;
use self::table::Target;
use crate::batch::{Batch, Loaded};
use crate::column;
use crate::destination::Check;
use crate::document::Document;
use crate::error::Error;
use crate::settings::PostgresSettings;

/// For a whole load, dialling included. Statements end after half of it, on the server's side.
const LOAD_TIME: Duration = Duration::from_secs(600);

/// For a check.
const CHECK_TIME: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Postgres {
    settings: PostgresSettings,
    password: Option<Secret>,
    broker: Broker,
    org: OrgId,
    /// Between loads. Whoever uses it takes it out, so that one that failed or was given up is never used again.
    idle: Mutex<Option<Session>>,
    /// Numbers the tables of checks.
    checks: AtomicU64,
}

impl Postgres {
    pub(crate) fn new(
        settings: PostgresSettings,
        broker: Broker,
        org: OrgId,
        password: Option<Secret>,
    ) -> Self {
        Self {
            settings,
            password,
            broker,
            org,
            idle: Mutex::default(),
            checks: AtomicU64::new(0),
        }
    }

    pub(crate) async fn check(&self) -> Result<Check, Error> {
        let check = async {
            let session = self.dial().await?;
            session.begin().await?;
            table::ensure_namespace(&session, &self.settings.schema).await?;
            let number = self.checks.fetch_add(1, Ordering::Relaxed);
            let name = format!("_sluice_check_{}_{number}", std::process::id());
            let named = quote::qualified(&self.settings.schema, &name);
            let load = format!(
                "CREATE TABLE {named} (_sluice_id text PRIMARY KEY); CREATE TEMP TABLE _sluice_load (_sluice_id text) ON \
                 COMMIT DROP; INSERT INTO {named} VALUES ('check')"
            );
            session.run(&load).await?;
            session.run("ROLLBACK").await?;
            let version = session.version().await?;
            Ok(Check { version })
        };
        timeout(CHECK_TIME, check)
            .await
            .unwrap_or_else(|_| Err(slow(CHECK_TIME)))
    }

    pub(crate) async fn load(&self, batch: &Batch) -> Result<Loaded, Error> {
        let documents = table::documents(batch)?;
        let load = async {
            let mut idle = self.idle.lock().await;
            let kept = idle.take().filter(Session::is_open);
            let session = match kept {
                Some(session) => session,
                None => self.dial().await?,
            };
            let (session, loaded) = match self.load_with(&session, batch, &documents).await {
                // An idle connection may have ended unseen, and a commit may have happened unheard: look, once.
                Err(Error::Lost(_)) => {
                    drop(session);
                    let session = self.dial().await?;
                    let loaded = self.load_with(&session, batch, &documents).await?;
                    (session, loaded)
                }
                loaded => (session, loaded?),
            };
            *idle = Some(session);
            Ok(loaded)
        };
        timeout(LOAD_TIME, load)
            .await
            .unwrap_or_else(|_| Err(slow(LOAD_TIME)))
    }

    async fn dial(&self) -> Result<Session, Error> {
        Session::open(&self.settings, &self.broker, self.org, self.password.as_ref()).await
    }

    async fn load_with(
        &self,
        session: &Session,
        batch: &Batch,
        documents: &[Option<Document<'_>>],
    ) -> Result<Loaded, Error> {
        let schema = &self.settings.schema;
        let name = column::identifier(&batch.table.name);
        session.begin().await?;
        table::ensure_namespace(session, schema).await?;
        position::ensure(session, schema).await?;
        let is_there = table::exists(session, schema, &name).await?;
        let held = position::take(session, schema, &batch.table, &name).await?;
        // Whoever drops a table begins anew.
        let has = if is_there { held.unwrap_or(0) } else { 0 };
        if is_there && held.is_none() {
            return Err(Error::Conflict(format!(
                "there is a table {} that does not have this stream's records",
                quote::qualified(schema, &name)
            )));
        }
        if has < batch.after {
            return Err(Error::Behind {
                has,
                after: batch.after,
            });
        }
        if is_there && batch.through <= has {
            session.run("ROLLBACK").await?;
            return Ok(Loaded::default());
        }
        let rows = batch.latest_after(has);
        let target = Target {
            schema,
            name: &name,
            deletes: self.settings.deletes,
        };
        let table = target
            .evolve(session, &batch.table.schema, is_there, documents)
            .await?;
        let bytes = copy::load(session, &table, &rows, documents).await?;
        position::put(session, schema, &batch.table, &name, batch.through).await?;
        session.commit().await?;
        Ok(Loaded {
            rows: rows.len() as u64,
            bytes,
            columns_added: table.columns_added,
        })
    }
}

fn slow(limit: Duration) -> Error {
    Error::Lost(format!("no outcome within {} s", limit.as_secs()))
}
