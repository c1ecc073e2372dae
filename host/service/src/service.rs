//! The one value that all rooms of the work are given: the store, the runtime, the clock and the settings.

use std::fmt;
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use sluice_model::id::{Id, OrgId};
use sluice_model::{Clock, Timestamp};
use sluice_runtime::Runtime;
use sluice_store::Store;

use crate::auth::{Discovered, Flights};
use crate::catalogue::Catalogue;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::vault::Credentials;

/// Everything the work stands on; a clone is a reference.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

/// What the composition root hands over.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub runtime: Runtime,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
}

struct Inner {
    store: Store,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    settings: Settings,
    org: OrgId,
    metrics: Metrics,
    catalogue: Catalogue,
    action_lists: crate::action::Lists,
    credentials: Credentials,
    flights: Flights,
    discovered: Discovered,
    hooks: crate::hooks::Known,
    material: crate::hooks::Material,
    flood: crate::hooks::Flood,
    replies: crate::hooks::Replies,
    active: crate::sync::Active,
    destinations: crate::destination::Open,
    outbox: crate::endpoint::Outbox,
    random: SystemRandom,
}

/// Why the work could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("reading the database")]
    Store(#[from] sluice_store::Error),
    #[error("the machine's random source does not answer")]
    Random,
}

/// Why the server should not be sent work now.
#[derive(Debug, thiserror::Error)]
#[error("the database does not answer: {0}")]
pub struct NotReady(#[from] sluice_store::Error);

impl Service {
    /// Makes the default organization at the first start and takes back the leases of the process before this one: the
    /// database is held exclusively, so nobody else can still be working on them.
    ///
    /// # Errors
    ///
    /// If the database or the random source does not answer.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts {
            store,
            runtime,
            clock,
            settings,
        } = parts;
        let now = clock.now();
        let random = SystemRandom::new();
        random.fill(&mut [0; 8]).map_err(|_| StartError::Random)?;
        let org = store.ensure_org(DEFAULT_ORG, now).await?;
        store.release_leases(now).await?;
        let inner = Inner {
            store,
            runtime,
            clock,
            settings,
            org,
            metrics: Metrics::default(),
            catalogue: Catalogue::default(),
            action_lists: crate::action::Lists::default(),
            credentials: Credentials::default(),
            flights: Flights::default(),
            discovered: Discovered::default(),
            hooks: crate::hooks::Known::default(),
            material: crate::hooks::Material::default(),
            flood: crate::hooks::Flood::default(),
            replies: crate::hooks::Replies::default(),
            active: crate::sync::Active::default(),
            destinations: crate::destination::Open::default(),
            outbox: crate::endpoint::Outbox::default(),
            random,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The organization that everything belongs to until there are several.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.inner.org
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.inner.store.get_org(self.inner.org).await?;
        Ok(())
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.inner.catalogue
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.inner.credentials
    }

    pub(crate) fn destinations(&self) -> &crate::destination::Open {
        &self.inner.destinations
    }

    pub(crate) fn action_lists(&self) -> &crate::action::Lists {
        &self.inner.action_lists
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.inner.flights
    }

    pub(crate) fn discovered(&self) -> &Discovered {
        &self.inner.discovered
    }

    pub(crate) fn broker(&self) -> &sluice_broker::Broker {
        self.inner.runtime.broker()
    }

    pub(crate) fn known_hooks(&self) -> &crate::hooks::Known {
        &self.inner.hooks
    }

    pub(crate) fn material(&self) -> &crate::hooks::Material {
        &self.inner.material
    }

    pub(crate) fn flood(&self) -> &crate::hooks::Flood {
        &self.inner.flood
    }

    pub(crate) fn replies(&self) -> &crate::hooks::Replies {
        &self.inner.replies
    }

    pub(crate) fn active(&self) -> &crate::sync::Active {
        &self.inner.active
    }

    pub(crate) fn outbox(&self) -> &crate::endpoint::Outbox {
        &self.inner.outbox
    }

    /// A random share of a wait, from 0 to 1, so that what failed together does not come back together.
    pub(crate) fn jitter(&self) -> f64 {
        f64::from(u32::from_be_bytes(self.random())) / f64::from(u32::MAX)
    }

    /// A new id, made now.
    pub(crate) fn new_id<K>(&self) -> Id<K> {
        Id::new(self.now(), self.random())
    }

    /// Random bytes for ids and generated secrets.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // `start` has seen it answer; the system's generator does not fail after that.
        if self.inner.random.fill(&mut bytes).is_err() {
            tracing::error!("the machine's random source stopped answering");
            std::process::abort();
        }
        bytes
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("org", &self.inner.org)
            .finish_non_exhaustive()
    }
}

/// The name of the organization that the first start makes.
const DEFAULT_ORG: &str = "default";
