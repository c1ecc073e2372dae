//! Hooks: the addresses at which vendors deliver. Found by their unguessable id alone.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, HookId, OrgId};

use crate::{Error, Store};

/// A hook.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hook {
    pub id: HookId,
    pub connection: ConnectionId,
    /// The manifest's name of the webhook.
    pub webhook: String,
    pub state: HookState,
    pub created: Timestamp,
}

/// Whether deliveries are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookState {
    Active,
    Paused,
}

impl Store {
    /// Adds a hook. [`Error::Missing`] if the connection is gone, [`Error::Conflict`] if the id is taken.
    pub async fn create_hook(&self, org: OrgId, hook: Hook) -> Result<(), Error> {
        todo!()
    }

    /// A hook by its id alone, and whose it is.
    pub async fn get_hook_public(&self, id: HookId) -> Result<Option<(OrgId, Hook)>, Error> {
        todo!()
    }

    /// One hook.
    pub async fn get_hook(&self, org: OrgId, id: HookId) -> Result<Option<Hook>, Error> {
        todo!()
    }

    /// The hooks of a connection, or of all, oldest first; at most 1,000.
    pub async fn list_hooks(&self, org: OrgId, connection: Option<ConnectionId>) -> Result<Vec<Hook>, Error> {
        todo!()
    }

    /// Pauses or wakes a hook. [`Error::Missing`].
    pub async fn set_hook_state(&self, org: OrgId, id: HookId, state: HookState) -> Result<(), Error> {
        todo!()
    }

    /// Removes a hook and its secrets; its receipts stay. [`Error::Missing`].
    pub async fn remove_hook(&self, org: OrgId, id: HookId) -> Result<(), Error> {
        todo!()
    }
}
