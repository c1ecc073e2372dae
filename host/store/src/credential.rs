//! Credentials and other secrets: sealed under the organization's key (see `org_key`), bound by associated data to their
//! owner, field and version, so that a value moved to another row does not open.

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::seal::Sealed;
use sluice_model::secret::Secret;

use crate::connection::require_connection;
use crate::due::{self, Work};
use crate::key::{Key, Parts, Span};
use crate::keyring::Keyring;
use crate::org::require;
use crate::org_key::{open_value, seal_value};
use crate::row::{cap, cap_name, corrupt, split_head, with_head};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Listing, Page, Store};

/// A connection's secret and where it may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub secret: Secret,
    /// Origins (`https://api.github.com`) it is bound to.
    pub origins: Vec<String>,
    /// Goes up with every put.
    pub version: u32,
    pub life: Life,
}

/// What is known of a credential without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Life {
    /// When the vendor gave it, or a person set it.
    pub obtained: Option<Timestamp>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it is to be refreshed at the latest.
    pub due: Option<Timestamp>,
    /// What it was given for, where the vendor told.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// A clock that is set back by less is being kept right; by more, what was noted before is of the future.
const SET_BACK: Duration = Duration::from_secs(300);

impl Life {
    /// Whether it is to be refreshed: its time has come, or it was obtained while the clock was ahead, so that its times
    /// say nothing.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due
            .is_some_and(|due| due <= now || self.is_of_the_future(now))
    }

    /// Whether it was obtained at a time that is yet to come.
    #[must_use]
    pub fn is_of_the_future(&self, now: Timestamp) -> bool {
        self.obtained.is_some_and(|at| at.since(now) > SET_BACK)
    }
}

/// A secret to be kept.
#[derive(Debug)]
pub struct NewCredential {
    pub secret: Secret,
    pub origins: Vec<String>,
    pub life: Life,
}

/// A credential as it is known without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialHead {
    /// The auth scheme.
    pub scheme: String,
    pub version: u32,
    pub life: Life,
}

/// Any secret as it is known without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHead {
    /// What it belongs to.
    pub owner: String,
    pub field: String,
    pub version: u32,
    /// The version of the organization's key that it is sealed under.
    pub key_version: u32,
    pub life: Life,
}

impl SecretHead {
    /// The auth scheme, if it is a connection's credential.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.field.strip_prefix(CREDENTIAL)
    }
}

impl Store {
    /// Sets the secret of a connection's auth scheme; answers its version. With `expect` only if the one that is there
    /// has this version, 0 for none: [`Error::Revision`] otherwise. [`Error::Missing`] if the connection is gone,
    /// [`Error::Seal`].
    pub async fn put_credential(
        &self,
        org: OrgId,
        connection: ConnectionId,
        scheme: &str,
        new: NewCredential,
        expect: Option<u32>,
    ) -> Result<u32, Error> {
        cap(
            "a credential's origins",
            new.origins.iter().map(String::len).sum(),
            MAX_ORIGINS_BYTES,
        )?;
        let scopes = new.life.scopes.iter().map(String::len).sum();
        cap("a credential's scopes", scopes, MAX_ORIGINS_BYTES)?;
        let owner = connection.to_string();
        let field = format!("{CREDENTIAL}{scheme}");
        cap_name("a secret's field", &field)?;
        let ring = self.keyring().clone();
        self.write(new.secret.expose().len(), move |rows| {
            require_connection(rows, org, connection)?;
            let old = head(rows, org, &owner, &field)?.map_or(0, |head| head.version);
            if let Some(expected) = expect.filter(|expected| *expected != old) {
                return Err(Error::Revision {
                    what: "a credential",
                    expected: expected.into(),
                    found: old.into(),
                });
            }
            let head = Head {
                version: old + 1,
                origins: new.origins,
                life: new.life,
            };
            put(rows, &ring, org, (&owner, &field), &head, &new.secret)?;
            let due = earliest(rows, org, connection)?;
            due::move_connection(rows, Work::Credentials, org, connection, due)?;
            Ok(head.version)
        })
        .await
    }

