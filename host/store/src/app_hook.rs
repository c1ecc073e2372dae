//! Hooks of apps: one address for all accounts that a vendor's app serves. What comes in is kept at a hook of each
//! connection that it concerns, which is made when its first delivery comes.
//!
//! What must always hold: a connection has at most one hook of an app's hook; it goes with the connection or with the
//! app's hook, whichever goes first; its receipts are its own, told apart and ordered as any hook's.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, HookId, OrgId, kind};

use crate::connection::{account_key, require_connection};
use crate::hook::{self, Hook, HookState};
use crate::key::{Key, Parts, Span};
use crate::org::require;
use crate::receipt::{self, Accepted, NewReceipt};
use crate::rotation::OlderSecret;
use crate::row::{cap_name, from_json};
use crate::table::{Rows, Table};
use crate::{Error, MAX_LIMIT, Store};

/// An app's hook.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AppHook {
    pub id: HookId,
    pub connector: String,
    /// The manifest's name of the webhook.
    pub webhook: String,
    pub state: HookState,
    pub created: Timestamp,
    /// Secrets that are valid beside the newest for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older_secrets: Vec<OlderSecret>,
}

/// The most connections that one delivery concerns: vendors name some accounts at once.
pub const MAX_CONCERNED: usize = 100;

impl Store {
    /// Adds an app's hook. [`Error::Conflict`] if the id is taken.
    pub async fn create_app_hook(&self, org: OrgId, hook: AppHook) -> Result<(), Error> {
        cap_name("a webhook's name", &hook.webhook)?;
        cap_name("a connector's id", &hook.connector)?;
        self.write(256, move |rows| {
            require(rows, org)?;
            if rows.has(Table::HookOrgs, &Key::empty().id(hook.id))? {
                return Err(Error::Conflict {
                    what: "a hook",
                    name: hook.id.to_string(),
                });
            }
            rows.put(Table::HookOrgs, &Key::empty().id(hook.id), &[org.as_bytes()])?;
            rows.put_json(Table::AppHooks, &Key::org(org).id(hook.id), &hook)
        })
        .await
    }

    /// An app's hook by its id alone, and whose it is.
    pub async fn get_app_hook_public(&self, id: HookId) -> Result<Option<(OrgId, AppHook)>, Error> {
        self.read_now(|rows| {
            let Some(org) = rows.get_id(Table::HookOrgs, &Key::empty().id(id))? else {
                return Ok(None);
            };
            if !rows.has(Table::Orgs, &Key::org(org))? {
                return Ok(None);
            }
            let hook = rows.get_json(Table::AppHooks, &Key::org(org).id(id))?;
            Ok(hook.map(|hook| (org, hook)))
        })
    }

    /// One.
    pub async fn get_app_hook(&self, org: OrgId, id: HookId) -> Result<Option<AppHook>, Error> {
        self.read_now(|rows| rows.get_json(Table::AppHooks, &Key::org(org).id(id)))
    }

    /// The organization's, oldest first; at most 1,000.
    pub async fn list_app_hooks(&self, org: OrgId) -> Result<Vec<AppHook>, Error> {
        self.read(move |rows| {
            let span = Span::prefix(&Key::org(org));
            rows.collect(Table::AppHooks, &span, false, MAX_LIMIT, |_, content| {
                from_json(Table::AppHooks, content).map(Some)
            })
        })
        .await
    }

    /// Removes an app's hook, its secrets and the hooks that its deliveries came by; their receipts stay.
    /// [`Error::Missing`].
    pub async fn remove_app_hook(&self, org: OrgId, id: HookId) -> Result<(), Error> {
        self.write(256, move |rows| {
            let place = Key::org(org).id(id);
            if !rows.has(Table::AppHooks, &place)? {
                return Err(Error::Missing { what: "the hook" });
            }
            let mine = Span::prefix(&place);
            let hooks = rows.collect(Table::HooksOfApp, &mine, false, usize::MAX, |_, content| {
                Ok(Parts::new(content).id::<kind::Hook>())
            })?;
            for hook in hooks {
                if let Some(hook) = rows.get_json::<Hook>(Table::Hooks, &Key::org(org).id(hook))? {
                    hook::remove(rows, org, &hook)?;
                }
            }
            let mut all = usize::MAX;
            rows.delete_prefix(Table::HooksOfApp, &place, &mut all)?;
            rows.delete_prefix(Table::Secrets, &Key::org(org).text(&id.to_string()), &mut all)?;
            rows.delete(Table::HookOrgs, &Key::empty().id(id))?;
            rows.delete(Table::AppHooks, &place)
        })
        .await
    }

    /// The connections of a connector whose account this is, oldest first; at most [`MAX_CONCERNED`].
    pub async fn connections_of_account(
        &self,
        org: OrgId,
        connector: &str,
        account: &str,
    ) -> Result<Vec<ConnectionId>, Error> {
        let of_account = account_key(org, connector, account);
        self.read_now(|rows| {
            let skip = of_account.bytes().len();
            let span = Span::prefix(&of_account);
            rows.collect(Table::Accounts, &span, false, MAX_CONCERNED, |key, _| {
                Ok(Parts::new(key.get(skip..).unwrap_or_default()).id::<kind::Connection>())
            })
        })
    }

    /// Keeps a webhook of an app at one connection, as [`Store::accept_receipt`] does; `new.hook` is the id of the connection's
    /// hook if there is none yet. [`Error::Missing`] if the app's hook or the connection is gone.
    pub async fn accept_routed(
        &self,
        org: OrgId,
        app: HookId,
        connection: ConnectionId,
        mut new: NewReceipt,
    ) -> Result<Accepted, Error> {
        let head = receipt::head(&mut new)?;
        self.write(head.len() + new.body.len(), move |rows| {
            let place = Key::org(org).id(app);
            let of_app: AppHook = rows
                .get_json(Table::AppHooks, &place)?
                .ok_or(Error::Missing { what: "the hook" })?;
            require_connection(rows, org, connection)?;
            let by_connection = place.id(connection);
            let known = rows.get_id::<kind::Hook>(Table::HooksOfApp, &by_connection)?;
            let (hook, connection) = match known {
                Some(id) => (id, hook::connection_of(rows, org, id)?),
                None => {
                    let hook = Hook {
                        id: new.hook,
                        connection,
                        webhook: of_app.webhook,
                        state: HookState::Active,
                        created: new.received,
                        app: Some(app),
                        chores: crate::chore::Chores::default(),
                        registration: None,
                        older_secrets: Vec::new(),
                    };
                    rows.put(Table::HooksOfApp, &by_connection, &[hook.id.as_bytes()])?;
                    let listed = hook::by_connection(org, connection, hook.id);
                    rows.put(Table::HooksByConnection, &listed, &[])?;
                    rows.put_json(Table::Hooks, &Key::org(org).id(hook.id), &hook)?;
                    (hook.id, connection)
                }
            };
            new.hook = hook;
            receipt::accept(rows, org, connection, new, &head)
        })
        .await
    }
}
