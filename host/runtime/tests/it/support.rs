//! The guest, the runtime and a call, as every test needs them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use sluice_broker::{
    Apply, Broker, Budget, Caller, Credential, Open, Origin, Resolve, ResolveError, Trace, Vault, VaultError,
};
use sluice_model::SystemClock;
use sluice_model::capability::{EgressRule, HostPattern, MethodSet, PathPattern, Scheme};
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;
use sluice_runtime::{
    Call, CancellationToken, Compiler, Config, ConnectionView, Connector, EmptyShelf, EmptySnapshot, Runtime,
    Snapshot,
};

/// What the connection's `token` is; it must never be seen in a guest.
pub(crate) const TOKEN: &str = "s3cret-token-of-the-vendor";

/// The bytes of the guest, built once for each test binary.
pub(crate) fn guest() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guest");
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "build",
                "--quiet",
                "--locked",
                "--release",
                "--target",
                "wasm32-wasip2",
                "--manifest-path",
            ])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest/Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            // What the outer build was told does not fit another target.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .status()
            .unwrap();
        assert!(
            status.success(),
            "the guest does not build; is the target wasm32-wasip2 installed?"
        );
        std::fs::read(target.join("wasm32-wasip2/release/runtime_guest.wasm")).unwrap()
    })
}

/// The compiler's child, as it is in production.
pub(crate) fn child() -> Compiler {
    Compiler::Program {
        program: env!("CARGO_BIN_EXE_sluice-compile").into(),
        args: Vec::new(),
    }
}

/// A broker that may reach loopback.
pub(crate) fn broker() -> Broker {
    struct Nowhere;
    impl Resolve for Nowhere {
        fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
            Box::pin(std::future::ready(Err(ResolveError::NoAddress)))
        }
    }
    let open = vec![Open {
        net: "127.0.0.0/8".parse().unwrap(),
        port: None,
    }];
    let config = sluice_broker::Config {
        open,
        ..sluice_broker::Config::default()
    };
    Broker::new(config, Arc::new(Nowhere), Arc::new(SystemClock)).unwrap()
}

pub(crate) fn runtime_with(config: Config) -> Runtime {
    Runtime::new(config, broker()).unwrap()
}

/// The guest in a runtime that the tests share; both are made once.
pub(crate) async fn shared() -> (Runtime, Connector) {
    static SHARED: tokio::sync::OnceCell<(Runtime, Connector)> = tokio::sync::OnceCell::const_new();
    let make = || async {
        let runtime = runtime_with(Config {
            compiler: Compiler::InProcess,
            slots: 16,
            ..Config::default()
        });
        let connector = runtime.load(guest(), &Runtime::digest(guest())).await.unwrap();
        (runtime, connector)
    };
    SHARED.get_or_init(make).await.clone()
}

/// Knows `token`, bound to one loopback port.
struct OneToken(u16);

impl Vault for OneToken {
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        let credential = (name == "token").then(|| {
            let origin = Origin {
                scheme: Scheme::Http,
                host: HostPattern::parse("127.0.0.1").unwrap(),
                port: self.0,
            };
            let secret = Secret::new(TOKEN.as_bytes().to_vec());
            Arc::new(Credential::new("token", secret, Apply::Bearer, vec![origin]))
        });
        Box::pin(std::future::ready(Ok(credential)))
    }
}

/// A call to be changed by the test that makes it.
pub(crate) struct Making {
    pub(crate) connector: Connector,
    pub(crate) word: String,
    pub(crate) limits: Limits,
    pub(crate) storage: Arc<dyn Snapshot>,
    pub(crate) storage_bytes: u64,
    pub(crate) org: u8,
    /// The loopback port that the grant opens, for paths below `/open/`.
    pub(crate) port: u16,
    pub(crate) cancel: CancellationToken,
}

impl Making {
    pub(crate) fn new(connector: &Connector, word: &str) -> Self {
        Self {
            connector: connector.clone(),
            word: word.to_owned(),
            limits: Limits::default(),
            storage: Arc::new(EmptySnapshot),
            storage_bytes: 4096,
            org: 1,
            port: 1,
            cancel: CancellationToken::new(),
        }
    }

    pub(crate) fn call(self) -> Call {
        let rule = EgressRule {
            scheme: Scheme::Http,
            host: HostPattern::parse("127.0.0.1").unwrap(),
            port: self.port,
            methods: MethodSet::of(&["GET", "POST"]).unwrap(),
            path: PathPattern::parse("/open/**").unwrap(),
            optional: false,
            reason: None,
        };
        let grant = Grant {
            files_bytes: 0,
            file_bytes: 0,
            egress: vec![rule],
            storage_bytes: self.storage_bytes,
            scratch_bytes: 0,
            limits: self.limits.clone(),
        };
        let ceiling = Ceiling {
            limits: self.limits.clone(),
            ..Ceiling::default()
        };
        Call {
            connector: self.connector,
            connection: ConnectionView {
                id: "cnn_test".into(),
                config: format!("\"{}\"", self.word),
                account: Some("acme".into()),
            },
            caller: Caller {
                org: OrgId::from_bytes([self.org; 16]),
                connection: Some(ConnectionId::from_bytes([self.org; 16])),
                connector: "guest".into(),
                rights: Arc::new(Rights::new(&grant, &ceiling, &grant)),
                vault: Arc::new(OneToken(self.port)),
                trace: Trace::default(),
                budget: Budget::new(&self.limits),
                rates: Vec::new(),
                app: None,
            },
            storage: self.storage,
            files: Arc::new(EmptyShelf),
            limits: self.limits,
            cancel: self.cancel,
        }
    }
}
