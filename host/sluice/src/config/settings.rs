//! What the configuration means for the rooms below.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::endpoint::{Limits as HealthLimits, RetryWaits, WaitsError};
use sluice_model::grant::Ceiling;
use sluice_model::secret::Secret;
use sluice_model::signature::SourceRange;
use sluice_package::TrustedRoot;
use sluice_service::auth::app::AppParts;
use sluice_service::settings::EndpointSettings;
use sluice_store::sweep::Keep;

use super::error::ConfigError;
use super::layers::BadValue;
use super::{Config, LogFormat, PartSource};

impl Config {
    /// Checks what types do not.
    pub(super) fn check(&self) -> Result<(), BadValue> {
        let server = &self.server;
        between("server.max_connections", server.max_connections, 1, 100_000)?;
        between("server.header_timeout_s", server.header_timeout_s, 1, 300)?;
        between("server.body_timeout_s", server.body_timeout_s, 1, 3600)?;
        between("server.idle_timeout_s", server.idle_timeout_s, 1, 3600)?;
        between("server.drain_timeout_s", server.drain_timeout_s, 0, 30)?;
        between(
            "server.body_memory_bytes",
            server.body_memory_bytes,
            1 << 20,
            1 << 40,
        )?;
        between(
            "data.previous_master_keys",
            self.data.previous_master_keys.len(),
            0,
            10,
        )?;
        between("data.cache_bytes", self.data.cache_bytes, 1 << 20, 1 << 40)?;
        between(
            "limits.component_bytes",
            self.limits.component_bytes,
            1 << 10,
            1 << 30,
        )?;
        between("runtime.slots", self.runtime.slots, 1, 10_000)?;
        between("sync.workers", self.sync.workers, 1, 1_000)?;
        for (name, set) in [
            ("sync.max_runs", self.sync.max_runs),
            ("sync.max_runs_per_connector", self.sync.max_runs_per_connector),
            ("sync.max_runs_per_app", self.sync.max_runs_per_app),
        ] {
            between(name, set, 0, 1_000)?;
        }
        between("sync.run_time_s", self.sync.run_time_s, 1, 86_400)?;
        between("sync.page_hint", self.sync.page_hint, 1, 10_000)?;
        between("destinations.workers", self.destinations.workers, 1, 1_000)?;
        between("hooks.workers", self.hooks.workers, 1, 1_000)?;
        between("hooks.body_bytes", self.hooks.body_bytes, 1 << 10, 1 << 30)?;
        let endpoints = &self.endpoints;
        between("endpoints.attempt_timeout_s", endpoints.attempt_timeout_s, 1, 60)?;
        between("endpoints.pause_ms", endpoints.pause_ms, 1, 60_000)?;
        between("endpoints.warn_after_s", endpoints.warn_after_s, 1, 30 * 86_400)?;
        between(
            "endpoints.disable_after_s",
            endpoints.disable_after_s,
            1,
            90 * 86_400,
        )?;
        between("endpoints.keep_days", endpoints.keep_days, 0, 3_650)?;
        between("events.keep_days", self.events.keep_days, 0, 3_650)?;
        retry_waits(&endpoints.retry_waits_ms).map_err(|error| BadValue {
            key: "endpoints.retry_waits_ms",
            message: error.to_string(),
        })?;
        if server.body_memory_bytes < self.hooks.body_bytes.max(self.limits.component_bytes) {
            let message =
                "must hold one webhook (hooks.body_bytes) and one component (limits.component_bytes)";
            return Err(BadValue {
                key: "server.body_memory_bytes",
                message: message.to_owned(),
            });
        }
        if let Some(url) = &server.public_url {
            public_host(url).map_err(|message| BadValue {
                key: "server.public_url",
                message,
            })?;
        }
        for text in &server.trusted_proxies {
            SourceRange::parse(text).map_err(|reason| BadValue {
                key: "server.trusted_proxies",
                message: format!("`{}` {reason}", text.escape_debug()),
            })?;
        }
        for text in &self.broker.open {
            parse_open(text).map_err(|message| BadValue {
                key: "broker.open",
                message,
            })?;
        }
        for connect in &self.broker.connect {
            let canonical = !connect.host.is_empty()
                && connect
                    .host
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
                && !connect.host.ends_with('.');
            if !canonical {
                let message = format!(
                    "`{}` is not a host name in lower-case ASCII",
                    connect.host.escape_debug()
                );
                return Err(BadValue {
                    key: "broker.connect",
                    message,
                });
            }
        }
        self.log
            .filter
            .parse::<tracing_subscriber::EnvFilter>()
            .map(drop)
            .map_err(|error| BadValue {
                key: "log.filter",
                message: error.to_string(),
            })
    }

