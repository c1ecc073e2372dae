//! The connectors this process knows: each install's manifest, schemas and compiled code, made once and shared.
//!
//! An install never changes: another version or grant is another install. So nothing here is ever stale, and an entry
//! leaves only when its install does, or when whom the organization believes has changed. Its code, which is what is large,
//! leaves when nobody calls it any more.

mod code;
pub(crate) mod streams;
pub(crate) mod usage;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sluice_model::grant::{Grant, Rights};
use sluice_model::id::{InstallId, OrgId};
use sluice_model::manifest::{EventKind, Manifest, ManifestError, Webhook};
use sluice_package::{FormatError, Package, Revocation, Signer, Untrusted};
use sluice_runtime::{Connector, LoadError, Verified};
use tokio::sync::OnceCell;

use self::code::Code;
use self::streams::Accounts;
use crate::hooks::declares;
use crate::schema::{Schema, SchemaError};
use crate::{Service, install, trust};

/// One install, ready to be called.
pub struct Known {
    pub install: sluice_store::install::Install,
    pub manifest: Arc<Manifest>,
    /// Who signed it; nobody did where it was installed by consent alone.
    pub signer: Option<Signer>,
    /// Why it is not called any more, although it was loaded.
    barred: OnceLock<Untrusted>,
    /// Request ∩ ceiling ∩ grant, with `${config.…}` still in it.
    pub(crate) rights: Rights,
    /// What of them was used and is not written down yet.
    tally: usage::Tally,
    pub(crate) config: Schema,
    streams: HashMap<String, Schema>,
    actions: HashMap<String, ActionSchemas>,
    events: EventSchemas,
    code: Code,
}

/// What an action takes and gives.
#[derive(Debug)]
pub(crate) struct ActionSchemas {
    pub(crate) input: Schema,
    pub(crate) output: Schema,
}

/// All installs that were asked for since the start.
#[derive(Default)]
pub(crate) struct Catalogue {
    known: Mutex<HashMap<InstallId, Arc<OnceCell<Arc<Known>>>>>,
    accounts: Accounts,
}

