//! A rehearsal: the connector in the real runtime, under the real policy and limits, with a road in the place of the network, a clock
//! that stands, the same random numbers each time, and storage in memory.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use sluice_broker::{Broker, Budget, Caller, RateHint, Resolve, ResolveError, Road, System, Trace};
use sluice_model::clock::Clock;
use sluice_model::exchange::Exchange;
use sluice_model::fault::Fault;
use sluice_model::grant::{Ceiling, Rights};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::manifest::{AuthScheme, Manifest};
use sluice_model::{SystemClock, Timestamp};
use sluice_runtime::{
    Call, CallError, CancellationToken, ConnectionView, Connector, Effects, Fixed, Outcome, Runtime,
};
use sluice_service::schema::Schema;

use crate::case::Case;
use crate::drawer::Drawer;
use crate::error::Error;
use crate::memory::Memory;
use crate::vault::{Given, Purse};

/// The connector, and how it is compiled.
#[derive(Debug, Clone)]
pub struct Subject {
    pub component: Vec<u8>,
    pub manifest: Manifest,
    /// Where compiled code may be kept, and what authenticates it.
    pub runtime: sluice_runtime::Config,
    /// Settings of the road to the vendor itself.
    pub broker: sluice_broker::Config,
}

/// Where answers come from, and with which credential.
pub(crate) enum With<'a> {
    Cassette,
    Vendor(&'a Given),
}

/// A connector on its stage.
pub(crate) struct Rehearsal {
    pub(crate) runtime: Runtime,
    pub(crate) manifest: Manifest,
    pub(crate) case: Case,
    pub(crate) now: Timestamp,
    connector: Connector,
    rights: Arc<Rights>,
    pub(crate) limits: Limits,
    config: String,
    purse: Arc<Purse>,
    rates: Vec<RateHint>,
    connections: AtomicU64,
}

/// The calls of one connection: its storage, and whose breakers and paces are used.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    connection: ConnectionId,
    pub(crate) storage: Memory,
    pub(crate) files: Drawer,
}

/// Why a call gave no answer: the guest's own word, or the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: String,
    pub message: String,
}

/// What a call came to.
pub(crate) struct Answered<T> {
    pub(crate) result: Result<T, Problem>,
    /// The guest's fault, where it gave one.
    pub(crate) fault: Option<Fault>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) memory_bytes: u64,
    pub(crate) logs: Vec<String>,
}

impl<T> Answered<T> {
    pub(crate) fn map<U>(self, into: impl FnOnce(T) -> U) -> Answered<U> {
        Answered {
            result: self.result.map(into),
            fault: self.fault,
            exchanges: self.exchanges,
            memory_bytes: self.memory_bytes,
            logs: self.logs,
        }
    }
}

impl Rehearsal {
    pub(crate) async fn open(
        subject: Subject,
        case: Case,
        now: Timestamp,
        road: Arc<dyn Road>,
        with: With<'_>,
    ) -> Result<Self, Error> {
        Self::open_with(subject, case, Fixed { now, seed: SEED }, road, with).await
    }

    /// The same connector, later and with other random numbers: what a second try of the same has.
    pub(crate) async fn later(
        subject: Subject,
        case: Case,
        now: Timestamp,
        road: Arc<dyn Road>,
    ) -> Result<Self, Error> {
        let fixed = Fixed {
            now: now.after(LATER),
            seed: SEED + 1,
        };
        Self::open_with(subject, case, fixed, road, With::Cassette).await
    }

    async fn open_with(
        subject: Subject,
        case: Case,
        fixed: Fixed,
        road: Arc<dyn Road>,
        with: With<'_>,
    ) -> Result<Self, Error> {
        let now = fixed.now;
        let Subject {
            component,
            manifest,
            mut runtime,
            broker,
        } = subject;
        let config = &case.config;
        Schema::compile("config", &manifest.config_schema)?
            .check(config)
            .map_err(|violation| Error::Config(violation.to_string()))?;
        let grant = &manifest.capabilities;
        // What is optional is on: a case shows everything that the connector can do.
        let rights = Rights::new(grant, &Ceiling::default(), grant)
            .expand(config)
            .map_err(|error| Error::Config(error.to_string()))?;
        let scheme = scheme(&manifest, &case)?;
        let (purse, rates, clock, resolver): (_, _, Arc<dyn Clock>, Arc<dyn Resolve>) = match with {
            With::Cassette => {
                let purse = Purse::made_up(scheme, config)?;
                (purse, Vec::new(), Arc::new(Standing(now)), Arc::new(Nowhere))
            }
            With::Vendor(given) => {
                let purse = Purse::given(scheme, config, given)?;
                let rates = rates(&manifest, config);
                (purse, rates, Arc::new(SystemClock), Arc::new(System::new()?))
            }
        };
        let broker = Broker::on_road(broker, resolver, clock, road)?;
        runtime.fixed = Some(fixed);
        let runtime = Runtime::new(runtime, broker)?;
        let connector = runtime.load(&component, &Runtime::digest(&component)).await?;
        Ok(Self {
            runtime,
            config: config.to_string(),
            limits: rights.limits().clone(),
            rights: Arc::new(rights),
            purse: Arc::new(purse),
            manifest,
            case,
            now,
            connector,
            rates,
            connections: AtomicU64::new(0),
        })
    }

