//! The streams that a connection's account has at the vendor, as its connector told of them last. They are kept whole: a
//! list is the one of before or the one of now, never a mixture.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::ToldStream;

use crate::connection::require_connection;
use crate::key::Key;
use crate::row::cap;
use crate::table::{Rows, Table};
use crate::{Error, Store};

/// What was told, and when.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AccountStreams {
    pub at: Timestamp,
    pub streams: Vec<ToldStream>,
}

/// Bytes of a connection's list.
pub const MAX_ACCOUNT_STREAMS_BYTES: usize = 4 << 20;

impl Store {
    /// Which list is the connection's last: another number, another list. 0 if none was ever told.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub fn account_streams_number(&self, org: OrgId, connection: ConnectionId) -> Result<u64, Error> {
        self.read_now(|rows| rows.get_number(Table::AccountStreamsNumbers, &Key::org(org).id(connection)))
    }

    /// The list.
    pub async fn account_streams(
        &self,
        org: OrgId,
        connection: ConnectionId,
    ) -> Result<Option<AccountStreams>, Error> {
        self.read(move |rows| rows.get_json(Table::AccountStreams, &Key::org(org).id(connection)))
            .await
    }

    /// Keeps another list in the place of the one there is. [`Error::Missing`] if the connection is gone,
    /// [`Error::TooLarge`].
    pub async fn set_account_streams(
        &self,
        org: OrgId,
        connection: ConnectionId,
        told: AccountStreams,
    ) -> Result<(), Error> {
        let bytes = |stream: &ToldStream| stream.schema.len() + stream.name.len();
        let bytes = told.streams.iter().map(bytes).sum();
        cap("what is told of streams", bytes, MAX_ACCOUNT_STREAMS_BYTES)?;
        self.write(bytes, move |rows| {
            require_connection(rows, org, connection)?;
            let key = Key::org(org).id(connection);
            let number = rows.get_number(Table::AccountStreamsNumbers, &key)?;
            rows.put_json(Table::AccountStreams, &key, &told)?;
            rows.put_number(Table::AccountStreamsNumbers, &key, number + 1)
        })
        .await
    }
}