    /// The secret of a connection's auth scheme. [`Error::Seal`] if it was tampered with.
    pub async fn get_credential(
        &self,
        org: OrgId,
        connection: ConnectionId,
        scheme: &str,
    ) -> Result<Option<Credential>, Error> {
        let field = format!("{CREDENTIAL}{scheme}");
        let found = self.unseal(org, &connection.to_string(), &field)?;
        Ok(found.map(|(secret, head)| Credential {
            secret,
            origins: head.origins,
            version: head.version,
            life: head.life,
        }))
    }

    /// Removes the secret of an auth scheme; with `expect` only if it has this version: [`Error::Revision`] otherwise.
    /// Nothing happens if there is none.
    pub async fn remove_credential(
        &self,
        org: OrgId,
        connection: ConnectionId,
        scheme: &str,
        expect: Option<u32>,
    ) -> Result<(), Error> {
        let owner = connection.to_string();
        let field = format!("{CREDENTIAL}{scheme}");
        self.write(64, move |rows| {
            let Some(head) = head(rows, org, &owner, &field)? else {
                return Ok(());
            };
            if let Some(expected) = expect.filter(|expected| *expected != head.version) {
                return Err(Error::Revision {
                    what: "a credential",
                    expected: expected.into(),
                    found: head.version.into(),
                });
            }
            rows.delete(Table::Secrets, &secret_key(org, &owner, &field))?;
            let due = earliest(rows, org, connection)?;
            due::move_connection(rows, Work::Credentials, org, connection, due)
        })
        .await
    }

    /// What is known of a connection's credentials without opening them.
    pub async fn credential_heads(
        &self,
        org: OrgId,
        connection: ConnectionId,
    ) -> Result<Vec<CredentialHead>, Error> {
        self.read(move |rows| heads(rows, org, connection)).await
    }

