//! Installs: a connector version with its approved grant, and the component's bytes by digest.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, InstallId, OrgId};

use crate::key::{Key, Parts, Span};
use crate::org::require;
use crate::row::{MAX_VALUE_BYTES, cap, cap_name, corrupt, from_json};
use crate::table::{Rows, Table};
use crate::trust::{self, Memory};
use crate::{Error, Listing, Page, Store, approval};

/// An install: made once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// Who signed it; the service's JSON text. None signed what was installed by consent alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
}

/// An install that is to be stored.
pub type NewInstall = Install;

impl Store {
    /// Stores an install and its component, and what is remembered of its name from then on. [`Error::Conflict`] if the id is
    /// taken, [`Error::Revision`] if something else is remembered by now, [`Error::TooLarge`].
    pub async fn put_install(
        &self,
        org: OrgId,
        install: NewInstall,
        component: Vec<u8>,
        memory: Option<Memory>,
    ) -> Result<(), Error> {
        cap("a component", component.len(), MAX_VALUE_BYTES)?;
        cap(
            "a manifest and a grant",
            install.manifest.len() + install.grant.len(),
            MAX_TEXT_BYTES,
        )?;
        cap_name("a connector's id", &install.connector)?;
        if sha256(&component) != install.component_digest {
            return Err(Error::Broken("store a component under another digest"));
        }
        self.write(component.len() + install.manifest.len(), move |rows| {
            require(rows, org)?;
            let place = Key::org(org).id(install.id);
            if rows.has(Table::Installs, &place)? {
                return Err(Error::Conflict {
                    what: "an install",
                    name: install.id.to_string(),
                });
            }
            if let Some(memory) = memory {
                trust::remember_name(rows, org, memory)?;
            }
            let by_digest = Key::org(org).hash(&install.component_digest);
            if !rows.has(Table::Components, &by_digest)? {
                rows.put(Table::Components, &by_digest, &[&component])?;
            }
            rows.put_json(Table::Installs, &place, &install)
        })
        .await
    }

    /// One install.
    pub async fn get_install(&self, org: OrgId, id: InstallId) -> Result<Option<Install>, Error> {
        self.read_now(|rows| rows.get_json(Table::Installs, &Key::org(org).id(id)))
    }

    /// The organization's installs, oldest first.
    pub async fn list_installs(
        &self,
        org: OrgId,
        page: Page<InstallId>,
    ) -> Result<Listing<Install, InstallId>, Error> {
        self.read(move |rows| {
            let (of_org, limit) = (Key::org(org), page.limit());
            let mut span = Span::prefix(&of_org);
            if let Some(after) = page.after {
                span = span.after(of_org.id(after));
            }
            let found = rows.collect(Table::Installs, &span, false, limit + 1, |_, content| {
                from_json::<Install>(Table::Installs, content).map(Some)
            })?;
            Ok(Listing::cut(found, limit, |install| install.id))
        })
        .await
    }

    /// Every install of every organization, for loading at the start; at most 100,000.
    pub async fn all_installs(&self) -> Result<Vec<(OrgId, Install)>, Error> {
        self.read(|rows| {
            rows.collect(
                Table::Installs,
                &Span::all(),
                false,
                MAX_INSTALLS,
                |key, content| {
                    let org = Parts::new(key)
                        .id()
                        .ok_or_else(|| corrupt(Table::Installs, "a key is too short"))?;
                    Ok(Some((org, from_json(Table::Installs, content)?)))
                },
            )
        })
        .await
    }

    /// Removes an install, and its component with the last install of it. [`Error::InUse`] while connections use it,
    /// [`Error::Missing`].
    pub async fn remove_install(&self, org: OrgId, id: InstallId) -> Result<(), Error> {
        self.write(64, move |rows| {
            let place = Key::org(org).id(id);
            let install: Install = rows
                .get_json(Table::Installs, &place)?
                .ok_or(Error::Missing { what: "the install" })?;
            let users = rows.collect(
                Table::InstallUses,
                &Span::prefix(&place),
                false,
                1000,
                |key, _| {
                    Ok(Parts::new(key.get(32..).unwrap_or_default())
                        .id::<sluice_model::id::kind::Connection>())
                },
            )?;
            if !users.is_empty() {
                return Err(Error::InUse {
                    connections: users.len(),
                });
            }
            let mut others = rows.collect(
                Table::Installs,
                &Span::prefix(&Key::org(org)),
                false,
                MAX_INSTALLS,
                |_, row| {
                    let other: Install = from_json(Table::Installs, row)?;
                    Ok((other.id != id && other.component_digest == install.component_digest).then_some(()))
                },
            )?;
            if others.pop().is_none() && !approval::waits_with(rows, org, &install.component_digest)? {
                rows.delete(Table::Components, &Key::org(org).hash(&install.component_digest))?;
            }
            let mut days = MAX_INSTALLS;
            rows.delete_prefix(Table::Usage, &place, &mut days)?;
            rows.delete(Table::Installs, &place)
        })
        .await
    }

    /// A component's bytes. [`Error::Corrupt`] if they no longer have this digest.
    pub async fn component(&self, org: OrgId, digest: [u8; 32]) -> Result<Option<Vec<u8>>, Error> {
        match self.stored_component(org, digest).await? {
            Some(bytes) if sha256(&bytes) != digest => {
                Err(corrupt(Table::Components, "a component does not have its digest"))
            }
            component => Ok(component),
        }
    }

    /// Hands a component as it is on disk to `see`, where it lies: it may be some megabytes. On a thread that may block; `None` if it is
    /// not there.
    pub async fn see_component<R: Send + 'static>(
        &self,
        org: OrgId,
        digest: [u8; 32],
        see: impl FnOnce(&[u8]) -> R + Send + 'static,
    ) -> Result<Option<R>, Error> {
        self.read(move |rows| {
            rows.look(Table::Components, &Key::org(org).hash(&digest), |bytes| {
                Ok(see(bytes))
            })
        })
        .await
    }

    /// A component as it is on disk, for whoever holds it against its digest anyway.
    pub async fn stored_component(&self, org: OrgId, digest: [u8; 32]) -> Result<Option<Vec<u8>>, Error> {
        self.read(move |rows| rows.get(Table::Components, &Key::org(org).hash(&digest)))
            .await
    }
}

/// A manifest and a grant are pages of text, not files.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// More installs than one process serves.
pub(crate) const MAX_INSTALLS: usize = 100_000;

/// Notes that a connection uses an install, or refuses.
pub(crate) fn require_install(rows: &mut impl Rows, org: OrgId, id: InstallId) -> Result<(), Error> {
    if rows.has(Table::Installs, &Key::org(org).id(id))? {
        Ok(())
    } else {
        Err(Error::Missing { what: "the install" })
    }
}

pub(crate) fn use_key(org: OrgId, install: InstallId, connection: ConnectionId) -> Key {
    Key::org(org).id(install).id(connection)
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}
