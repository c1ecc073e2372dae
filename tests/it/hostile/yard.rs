//! The yard: where hostile guests are let loose. A real runtime and a real broker; a vendor and another server on loopback
//! that the operator opened; listeners that stand for forbidden addresses; names that resolve to what the script says; one
//! credential, the canary, that is bound to the vendor.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use sluice_broker::{
    Apply, Broker, Budget, Caller, Config, Credential, Open, Origin, Resolve, ResolveError, Trace, Vault,
    VaultError,
};
use sluice_model::capability::{EgressRule, HostPattern, MethodSet, PathPattern, Scheme};
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;
use sluice_model::{Clock, SystemClock};
use sluice_runtime::{
    Call, CancellationToken, Compiler, ConnectionView, Connector, LoadError, Runtime, Snapshot,
};
use tokio::net::TcpListener;
use tokio::sync::{Mutex as Turn, MutexGuard};

use super::canary;
use super::paper::Paper;
use super::vendor::{self, Forbidden, Seen, Targets};

/// Bytes of storage that every install is given.
const STORAGE_BYTES: u64 = 1 << 20;
/// Bytes of files, and of one of them.
const FILES_BYTES: u64 = 64 << 10;
pub(super) const FILE_BYTES: u64 = 32 << 10;

/// Calls under way at once.
pub(super) const SLOTS: u32 = 8;

/// The name of the vendor's credential, and of one that belongs to somebody else.
pub(super) const TOKEN: &str = "token";
pub(super) const ANOTHERS: &str = "another";

/// One of these tests at a time: memory is measured for the whole process.
pub(super) async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Turn<()> = Turn::const_new(());
    TURN.lock().await
}

/// One test's world.
pub(super) struct Yard {
    pub(super) runtime: Runtime,
    pub(super) vendor: Seen,
    pub(super) other: Seen,
    pub(super) forbidden: Vec<Forbidden>,
    pub(super) names: Arc<Names>,
    /// What the guests are told: a flat JSON object of strings.
    input: String,
    ports: Ports,
    _turn: MutexGuard<'static, ()>,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    vendor: u16,
    other: u16,
    own: u16,
}

impl Yard {
    /// Opens it when it is this test's turn.
    pub(super) async fn open() -> Self {
        let turn = turn().await;
        canary::Host::listen();

        let (vendor, shadow) = twins().await;
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let unopened = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ports = Ports {
            vendor: port(&vendor),
            other: port(&other),
            own: port(&own),
        };
        let forbidden = vec![
            Forbidden::new(shadow),
            Forbidden::new(own),
            Forbidden::new(unopened),
        ];

        let names = Arc::new(Names::default());
        let open = |port| Open {
            net: "127.0.0.1/32".parse().unwrap(),
            port: Some(port),
        };
        let config = Config {
            open: vec![open(ports.vendor), open(ports.other), open(ports.own)],
            own: vec![forbidden[1].address],
            ..Config::default()
        };
        let broker = Broker::new(
            config,
            Arc::clone(&names) as Arc<dyn Resolve>,
            Arc::new(SystemClock),
        )
        .unwrap();

        let unopened = forbidden[2].address;
        let other_base = format!("http://other.test:{}", ports.other);
        let targets = Targets {
            forbidden: redirects(unopened.port(), ports.vendor),
            other: format!("{other_base}/other/redirected"),
        };
        let count = targets.forbidden.len();
        let vendor = vendor::serve(vendor, targets);
        let other = vendor::serve(other, Targets::default());
        let authority = format!("vendor.test:{}", ports.vendor);
        let input = serde_json::json!({
            "allowed": format!("http://{authority}/api"),
            "base": format!("http://{authority}"),
            "slow": format!("http://{authority}/slow"),
            "authority": authority,
            "other": format!("{other_base}/other"),
            "other-authority": format!("other.test:{}", ports.other),
            "rebinding": format!("http://rebinding.test:{}/api", ports.vendor),
            "address": unopened.to_string(),
            "forbidden-port": ports.own.to_string(),
            "redirects": count.to_string(),
            "another": ANOTHERS,
        });
        let input = input.to_string();
        Self {
            runtime: runtime(&broker),
            vendor,
            other,
            forbidden,
            names,
            input,
            ports,
            _turn: turn,
        }
    }