    /// Checks what only the whole can tell.
    pub(super) fn check_public(&self) -> Result<(), ConfigError> {
        let server = &self.server;
        match (&server.tls_cert_file, &server.tls_key_file) {
            (Some(_), None) => {
                return Err(missing(
                    "server.tls_key_file",
                    "is needed beside server.tls_cert_file",
                ));
            }
            (None, Some(_)) => {
                return Err(missing(
                    "server.tls_cert_file",
                    "is needed beside server.tls_key_file",
                ));
            }
            _ => {}
        }
        let plain = server.tls_cert_file.is_none();
        if plain && !server.listen.ip().is_loopback() && !server.allow_plain_public {
            return Err(ConfigError::PlainPublic {
                listen: server.listen,
            });
        }
        Ok(())
    }

    /// The host of the public URL, in lower case.
    #[must_use]
    pub fn public_host(&self) -> Option<String> {
        self.server
            .public_url
            .as_deref()
            .and_then(|url| public_host(url).ok())
    }

    /// The proxies in front.
    #[must_use]
    pub fn trusted_proxies(&self) -> Vec<SourceRange> {
        let texts = self.server.trusted_proxies.iter();
        texts.filter_map(|text| SourceRange::parse(text).ok()).collect()
    }

    /// Settings of the road out.
    ///
    /// # Errors
    ///
    /// If a file with certificate authorities cannot be read.
    pub fn broker(&self) -> Result<sluice_broker::Config, ConfigError> {
        let value = |message| ConfigError::Value {
            key: "broker.open".to_owned(),
            message,
        };
        let open = self
            .broker
            .open
            .iter()
            .map(|text| parse_open(text).map_err(value))
            .collect::<Result<_, _>>()?;
        let connect = self
            .broker
            .connect
            .iter()
            .map(|connect| sluice_broker::ConnectTo {
                host: connect.host.clone(),
                port: connect.port,
                address: connect.address,
            });
        let read = |path: &std::path::PathBuf| {
            std::fs::read(path).map_err(|source| ConfigError::Read {
                path: path.clone(),
                source,
            })
        };
        Ok(sluice_broker::Config {
            open,
            connect: connect.collect(),
            extra_ca_pem: self
                .broker
                .extra_ca_files
                .iter()
                .map(read)
                .collect::<Result<_, _>>()?,
            own: vec![self.server.listen],
            ..sluice_broker::Config::default()
        })
    }

    /// Settings of the engine.
    #[must_use]
    pub fn runtime(&self, cache_key: [u8; 32]) -> sluice_runtime::Config {
        let cache_dir = self
            .runtime
            .cache_dir
            .clone()
            .unwrap_or_else(|| self.data.dir.join("compiled"));
        sluice_runtime::Config {
            cache_dir: Some(cache_dir),
            cache_key,
            cache_bytes: self.runtime.cache_bytes,
            slots: self.runtime.slots,
            max_component_bytes: self.limits.component_bytes,
            ..sluice_runtime::Config::default()
        }
    }