    /// Leases connections whose credentials are to be refreshed: until `lease_for` has passed nobody else gets them. A put
    /// sets the time anew from what the credentials say.
    pub async fn lease_due_credentials(
        &self,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<(OrgId, ConnectionId)>, Error> {
        self.lease_due_connections(Work::Credentials, now, lease_for, limit)
            .await
    }

    /// Puts a connection's refreshing off to this time, or until its next put.
    pub async fn defer_credentials(
        &self,
        org: OrgId,
        connection: ConnectionId,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.write(64, move |rows| {
            due::move_connection(rows, Work::Credentials, org, connection, until)
        })
        .await
    }

    /// The organization's secrets as they are known without opening them, by owner and field.
    pub async fn list_secrets(
        &self,
        org: OrgId,
        page: Page<(String, String)>,
    ) -> Result<Listing<SecretHead, (String, String)>, Error> {
        self.read(move |rows| {
            let (of_org, limit) = (Key::org(org), page.limit());
            let mut span = Span::prefix(&of_org);
            if let Some((owner, field)) = page.after {
                span = span.after(secret_key(org, &owner, &field));
            }
            let found = rows.collect(Table::Secrets, &span, false, limit + 1, |key, content| {
                secret_head(key, content).map(Some)
            })?;
            Ok(Listing::cut(found, limit, |head| {
                (head.owner.clone(), head.field.clone())
            }))
        })
        .await
    }

    /// Sets any other secret, e.g. a hook's: `owner` is an id's text. Answers its version. [`Error::Seal`].
    pub async fn put_secret(
        &self,
        org: OrgId,
        owner: &str,
        field: &str,
        secret: Secret,
        now: Timestamp,
    ) -> Result<u32, Error> {
        if field.starts_with(CREDENTIAL) {
            return Err(Error::Conflict {
                what: "a secret",
                name: field.to_owned(),
            });
        }
        self.seal(org, (owner.to_owned(), field.to_owned()), secret, now)
            .await
    }

    /// The same where there is none yet. Whether it was kept: of two that come at once, one is.
    pub async fn put_first_secret(
        &self,
        org: OrgId,
        owner: &str,
        field: &str,
        secret: Secret,
        now: Timestamp,
    ) -> Result<bool, Error> {
        cap_name("the owner of a secret", owner)?;
        cap_name("a secret's field", field)?;
        let ring = self.keyring().clone();
        let (owner, field) = (owner.to_owned(), field.to_owned());
        self.write(secret.expose().len(), move |rows| {
            require(rows, org)?;
            if head(rows, org, &owner, &field)?.is_some() {
                return Ok(false);
            }
            put_again(rows, &ring, org, (&owner, &field), &secret, now)?;
            Ok(true)
        })
        .await
    }

    /// Whether such a secret is set. It stays sealed.
    pub async fn has_secret(&self, org: OrgId, owner: &str, field: &str) -> Result<bool, Error> {
        let place = secret_key(org, owner, field);
        self.read_now(|rows| rows.has(Table::Secrets, &place))
    }

    /// The secret that was set with [`Store::put_secret`].
    pub async fn get_secret(&self, org: OrgId, owner: &str, field: &str) -> Result<Option<Secret>, Error> {
        Ok(self.unseal(org, owner, field)?.map(|(secret, _)| secret))
    }

    /// Removes a secret; nothing happens if there is none.
    pub async fn remove_secret(&self, org: OrgId, owner: &str, field: &str) -> Result<(), Error> {
        let place = secret_key(org, owner, field);
        self.write(64, move |rows| rows.delete(Table::Secrets, &place))
            .await
    }
}

/// What a credential's field begins with; the scheme's name follows.
const CREDENTIAL: &str = "credential/";

/// Origins are host names: thousands of them are a mistake.
const MAX_ORIGINS_BYTES: usize = 64 << 10;

/// What is in the clear beside a sealed value. The version is part of the associated data: an old row put back opens
/// only as the old version that it says it is, which is as far as a database without a witness outside can go.
#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    version: u32,
    origins: Vec<String>,
    #[serde(default)]
    life: Life,
}

impl Store {
    async fn seal(
        &self,
        org: OrgId,
        (owner, field): (String, String),
        secret: Secret,
        now: Timestamp,
    ) -> Result<u32, Error> {
        cap_name("the owner of a secret", &owner)?;
        cap_name("a secret's field", &field)?;
        let ring = self.keyring().clone();
        self.write(secret.expose().len(), move |rows| {
            require(rows, org)?;
            put_again(rows, &ring, org, (&owner, &field), &secret, now)
        })
        .await
    }

    fn unseal(&self, org: OrgId, owner: &str, field: &str) -> Result<Option<(Secret, Head)>, Error> {
        self.read_now(|rows| unsealed(rows, self.keyring(), org, (owner, field)))
    }
}

/// A secret as it is, with what stands beside it.
fn unsealed(
    rows: &mut impl Rows,
    ring: &Keyring,
    org: OrgId,
    (owner, field): (&str, &str),
) -> Result<Option<(Secret, Head)>, Error> {
    let found = rows.look(Table::Secrets, &secret_key(org, owner, field), |content| {
        let (head, sealed): (Head, _) = split_head(Table::Secrets, content)?;
        Ok((head, sealed.to_vec()))
    })?;
    let Some((head, sealed)) = found else {
        return Ok(None);
    };
    let secret = open_value(rows, ring, org, (owner, field, head.version), sealed)?;
    Ok(Some((secret, head)))
}

/// Puts a secret under another field beside what is there. Whether there was one.
pub(crate) fn put_aside(
    rows: &mut Writer<'_>,
    ring: &Keyring,
    org: OrgId,
    (owner, field, aside): (&str, &str, &str),
    now: Timestamp,
) -> Result<bool, Error> {
    let Some((secret, _)) = unsealed(rows, ring, org, (owner, field))? else {
        return Ok(false);
    };
    put_again(rows, ring, org, (owner, aside), &secret, now)?;
    Ok(true)
}

