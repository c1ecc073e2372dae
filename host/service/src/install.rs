//! Installs: a connector file is inspected, its permissions are shown, and the approval of exactly that manifest makes
//! an install. Nothing of the connector's code runs here; it is compiled, in a child process, only after the approval.

use std::sync::Arc;

use bytes::Bytes;
use ring::digest::{SHA256, digest};
use sluice_model::Timestamp;
use sluice_model::grant::{Grant, GrantDiff, PermissionPage, diff, permission_page};
use sluice_model::id::{InstallId, OrgId};
use sluice_model::manifest::{Manifest, ManifestError};
use sluice_runtime::LoadError;

use crate::catalogue::{self, Known, Schemas};
use crate::page::{Listed, Page};
use crate::schema::SchemaError;
use crate::{Service, event};

/// One organization's installed connector version.
#[derive(Debug, Clone)]
pub struct Install {
    pub id: InstallId,
    /// The connector's id, e.g. `github`.
    pub connector: String,
    pub version: String,
    pub name: String,
    pub description: String,
    /// Of the manifest: what was approved.
    pub digest: String,
    /// Of the whole file, as `sha256:…`.
    pub component_digest: String,
    pub installed_at: Timestamp,
    pub approved_by: String,
    pub manifest: Arc<Manifest>,
}

/// A connector file that could be installed, and what that would permit.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub manifest: Manifest,
    /// What an approval must name.
    pub digest: String,
    pub page: PermissionPage,
    pub component_bytes: u64,
    /// The version of this connector that is installed now.
    pub installed: Option<Install>,
    /// What would change against it.
    pub diff: Option<GrantDiff>,
}

