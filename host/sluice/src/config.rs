//! The configuration: a commented file of defaults that is compiled in, the operator's file, the environment and flags.
//!
//! What must always hold: nothing that an operator wrote is ignored. An unknown key, a value of another type or out of
//! range is refused, with its line where it stands in a file and with its variable where it comes from the environment.
//! What wins: flag, then environment, then file, then default. Values carry their unit in their key.

mod error;
mod layers;
mod settings;

pub use error::ConfigError;
pub use layers::{Flags, load};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The file of defaults, which is also the documentation of every key.
pub const DEFAULT_TEXT: &str = include_str!("../default-config.toml");

/// Everything an operator can set.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: Server,
    pub data: Data,
    pub broker: Broker,
    pub limits: Limits,
    pub runtime: Runtime,
    pub sync: Sync,
    pub hooks: Hooks,
    pub destinations: Destinations,
    pub endpoints: Endpoints,
    pub events: Events,
    pub trust: Trust,
    pub log: Log,
    pub app: Vec<OperatorApp>,
}

/// The listener.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    pub listen: SocketAddr,
    pub tls_cert_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
    pub allow_plain_public: bool,
    pub public_url: Option<String>,
    pub trusted_proxies: Vec<String>,
    pub max_connections: usize,
    pub header_timeout_s: u64,
    pub body_timeout_s: u64,
    pub idle_timeout_s: u64,
    pub body_memory_bytes: u64,
    pub drain_timeout_s: u64,
}

/// What is kept, and the key to it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    pub dir: PathBuf,
    pub master_key: Option<MasterKeySource>,
    pub previous_master_keys: Vec<MasterKeySource>,
    pub cache_bytes: usize,
}

/// Where the master key comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MasterKeySource {
    File(PathBuf),
    Env(String),
    Command(Vec<String>),
}

/// An app of the operator's, for every organization that has none of its own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorApp {
    pub connector: String,
    pub auth: String,
    pub parts: BTreeMap<String, PartSource>,
}

/// Where a part of an app comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PartSource {
    /// For what is not secret.
    Value(String),
    File(PathBuf),
    Env(String),
}

/// The road out.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Broker {
    pub open: Vec<String>,
    pub connect: Vec<Connect>,
    pub extra_ca_files: Vec<PathBuf>,
}

/// A fixed address.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    pub host: String,
    pub port: u16,
    pub address: SocketAddr,
}

/// The ceiling of every grant.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub memory_bytes: Option<u64>,
    pub call_time_s: Option<u64>,
    pub http_requests: Option<u32>,
    pub response_bytes: Option<u64>,
    pub request_bytes: Option<u64>,
    pub request_time_s: Option<u64>,
    pub storage_bytes: Option<u64>,
    pub files_bytes: Option<u64>,
    pub file_bytes: Option<u64>,
    pub component_bytes: u64,
}

/// The wasm engine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Runtime {
    pub slots: u32,
    pub cache_dir: Option<PathBuf>,
    pub cache_bytes: u64,
}

/// Syncs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sync {
    pub workers: usize,
    pub max_runs: u64,
    pub max_runs_per_connector: u64,
    pub max_runs_per_app: u64,
    pub run_time_s: u64,
    pub page_hint: u32,
}

/// Inbound webhooks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    pub workers: usize,
    pub body_bytes: u64,
}

/// Where records are loaded into.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Destinations {
    pub workers: usize,
    pub files_dir: Option<PathBuf>,
}

/// Outbound webhooks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    pub attempt_timeout_s: u64,
    pub retry_waits_ms: Vec<u64>,
    pub pause_ms: u64,
    pub warn_after_s: u64,
    pub disable_after_s: u64,
    pub keep_days: u64,
}

/// The event store.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    pub keep_days: u64,
}

/// Who vouches for whom, the same for every organization.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    pub sigstore_root_file: Option<PathBuf>,
}

/// The server's log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub format: LogFormat,
    pub filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7420)),
            tls_cert_file: None,
            tls_key_file: None,
            allow_plain_public: false,
            public_url: None,
            trusted_proxies: Vec::new(),
            max_connections: 4096,
            header_timeout_s: 10,
            body_timeout_s: 30,
            idle_timeout_s: 60,
            body_memory_bytes: 256 << 20,
            drain_timeout_s: 30,
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("sluice-data"),
            master_key: None,
            previous_master_keys: Vec::new(),
            cache_bytes: 64 << 20,
        }
    }
}

impl Default for Destinations {
    fn default() -> Self {
        Self {
            workers: 4,
            files_dir: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            call_time_s: None,
            http_requests: None,
            response_bytes: None,
            request_bytes: None,
            request_time_s: None,
            storage_bytes: None,
            files_bytes: None,
            file_bytes: None,
            component_bytes: 32 << 20,
        }
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            slots: 64,
            cache_dir: None,
            cache_bytes: 2 << 30,
        }
    }
}

impl Default for Sync {
    fn default() -> Self {
        Self {
            workers: 4,
            max_runs: 0,
            max_runs_per_connector: 0,
            max_runs_per_app: 0,
            run_time_s: 900,
            page_hint: 100,
        }
    }
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            workers: 4,
            body_bytes: 25 << 20,
        }
    }
}

impl Default for Endpoints {
    fn default() -> Self {
        let waits_s = [
            5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400, 86_400,
        ];
        Self {
            attempt_timeout_s: 15,
            retry_waits_ms: waits_s.map(|seconds: u64| seconds * 1000).to_vec(),
            pause_ms: 5_000,
            warn_after_s: 3_600,
            disable_after_s: 432_000,
            keep_days: 30,
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self { keep_days: 90 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_says_the_defaults() {
        assert_eq!(toml::from_str::<Config>(DEFAULT_TEXT).unwrap(), Config::default());
    }

    /// A key that is only shown commented out must exist too.
    #[test]
    fn the_commented_keys_exist() {
        let uncommented: String = DEFAULT_TEXT
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with("[[") || is_assignment(rest) => rest,
                _ => line,
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let config: Config = toml::from_str(&uncommented).unwrap();
        assert!(config.data.master_key.is_some() && config.limits.memory_bytes.is_some());
        assert_eq!(config.broker.connect.len(), 1);
    }

    /// What the operators' pages tell to write is accepted.
    #[test]
    fn the_configuration_in_the_documentation_is_right() {
        let page = include_str!("../../../docs/operator/keys.md");
        let mut found = 0;
        let mut rest = page;
        while let Some((_, behind)) = rest.split_once("```toml\n") {
            let (block, behind) = behind.split_once("```").unwrap();
            let config: Config = toml::from_str(block).unwrap();
            config.check().unwrap();
            assert!(config.data.master_key.is_some());
            found += 1;
            rest = behind;
        }
        assert!(found >= 4, "{found}");
    }

    fn is_assignment(text: &str) -> bool {
        text.split_once(" = ")
            .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    }
}