    pub(super) fn input(&self) -> &str {
        &self.input
    }

    /// Every listener that nobody may reach.
    pub(super) fn trespassers(&self) -> usize {
        self.forbidden.iter().map(Forbidden::accepted).sum()
    }

    pub(super) async fn load(&self, component: &[u8]) -> Result<Connector, LoadError> {
        self.runtime.load(component, &Runtime::digest(component)).await
    }

    /// A call for a connection of its own, of an organization of its own.
    pub(super) fn call(&self, connector: &Connector, limits: Limits, storage: Arc<dyn Snapshot>) -> Call {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mut random = [7; 10];
        random[..4].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let now = SystemClock.now();
        let connection = ConnectionId::new(now, random);
        let grant = Grant {
            egress: self.rules(),
            storage_bytes: STORAGE_BYTES,
            scratch_bytes: 0,
            files_bytes: FILES_BYTES,
            file_bytes: FILE_BYTES,
            limits,
        };
        let rights = Rights::new(&grant, &Ceiling::default(), &grant);
        let limits = rights.limits().clone();
        let caller = Caller {
            org: OrgId::new(now, random),
            connection: Some(connection),
            connector: "hostile".into(),
            rights: Arc::new(rights),
            vault: Arc::new(OneSecret(self.ports)),
            trace: Trace::default(),
            budget: Budget::new(&limits),
            rates: Vec::new(),
            app: None,
        };
        Call {
            connector: connector.clone(),
            connection: ConnectionView {
                id: connection.to_string(),
                config: "{}".into(),
                account: None,
            },
            caller,
            storage,
            files: Arc::new(Paper),
            limits,
            cancel: CancellationToken::new(),
        }
    }

    /// What every hostile guest was granted: some of the vendor, some of the other server, and names and addresses that
    /// lead where nobody may go.
    fn rules(&self) -> Vec<EgressRule> {
        let rule = |host: &str, port: u16, path: &str| EgressRule {
            scheme: Scheme::Http,
            host: HostPattern::parse(host).unwrap_or_else(|error| panic!("{error}")),
            port,
            methods: MethodSet::of(&["GET", "POST"]).unwrap(),
            path: PathPattern::parse(path).unwrap(),
            optional: false,
            reason: None,
        };
        let vendor = ["/api", "/api/**", "/slow", "/echo/*", "/redirect/*", "/hostile/*"];
        let mut rules: Vec<EgressRule> = Vec::new();
        rules.extend(vendor.map(|path| rule("vendor.test", self.ports.vendor, path)));
        rules.extend(["/other", "/other/**"].map(|path| rule("other.test", self.ports.other, path)));
        rules.push(rule("rebinding.test", self.ports.vendor, "/api"));
        rules.extend(LED_ASTRAY.iter().map(|host| rule(host, self.ports.own, "/**")));
        rules.extend(
            LED_ASTRAY
                .iter()
                .map(|host| rule(host, self.forbidden[2].address.port(), "/**")),
        );
        rules
    }
}

/// Granted, and not to be reached.
const LED_ASTRAY: &[&str] = &[
    "private.test",
    "metadata.test",
    "mixed.test",
    "mapped.test",
    "self.test",
    "127.0.0.1",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "localhost",
    "10.0.0.5",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "[fe80::1]",
];

