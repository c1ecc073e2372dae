//! How far each stream has come, in the database that has its rows: `_sluice_positions`.

use tokio_postgres::types::Type;

use super::session::Session;
use super::{quote, table};
use crate::batch::Table;
use crate::error::Error;

const NAME: &str = "_sluice_positions";

/// Whoever makes the table has this lock, so that two do not. A number of ours among those of the whole database.
const LOCK: i64 = 0x5c1c_e000_0000_0001;

/// Makes the table where it is missing.
pub(super) async fn ensure(session: &Session, schema: &str) -> Result<(), Error> {
    // Looked for first: making what exists needs a right that writing does not.
    if table::exists(session, schema, NAME).await? {
        return Ok(());
    }
    let positions = quote::qualified(schema, NAME);
    let statements = format!(
        "SELECT pg_advisory_xact_lock({LOCK}); CREATE TABLE IF NOT EXISTS {positions} (connection text NOT NULL, stream text \
         NOT NULL, seq bigint NOT NULL, table_name text NOT NULL UNIQUE, updated_at timestamptz NOT NULL, PRIMARY KEY \
         (connection, stream))"
    );
    session.run(&statements).await
}

/// The stream's position in the table `name`, locked until the transaction ends. `None` where that table is not fed by it.
pub(super) async fn take(
    session: &Session,
    schema: &str,
    of: &Table,
    name: &str,
) -> Result<Option<u64>, Error> {
    let positions = quote::qualified(schema, NAME);
    let question = format!(
        "SELECT connection, stream, seq, table_name FROM {positions} WHERE (connection = $1 AND stream = $2) OR table_name \
         = $3 ORDER BY connection, stream FOR UPDATE"
    );
    let connection = of.connection.to_string();
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] = [
        (&connection, Type::TEXT),
        (&of.stream, Type::TEXT),
        (&name, Type::TEXT),
    ];
    let mut held = None;
    for row in session.ask(&question, &parameters).await? {
        let read = || -> Result<(String, String, i64, String), tokio_postgres::Error> {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
        };
        let unfit = |_| Error::Conflict(format!("the table {positions} is not as we made it"));
        let (whose, stream, seq, fed) = read().map_err(unfit)?;
        if fed != name {
            continue;
        }
        if whose != connection || stream != of.stream {
            return Err(Error::Conflict(format!(
                "the table {} is fed by {whose}, stream {stream}",
                quote::qualified(schema, name)
            )));
        }
        held = u64::try_from(seq).ok();
    }
    Ok(held)
}

/// Moves the stream's position.
pub(super) async fn put(
    session: &Session,
    schema: &str,
    of: &Table,
    name: &str,
    through: u64,
) -> Result<(), Error> {
    let positions = quote::qualified(schema, NAME);
    let statement = format!(
        "INSERT INTO {positions} AS held (connection, stream, seq, table_name, updated_at) VALUES ($1, $2, $3, $4, now()) ON \
         CONFLICT (connection, stream) DO UPDATE SET seq = excluded.seq, table_name = excluded.table_name, updated_at = \
         excluded.updated_at"
    );
    let seq = i64::try_from(through).unwrap_or(i64::MAX);
    let connection = of.connection.to_string();
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
        (&connection, Type::TEXT),
        (&of.stream, Type::TEXT),
        (&seq, Type::INT8),
        (&name, Type::TEXT),
    ];
    session.ask(&statement, &parameters).await.map(drop)
}
