//! On whose behalf a request is made, and what that call may still use.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sluice_model::grant::Rights;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::limits::Limits;
pub use sluice_model::manifest::{RateHint, RateScope};
use tokio::sync::Semaphore;

use crate::credential::Vault;
use crate::placeholder::Placeholders;
use crate::trace::Trace;

/// One call of a guest, or one job of the host, as the broker sees it. Clones share trace and budget.
#[derive(Clone)]
pub struct Caller {
    pub org: OrgId,
    /// None before there is one: rate, breaker and pool then go by `connector`.
    pub connection: Option<ConnectionId>,
    pub connector: String,
    pub rights: Arc<Rights>,
    pub vault: Arc<dyn Vault>,
    pub trace: Trace,
    pub budget: Budget,
    /// What the manifest says about the vendor's pace; without a connection, the pace of the host's own job.
    pub rates: Vec<RateHint>,
    /// Through which app the credential came, if through one: hints of scope `app` are kept together for all of its
    /// connections. Without, every budget is the connection's own.
    pub app: Option<Arc<VendorApp>>,
}

/// An app at a vendor (a client id) that connections are made through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VendorApp {
    pub connector: String,
    /// What tells it from the connector's other apps, such as its client id. Not a secret.
    pub id: String,
    pub owner: AppOwner,
}

/// Whose an app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppOwner {
    /// The organization's: its connections share one budget.
    Organization,
    /// The operator's: organizations get shares of its budget, and none sees what another was told.
    Operator,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("org", &self.org)
            .field("connection", &self.connection)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// Whose rates, breakers and connections are used. It begins with the organization: tenants never share any.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) org: OrgId,
    who: Who,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Connection(ConnectionId),
    Connector(String),
    App(Arc<VendorApp>),
}

/// By what tells nearly all apart: it is looked up for every request.
impl Hash for Who {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Connection(connection) => connection.hash(state),
            Self::Connector(connector) => connector.hash(state),
            Self::App(app) => app.id.hash(state),
        }
    }
}

impl Caller {
    pub(crate) fn owner(&self) -> Owner {
        let who = match self.connection {
            Some(connection) => Who::Connection(connection),
            None => Who::Connector(self.connector.clone()),
        };
        Owner { org: self.org, who }
    }

    /// Whose budget the vendor counts against where it counts so.
    pub(crate) fn holder(&self, scope: RateScope, owner: &Owner) -> Owner {
        match (scope, &self.app) {
            (RateScope::App, Some(app)) => Owner::app(self.org, Arc::clone(app)),
            _ => owner.clone(),
        }
    }
}

impl Owner {
    pub(crate) const fn connection(org: OrgId, connection: ConnectionId) -> Self {
        Self {
            org,
            who: Who::Connection(connection),
        }
    }

    pub(crate) const fn app(org: OrgId, app: Arc<VendorApp>) -> Self {
        Self {
            org,
            who: Who::App(app),
        }
    }

    pub(crate) const fn is_connection(&self) -> bool {
        matches!(self.who, Who::Connection(_))
    }

    /// The app, if it is one that other organizations use too.
    pub(crate) fn shared(&self) -> Option<&Arc<VendorApp>> {
        match &self.who {
            Who::App(app) if app.owner == AppOwner::Operator => Some(app),
            _ => None,
        }
    }
}

/// What one call may still use. Clones share it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Left>);

#[derive(Debug)]
struct Left {
    requests: AtomicU32,
    slots: Arc<Semaphore>,
    placeholders: Placeholders,
}

impl Budget {
    /// The budget of a call under these limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let slots = usize::try_from(limits.http_concurrency)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Left {
            requests: AtomicU32::new(limits.http_requests),
            slots: Arc::new(Semaphore::new(slots)),
            placeholders: Placeholders::default(),
        }))
    }

    /// Requests that may still be made.
    #[must_use]
    pub fn requests_left(&self) -> u32 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// The placeholders of the call.
    #[must_use]
    pub fn placeholders(&self) -> &Placeholders {
        &self.0.placeholders
    }

    /// Takes one request off; false when there is none left.
    pub(crate) fn take_request(&self) -> bool {
        self.0
            .requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }

    pub(crate) fn slots(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.slots)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use sluice_model::capability::HostPattern;
    use sluice_model::grant::{Ceiling, Grant};

    use super::*;
    use crate::credential::EmptyVault;

    /// The owner that is made from one number.
    pub(crate) fn owner(of: u8) -> Owner {
        caller(of, &[]).owner()
    }

    /// A caller without rights.
    pub(crate) fn caller(of: u8, rates: &[RateHint]) -> Caller {
        let none = Grant::default();
        Caller {
            org: OrgId::from_bytes([of; 16]),
            connection: Some(ConnectionId::from_bytes([of; 16])),
            connector: "test".into(),
            rights: Arc::new(Rights::new(&none, &Ceiling::default(), &none)),
            vault: Arc::new(EmptyVault),
            trace: Trace::default(),
            budget: Budget::new(&Limits::default()),
            rates: rates.to_vec(),
            app: None,
        }
    }

    /// The same, through the app of whom it is.
    pub(crate) fn through(of: u8, rates: &[RateHint], owner: AppOwner) -> Caller {
        let app = VendorApp {
            connector: "test".into(),
            id: "client-1".into(),
            owner,
        };
        Caller {
            app: Some(Arc::new(app)),
            ..caller(of, rates)
        }
    }

    /// A generous hint for a host.
    pub(crate) fn hint(host: &str) -> RateHint {
        RateHint {
            host: HostPattern::parse(host).unwrap(),
            path: None,
            scope: RateScope::Connection,
            per_second: 1_000.0,
            burst: 1_000,
            concurrency: 8,
            per_day: None,
            bucket_header: None,
        }
    }

    #[test]
    fn budgets_run_out() {
        let budget = Budget::new(&Limits {
            http_requests: 2,
            ..Limits::default()
        });
        assert!(budget.take_request());
        let shared = budget.clone();
        assert!(shared.take_request());
        assert!(!budget.take_request());
        assert_eq!(budget.requests_left(), 0);
    }
}