/// The next version of a secret, whatever was there; answers it.
pub(crate) fn put_again(
    rows: &mut Writer<'_>,
    ring: &Keyring,
    org: OrgId,
    (owner, field): (&str, &str),
    secret: &Secret,
    now: Timestamp,
) -> Result<u32, Error> {
    let old = head(rows, org, owner, field)?;
    let head = Head {
        version: old.map_or(0, |head| head.version) + 1,
        origins: Vec::new(),
        life: Life {
            obtained: Some(now),
            ..Life::default()
        },
    };
    put(rows, ring, org, (owner, field), &head, secret)?;
    Ok(head.version)
}

fn head(rows: &mut impl Rows, org: OrgId, owner: &str, field: &str) -> Result<Option<Head>, Error> {
    rows.look(Table::Secrets, &secret_key(org, owner, field), |content| {
        Ok(split_head(Table::Secrets, content)?.0)
    })
}

fn put(
    rows: &mut Writer<'_>,
    ring: &Keyring,
    org: OrgId,
    (owner, field): (&str, &str),
    head: &Head,
    secret: &Secret,
) -> Result<(), Error> {
    let sealed = seal_value(rows, ring, org, (owner, field, head.version), secret)?;
    rows.put(
        Table::Secrets,
        &secret_key(org, owner, field),
        &[&with_head(head)?, &sealed],
    )
}

fn heads(rows: &mut impl Rows, org: OrgId, connection: ConnectionId) -> Result<Vec<CredentialHead>, Error> {
    let owner = Key::org(org).text(&connection.to_string());
    let span = Span::prefix(&owner.clone().tail(CREDENTIAL));
    rows.collect(Table::Secrets, &span, false, 1000, |key, content| {
        let field = Parts::new(key.get(owner.bytes().len()..).unwrap_or_default()).tail_text();
        let (head, _) = split_head::<Head>(Table::Secrets, content)?;
        let scheme = field.and_then(|field| field.strip_prefix(CREDENTIAL));
        Ok(scheme.map(|scheme| CredentialHead {
            scheme: scheme.to_owned(),
            version: head.version,
            life: head.life,
        }))
    })
}

fn secret_head(key: &[u8], content: &[u8]) -> Result<SecretHead, Error> {
    let malformed = || corrupt(Table::Secrets, "a key is malformed");
    let mut parts = Parts::new(key.get(16..).unwrap_or_default());
    let owner = parts.text().ok_or_else(malformed)?.to_owned();
    let field = parts.tail_text().ok_or_else(malformed)?.to_owned();
    let (head, sealed) = split_head::<Head>(Table::Secrets, content)?;
    let sealed = Sealed::from_bytes(sealed.to_vec());
    Ok(SecretHead {
        owner,
        field,
        version: head.version,
        key_version: sealed.key_version().map_err(Error::Seal)?,
        life: head.life,
    })
}

fn earliest(rows: &mut impl Rows, org: OrgId, connection: ConnectionId) -> Result<Option<Timestamp>, Error> {
    let heads = heads(rows, org, connection)?;
    Ok(heads.into_iter().filter_map(|head| head.life.due).min())
}

/// Puts a connection into the index of what is to be refreshed as its credentials say, whoever leased it. Damage is told and
/// left alone.
pub(crate) fn set_due_anew(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    now: Timestamp,
) -> Result<(), Error> {
    let heads = match heads(rows, org, connection) {
        Ok(heads) => heads,
        Err(error @ Error::Corrupt { .. }) => {
            tracing::error!(%connection, code = error.code(), %error, "a credential is damaged");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let due = |life: &Life| if life.is_due(now) { Some(now) } else { life.due };
    let at = heads.iter().filter_map(|head| due(&head.life)).min();
    due::move_connection(rows, Work::Credentials, org, connection, at)
}

pub(crate) fn secret_key(org: OrgId, owner: &str, field: &str) -> Key {
    Key::org(org).text(owner).tail(field)
}
