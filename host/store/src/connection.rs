//! Connections: one account at one vendor through one install.

use sluice_model::Timestamp;
use sluice_model::connection::ConnectionState;
use sluice_model::id::{ConnectionId, InstallId, OrgId};

use crate::{Error, Listing, Page, Store};

/// A connection that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConnection {
    pub id: ConnectionId,
    pub install: InstallId,
    /// The connector's id, as the install has it.
    pub connector: String,
    /// Unique per connector and organization; 1 to 256 bytes.
    pub name: String,
    /// JSON text, already validated.
    pub config: String,
    pub at: Timestamp,
}

/// A connection as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Connection {
    pub id: ConnectionId,
    pub install: InstallId,
    pub connector: String,
    pub name: String,
    /// JSON text.
    pub config: String,
    pub state: ConnectionState,
    /// Why it is in that state, where somebody has to act: a stable code and words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// JSON text of whatever else the service keeps about it (account, schedule, chosen streams).
    pub settings: String,
    /// Goes up by one with every change.
    pub revision: u64,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// Why a connection does not serve.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reason {
    pub code: String,
    pub message: String,
}

/// What is to be changed; `None` leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionChange {
    pub name: Option<String>,
    pub config: Option<String>,
    pub install: Option<InstallId>,
    /// The state and the reason for it belong together. A move that `ConnectionState::may_become` does not allow is
    /// [`Error::State`].
    pub state: Option<(ConnectionState, Option<Reason>)>,
    pub settings: Option<String>,
}

impl Store {
    /// Creates a connection in state `draft`, revision 1. [`Error::Conflict`] if (connector, name) is taken,
    /// [`Error::Missing`] if the install is gone, [`Error::TooLarge`].
    pub async fn create_connection(&self, org: OrgId, new: NewConnection) -> Result<Connection, Error> {
        todo!()
    }

    /// One connection.
    pub async fn get_connection(&self, org: OrgId, id: ConnectionId) -> Result<Option<Connection>, Error> {
        todo!()
    }

    /// A connection by its unique name.
    pub async fn find_connection(
        &self,
        org: OrgId,
        connector: &str,
        name: &str,
    ) -> Result<Option<Connection>, Error> {
        todo!()
    }

    /// The organization's connections, oldest first.
    pub async fn list_connections(
        &self,
        org: OrgId,
        page: Page<ConnectionId>,
    ) -> Result<Listing<Connection, ConnectionId>, Error> {
        todo!()
    }

    /// Changes a connection if it is still at revision `expected`, and answers it as it is now. [`Error::Revision`],
    /// [`Error::Missing`], [`Error::Conflict`] for a taken name, [`Error::State`].
    pub async fn update_connection(
        &self,
        org: OrgId,
        id: ConnectionId,
        expected: u64,
        change: ConnectionChange,
        now: Timestamp,
    ) -> Result<Connection, Error> {
        todo!()
    }

    /// Removes a connection: at once for every reader and worker (first commit, leaves a tombstone), then its records,
    /// cursors, credentials, storage, hooks, receipts, runs and their traces in bounded steps. Interrupted,
    /// [`Store::sweep`] goes on with it. [`Error::Missing`].
    pub async fn remove_connection(&self, org: OrgId, id: ConnectionId, now: Timestamp) -> Result<(), Error> {
        todo!()
    }
}
