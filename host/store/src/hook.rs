//! Hooks: the addresses at which vendors deliver. Found by their unguessable id alone.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, HookId, OrgId, kind};

use crate::chore::{self, Chores};
use crate::connection::require_connection;
use crate::due::{self, Work};
use crate::key::{Key, Parts, Span};
use crate::registration::Registration;
use crate::rotation::OlderSecret;
use crate::row::{cap_name, from_json};
use crate::table::{Rows, Table, Writer};
use crate::{Error, MAX_LIMIT, Store};

/// A hook.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hook {
    pub id: HookId,
    pub connection: ConnectionId,
    /// The manifest's name of the webhook.
    pub webhook: String,
    pub state: HookState,
    pub created: Timestamp,
    /// The hook of an app that its deliveries come by: it has no address of its own then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<HookId>,
    /// What is owed at the vendor on its behalf.
    #[serde(default)]
    pub chores: Chores,
    /// How it is set up at the vendor through its API; none: a person does that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// Secrets that are valid beside the newest for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older_secrets: Vec<OlderSecret>,
}

/// Whether deliveries are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookState {
    Active,
    Paused,
    /// It was removed here and is still to be ended at the vendor; nobody but the worker sees it.
    Ending,
}

impl Store {
    /// Adds a hook. [`Error::Missing`] if the connection is gone, [`Error::Conflict`] if the id is taken.
    pub async fn create_hook(&self, org: OrgId, hook: Hook) -> Result<(), Error> {
        cap_name("a webhook's name", &hook.webhook)?;
        self.write(256, move |rows| {
            require_connection(rows, org, hook.connection)?;
            if rows.has(Table::HookOrgs, &Key::empty().id(hook.id))? {
                return Err(Error::Conflict {
                    what: "a hook",
                    name: hook.id.to_string(),
                });
            }
            rows.put(Table::HookOrgs, &Key::empty().id(hook.id), &[org.as_bytes()])?;
            rows.put(
                Table::HooksByConnection,
                &by_connection(org, hook.connection, hook.id),
                &[],
            )?;
            due::add(rows, Work::Chores, org, hook.chores.due, hook.id)?;
            rows.put_json(Table::Hooks, &Key::org(org).id(hook.id), &hook)
        })
        .await
    }

    /// A hook by its id alone, and whose it is.
    pub async fn get_hook_public(&self, id: HookId) -> Result<Option<(OrgId, Hook)>, Error> {
        self.read_now(|rows| {
            let Some(org) = rows.get_id(Table::HookOrgs, &Key::empty().id(id))? else {
                return Ok(None);
            };
            if !rows.has(Table::Orgs, &Key::org(org))? {
                return Ok(None);
            }
            let hook = rows.get_json(Table::Hooks, &Key::org(org).id(id))?;
            Ok(hook.map(|hook| (org, hook)))
        })
    }

    /// One hook.
    pub async fn get_hook(&self, org: OrgId, id: HookId) -> Result<Option<Hook>, Error> {
        self.read_now(|rows| rows.get_json(Table::Hooks, &Key::org(org).id(id)))
    }

    /// The hooks of a connection, or of all, oldest first; at most 1,000.
    pub async fn list_hooks(&self, org: OrgId, connection: Option<ConnectionId>) -> Result<Vec<Hook>, Error> {
        self.read(move |rows| {
            let Some(connection) = connection else {
                return rows.collect(
                    Table::Hooks,
                    &Span::prefix(&Key::org(org)),
                    false,
                    MAX_LIMIT,
                    |_, content| from_json(Table::Hooks, content).map(Some),
                );
            };
            let mut hooks = Vec::new();
            for id in ids(rows, org, connection)? {
                hooks.extend(rows.get_json(Table::Hooks, &Key::org(org).id(id))?);
            }
            Ok(hooks)
        })
        .await
    }

    /// Pauses or wakes a hook. [`Error::Missing`].
    pub async fn set_hook_state(&self, org: OrgId, id: HookId, state: HookState) -> Result<(), Error> {
        self.write(64, move |rows| {
            let mut hook = require_hook(rows, org, id)?;
            hook.state = state;
            rows.put_json(Table::Hooks, &Key::org(org).id(id), &hook)
        })
        .await
    }

    /// Removes a hook and its secrets; its receipts stay. What the vendor may know of it is ended first, in the background:
    /// until then it is [`HookState::Ending`]. [`Error::Missing`], also where that has begun.
    pub async fn remove_hook(&self, org: OrgId, id: HookId, now: Timestamp) -> Result<(), Error> {
        self.write(64, move |rows| {
            let mut hook = require_hook(rows, org, id)?;
            if hook.state == HookState::Ending {
                return Err(Error::Missing { what: "the hook" });
            }
            let Some(registration) = hook.registration.as_mut().filter(|of| of.may_be_known()) else {
                return remove(rows, org, &hook);
            };
            hook.state = HookState::Ending;
            registration.end(now);
            chore::settle(rows, org, &mut hook, None)
        })
        .await
    }
}

/// The hook, or a refusal.
pub(crate) fn require_hook(rows: &mut impl Rows, org: OrgId, id: HookId) -> Result<Hook, Error> {
    rows.get_json(Table::Hooks, &Key::org(org).id(id))?
        .ok_or(Error::Missing { what: "the hook" })
}

/// The connection of a hook: what its webhooks need to know of it, without the rest of the row.
pub(crate) fn connection_of(rows: &mut impl Rows, org: OrgId, id: HookId) -> Result<ConnectionId, Error> {
    #[derive(serde::Deserialize)]
    struct Of {
        connection: ConnectionId,
    }
    rows.get_json(Table::Hooks, &Key::org(org).id(id))?
        .map(|of: Of| of.connection)
        .ok_or(Error::Missing { what: "the hook" })
}

/// Removes every hook of a connection that is being removed. Its list of them stays until the receipts are gone too:
/// they are found through it.
pub(crate) fn remove_all(rows: &mut Writer<'_>, org: OrgId, connection: ConnectionId) -> Result<(), Error> {
    for id in ids(rows, org, connection)? {
        let hook: Option<Hook> = rows.get_json(Table::Hooks, &Key::org(org).id(id))?;
        if let Some(hook) = hook {
            remove(rows, org, &hook)?;
        }
    }
    Ok(())
}

pub(crate) fn remove(rows: &mut Writer<'_>, org: OrgId, hook: &Hook) -> Result<(), Error> {
    rows.delete(Table::HookOrgs, &Key::empty().id(hook.id))?;
    if let Some(app) = hook.app {
        rows.delete(Table::HooksOfApp, &Key::org(org).id(app).id(hook.connection))?;
    }
    rows.delete(Table::Hooks, &Key::org(org).id(hook.id))?;
    due::remove(rows, Work::Chores, org, hook.chores.due, hook.id)?;
    let mut all = usize::MAX;
    rows.delete_prefix(
        Table::Secrets,
        &Key::org(org).text(&hook.id.to_string()),
        &mut all,
    )
}

/// The ids of a connection's hooks, removed ones among them while receipts of theirs may be there.
pub(crate) fn ids(rows: &mut impl Rows, org: OrgId, connection: ConnectionId) -> Result<Vec<HookId>, Error> {
    let span = Span::prefix(&Key::org(org).id(connection));
    rows.collect(Table::HooksByConnection, &span, false, usize::MAX, |key, _| {
        Ok(Parts::new(key.get(32..).unwrap_or_default()).id::<kind::Hook>())
    })
}

pub(crate) fn by_connection(org: OrgId, connection: ConnectionId, hook: HookId) -> Key {
    Key::org(org).id(connection).id(hook)
}
