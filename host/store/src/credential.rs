//! Credentials and other secrets: sealed under the organization's key, bound by associated data to their owner, field
//! and version, so that a value moved to another row does not open.

use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::secret::Secret;

use crate::{Error, Store};

/// A connection's secret and where it may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub secret: Secret,
    /// Origins (`https://api.github.com`) it is bound to.
    pub origins: Vec<String>,
    /// Goes up with every put.
    pub version: u32,
}

impl Store {
    /// Sets the secret of a connection's auth scheme; answers its version. [`Error::Missing`] if the connection is gone,
    /// [`Error::Seal`].
    pub async fn put_credential(
        &self,
        org: OrgId,
        connection: ConnectionId,
        scheme: &str,
        secret: Secret,
        origins: Vec<String>,
    ) -> Result<u32, Error> {
        todo!()
    }

    /// The secret of a connection's auth scheme. [`Error::Seal`] if it was tampered with.
    pub async fn get_credential(
        &self,
        org: OrgId,
        connection: ConnectionId,
        scheme: &str,
    ) -> Result<Option<Credential>, Error> {
        todo!()
    }

    /// The names of the auth schemes that have a secret.
    pub async fn list_credentials(&self, org: OrgId, connection: ConnectionId) -> Result<Vec<String>, Error> {
        todo!()
    }

    /// Sets any other secret, e.g. a hook's: `owner` is an id's text. Answers its version. [`Error::Seal`].
    pub async fn put_secret(
        &self,
        org: OrgId,
        owner: &str,
        field: &str,
        secret: Secret,
    ) -> Result<u32, Error> {
        todo!()
    }

    /// The secret that was set with [`Store::put_secret`].
    pub async fn get_secret(&self, org: OrgId, owner: &str, field: &str) -> Result<Option<Secret>, Error> {
        todo!()
    }

    /// Removes a secret; nothing happens if there is none.
    pub async fn remove_secret(&self, org: OrgId, owner: &str, field: &str) -> Result<(), Error> {
        todo!()
    }
}