    /// A connection that nothing was done with yet.
    pub(crate) fn session(&self) -> Session {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().rev().zip(number.to_be_bytes().into_iter().rev()) {
            *to = from;
        }
        Session {
            connection: ConnectionId::from_bytes(bytes),
            storage: Memory::default(),
            files: Drawer::default(),
        }
    }

    /// The scheme that the case's connection has.
    pub(crate) fn scheme(&self) -> Option<&AuthScheme> {
        scheme(&self.manifest, &self.case).ok().flatten()
    }

    pub(crate) fn call(&self, session: &Session) -> Call {
        let caller = Caller {
            org: OrgId::from_bytes([1; 16]),
            connection: Some(session.connection),
            connector: self.manifest.id.clone(),
            rights: Arc::clone(&self.rights),
            vault: Arc::clone(&self.purse) as Arc<_>,
            trace: Trace::default(),
            budget: Budget::new(&self.limits),
            rates: self.rates.clone(),
            app: None,
        };
        Call {
            connector: self.connector.clone(),
            connection: ConnectionView {
                id: ConnectionId::from_bytes([0; 16]).to_string(),
                config: self.config.clone(),
                account: None,
            },
            caller,
            storage: Arc::new(session.storage.clone()),
            files: session.files.open(),
            limits: self.limits.clone(),
            cancel: CancellationToken::new(),
        }
    }

    /// A call that is about no connection.
    pub(crate) fn call_of_nobody(&self) -> Call {
        let org = OrgId::from_bytes([1; 16]);
        Call::of_nobody(self.connector.clone(), org, &self.manifest.id, &self.limits)
    }

    /// Takes a call apart, and keeps what it wanted kept.
    pub(crate) fn take<T>(&self, session: &mut Session, outcome: Outcome<T>) -> Answered<T> {
        let Outcome { result, effects } = outcome;
        let Effects {
            storage,
            files,
            logs,
            exchanges,
            used,
            ..
        } = effects;
        let (mut result, fault) = match result {
            Ok(Ok(value)) => (Ok(value), None),
            Ok(Err(fault)) => (Err(Problem::of_fault(&fault)), Some(fault)),
            Err(error) => (Err(Problem::of_call(&error)), None),
        };
        if result.is_ok() && !session.storage.commit(storage) {
            result = Err(Problem {
                code: "guest.bad_value".to_owned(),
                message: "its storage writes expect entries that are not there".to_owned(),
            });
        }
        if result.is_ok() {
            session.files.commit(files);
        }
        Answered {
            result,
            fault,
            exchanges,
            memory_bytes: used.memory_bytes,
            logs: logs.into_iter().map(|line| line.message).collect(),
        }
    }
}

impl Problem {
    fn of_fault(fault: &Fault) -> Self {
        Self {
            code: fault.kind.code().to_owned(),
            message: fault.to_string(),
        }
    }

    fn of_call(error: &CallError) -> Self {
        let mut message = error.to_string();
        if let CallError::Trap { symbols, .. } = error {
            for symbol in symbols.iter().take(MAX_SYMBOLS) {
                message.push_str("\n    in ");
                message.push_str(symbol);
            }
        }
        Self {
            code: error.code().to_owned(),
            message,
        }
    }
}

/// Functions of a crash that are told.
const MAX_SYMBOLS: usize = 8;

/// How much later a second try is: within what any vendor keeps a key for.
const LATER: Duration = Duration::from_secs(90);

/// What the random numbers of every rehearsal are made of.
const SEED: u64 = 7;

fn scheme<'a>(manifest: &'a Manifest, case: &Case) -> Result<Option<&'a AuthScheme>, Error> {
    match &case.auth {
        None => Ok(manifest.auth.first()),
        Some(name) => manifest
            .auth(name)
            .map(Some)
            .ok_or_else(|| Error::Config(format!("there is no auth scheme `{name}`"))),
    }
}

fn rates(manifest: &Manifest, config: &Value) -> Vec<RateHint> {
    let filled = manifest.rate.iter().filter_map(|hint| {
        let (host, _) = hint.host.expand(config).ok()?;
        Some(RateHint { host, ..hint.clone() })
    });
    filled.collect()
}

/// The time when the cassette was recorded.
#[derive(Debug)]
struct Standing(Timestamp);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// No name leads anywhere.
struct Nowhere;

impl Resolve for Nowhere {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(std::future::ready(Err(ResolveError::NoAddress)))
    }
}
