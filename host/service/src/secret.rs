//! Secrets as they may be listed: what there is, how old, and who uses it. Nothing here opens one.

use std::collections::HashMap;

use sluice_model::id::{ConnectionId, HookId, OrgId};
use sluice_store::connection::Connection;
use sluice_store::credential::{Life, SecretHead};

use crate::page::{Listed, Page};
use crate::{Service, auth, connection};
pub use sluice_store::Error;

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub kind: Kind,
    /// What it belongs to: a connection's id, a connector's, a hook's.
    pub owner: String,
    /// A credential's or an app's auth scheme; the field otherwise.
    pub name: String,
    /// Goes up whenever it is set or refreshed.
    pub version: u32,
    /// The version of the organization's key that it is sealed under.
    pub key_version: u32,
    pub life: Life,
    /// Since this process started; only of credentials.
    pub last_used: Option<sluice_model::Timestamp>,
    /// Names of the connections that use it.
    pub used_by: Vec<String>,
}

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A connection's own.
    Credential,
    /// The organization's app at a vendor.
    App,
    /// What a vendor signs its deliveries with.
    Hook,
    Other,
}

impl Kind {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::App => "app",
            Self::Hook => "hook",
            Self::Other => "other",
        }
    }
}

/// The organization's secrets; of one connection: those that it uses. A page may then have fewer than asked for, and
/// still a next one.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(
    service: &Service,
    org: OrgId,
    of: Option<ConnectionId>,
    page: &Page,
) -> Result<Listed<Kept>, Error> {
    let after = page.after.as_deref().and_then(|after| after.split_once('\n'));
    let wanted = sluice_store::Page {
        after: after.map(|(owner, field)| (owner.to_owned(), field.to_owned())),
        limit: page.bounded(),
    };
    let found = service.store().list_secrets(org, wanted).await?;
    let users = users(service, org).await?;
    let only = of.and_then(|of| users.get(&of));
    let mut items = Vec::with_capacity(found.items.len());
    for head in found.items {
        let kept = kept(service, org, &users, head).await?;
        let is_wanted = match (of, only) {
            (None, _) => true,
            (Some(_), Some(only)) => kept.used_by.contains(&only.name),
            (Some(_), None) => false,
        };
        items.extend(is_wanted.then_some(kept));
    }
    Ok(Listed {
        items,
        next: found.next.map(|(owner, field)| format!("{owner}\n{field}")),
    })
}

type Users = HashMap<ConnectionId, Connection>;

async fn kept(service: &Service, org: OrgId, users: &Users, head: SecretHead) -> Result<Kept, Error> {
    let mut kept = Kept {
        kind: Kind::Other,
        owner: head.owner.clone(),
        name: head.field.clone(),
        version: head.version,
        key_version: head.key_version,
        life: head.life.clone(),
        last_used: None,
        used_by: Vec::new(),
    };
    if let (Some(scheme), Ok(id)) = (head.scheme(), head.owner.parse::<ConnectionId>()) {
        kept.kind = Kind::Credential;
        scheme.clone_into(&mut kept.name);
        kept.last_used = service.credentials().last_used_of(id, scheme);
        kept.used_by.extend(users.get(&id).map(|user| user.name.clone()));
    } else if let Some(connector) = auth::app::connector_of(&head.owner) {
        kept.kind = Kind::App;
        connector.clone_into(&mut kept.owner);
        let uses = |user: &&Connection| {
            user.connector == connector && connection::scheme_of(user).as_deref() == Some(&head.field)
        };
        kept.used_by = users
            .values()
            .filter(uses)
            .map(|user| user.name.clone())
            .collect();
        kept.used_by.sort_unstable();
    } else if let Ok(id) = head.owner.parse::<HookId>() {
        kept.kind = Kind::Hook;
        let hook = service.store().get_hook(org, id).await?;
        let user = hook.and_then(|hook| users.get(&hook.connection));
        kept.used_by.extend(user.map(|user| user.name.clone()));
    }
    Ok(kept)
}

/// The organization's connections, at most [`MAX_USERS`] of them.
async fn users(service: &Service, org: OrgId) -> Result<Users, Error> {
    let mut users = Users::new();
    let mut page = sluice_store::Page::first(sluice_store::MAX_LIMIT);
    while users.len() < MAX_USERS {
        let found = service.store().list_connections(org, page).await?;
        users.extend(found.items.into_iter().map(|user| (user.id, user)));
        let Some(next) = found.next else { break };
        page.after = Some(next);
    }
    Ok(users)
}

/// More connections are not looked through for who uses what.
const MAX_USERS: usize = 20_000;
