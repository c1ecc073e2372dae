//! Authorizations: attempts to come by a credential that wait for a person or a vendor. Each is used once: who moves it
//! on first wins, whatever arrives twice or at the same time.

use sluice_model::Timestamp;
use sluice_model::id::{AuthorizationId, ConnectionId, OrgId, kind};
use sluice_model::secret::Secret;

use crate::connection::{Reason, require_connection};
use crate::key::{Key, Parts, Span};
use crate::org_key::{open_value, seal_value};
use crate::row::{cap, cap_name, split_head, with_head};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store};

/// Where an authorization stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Nobody has followed its link yet.
    Waiting,
    /// A browser is at the vendor, or a device code is shown.
    Started,
    /// The vendor's answer is being turned into a credential.
    Completing,
    /// The connection has its credential.
    Done,
    /// It did not come to one.
    Failed,
}

impl Step {
    /// The word for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Started => "started",
            Self::Completing => "completing",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// An authorization.
#[derive(Debug, Clone)]
pub struct Authorization {
    pub id: AuthorizationId,
    pub connection: ConnectionId,
    /// The auth scheme that it is for.
    pub scheme: String,
    pub step: Step,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// Why it failed, or what a person should know of how it went.
    pub reason: Option<Reason>,
    /// What its flow has to remember (verifier, nonce, …); gone once it has ended.
    pub memory: Option<Secret>,
}

/// An authorization to be kept.
#[derive(Debug)]
pub struct NewAuthorization {
    pub id: AuthorizationId,
    pub connection: ConnectionId,
    pub scheme: String,
    pub step: Step,
    pub created: Timestamp,
    pub expires: Timestamp,
    pub memory: Secret,
}

/// A move of an authorization.
#[derive(Debug)]
pub struct Move {
    pub from: Step,
    pub to: Step,
    /// What it remembers from now on; none: as before, or nothing once it has ended.
    pub memory: Option<Secret>,
    /// When it ends from now on; none: as before.
    pub expires: Option<Timestamp>,
    pub reason: Option<Reason>,
}

impl Store {
    /// Keeps a new one. [`Error::Missing`] if the connection is gone, [`Error::Seal`].
    pub async fn create_authorization(&self, org: OrgId, new: NewAuthorization) -> Result<(), Error> {
        cap_name("an auth scheme", &new.scheme)?;
        cap("an authorization", new.memory.expose().len(), MAX_MEMORY_BYTES)?;
        let ring = self.keyring().clone();
        self.write(new.memory.expose().len() + 256, move |rows| {
            require_connection(rows, org, new.connection)?;
            let row = Row {
                connection: new.connection,
                scheme: new.scheme,
                step: new.step,
                created: new.created,
                expires: new.expires,
                reason: None,
                version: 1,
            };
            let owner = new.id.to_string();
            let sealed = seal_value(rows, &ring, org, (&owner, FIELD, row.version), &new.memory)?;
            save(rows, org, new.id, &row, &sealed)
        })
        .await
    }

    /// One of them.
    pub async fn get_authorization(
        &self,
        org: OrgId,
        id: AuthorizationId,
    ) -> Result<Option<Authorization>, Error> {
        self.read_now(|rows| {
            let Some((row, sealed)) = load(rows, org, id)? else {
                return Ok(None);
            };
            let memory = if sealed.is_empty() {
                None
            } else {
                let owner = id.to_string();
                Some(open_value(
                    rows,
                    self.keyring(),
                    org,
                    (&owner, FIELD, row.version),
                    sealed,
                )?)
            };
            Ok(Some(Authorization {
                id,
                connection: row.connection,
                scheme: row.scheme,
                step: row.step,
                created: row.created,
                expires: row.expires,
                reason: row.reason,
                memory,
            }))
        })
    }

    /// Moves it on, if it still stands where the caller saw it: of two that try, one succeeds. [`Error::State`] for the
    /// other, [`Error::Missing`].
    pub async fn move_authorization(
        &self,
        org: OrgId,
        id: AuthorizationId,
        change: Move,
    ) -> Result<(), Error> {
        let bytes = change.memory.as_ref().map_or(0, |memory| memory.expose().len());
        cap("an authorization", bytes, MAX_MEMORY_BYTES)?;
        let ring = self.keyring().clone();
        self.write(bytes + 256, move |rows| {
            let (mut row, mut sealed) = load(rows, org, id)?.ok_or(Error::Missing {
                what: "the authorization",
            })?;
            if row.step != change.from {
                return Err(Error::State {
                    what: "move an authorization",
                    state: row.step.name(),
                });
            }
            row.step = change.to;
            row.expires = change.expires.unwrap_or(row.expires);
            row.reason = change.reason.or(row.reason);
            if matches!(change.to, Step::Done | Step::Failed) {
                sealed = Vec::new();
            } else if let Some(memory) = &change.memory {
                row.version += 1;
                sealed = seal_value(rows, &ring, org, (&id.to_string(), FIELD, row.version), memory)?;
            }
            save(rows, org, id, &row, &sealed)
        })
        .await
    }
}

/// Which of an authorization's values is sealed.
pub(crate) const FIELD: &str = "authorization";

/// A verifier, a nonce, a state: a few hundred bytes; a custom flow may keep more.
const MAX_MEMORY_BYTES: usize = 64 << 10;

/// How long an authorization is remembered after its end, so that a second try gets a clear answer.
pub(crate) const REMEMBERED_MS: u64 = 24 * 3600 * 1000;

#[derive(serde::Serialize, serde::Deserialize)]
struct Row {
    connection: ConnectionId,
    scheme: String,
    step: Step,
    created: Timestamp,
    expires: Timestamp,
    reason: Option<Reason>,
    version: u32,
}

fn save(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: AuthorizationId,
    row: &Row,
    sealed: &[u8],
) -> Result<(), Error> {
    let head = with_head(row)?;
    rows.put(Table::Authorizations, &Key::org(org).id(id), &[&head, sealed])
}

fn load(rows: &mut impl Rows, org: OrgId, id: AuthorizationId) -> Result<Option<(Row, Vec<u8>)>, Error> {
    rows.look(Table::Authorizations, &Key::org(org).id(id), |content| {
        let (row, sealed) = split_head::<Row>(Table::Authorizations, content)?;
        Ok((row, sealed.to_vec()))
    })
}

/// Forgets up to `limit` authorizations that ended before `before`. Whether there are more.
pub(crate) fn forget(
    rows: &mut Writer<'_>,
    org: OrgId,
    before: Timestamp,
    limit: usize,
) -> Result<bool, Error> {
    let span = Span::prefix(&Key::org(org));
    let old = rows.collect(Table::Authorizations, &span, false, limit, |key, content| {
        let (row, _) = split_head::<Row>(Table::Authorizations, content)?;
        let id = Parts::new(key.get(16..).unwrap_or_default()).id::<kind::Authorization>();
        Ok(id.filter(|_| row.expires < before))
    })?;
    let more = old.len() >= limit;
    for id in old {
        rows.delete(Table::Authorizations, &Key::org(org).id(id))?;
    }
    Ok(more)
}