/// Why a connector can't be installed, shown or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the file has {bytes} bytes; {limit} are allowed")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("the component has no manifest in it")]
    NoManifest,
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the manifest is written for contract {wanted}; this server serves {served}")]
    Contract { wanted: String, served: &'static str },
    /// The approval names another manifest, or none.
    #[error("installing `{connector}` needs the approval of its manifest {digest}")]
    ApprovalNeeded { connector: String, digest: String },
    #[error("`{connector}` {version} is installed already, with another file")]
    Taken { connector: String, version: String },
    #[error("there is no install `{0}`")]
    Missing(String),
    #[error(transparent)]
    Known(#[from] catalogue::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "package.too_large",
        "package.no_manifest",
        "package.contract",
        "package.approval_needed",
        "package.version_taken",
        "install.not_found",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "package.too_large",
            Self::NoManifest => "package.no_manifest",
            Self::Contract { .. } => "package.contract",
            Self::ApprovalNeeded { .. } => "package.approval_needed",
            Self::Taken { .. } => "package.version_taken",
            Self::Missing(_) => "install.not_found",
            Self::Manifest(error) => error.code(),
            Self::Schema(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Known(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoManifest => {
                Some("build it with `cargo xtask build`, which embeds connector.toml".to_owned())
            }
            Self::ApprovalNeeded { digest, .. } => {
                Some(format!("read its permissions, then accept {digest}"))
            }
            Self::Taken { .. } => Some("raise the version in connector.toml".to_owned()),
            Self::Contract { .. } => {
                Some("rebuild the connector with the SDK of a served contract".to_owned())
            }
            Self::TooLarge { .. } => Some("build it for release and strip what it does not need".to_owned()),
            Self::Load(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Missing(_) | Self::Manifest(_) | Self::Schema(_) | Self::Known(_) => None,
        }
    }
}

/// The minor version of the contract that this server serves.
pub const CONTRACT: &str = "0.1";

/// Reads a connector file and says what installing it would permit. Nothing is kept.
///
/// # Errors
///
/// If the file is not a connector that this server could install.
pub async fn inspect(service: &Service, component: Bytes) -> Result<Proposal, Error> {
    let text = manifest_text(service, &component)?;
    let manifest = read_manifest(&text)?;
    let grant = manifest.capabilities.without_optional();
    let installed = newest(service, service.org(), &manifest.id).await?;
    let diff = installed.as_ref().map(|(_, old, before)| {
        let mut diff = diff(old, &grant);
        diff.compare_auth(&before.auth, &manifest.auth);
        diff.compare_actions(&before.actions, &manifest.actions);
        diff
    });
    Ok(Proposal {
        digest: Manifest::digest(&text),
        page: permission_page(&manifest, &grant),
        component_bytes: component.len() as u64,
        installed: installed.map(|(install, ..)| install),
        diff,
        manifest,
    })
}

/// Installs a connector file whose manifest was approved: `accept` is its digest. The same file again answers the
/// install that is there. The component is compiled before anything is kept, so what is installed can be called.
///
/// Cancel-safe: dropped early, either nothing or the whole install is there.
///
/// # Errors
///
/// [`Error::ApprovalNeeded`] if `accept` is not the manifest's digest; and whatever is wrong with the file.
pub async fn install(
    service: &Service,
    org: OrgId,
    component: Bytes,
    accept: &str,
    actor: &str,
) -> Result<Install, Error> {
    let text = manifest_text(service, &component)?;
    let manifest = read_manifest(&text)?;
    let accepted = Manifest::digest(&text);
    if accept != accepted {
        return Err(Error::ApprovalNeeded {
            connector: manifest.id,
            digest: accepted,
        });
    }
    let component_digest = sha256(&component);
    for install in all(service, org).await? {
        if install.connector != manifest.id || install.version != manifest.version {
            continue;
        }
        if install.component_digest != component_digest {
            return Err(Error::Taken {
                connector: manifest.id,
                version: manifest.version,
            });
        }
        return Ok(view(&Known::read(service, install)?));
    }
    service
        .runtime()
        .load(&component, &digest_text(&component_digest))
        .await?;
    let grant = manifest.capabilities.without_optional();
    let stored = sluice_store::install::Install {
        id: service.new_id(),
        connector: manifest.id.clone(),
        version: manifest.version.clone(),
        manifest: text,
        manifest_digest: accepted,
        component_digest,
        grant: serde_json::to_string(&grant).unwrap_or_default(),
        approved_by: actor.to_owned(),
        at: service.now(),
    };
    service
        .store()
        .put_install(org, stored.clone(), component.to_vec())
        .await?;
    let known = Known::read(service, stored)?;
    service.known_hooks().forget_apps();
    event::platform(
        service,
        org,
        "sluice.connector.installed",
        known.install.id,
        || {
            serde_json::json!({
                "connector": known.install.connector, "version": known.install.version,
                "digest": known.install.manifest_digest, "approved_by": known.install.approved_by,
            })
        },
    )
    .await?;
    Ok(view(&known))
}

/// The installs of an organization.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(service: &Service, org: OrgId, page: &Page) -> Result<Listed<Install>, Error> {
    let after = page.after.as_deref().and_then(|after| after.parse().ok());
    let found = service
        .store()
        .list_installs(
            org,
            sluice_store::Page {
                after,
                limit: page.bounded(),
            },
        )
        .await?;
    let mut items = Vec::with_capacity(found.items.len());
    for install in found.items {
        items.push(view(&*catalogue::known(service, org, install.id).await?));
    }
    Ok(Listed {
        items,
        next: found.next.map(|id| id.to_string()),
    })
}

/// One install, by its id or by the id of its connector (then the newest version's).
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, which: &str) -> Result<Install, Error> {
    if let Ok(id) = which.parse::<InstallId>() {
        return match catalogue::known(service, org, id).await {
            Ok(known) => Ok(view(&known)),
            Err(catalogue::Error::Missing) => Err(Error::Missing(which.to_owned())),
            Err(error) => Err(error.into()),
        };
    }
    let found = newest(service, org, which).await?;
    found
        .map(|(install, ..)| install)
        .ok_or_else(|| Error::Missing(which.to_owned()))
}

/// The permission page of an install: what its grant, as it is enforced, permits.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn permissions(service: &Service, org: OrgId, id: InstallId) -> Result<PermissionPage, Error> {
    let known = catalogue::known(service, org, id).await?;
    let grant = granted(&known.install)?;
    Ok(permission_page(&known.manifest, &grant))
}

