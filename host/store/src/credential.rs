//! Credentials and other secrets: sealed under the organization's key, bound by associated data to their owner, field
//! and version, so that a value moved to another row does not open.

use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::seal::{Aad, MasterKey, OrgKey, Sealed};
use sluice_model::secret::Secret;

use crate::connection::require_connection;
use crate::key::{Key, Parts, Span};
use crate::org::require;
use crate::row::{cap, cap_name, split_head, with_head};
use crate::table::{Rows, Table};
use crate::{Error, Store};

/// A connection's secret and where it may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub secret: Secret,
    /// Origins (`https://api.github.com`) it is bound to.
    pub origins: Vec<String>,
    /// Goes up with every put.
    pub version: u32,
}

impl Store {
    /// Sets the secret of a connection's auth scheme; answers its version. [`Error::Missing`] if the connection is gone,
    /// [`Error::Seal`].
    pub async fn put_credential(
        &self,
        org: OrgId,
        connection: ConnectionId,
        scheme: &str,
        secret: Secret,
        origins: Vec<String>,
    ) -> Result<u32, Error> {
        cap(
            "a credential's origins",
            origins.iter().map(String::len).sum(),
            MAX_ORIGINS_BYTES,
        )?;
        self.seal(
            org,
            Some(connection),
            connection.to_string(),
            format!("{CREDENTIAL}{scheme}"),
            secret,
            origins,
        )
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
        }))
    }

    /// The names of the auth schemes that have a secret.
    pub async fn list_credentials(&self, org: OrgId, connection: ConnectionId) -> Result<Vec<String>, Error> {
        self.read(move |rows| {
            let owner = Key::org(org).text(&connection.to_string());
            let span = Span::prefix(&owner.clone().tail(CREDENTIAL));
            rows.collect(Table::Secrets, &span, false, 1000, |key, _| {
                let field = Parts::new(key.get(owner.bytes().len()..).unwrap_or_default()).tail_text();
                Ok(field
                    .and_then(|field| field.strip_prefix(CREDENTIAL))
                    .map(str::to_owned))
            })
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
    ) -> Result<u32, Error> {
        if field.starts_with(CREDENTIAL) {
            return Err(Error::Conflict {
                what: "a secret",
                name: field.to_owned(),
            });
        }
        self.seal(org, None, owner.to_owned(), field.to_owned(), secret, Vec::new())
            .await
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
}

impl Store {
    async fn seal(
        &self,
        org: OrgId,
        connection: Option<ConnectionId>,
        owner: String,
        field: String,
        secret: Secret,
        origins: Vec<String>,
    ) -> Result<u32, Error> {
        cap_name("the owner of a secret", &owner)?;
        cap_name("a secret's field", &field)?;
        let master = self.master().clone();
        self.write(secret.expose().len(), move |rows| {
            require(rows, org)?;
            if let Some(connection) = connection {
                require_connection(rows, org, connection)?;
            }
            let place = secret_key(org, &owner, &field);
            let old: Option<Head> = rows.look(Table::Secrets, &place, |content| {
                Ok(split_head(Table::Secrets, content)?.0)
            })?;
            let version = old.map_or(0, |head| head.version) + 1;
            let uses = rows.get_number(Table::OrgKeyUses, &Key::org(org))?;
            let key = org_key(rows, &master, org)?.with_uses(uses);
            let aad = Aad {
                org,
                owner: &owner,
                field: &field,
                version,
            };
            let sealed = key.seal(&aad, secret.expose()).map_err(Error::Seal)?;
            let head = with_head(&Head { version, origins })?;
            rows.put_number(Table::OrgKeyUses, &Key::org(org), key.uses())?;
            rows.put(Table::Secrets, &place, &[&head, sealed.as_bytes()])?;
            Ok(version)
        })
        .await
    }

    fn unseal(&self, org: OrgId, owner: &str, field: &str) -> Result<Option<(Secret, Head)>, Error> {
        self.read_now(|rows| {
            let found = rows.look(Table::Secrets, &secret_key(org, owner, field), |content| {
                let (head, sealed): (Head, _) = split_head(Table::Secrets, content)?;
                Ok((head, Sealed::from_bytes(sealed.to_vec())))
            })?;
            let Some((head, sealed)) = found else {
                return Ok(None);
            };
            let aad = Aad {
                org,
                owner,
                field,
                version: head.version,
            };
            let secret = org_key(rows, self.master(), org)?
                .open(&aad, &sealed)
                .map_err(Error::Seal)?;
            Ok(Some((secret, head)))
        })
    }
}

/// The organization's key, unwrapped anew each time: once its row is gone no memory of the process opens anything.
fn org_key(rows: &mut impl Rows, master: &MasterKey, org: OrgId) -> Result<OrgKey, Error> {
    let wrapped = rows.get(Table::OrgKeys, &Key::org(org))?.ok_or(Error::Missing {
        what: "the organization",
    })?;
    master.unwrap(&wrapped, org).map_err(Error::Seal)
}

pub(crate) fn secret_key(org: OrgId, owner: &str, field: &str) -> Key {
    Key::org(org).text(owner).tail(field)
}
