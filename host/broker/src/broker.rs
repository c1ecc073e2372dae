//! The road out: one value, built once, shared by everything that sends.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use sluice_model::Timestamp;
use sluice_model::capability::Target;
use sluice_model::clock::Clock;
use sluice_model::grant::{Denial, Rights};
use sluice_model::id::{ConnectionId, OrgId};

use crate::allowance::Allowance;
use crate::breaker::Breakers;
use crate::caller::{Owner, VendorApp};
use crate::config::Config;
use crate::dial::Dialer;
use crate::error::{ConfigError, Error};
use crate::exchange::Exchanger;
use crate::header::refuse;
use crate::permit::Permits;
use crate::place::Place;
use crate::pool::Pool;
use crate::rate::Rates;
use crate::resolve::Resolve;
use crate::road::Road;
use crate::tls::Tls;

/// The only road out of the process. Clones share everything.
#[derive(Clone)]
pub struct Broker {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) permits: Permits,
    pub(crate) rates: Rates,
    pub(crate) breakers: Breakers,
    pub(crate) exchanger: Exchanger,
    pub(crate) reflections: Arc<AtomicU64>,
    /// What stands in for the network; none in a server.
    pub(crate) road: Option<Arc<dyn Road>>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broker")
    }
}

impl Broker {
    /// Builds it; opens no connection.
    ///
    /// # Errors
    /// When a certificate authority or TLS itself is unusable.
    pub fn new(
        config: Config,
        resolver: Arc<dyn Resolve>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        Self::build(config, resolver, clock, None)
    }

    /// The same with this in the place of the network: for rehearsing a connector, never for serving with it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn on_road(
        config: Config,
        resolver: Arc<dyn Resolve>,
        clock: Arc<dyn Clock>,
        road: Arc<dyn Road>,
    ) -> Result<Self, ConfigError> {
        Self::build(config, resolver, clock, Some(road))
    }

    fn build(
        config: Config,
        resolver: Arc<dyn Resolve>,
        clock: Arc<dyn Clock>,
        road: Option<Arc<dyn Road>>,
    ) -> Result<Self, ConfigError> {
        let tls = Tls::new(&config.extra_ca_pem)?;
        let pool = Pool::new(config.idle_connections, config.idle_timeout, config.max_age);
        let permits = Permits::new(config.concurrency, config.org_concurrency);
        let rates = Rates::new(config.connection_pace);
        let own = RwLock::new(config.own.clone().into());
        let dialer = Arc::new(Dialer {
            config,
            resolver,
            own,
        });
        let shared = Shared {
            clock,
            permits,
            rates,
            breakers: Breakers::new(),
            exchanger: Exchanger { dialer, tls, pool },
            reflections: Arc::default(),
            road,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Says which listeners are ours, once they are bound; takes the place of what the configuration said.
    pub fn set_own(&self, own: Vec<SocketAddr>) {
        self.shared.exchanger.dialer.set_own(own);
    }

    /// Whether `rights` permit `target`: the whole of policy but the address, without allocation when it does.
    ///
    /// # Errors
    /// The missing grant.
    pub fn check(rights: &Rights, target: &Target<'_>) -> Result<(), Denial> {
        rights.permits(target)
    }

    /// Whether a request to `url` would get as far as a socket now: resolves the name and vets every address of it, and opens
    /// nothing. For whoever registers an address; [`send`](Self::send) vets anew. Cancel-safe.
    ///
    /// # Errors
    /// What [`send`](Self::send) would say: a URL that is none, a name without addresses, an address that is not to be reached.
    pub async fn vet(&self, url: &str) -> Result<(), Error> {
        let place = Place::parse(url).map_err(|error| refuse(&error.to_string()))?;
        self.shared.exchanger.dialer.look(&place).await
    }

    /// What is known of the budgets that a connection's requests are counted in: the vendor's, as its answers told them, and
    /// the manifest's. `app` is the one that the connection was made through, as in [`Caller::app`](crate::Caller::app); of an operator's app
    /// only what this organization was told and used is there. At most 1,000, by host, bucket and window.
    #[must_use]
    pub fn budgets(
        &self,
        org: OrgId,
        connection: ConnectionId,
        app: Option<Arc<VendorApp>>,
    ) -> Vec<Allowance> {
        let app = app.map(|app| Owner::app(org, app));
        let holders: Vec<Owner> = std::iter::once(Owner::connection(org, connection))
            .chain(app)
            .collect();
        self.shared.rates.allowances(&holders)
    }

    /// Whether a certificate's chain in DER, leaf first, leads to an authority that peers are believed by: the public ones and
    /// the operator's. Its names are not looked at.
    #[must_use]
    pub fn trusts(&self, chain: &[Vec<u8>], now: Timestamp) -> bool {
        self.shared.exchanger.tls.trusts(chain, now)
    }

    /// Responses since the start in which a known secret was found and redacted.
    #[must_use]
    pub fn reflections(&self) -> u64 {
        self.shared.reflections.load(Ordering::Relaxed)
    }
}
