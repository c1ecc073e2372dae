//! Several secrets of one hook, while one is rotated: the newest, and those before it until their time is over.
//!
//! What must always hold: the new secret and the end of the old one are one commit; an old one is never valid longer than was said
//! when it was replaced, and its sealed bytes go with it.

use sluice_model::Timestamp;
use sluice_model::id::{HookId, OrgId};
use sluice_model::secret::Secret;

use crate::app_hook::AppHook;
use crate::credential::{put_again, put_aside, secret_key};
use crate::hook::{Hook, HookState};
use crate::key::Key;
use crate::registration::HOOK_SECRET;
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store};

/// A secret that is valid beside the newest until a time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OlderSecret {
    /// The field under which it is sealed.
    pub field: String,
    pub until: Timestamp,
}

/// More are not valid beside the newest: whoever rotates more often has the oldest end earlier.
pub const MAX_OLDER: usize = 3;

impl Store {
    /// Replaces a hook's secret; the one before, if there is one, and those before it are valid until `until` at most. Answers those
    /// that are. [`Error::Missing`].
    pub async fn rotate_hook_secret(
        &self,
        org: OrgId,
        hook: HookId,
        secret: Secret,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<OlderSecret>, Error> {
        let ring = self.keyring().clone();
        self.write(secret.expose().len() * 2 + 512, move |rows| {
            let mut place = Place::find(rows, org, hook)?;
            let owner = hook.to_string();
            let older = place.older();
            for old in older.iter_mut() {
                old.until = old.until.min(until);
            }
            let number = older.iter().filter_map(|old| old.number()).max().unwrap_or(0) + 1;
            let field = format!("{HOOK_SECRET}.{number}");
            if until > now && put_aside(rows, &ring, org, (&owner, HOOK_SECRET, &field), now)? {
                place.older().push(OlderSecret { field, until });
            }
            put_again(rows, &ring, org, (&owner, HOOK_SECRET), &secret, now)?;
            place.drop_over(rows, org, hook, now)?;
            place.put(rows, org, hook)
        })
        .await
    }

    /// Forgets the secrets of a hook whose time is over.
    pub async fn drop_older_secrets(&self, org: OrgId, hook: HookId, now: Timestamp) -> Result<(), Error> {
        self.write(128, move |rows| {
            let mut place = match Place::find(rows, org, hook) {
                Err(Error::Missing { .. }) => return Ok(()),
                other => other?,
            };
            place.drop_over(rows, org, hook, now)?;
            place.put(rows, org, hook).map(drop)
        })
        .await
    }
}

/// A hook of a connection or of an app.
enum Place {
    OfConnection(Box<Hook>),
    OfApp(AppHook),
}

impl Place {
    fn find(rows: &mut impl Rows, org: OrgId, hook: HookId) -> Result<Self, Error> {
        let place = Key::org(org).id(hook);
        if let Some(hook) = rows.get_json::<Hook>(Table::Hooks, &place)? {
            if hook.state != HookState::Ending && hook.app.is_none() {
                return Ok(Self::OfConnection(Box::new(hook)));
            }
        } else if let Some(hook) = rows.get_json::<AppHook>(Table::AppHooks, &place)? {
            return Ok(Self::OfApp(hook));
        }
        Err(Error::Missing { what: "the hook" })
    }

    fn older(&mut self) -> &mut Vec<OlderSecret> {
        match self {
            Self::OfConnection(hook) => &mut hook.older_secrets,
            Self::OfApp(hook) => &mut hook.older_secrets,
        }
    }

    fn drop_over(
        &mut self,
        rows: &mut Writer<'_>,
        org: OrgId,
        hook: HookId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let owner = hook.to_string();
        let older = self.older();
        let surplus = older.len().saturating_sub(MAX_OLDER);
        let (mut kept, mut over) = (Vec::new(), Vec::new());
        for (at, old) in older.drain(..).enumerate() {
            if at < surplus || old.until <= now {
                over.push(old);
            } else {
                kept.push(old);
            }
        }
        *older = kept;
        for old in over {
            rows.delete(Table::Secrets, &secret_key(org, &owner, &old.field))?;
        }
        Ok(())
    }

    fn put(self, rows: &mut Writer<'_>, org: OrgId, hook: HookId) -> Result<Vec<OlderSecret>, Error> {
        let place = Key::org(org).id(hook);
        match self {
            Self::OfConnection(hook) => {
                rows.put_json(Table::Hooks, &place, &*hook)?;
                Ok(hook.older_secrets)
            }
            Self::OfApp(hook) => {
                rows.put_json(Table::AppHooks, &place, &hook)?;
                Ok(hook.older_secrets)
            }
        }
    }
}

impl OlderSecret {
    fn number(&self) -> Option<u64> {
        self.field.rsplit_once('.')?.1.parse().ok()
    }
}
