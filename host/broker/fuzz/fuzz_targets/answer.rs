//! The bytes of a vendor's answers, a line of two dashes between one and the next: whatever they are, they end in an answer within the
//! caps or in a typed error, and the credential that the vendor says back is not in it. `{secret}` stands for the credential in what it
//! says.
#![no_main]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use libfuzzer_sys::fuzz_target;
use sluice_broker::{
    Apply, Broker, Budget, Caller, Config, Credential, Error, Heard, Origin, Request, Resolve, Road, Said,
    System, Trace, Vault, VaultError, Way,
};
use sluice_model::SystemClock;
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::manifest::Manifest;
use sluice_model::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const SECRET: &str = "a-credential-that-nobody-is-told";
const BETWEEN: &[u8] = b"\n--\n";
/// What a response may have; a body of it in base64 has a third more.
const CAP: u64 = 64 << 10;

const MANIFEST: &str = r#"
manifest = 1
id = "acme"
version = "1.0.0"
contract = "0.1"
name = "Acme"
description = "An example."
category = "examples"
licence = "Apache-2.0"
[[capabilities.egress]]
scheme = "http"
host = "api.test"
port = 80
methods = ["GET"]
paths = ["/**"]
[[rate]]
host = "api.test"
per_second = 1000.0
burst = 1000
"#;

struct World {
    runtime: Runtime,
    said: Arc<Mutex<Vec<u8>>>,
    road: Arc<Plain>,
    /// Never asked: the road leads past it.
    names: Arc<dyn Resolve>,
    manifest: Manifest,
    credential: Arc<Credential>,
}

#[derive(Debug)]
struct Plain(SocketAddr);

impl Road for Plain {
    fn way(&self, _: &Said) -> Way {
        Way::Plain(self.0)
    }

    fn heard(&self, _: &Said, heard: Result<Heard, Error>) {
        let told = format!("{heard:?}");
        assert!(!told.contains(SECRET), "{told}");
    }

    fn repeats(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct Own(Arc<Credential>);

type Found<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Option<Arc<Credential>>, VaultError>> + Send + 'a>>;

impl Vault for Own {
    fn credential<'a>(&'a self, _: &'a str) -> Found<'a> {
        Box::pin(std::future::ready(Ok(Some(Arc::clone(&self.0)))))
    }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let said: Arc<Mutex<Vec<u8>>> = Arc::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let road = Arc::new(Plain(listener.local_addr().unwrap()));
        let answer = Arc::clone(&said);
        runtime.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let bytes = answer.lock().unwrap().clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(&bytes).await;
                });
            }
        });
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let rule = &manifest.capabilities.egress[0];
        let origin = Origin {
            scheme: rule.scheme,
            host: rule.host.clone(),
            port: rule.port,
        };
        let secret = Secret::new(SECRET.as_bytes().to_vec());
        let credential = Arc::new(Credential::new("token", secret, Apply::Bearer, vec![origin]));
        World {
            runtime,
            said,
            road,
            names: Arc::new(System::new().unwrap()),
            manifest,
            credential,
        }
    })
}

/// Answers to one connection, at most.
const ANSWERS: usize = 4;

fuzz_target!(|given: &[u8]| {
    let world = world();
    // A broker of its own: what one vendor stated is not held against the next.
    let broker = Broker::on_road(
        Config::default(),
        Arc::clone(&world.names),
        Arc::new(SystemClock),
        Arc::clone(&world.road) as Arc<_>,
    )
    .unwrap();
    let limits = Limits {
        response_bytes: CAP,
        ..Limits::default()
    };
    let grant = Grant {
        limits: limits.clone(),
        ..world.manifest.capabilities.clone()
    };
    let ceiling = Ceiling {
        limits: limits.clone(),
        ..Ceiling::default()
    };
    let caller = Caller {
        org: OrgId::from_bytes([1; 16]),
        connection: Some(ConnectionId::from_bytes([1; 16])),
        connector: "acme".into(),
        rights: Arc::new(Rights::new(&grant, &ceiling, &grant)),
        vault: Arc::new(Own(Arc::clone(&world.credential))),
        trace: Trace::default(),
        budget: Budget::new(&limits),
        rates: world.manifest.rate.clone(),
        app: None,
    };
    world.runtime.block_on(async {
        let mut rest = Some(given);
        for _ in 0..ANSWERS {
            let Some(all) = rest.take() else { return };
            let end = all.windows(BETWEEN.len()).position(|window| window == BETWEEN);
            let answer = end.map_or(all, |end| &all[..end]);
            rest = end.map(|end| &all[end + BETWEEN.len()..]);
            *world.said.lock().unwrap() = with_secret(answer);
            let mut request = Request::new("GET", "http://api.test/");
            request.headers.push(("accept".into(), "application/json".into()));
            match broker.send(&caller, request).await {
                Ok(response) => {
                    assert!((100..1000).contains(&response.status));
                    let told = format!("{:?}", response.headers);
                    assert!(!told.contains(SECRET), "{told}");
                    if let Ok(body) = response.collect().await {
                        assert!(body.len() as u64 <= CAP, "{} bytes", body.len());
                        assert!(!String::from_utf8_lossy(&body).contains(SECRET));
                    }
                }
                Err(error) => {
                    assert!(!error.code().is_empty());
                    assert!(!format!("{error:?} {error}").contains(SECRET));
                    // The vendor is to be left alone: nobody waits for that here.
                    if matches!(error, Error::RateLimited { .. } | Error::CircuitOpen { .. }) {
                        return;
                    }
                }
            }
        }
    });
});

fn with_secret(answer: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"{secret}";
    let mut bytes = Vec::with_capacity(answer.len() + SECRET.len());
    let mut rest = answer;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        bytes.extend_from_slice(&rest[..at]);
        bytes.extend_from_slice(SECRET.as_bytes());
        rest = &rest[at + MARK.len()..];
    }
    bytes.extend_from_slice(rest);
    bytes
}
