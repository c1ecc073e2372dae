//! Installs: a connector file is judged and inspected, its permissions are shown, and the approval of exactly that manifest makes
//! an install. Nothing of the connector's code runs here; it is compiled, in a child process, only after the approval.

mod advice;
mod regrant;

use std::sync::Arc;

use bytes::Bytes;
use sluice_model::Timestamp;
use sluice_model::grant::{Approved, Grant, GrantDiff, PermissionPage, diff, permission_page};
use sluice_model::id::{InstallId, OrgId};
use sluice_model::manifest::Manifest;
use sluice_package::{Digest, FormatError, Package, Part, Signer, Standing};
use sluice_runtime::LoadError;

use crate::catalogue::{self, Known, Schemas};
use crate::page::{Listed, Page};
use crate::schema::SchemaError;
use crate::{Service, channel, connection, event, source, trust};

pub use advice::{Advised, advice};
pub use regrant::{Regrant, Wanted, regrant};

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
    /// Who signed it; nobody did where it was installed by consent alone.
    pub signer: Option<Signer>,
    pub manifest: Arc<Manifest>,
}

/// A connector file that could be installed, and what that would permit.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub manifest: Manifest,
    /// What an approval must name.
    pub digest: String,
    pub page: PermissionPage,
    /// Of the whole file, as `sha256:…`.
    pub component_digest: String,
    pub component_bytes: u64,
    /// Why it is believed.
    pub standing: Standing,
    pub signer: Option<Signer>,
    /// What belongs to the component, with its bytes.
    pub parts: Vec<(Part, usize)>,
    /// What its symbols are found by.
    pub build_id: Option<String>,
    /// Markdown of the publisher's: a claim, not a fact.
    pub readme: Option<String>,
    /// The version of this connector that is installed now.
    pub installed: Option<Install>,
    /// What would change against it.
    pub diff: Option<GrantDiff>,
    /// What it would be given.
    pub grant: Grant,
}