    /// The operator's apps, their secrets read.
    fn apps(&self) -> Result<HashMap<(String, String), AppParts>, ConfigError> {
        let mut apps = HashMap::new();
        for app in &self.app {
            let mut parts = AppParts::new();
            for (name, source) in &app.parts {
                let text = match source {
                    PartSource::Value(text) => text.clone(),
                    PartSource::File(path) => {
                        std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                            path: path.clone(),
                            source,
                        })?
                    }
                    PartSource::Env(variable) => std::env::var(variable)
                        .map_err(|_| missing("app", &format!("the variable {variable} is not set")))?,
                };
                let text = text.trim_end_matches(['\r', '\n']);
                parts.insert(name.clone(), Secret::new(text.as_bytes().to_vec()));
            }
            if apps
                .insert((app.connector.clone(), app.auth.clone()), parts)
                .is_some()
            {
                let twice = format!("{} {} is there twice", app.connector, app.auth);
                return Err(missing("app", &twice));
            }
        }
        Ok(apps)
    }

    /// Against what bundles are verified.
    fn trusted_root(&self) -> Result<Option<TrustedRoot>, ConfigError> {
        let Some(path) = &self.trust.sigstore_root_file else {
            return Ok(None);
        };
        let mut text = String::new();
        // One byte more than it may have: what is larger is told from what is cut off.
        let limit = TrustedRoot::MAX_BYTES;
        std::fs::File::open(path)
            .and_then(|file| file.take(limit + 1).read_to_string(&mut text))
            .map_err(|source| ConfigError::Read {
                path: path.clone(),
                source,
            })?;
        let wrong = |reason: &str| {
            missing(
                "trust.sigstore_root_file",
                &format!("{} {reason}", path.display()),
            )
        };
        if text.len() as u64 > limit {
            return Err(wrong(&format!("has more than {limit} bytes")));
        }
        TrustedRoot::read(&text)
            .map(Some)
            .map_err(|error| wrong(&error.to_string()))
    }

    /// Settings of the work.
    ///
    /// # Errors
    ///
    /// If a secret of an app or the trusted root cannot be read.
    pub fn service(&self) -> Result<sluice_service::Settings, ConfigError> {
        let mut ceiling = Ceiling {
            storage_bytes: self.limits.storage_bytes,
            files_bytes: self.limits.files_bytes,
            file_bytes: self.limits.file_bytes,
            ..Ceiling::default()
        };
        let (limits, set) = (&mut ceiling.limits, &self.limits);
        let seconds = |value: Option<u64>, default| value.map_or(default, Duration::from_secs);
        limits.memory_bytes = set.memory_bytes.unwrap_or(limits.memory_bytes);
        limits.call_time = seconds(set.call_time_s, limits.call_time);
        limits.http_requests = set.http_requests.unwrap_or(limits.http_requests);
        limits.response_bytes = set.response_bytes.unwrap_or(limits.response_bytes);
        limits.request_bytes = set.request_bytes.unwrap_or(limits.request_bytes);
        limits.request_time = seconds(set.request_time_s, limits.request_time);
        Ok(sluice_service::Settings {
            ceiling,
            apps: self.apps()?,
            page_hint: self.sync.page_hint,
            sync_workers: self.sync.workers,
            caps: sluice_service::Caps {
                organization: self.sync.max_runs,
                connector: self.sync.max_runs_per_connector,
                app: self.sync.max_runs_per_app,
            },
            run_time: Duration::from_secs(self.sync.run_time_s),
            hook_workers: self.hooks.workers,
            files_dir: self.destinations.files_dir.clone(),
            load_workers: self.destinations.workers,
            trusted_root: self.trusted_root()?.map(Arc::new),
            hook_body_bytes: self.hooks.body_bytes,
            component_bytes: self.limits.component_bytes,
            endpoint: self.endpoint(),
            keep: Keep {
                events: days(self.events.keep_days),
                deliveries: days(self.endpoints.keep_days),
            },
            ..sluice_service::Settings::default()
        })
    }

    fn endpoint(&self) -> EndpointSettings {
        let set = &self.endpoints;
        EndpointSettings {
            // `check` has read them.
            waits: retry_waits(&set.retry_waits_ms).unwrap_or_default(),
            health: HealthLimits {
                warn_after: Duration::from_secs(set.warn_after_s),
                off_after: Duration::from_secs(set.disable_after_s),
                pause: Duration::from_millis(set.pause_ms),
            },
            attempt_time: Duration::from_secs(set.attempt_timeout_s),
        }
    }

    /// Starts writing the log to standard error.
    pub fn start_log(&self) {
        let filter = self
            .log
            .filter
            .parse()
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        let started = match self.log.format {
            LogFormat::Text => {
                use std::io::IsTerminal;
                lines.with_ansi(std::io::stderr().is_terminal()).try_init()
            }
            LogFormat::Json => lines.json().try_init(),
        };
        if started.is_err() {
            tracing::debug!("the log was started before");
        }
    }
}