/// Where the vendor sends those who follow it (N08).
fn redirects(forbidden: u16, vendor: u16) -> Vec<String> {
    let mut all = vec![
        format!("http://127.0.0.1:{forbidden}/"),
        format!("//127.0.0.1:{forbidden}/"),
        format!("http:127.0.0.1:{forbidden}/"),
        format!("\\\\127.0.0.1:{forbidden}\\"),
        format!("/\\127.0.0.1:{forbidden}/"),
        format!("http://vendor.test:{vendor}@127.0.0.1:{forbidden}/"),
        format!("http://private.test:{forbidden}/"),
        format!("http://[::ffff:127.0.0.1]:{forbidden}/"),
        format!("http://0x7f.1:{forbidden}/"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://evil.test/".into(),
        "https://evil.test/".into(),
        "file:///etc/passwd".into(),
        "gopher://127.0.0.1/".into(),
        "javascript:alert(1)".into(),
        "data:text/plain,x".into(),
        "/admin".into(),
        "../admin".into(),
        "/api/../admin".into(),
    ];
    all.push(format!("http://vendor.test:{forbidden}/api"));
    all
}

/// Two listeners with one port: the vendor's, and the one on the address that its name turns to.
async fn twins() -> (TcpListener, TcpListener) {
    loop {
        let vendor = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(shadow) = TcpListener::bind(("127.0.0.2", port(&vendor))).await {
            return (vendor, shadow);
        }
    }
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

/// An engine and its compiler; a yard of its own each, for it belongs to the yard's broker.
fn runtime(broker: &Broker) -> Runtime {
    let config = sluice_runtime::Config {
        slots: SLOTS,
        compiler: Compiler::Program {
            program: env!("CARGO_BIN_EXE_sluice-tests-compile").into(),
            args: Vec::new(),
        },
        ..sluice_runtime::Config::default()
    };
    Runtime::new(config, broker.clone()).unwrap_or_else(|error| panic!("{}: {error}", error.code()))
}

/// DNS by script; it remembers who was asked for.
#[derive(Debug, Default)]
pub(super) struct Names {
    asked: Mutex<Vec<String>>,
    turns: AtomicU32,
}

impl Names {
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let addresses: &[&str] = match host {
            "vendor.test" | "other.test" | "self.test" | "localhost" => &["127.0.0.1"],
            "rebinding.test" if self.turns.fetch_add(1, Ordering::SeqCst) == 0 => &["127.0.0.1"],
            "rebinding.test" => &["127.0.0.2"],
            "private.test" => &["10.0.0.5"],
            "metadata.test" => &["169.254.169.254"],
            "mixed.test" => &["203.0.113.7", "127.0.0.1"],
            "mapped.test" => &["::ffff:127.0.0.1"],
            _ => &[],
        };
        let found: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Box::pin(std::future::ready(if found.is_empty() {
            Err(ResolveError::NoAddress)
        } else {
            Ok(found)
        }))
    }
}

/// The view of a connection that has one credential: the canary, bound to the vendor.
struct OneSecret(Ports);

impl Vault for OneSecret {
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        let own = name.is_empty() || name == TOKEN;
        let credential = own.then(|| {
            let origin = Origin {
                scheme: Scheme::Http,
                host: HostPattern::Exact("vendor.test".into()),
                port: self.0.vendor,
            };
            let secret = Secret::new(canary::SECRET.into());
            Arc::new(Credential::new(TOKEN, secret, Apply::Bearer, vec![origin]))
        });
        Box::pin(std::future::ready(Ok(credential)))
    }
}

/// A connection's storage before the call; every entry is at version 2.
#[derive(Debug, Default)]
pub(super) struct Seed(BTreeMap<String, String>);

impl Seed {
    pub(super) fn snapshot(entries: &BTreeMap<String, String>) -> Arc<dyn Snapshot> {
        Arc::new(Self(entries.clone()))
    }
}

impl Snapshot for Seed {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u64)> {
        self.0.get(key).map(|value| (value.clone().into_bytes(), 2))
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
        let fits = |key: &&String| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after);
        self.0.keys().filter(fits).take(limit as usize).cloned().collect()
    }

    fn used_bytes(&self) -> u64 {
        self.0
            .iter()
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum()
    }
}
