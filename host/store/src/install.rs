//! Installs: a connector version with its approved grant, and the component's bytes by digest.

use sluice_model::Timestamp;
use sluice_model::id::{InstallId, OrgId};

use crate::{Error, Listing, Page, Store};

/// An install: made once, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    pub id: InstallId,
    /// The connector's id, e.g. `github`.
    pub connector: String,
    pub version: String,
    /// The exact text that was approved.
    pub manifest: String,
    /// `sha256:…` of `manifest`.
    pub manifest_digest: String,
    /// SHA-256 of the component's bytes.
    pub component_digest: [u8; 32],
    /// The approved grant as JSON text.
    pub grant: String,
    /// Who approved: an API key's id, or `cli`.
    pub approved_by: String,
    pub at: Timestamp,
}

/// An install that is to be stored.
pub type NewInstall = Install;

impl Store {
    /// Stores an install and its component. [`Error::Conflict`] if the id is taken, [`Error::TooLarge`].
    pub async fn put_install(
        &self,
        org: OrgId,
        install: NewInstall,
        component: Vec<u8>,
    ) -> Result<(), Error> {
        todo!()
    }

    /// One install.
    pub async fn get_install(&self, org: OrgId, id: InstallId) -> Result<Option<Install>, Error> {
        todo!()
    }

    /// The organization's installs, oldest first.
    pub async fn list_installs(
        &self,
        org: OrgId,
        page: Page<InstallId>,
    ) -> Result<Listing<Install, InstallId>, Error> {
        todo!()
    }

    /// Every install of every organization, for loading at the start; at most 100,000.
    pub async fn all_installs(&self) -> Result<Vec<(OrgId, Install)>, Error> {
        todo!()
    }

    /// Removes an install, and its component with the last install of it. [`Error::InUse`] while connections use it,
    /// [`Error::Missing`].
    pub async fn remove_install(&self, org: OrgId, id: InstallId) -> Result<(), Error> {
        todo!()
    }

    /// A component's bytes. [`Error::Corrupt`] if they no longer have this digest.
    pub async fn component(&self, org: OrgId, digest: [u8; 32]) -> Result<Option<Vec<u8>>, Error> {
        todo!()
    }
}