fn missing(key: &str, message: &str) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        message: message.to_owned(),
    }
}

fn retry_waits(waits: &[u64]) -> Result<RetryWaits, WaitsError> {
    RetryWaits::new(waits.iter().copied().map(Duration::from_millis).collect())
}

/// 0 is for ever.
fn days(days: u64) -> Option<Duration> {
    (days > 0).then(|| Duration::from_secs(days * 86_400))
}

fn between<N: PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: N,
    least: N,
    most: N,
) -> Result<(), BadValue> {
    if value < least {
        return Err(BadValue {
            key,
            message: format!("{value} is too little: at least {least}"),
        });
    }
    if value > most {
        return Err(BadValue {
            key,
            message: format!("{value} is too much: at most {most}"),
        });
    }
    Ok(())
}

/// The host of an `http` or `https` URL, port excluded.
fn public_host(url: &str) -> Result<String, String> {
    let not = || {
        format!(
            "`{}` is not an http or https URL without a path",
            url.escape_debug()
        )
    };
    let uri: http::Uri = url.parse().map_err(|_| not())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https")) && matches!(uri.path(), "" | "/");
    match uri.host() {
        Some(host) if known && uri.query().is_none() => Ok(host.to_ascii_lowercase()),
        _ => Err(not()),
    }
}

/// `10.0.0.0/8`, `127.0.0.1/32:9443`, `[::1]:9443`, `fd00::/8`: a range or an address, and perhaps a port.
fn parse_open(text: &str) -> Result<sluice_broker::Open, String> {
    let not = || {
        format!(
            "`{}` is not of the form ADDRESS/BITS or ADDRESS/BITS:PORT",
            text.escape_debug()
        )
    };
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Ok(sluice_broker::Open {
            net: address.ip().into(),
            port: Some(address.port()),
        });
    }
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(sluice_broker::Open {
            net: address.into(),
            port: None,
        });
    }
    let (address, rest) = text.rsplit_once('/').ok_or_else(not)?;
    let (bits, port) = match rest.split_once(':') {
        Some((bits, port)) => (bits, Some(port.parse::<u16>().map_err(|_| not())?)),
        None => (rest, None),
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let net: ipnet::IpNet = format!("{address}/{bits}").parse().map_err(|_| not())?;
    if net.trunc() != net {
        return Err(format!(
            "`{text}` has bits set behind its prefix: did you mean {}?",
            net.trunc()
        ));
    }
    Ok(sluice_broker::Open { net, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opened_ranges() {
        let open = |text: &str| parse_open(text).map(|open| (open.net.to_string(), open.port));
        assert_eq!(
            open("127.0.0.1/32:9443"),
            Ok(("127.0.0.1/32".to_owned(), Some(9443)))
        );
        assert_eq!(
            open("127.0.0.1:9443"),
            Ok(("127.0.0.1/32".to_owned(), Some(9443)))
        );
        assert_eq!(open("10.0.0.0/8"), Ok(("10.0.0.0/8".to_owned(), None)));
        assert_eq!(open("[::1]:80"), Ok(("::1/128".to_owned(), Some(80))));
        assert_eq!(open("fd00::/8"), Ok(("fd00::/8".to_owned(), None)));
        for bad in [
            "",
            "x",
            "10.0.0.1/8",
            "10.0.0.0/40",
            "1.2.3.4/32:x",
            "localhost:1",
        ] {
            assert!(open(bad).is_err(), "{bad}");
        }
    }
}
