//! API keys: who may call the API. Only a hash of the key is kept.

use sluice_model::Timestamp;
use sluice_model::id::{KeyId, OrgId, kind};

use crate::key::{Key, Parts, Span};
use crate::org::require;
use crate::row::{cap_name, from_json};
use crate::table::{Rows, Table};
use crate::{Error, MAX_LIMIT, Store};

/// An API key, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    /// The first letters of the key, so that people can tell keys apart.
    pub prefix: String,
    /// A hash of the whole key; 32 bytes that only its holder can lead to.
    pub hash: [u8; 32],
    pub created: Timestamp,
    pub revoked: Option<Timestamp>,
    /// May approve what connectors may do, and make keys. Keys of before this was kept may.
    #[serde(default = "yes")]
    pub approves: bool,
}

const fn yes() -> bool {
    true
}

impl Store {
    /// Adds a key. [`Error::Conflict`] if the hash is known.
    pub async fn put_api_key(&self, org: OrgId, key: ApiKey) -> Result<(), Error> {
        cap_name("an API key's name", &key.name)?;
        self.write(512, move |rows| {
            require(rows, org)?;
            let by_hash = Key::empty().hash(&key.hash);
            let row = Key::org(org).id(key.id);
            if rows.has(Table::ApiKeyHashes, &by_hash)? || rows.has(Table::ApiKeys, &row)? {
                return Err(Error::Conflict {
                    what: "an API key",
                    name: key.id.to_string(),
                });
            }
            rows.put(
                Table::ApiKeyHashes,
                &by_hash,
                &[org.as_bytes(), key.id.as_bytes()],
            )?;
            rows.put_json(Table::ApiKeys, &row, &key)
        })
        .await
    }

    /// Whose key this is; also a revoked one is found, so that it can be said.
    pub async fn find_api_key(&self, hash: [u8; 32]) -> Result<Option<(OrgId, ApiKey)>, Error> {
        self.read_now(|rows| {
            let place = rows.get(Table::ApiKeyHashes, &Key::empty().hash(&hash))?;
            let mut parts = Parts::new(place.as_deref().unwrap_or_default());
            let (Some(org), Some(id)) = (parts.id(), parts.id::<kind::Key>()) else {
                return Ok(None);
            };
            if !rows.has(Table::Orgs, &Key::org(org))? {
                return Ok(None);
            }
            let key = rows.get_json(Table::ApiKeys, &Key::org(org).id(id))?;
            Ok(key.map(|key| (org, key)))
        })
    }

    /// The organization's keys, oldest first; at most 1,000.
    pub async fn list_api_keys(&self, org: OrgId) -> Result<Vec<ApiKey>, Error> {
        self.read(move |rows| {
            let span = Span::prefix(&Key::org(org));
            rows.collect(Table::ApiKeys, &span, false, MAX_LIMIT, |_, content| {
                from_json(Table::ApiKeys, content).map(Some)
            })
        })
        .await
    }

    /// Ends a key; a second time changes nothing. [`Error::Missing`].
    pub async fn revoke_api_key(&self, org: OrgId, id: KeyId, now: Timestamp) -> Result<(), Error> {
        self.write(64, move |rows| {
            let place = Key::org(org).id(id);
            let mut key: ApiKey = rows
                .get_json(Table::ApiKeys, &place)?
                .ok_or(Error::Missing { what: "the API key" })?;
            if key.revoked.is_some() {
                return Ok(());
            }
            key.revoked = Some(now);
            rows.put_json(Table::ApiKeys, &place, &key)
        })
        .await
    }
}
