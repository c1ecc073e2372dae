//! API keys: who may call the API. Only a hash of the key is kept.

use sluice_model::Timestamp;
use sluice_model::id::{KeyId, OrgId};

use crate::{Error, Store};

/// An API key, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    /// The first letters of the key, so that people can tell keys apart.
    pub prefix: String,
    /// A hash of the whole key; 32 bytes that only its holder can lead to.
    pub hash: [u8; 32],
    pub created: Timestamp,
    pub revoked: Option<Timestamp>,
}

impl Store {
    /// Adds a key. [`Error::Conflict`] if the hash is known.
    pub async fn put_api_key(&self, org: OrgId, key: ApiKey) -> Result<(), Error> {
        todo!()
    }

    /// Whose key this is; also a revoked one is found, so that it can be said.
    pub async fn find_api_key(&self, hash: [u8; 32]) -> Result<Option<(OrgId, ApiKey)>, Error> {
        todo!()
    }

    /// The organization's keys, oldest first; at most 1,000.
    pub async fn list_api_keys(&self, org: OrgId) -> Result<Vec<ApiKey>, Error> {
        todo!()
    }

    /// Ends a key; a second time changes nothing. [`Error::Missing`].
    pub async fn revoke_api_key(&self, org: OrgId, id: KeyId, now: Timestamp) -> Result<(), Error> {
        todo!()
    }
}