/// Why a connector can't be installed, shown or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the file has {bytes} bytes; {limit} are allowed")]
    TooLarge { bytes: u64, limit: u64 },
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Trust(#[from] trust::Error),
    #[error(transparent)]
    Source(#[from] source::Error),
    /// What came is not what was looked at.
    #[error("the file is {found}, and {expected} was meant")]
    Other { expected: String, found: String },
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Migration(#[from] connection::MigrationError),
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
    /// A line that is none of the permission page's.
    #[error("the install has no right `{0}`")]
    NoRight(String),
    #[error(transparent)]
    Channel(#[from] Box<channel::Error>),
    #[error(transparent)]
    Known(#[from] catalogue::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "package.too_large",
        "package.contract",
        "package.digest_mismatch",
        "package.approval_needed",
        "package.version_taken",
        "install.not_found",
        "install.no_right",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "package.too_large",
            Self::Other { .. } => "package.digest_mismatch",
            Self::Contract { .. } => "package.contract",
            Self::ApprovalNeeded { .. } => "package.approval_needed",
            Self::Taken { .. } => "package.version_taken",
            Self::Missing(_) => "install.not_found",
            Self::NoRight(_) => "install.no_right",
            Self::Format(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Source(error) => error.code(),
            Self::Schema(error) => error.code(),
            Self::Migration(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Channel(error) => error.code(),
            Self::Known(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Format(FormatError::NoManifest) => {
                Some("pack it: `sluice connector pack COMPONENT` puts connector.toml into it".to_owned())
            }
            Self::Format(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::Other { .. } => Some("look at what is there now, then decide again".to_owned()),
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
            Self::Channel(error) => error.hint(),
            Self::NoRight(_) => Some(
                "write a line of `sluice connector permissions show` as it stands there: methods, address and path; or `storage`, or `files`".to_owned(),
            ),
            Self::Missing(_) | Self::Schema(_) | Self::Migration(_) | Self::Known(_) => None,
        }
    }
}

/// The minor version of the contract that this server serves.
pub const CONTRACT: &str = "0.1";

/// Reads a connector file and says whose it is and what installing it would permit. Nothing is kept.
///
/// # Errors
///
/// If the file is not a connector that this server could install, or one that the organization does not believe.
pub async fn inspect(service: &Service, org: OrgId, component: Bytes) -> Result<Proposal, Error> {
    let package = read(service, &component)?;
    let (verdict, _) = trust::judge(service, org, &package).await?;
    let manifest = package.manifest();
    let (grant, installed) = offered(service, org, manifest).await?;
    let new = Approved {
        manifest,
        grant: &grant,
    };
    let diff = installed
        .as_ref()
        .map(|(_, grant, manifest)| diff(Approved { manifest, grant }, new));
    Ok(Proposal {
        digest: Manifest::digest(package.manifest_text()),
        page: permission_page(manifest, &grant),
        component_digest: Digest::of(&component).to_string(),
        component_bytes: component.len() as u64,
        standing: verdict.standing,
        signer: verdict.signer,
        parts: package.parts().collect(),
        build_id: package.build_id(),
        readme: package.text(Part::Readme).map(str::to_owned),
        installed: installed.map(|(install, ..)| install),
        diff,
        manifest: manifest.clone(),
        grant,
    })
}

/// Installs a connector file that the organization believes and whose manifest was approved: `accept` is its digest. The same
/// file again answers the install that is there, also if it was signed anew. The component is compiled before anything is
/// kept, so what is installed can be called.
///
/// Cancel-safe: dropped early, either nothing or the whole install is there.
///
/// # Errors
///
/// [`Error::Trust`] if the file is not believed, [`Error::ApprovalNeeded`] if `accept` is not the manifest's digest; and
/// whatever is wrong with the file.
pub async fn install(
    service: &Service,
    org: OrgId,
    component: Bytes,
    accept: &str,
    actor: &str,
) -> Result<Install, Error> {
    let package = read(service, &component)?;
    let (verdict, memory) = trust::judge(service, org, &package).await?;
    let manifest = package.manifest();
    let text = package.manifest_text().to_owned();
    let accepted = Manifest::digest(&text);
    if accept != accepted {
        return Err(Error::ApprovalNeeded {
            connector: manifest.id.clone(),
            digest: accepted,
        });
    }
    let component_digest = *Digest::of(&component).as_bytes();
    for install in all(service, org).await?.into_iter().rev() {
        if install.connector != manifest.id || install.version != manifest.version {
            continue;
        }
        let (has, wanted) = (content(service, org, &install).await?, package.content_digest());
        if install.component_digest != component_digest && has != Some(wanted) {
            return Err(Error::Taken {
                connector: manifest.id.clone(),
                version: manifest.version.clone(),
            });
        }
        return Ok(view(&Known::read(service, install)?));
    }
    service
        .runtime()
        .load(&component, &digest_text(&component_digest))
        .await?;
    let (grant, _) = offered(service, org, manifest).await?;
    let signer = verdict.signer.as_ref().map(serde_json::to_string).transpose();
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
        signer: signer.map_err(|error| catalogue::Error::Signer(error.to_string()))?,
    };
    service
        .store()
        .put_install(org, stored.clone(), component.to_vec(), memory)
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
                "publisher": verdict.signer.as_ref().map(|signer| signer.publisher.as_str()),
                "key": verdict.signer.as_ref().and_then(|signer| signer.key).map(|key| key.to_string()),
                "identity": verdict.signer.as_ref().and_then(|signer| signer.identity.as_ref()),
            })
        },
    )
    .await?;
    channel::published(service, org, &known.install).await;
    Ok(view(&known))
}

/// The install of exactly this file, the last of them.
pub(crate) async fn installed(
    service: &Service,
    org: OrgId,
    component: &[u8],
) -> Result<Option<Install>, Error> {
    let digest = *Digest::of(component).as_bytes();
    let of_file = |install: &sluice_store::install::Install| install.component_digest == digest;
    let found = all(service, org).await?.into_iter().rfind(of_file);
    Ok(match found {
        Some(found) => Some(view(&*catalogue::known(service, org, found.id).await?)),
        None => None,
    })
}

/// What a version is given when it is approved, and what of its connector is installed now. What was withdrawn from that stays
/// withdrawn, and what was switched on stays on.
async fn offered(
    service: &Service,
    org: OrgId,
    manifest: &Manifest,
) -> Result<(Grant, Option<(Install, Grant, Arc<Manifest>)>), Error> {
    let installed = newest(service, org, &manifest.id).await?;
    let grant = match &installed {
        Some((_, had, before)) => manifest.capabilities.carried(&before.capabilities, had),
        None => manifest.capabilities.without_optional(),
    };
    Ok((grant, installed))
}

/// Fetches a package from elsewhere: see [`source::fetch`]. `component` is the digest of the file that was looked at before;
/// another file is refused.
///
/// # Errors
///
/// [`Error::Source`], [`Error::Other`].
pub async fn fetch(
    service: &Service,
    org: OrgId,
    from: &str,
    component: Option<&str>,
) -> Result<Bytes, Error> {
    let bytes = source::fetch(service, org, from).await?;
    let found = Digest::of(&bytes).to_string();
    match component {
        Some(expected) if expected != found => Err(Error::Other {
            expected: expected.to_owned(),
            found,
        }),
        _ => Ok(bytes),
    }
}

/// The file of an install, as it came.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn file(service: &Service, org: OrgId, which: &str) -> Result<(Install, Bytes), Error> {
    let install = get(service, org, which).await?;
    let known = catalogue::known(service, org, install.id).await?;
    let digest = known.install.component_digest;
    let component = service.store().component(org, digest).await?;
    let component = component.ok_or(catalogue::Error::Component)?;
    Ok((install, component.into()))
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

pub(crate) async fn all(service: &Service, org: OrgId) -> Result<Vec<sluice_store::install::Install>, Error> {
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

pub(crate) fn granted(install: &sluice_store::install::Install) -> Result<Grant, Error> {
    let grant =
        serde_json::from_str(&install.grant).map_err(|error| catalogue::Error::Grant(error.to_string()))?;
    Ok(grant)
}

/// The digest of an install's package without its signature; `None` for what was installed before there were packages.
pub(crate) async fn content(
    service: &Service,
    org: OrgId,
    install: &sluice_store::install::Install,
) -> Result<Option<Digest>, Error> {
    let component = service.store().component(org, install.component_digest).await?;
    let package = component.as_deref().map(Package::read);
    Ok(package
        .and_then(Result::ok)
        .map(|package| package.content_digest()))
}

/// A file as a package that this server could run, whoever made it.
fn read<'a>(service: &Service, component: &'a [u8]) -> Result<Package<'a>, Error> {
    let limit = service.settings().component_bytes;
    let bytes = component.len() as u64;
    if bytes > limit {
        return Err(Error::TooLarge { bytes, limit });
    }
    // Before anybody reads permissions: a component of another world could not be installed.
    service.runtime().inspect(component)?.check()?;
    let package = Package::read(component)?;
    let contract = &package.manifest().contract;
    if contract != CONTRACT {
        return Err(Error::Contract {
            wanted: contract.clone(),
            served: CONTRACT,
        });
    }
    Schemas::compile(package.manifest())?;
    connection::check_migrations(package.manifest())?;
    Ok(package)
}

/// A digest as people and the runtime write it.
pub(crate) fn digest_text(digest: &[u8; 32]) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(digest))
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
        signer: known.signer.clone(),
        manifest: Arc::clone(&known.manifest),
    }
}
