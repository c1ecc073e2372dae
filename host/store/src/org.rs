//! Organizations: the tenants, and the key of each, wrapped under the master key.

use sluice_model::Timestamp;
use sluice_model::id::OrgId;

use crate::{Error, Store};

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Org {
    pub id: OrgId,
    pub name: String,
    pub created: Timestamp,
}

impl Store {
    /// The organization of this name; made, with a fresh key, if there is none.
    pub async fn ensure_org(&self, name: &str, now: Timestamp) -> Result<OrgId, Error> {
        todo!()
    }

    /// An organization by id.
    pub async fn get_org(&self, org: OrgId) -> Result<Option<Org>, Error> {
        todo!()
    }

    /// Every organization, oldest first. At most 100,000.
    pub async fn list_orgs(&self) -> Result<Vec<Org>, Error> {
        todo!()
    }

    /// Destroys the organization's key in the first commit (nothing it sealed can be opened from then on), then its
    /// rows in bounded steps. Interrupted, [`Store::sweep`] goes on with it.
    pub async fn delete_org(&self, org: OrgId) -> Result<(), Error> {
        todo!()
    }
}