/// Removes an install that no connection uses.
///
/// # Errors
///
/// [`Error::Missing`]; `store.…` while connections use it.
pub async fn remove(service: &Service, org: OrgId, id: InstallId) -> Result<(), Error> {
    let known = catalogue::known(service, org, id).await?;
    service.store().remove_install(org, id).await?;
    service.catalogue().forget(id);
    service.known_hooks().forget_apps();
    event::platform(
        service,
        org,
        "sluice.connector.removed",
        id,
        || serde_json::json!({"connector": known.install.connector, "version": known.install.version}),
    )
    .await?;
    Ok(())
}

/// The newest install of a connector.
pub(crate) async fn newest_id(
    service: &Service,
    org: OrgId,
    connector: &str,
) -> Result<Option<InstallId>, sluice_store::Error> {
    let (mut newest, mut after) = (None, None);
    loop {
        let page = sluice_store::Page {
            after,
            limit: sluice_store::MAX_LIMIT,
        };
        let found = service.store().list_installs(org, page).await?;
        let last = found.items.iter().rfind(|install| install.connector == connector);
        newest = last.map(|install| install.id).or(newest);
        after = found.next;
        if after.is_none() {
            return Ok(newest);
        }
    }
}

/// The newest install of a connector, with its grant.
async fn newest(
    service: &Service,
    org: OrgId,
    connector: &str,
) -> Result<Option<(Install, Grant, Arc<Manifest>)>, Error> {
    // Ids are ordered by time, and the list is in the order of ids.
    let found = all(service, org)
        .await?
        .into_iter()
        .rfind(|install| install.connector == connector);
    let Some(found) = found else { return Ok(None) };
    let known = catalogue::known(service, org, found.id).await?;
    let grant = granted(&known.install)?;
    Ok(Some((view(&known), grant, Arc::clone(&known.manifest))))
}

async fn all(service: &Service, org: OrgId) -> Result<Vec<sluice_store::install::Install>, Error> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = sluice_store::Page {
            after,
            limit: sluice_store::MAX_LIMIT,
        };
        let found = service.store().list_installs(org, page).await?;
        all.extend(found.items);
        if found.next.is_none() {
            return Ok(all);
        }
        after = found.next;
    }
}

fn granted(install: &sluice_store::install::Install) -> Result<Grant, Error> {
    let grant =
        serde_json::from_str(&install.grant).map_err(|error| catalogue::Error::Grant(error.to_string()))?;
    Ok(grant)
}

fn manifest_text(service: &Service, component: &[u8]) -> Result<String, Error> {
    let limit = service.settings().component_bytes;
    let bytes = component.len() as u64;
    if bytes > limit {
        return Err(Error::TooLarge { bytes, limit });
    }
    let inspection = service.runtime().inspect(component)?;
    // Before anybody reads permissions: a component of another world could not be installed.
    inspection.check()?;
    inspection.manifest.ok_or(Error::NoManifest)
}

fn read_manifest(text: &str) -> Result<Manifest, Error> {
    let manifest = Manifest::parse(text)?;
    if manifest.contract != CONTRACT {
        return Err(Error::Contract {
            wanted: manifest.contract,
            served: CONTRACT,
        });
    }
    Schemas::compile(&manifest)?;
    Ok(manifest)
}

/// A digest as people and the runtime write it.
pub(crate) fn digest_text(digest: &[u8; 32]) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(digest))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn view(known: &Known) -> Install {
    let install = &known.install;
    Install {
        id: install.id,
        connector: install.connector.clone(),
        version: install.version.clone(),
        name: known.manifest.name.clone(),
        description: known.manifest.description.clone(),
        digest: install.manifest_digest.clone(),
        component_digest: digest_text(&install.component_digest),
        installed_at: install.at,
        approved_by: install.approved_by.clone(),
        manifest: Arc::clone(&known.manifest),
    }
}