/// Why an install can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such install")]
    Missing,
    #[error("its manifest no longer reads: {0}")]
    Manifest(#[from] ManifestError),
    #[error("its approved grant no longer reads: {0}")]
    Grant(String),
    #[error("who signed it no longer reads: {0}")]
    Signer(String),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("its component is not in the database")]
    Component,
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Trust(#[from] Box<trust::Error>),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl From<Untrusted> for Error {
    fn from(error: Untrusted) -> Self {
        Self::Trust(Box::new(error.into()))
    }
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &["install.not_found", "install.unreadable"];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "install.not_found",
            Self::Grant(_) | Self::Signer(_) | Self::Component => "install.unreadable",
            Self::Schema(error) => error.code(),
            Self::Manifest(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Format(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

impl Known {
    /// Reads what the store has and compiles the schemas; the code waits until it is called.
    pub(crate) fn read(service: &Service, install: sluice_store::install::Install) -> Result<Self, Error> {
        let manifest = Manifest::parse(&install.manifest)?;
        let grant: Grant =
            serde_json::from_str(&install.grant).map_err(|error| Error::Grant(error.to_string()))?;
        Self::new(service, install, manifest, &grant)
    }

    fn new(
        service: &Service,
        install: sluice_store::install::Install,
        manifest: Manifest,
        grant: &Grant,
    ) -> Result<Self, Error> {
        let Schemas {
            config,
            streams,
            actions,
            events,
        } = Schemas::compile(&manifest)?;
        let signer = install.signer.as_deref().map(serde_json::from_str).transpose();
        let signer = signer.map_err(|error| Error::Signer(error.to_string()))?;
        let rights = Rights::new(&manifest.capabilities, &service.settings().ceiling, grant).watched();
        Ok(Self {
            install,
            manifest: Arc::new(manifest),
            signer,
            barred: OnceLock::new(),
            rights,
            tally: usage::Tally::new(service.now()),
            config,
            streams,
            actions,
            events,
            code: Code::default(),
        })
    }

    /// What the manifest says of events of this kind, if it declares them for the webhook: the schema of their data, if any.
    pub(crate) fn event(&self, webhook: &str, kind: &str) -> Option<Option<&Schema>> {
        let declared = self.events.get(webhook)?.iter();
        declared
            .into_iter()
            .find(|(pattern, _)| declares(pattern, kind))
            .map(|(_, schema)| schema.as_deref())
    }

    pub(crate) fn action(&self, name: &str) -> Option<&ActionSchemas> {
        self.actions.get(name)
    }

    /// The compiled code: from the authenticated cache, or compiled now, once for all callers. What was signed is held against
    /// its signature and the policy once more whenever it is loaded.
    pub(crate) async fn code(&self, service: &Service, org: OrgId) -> Result<Connector, Error> {
        if let Some(reason) = self.barred.get() {
            return Err(reason.clone().into());
        }
        self.code
            .get(async || {
                let digest = self.install.component_digest;
                let ahead = service.runtime().read_ahead(&digest);
                let recheck = match &self.signer {
                    Some(signer) => Some(trust::Recheck::of(service, org, signer).await.map_err(Box::new)?),
                    None => None,
                };
                let named = install::digest_text(&digest);
                // Where it lies: a copy would take as long as the look at it.
                let look = move |component: &[u8]| -> Result<Verified, Error> {
                    let Some(recheck) = recheck else {
                        return Ok(Verified::of(component, &named)?);
                    };
                    let package = Package::read(component)?;
                    recheck.judge(&package).map_err(Box::new)?;
                    Ok(Verified::hashed(*package.digest().as_bytes(), &named)?)
                };
                let looked = service.store().see_component(org, digest, look).await?;
                let verified = looked.ok_or(Error::Component)??;
                if let Some(connector) = service.runtime().load_cached(verified, ahead).await? {
                    return Ok(connector);
                }
                let component = service.store().stored_component(org, digest).await?;
                let component = component.ok_or(Error::Component)?;
                let named = install::digest_text(&digest);
                Ok(service.runtime().load(&component, &named).await?)
            })
            .await
    }
}

/// Every schema of a manifest, compiled.
pub(crate) struct Schemas {
    config: Schema,
    streams: HashMap<String, Schema>,
    actions: HashMap<String, ActionSchemas>,
    events: EventSchemas,
}

/// Of each webhook, in the order of the manifest, the kinds whose data have a schema.
type EventSchemas = HashMap<String, KindSchemas>;

/// Kinds of events, with the schema of their data where they have one.
type KindSchemas = Vec<(String, Option<Arc<Schema>>)>;

/// The events of one webhook. Kinds that share a schema share its compiled form.
fn of_events(webhook: &Webhook) -> Result<KindSchemas, SchemaError> {
    let mut all: KindSchemas = Vec::with_capacity(webhook.events.len());
    for (at, event) in webhook.events.iter().enumerate() {
        let same = |other: &EventKind| match (&other.schema, &event.schema) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        };
        let known = webhook.events.iter().take(at).position(same);
        let compiled = match (&event.schema, known.and_then(|at| all.get(at))) {
            (Some(_), Some((_, compiled))) => compiled.clone(),
            (Some(schema), None) => {
                let place = format!("event `{}`", event.kind);
                Some(Arc::new(Schema::compile(&place, schema)?))
            }
            (None, _) => None,
        };
        all.push((event.kind.clone(), compiled));
    }
    Ok(all)
}

impl Schemas {
    pub(crate) fn compile(manifest: &Manifest) -> Result<Self, SchemaError> {
        let config = Schema::compile("config", &manifest.config_schema)?;
        let mut streams = HashMap::new();
        for stream in &manifest.streams {
            let place = format!("stream `{}`", stream.name);
            streams.insert(stream.name.clone(), Schema::compile(&place, &stream.schema)?);
        }
        let mut actions = HashMap::new();
        for action in &manifest.actions {
            let input = Schema::compile(&format!("the input of action `{}`", action.name), &action.input)?;
            let output = Schema::compile(&format!("the output of action `{}`", action.name), &action.output)?;
            actions.insert(action.name.clone(), ActionSchemas { input, output });
        }
        let mut events = HashMap::new();
        for webhook in &manifest.webhooks {
            events.insert(webhook.name.clone(), of_events(webhook)?);
        }
        Ok(Self {
            config,
            streams,
            actions,
            events,
        })
    }
}

/// The install, read at most once however many ask for it.
///
/// # Errors
///
/// If there is none, or what the store has can't be used.
pub async fn known(service: &Service, org: OrgId, id: InstallId) -> Result<Arc<Known>, Error> {
    let cell = service.catalogue().cell(id);
    let known = cell
        .get_or_try_init(|| async {
            let install = service
                .store()
                .get_install(org, id)
                .await?
                .ok_or(Error::Missing)?;
            Ok::<_, Error>(Arc::new(Known::read(service, install)?))
        })
        .await
        .cloned();
    if known.is_err() {
        service.catalogue().forget(id);
    }
    known
}

/// Ends what revoked keys and identities signed: the next call of such an install is refused. What is loaded later is judged then.
pub(crate) async fn revoke(
    service: &Service,
    org: OrgId,
    revoked: &[Revocation],
) -> Result<(), sluice_store::Error> {
    for (of, install) in service.store().all_installs().await? {
        if of != org || install.signer.is_none() {
            continue;
        }
        // Whoever holds it sees the bar; who asks for it anew has it judged anew, also if a key is believed again.
        let Some(known) = service.catalogue().take(install.id) else {
            continue;
        };
        let Some(signer) = &known.signer else { continue };
        if let Some(Revocation { who, reason }) =
            revoked.iter().find(|revoked| signer.is(&revoked.who)).cloned()
        {
            let _ = known.barred.set(Untrusted::Revoked { who, reason });
        }
    }
    Ok(())
}

/// Loads every install's code, so that the first call of each is a warm one. Failures are logged; the call that needs
/// the code will say what is wrong.
pub async fn warm(service: &Service) {
    let installs = match service.store().all_installs().await {
        Ok(installs) => installs,
        Err(error) => return tracing::warn!(%error, "the installs can't be listed"),
    };
    for (org, install) in installs {
        let name = format!("{} {}", install.connector, install.version);
        let loaded = async {
            known(service, org, install.id)
                .await?
                .code(service, org)
                .await
                .map(drop)
        };
        if let Err(error) = loaded.await {
            tracing::warn!(connector = name, code = error.code(), %error, "the connector does not load");
        }
    }
}

impl Catalogue {
    pub(crate) const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn cell(&self, id: InstallId) -> Arc<OnceCell<Arc<Known>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(id).or_default())
    }

    /// Lets go of the code that nobody called since this was asked before.
    pub(crate) fn let_go_of_idle(&self) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for known in known.values().filter_map(|cell| cell.get()) {
            known.code.let_go_if_idle();
        }
    }

    pub(crate) fn forget(&self, id: InstallId) {
        drop(self.take(id));
    }

    /// What is known of an install, if anybody asked for it.
    pub(crate) fn loaded(&self, id: InstallId) -> Option<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id)?.get().cloned()
    }

    /// Forgets an install and gives back what was known of it.
    fn take(&self, id: InstallId) -> Option<Arc<Known>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&id)?.get().cloned()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known")
            .field("install", &self.install.id)
            .finish_non_exhaustive()
    }
}
