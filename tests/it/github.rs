//! The main job's people and places: a stand-in for GitHub, a server that takes it for the real one, and the steps that
//! every test of the connector begins with.

use std::net::SocketAddr;

use serde_json::{Value, json};
use vendor::{Control, Options, Repository, Vendor};

use crate::package;
use crate::server::{Answer, Api, Server, Setup, http, wait_for};

/// The repository that connections read.
pub(crate) const REPOSITORY: &str = "acme/web";

/// The connection's name.
pub(crate) const NAME: &str = "work";

/// A stand-in that runs as long as this lives.
#[derive(Debug)]
pub(crate) struct StandIn {
    vendor: Vendor,
    _runtime: tokio::runtime::Runtime,
}

impl StandIn {
    pub(crate) fn start(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let vendor = runtime
            .block_on(vendor::start(options))
            .expect("start the vendor");
        Self {
            vendor,
            _runtime: runtime,
        }
    }

    /// One repository with this many issues and nothing else.
    pub(crate) fn with_issues(issues: usize) -> Self {
        Self::start(Options {
            repositories: vec![Repository {
                issues,
                pulls: 0,
                commits: 0,
                releases: 0,
                runs: 0,
                ..Repository::default()
            }],
            ..Options::default()
        })
    }

    pub(crate) fn control(&self) -> Control {
        self.vendor.control()
    }

    /// Where it is, and who vouches for it.
    pub(crate) fn place(&self) -> (SocketAddr, String) {
        (self.vendor.https_addr, self.vendor.ca_pem.clone())
    }

    /// A server's setup that finds it.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            vendor: Some(self.place()),
            ..Setup::default()
        }
    }
}

/// Approves and installs a connector file; gives the install.
pub(crate) fn install(api: &Api, file: &[u8]) -> Value {
    let proposal = api.post_bytes("/api/v1/connectors/inspect", file);
    assert_eq!(proposal.status, 200, "{}", proposal.text());
    let digest = proposal.json()["digest"].as_str().expect("a digest").to_owned();
    let installed = api.post_bytes(&format!("/api/v1/installs?accept={digest}"), file);
    assert_eq!(installed.status, 201, "{}", installed.text());
    installed.json()
}

/// A draft that reads [`REPOSITORY`]; gives its id.
pub(crate) fn connect(api: &Api, name: &str, secret: &str) -> String {
    let body = json!({
        "name": name, "connector": "github", "config": {"repositories": [REPOSITORY]}, "secret": secret,
    });
    let created = api.try_post("/api/v1/connections", &body);
    assert_eq!(created.status, 201, "{}", created.text());
    created.json()["id"].as_str().expect("an id").to_owned()
}

/// Installs, connects and tests; gives the connection's id.
pub(crate) fn ready(server: &Server) -> String {
    ready_with(server, vendor::TOKEN)
}

pub(crate) fn ready_with(server: &Server, token: &str) -> String {
    let api = server.api();
    install(&api, package::github());
    let connection = connect(&api, NAME, token);
    let report = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    assert_eq!(report["ok"], true, "{report}");
    connection
}

/// Queues runs; gives their ids.
pub(crate) fn start_sync(api: &Api, connection: &str, streams: &[&str], mode: &str) -> Vec<String> {
    let body = json!({"streams": streams, "mode": mode});
    let started = api.try_post(&format!("/api/v1/connections/{connection}/sync"), &body);
    assert_eq!(started.status, 202, "{}", started.text());
    let started = started.json();
    let runs = started["items"].as_array().expect("items");
    runs.iter()
        .map(|run| run["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Waits until a run is over.
pub(crate) fn ended(api: &Api, run: &str) -> Value {
    wait_for(&format!("the end of {run}"), || {
        let found = api.get(&format!("/api/v1/runs/{run}"));
        (found["over"] == true).then_some(found)
    })
}

/// Syncs one stream to its end.
pub(crate) fn sync(api: &Api, connection: &str, stream: &str, mode: &str) -> Value {
    let runs = start_sync(api, connection, &[stream], mode);
    let run = ended(api, &runs[0]);
    assert_adds_up(&run);
    run
}

/// Conservation: what came in is what went somewhere.
pub(crate) fn assert_adds_up(run: &Value) {
    let counts = &run["counts"];
    let count = |name: &str| counts[name].as_u64().expect("a count");
    let parts = ["added", "updated", "unchanged", "deleted", "quarantined"];
    let sum: u64 = parts.into_iter().map(count).sum();
    assert_eq!(count("received"), sum, "{run}");
}

/// How many records a stream holds.
pub(crate) fn held(api: &Api, connection: &str, stream: &str) -> u64 {
    let counts = api.get(&format!("/api/v1/connections/{connection}/streams"));
    let counts = counts["items"].as_array().expect("items");
    let found = counts.iter().find(|count| count["stream"] == stream);
    found.map_or(0, |count| count["records"].as_u64().expect("a count"))
}

/// An inbound webhook address and its secret.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Hook {
    pub(crate) fn create(api: &Api, connection: &str) -> Self {
        let made = api.post("/api/v1/hooks", &json!({"connection": connection}));
        let text = |name: &str| made[name].as_str().expect(name).to_owned();
        Self {
            id: text("id"),
            secret: text("secret"),
        }
    }

    /// The signature that GitHub would send with this body, asked of the server.
    pub(crate) fn sign(&self, api: &Api, body: &[u8]) -> Vec<(String, String)> {
        let answer = api.post_bytes(&format!("/api/v1/hooks/{}/sign", self.id), body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let headers = answer["headers"].as_array().expect("headers");
        let text = |header: &Value, name: &str| header[name].as_str().expect(name).to_owned();
        headers
            .iter()
            .map(|header| (text(header, "name"), text(header, "value")))
            .collect()
    }

    /// Signs and delivers an event.
    pub(crate) fn deliver(&self, api: &Api, event: &str, delivery: &str, body: &[u8]) -> Answer {
        let mut headers = self.sign(api, body);
        for (name, value) in [
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("content-type", "application/json"),
        ] {
            headers.push((name.to_owned(), value.to_owned()));
        }
        post(api.address, &self.id, &headers, body).unwrap_or_else(|error| panic!("{delivery}: {error}"))
    }

    /// Everything that came in.
    pub(crate) fn receipts(&self, api: &Api) -> Vec<Value> {
        api.all(&format!("/api/v1/hooks/{}/receipts", self.id))
    }

    /// Waits until nothing is owed any more.
    pub(crate) fn settled(&self, api: &Api) -> Vec<Value> {
        wait_for("receipts to be handled", || {
            let receipts = self.receipts(api);
            let owed = |receipt: &Value| matches!(receipt["state"].as_str(), Some("accepted" | "retry-at"));
            (!receipts.iter().any(owed)).then_some(receipts)
        })
    }
}

/// Posts to a hook as a vendor does.
pub(crate) fn post(
    address: SocketAddr,
    hook: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    http::request(address, "POST", &format!("/hooks/{hook}"), &headers, body)
}
