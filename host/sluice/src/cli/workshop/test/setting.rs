//! What a case is played or recorded with: the compiled connector, the credential, and where the vendor is.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use sluice_broker::{ConnectTo, Open};
use sluice_harness::{Case, Given, Place, Stage, Subject};
use sluice_model::auth::SECRET;
use sluice_model::manifest::Manifest;
use sluice_model::secret::Secret;
use sluice_runtime::Inspection;
use url::Url;

use crate::cli::author;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::input;
use crate::cli::output::Output;
use crate::cli::workshop::project::{Project, component};

/// Where the vendor is, and with which credential it is asked.
#[derive(Debug, Args)]
pub(super) struct At {
    /// Who plays the vendor: http://127.0.0.1:PORT, or HOST=http://… for one host, or HOST=https://ADDRESS:PORT
    #[arg(long, value_name = "[HOST=]URL", requires = "record")]
    to: Vec<String>,
    /// Whom to believe besides the public authorities
    #[arg(long, value_name = "FILE", requires = "to")]
    ca: Vec<PathBuf>,
    /// File with the credential (or SLUICE_TEST_SECRET); a JSON object names several parts
    #[arg(long, value_name = "FILE", requires = "record")]
    secret_file: Option<PathBuf>,
}

/// The environment's name for a credential.
const SECRET_VARIABLE: &str = "SLUICE_TEST_SECRET";

impl At {
    /// The credential of the case's scheme: from the file, the environment, or whoever sits there.
    pub(super) fn credential(
        &self,
        manifest: &Manifest,
        case: &Case,
        output: &Output,
    ) -> Result<Given, Failure> {
        let scheme = match &case.auth {
            Some(name) => manifest.auth(name),
            None => manifest.auth.first(),
        };
        let Some(scheme) = scheme else {
            return Ok(Given::new());
        };
        let text = match std::env::var(SECRET_VARIABLE) {
            Ok(text) if self.secret_file.is_none() => Some(text),
            _ => {
                let source = input::Source {
                    stdin: false,
                    file: self.secret_file.clone(),
                    flags: "--secret-file FILE",
                };
                input::secret(&source, &scheme.title, output)?
            }
        };
        let text = text.ok_or_else(|| {
            Failure::usage(format!("recording needs the credential `{}`", scheme.name)).hint(format!(
                "set {SECRET_VARIABLE}, or name a file with --secret-file"
            ))
        })?;
        let parts = match serde_json::from_str(&text) {
            Ok(Value::Object(parts)) => parts,
            _ => serde_json::Map::from_iter([(SECRET.to_owned(), Value::String(text))]),
        };
        let part = |(name, value): (String, Value)| match value {
            Value::String(text) => Ok((name, Secret::new(text.into_bytes()))),
            _ => Err(Failure::usage(format!(
                "the part `{name}` of the credential is no text"
            ))),
        };
        parts.into_iter().map(part).collect()
    }

    /// The settings of the road to the vendor, and who plays it.
    pub(super) fn road(&self) -> Result<(sluice_broker::Config, Stage), Failure> {
        let (mut config, mut plain) = (sluice_broker::Config::default(), HashMap::new());
        for file in &self.ca {
            config.extra_ca_pem.push(author::read(file)?);
        }
        for to in &self.to {
            let (host, url) = match to.split_once('=') {
                Some((host, url)) if !host.contains(':') => (host, url),
                _ => ("", to.as_str()),
            };
            let (scheme, address) = address(url)?;
            match scheme.as_str() {
                "http" => {
                    plain.insert(host.to_owned(), address);
                }
                _ if host.is_empty() => {
                    return Err(Failure::usage(format!("`{to}` does not say which host it plays"))
                        .hint("write HOST=https://ADDRESS:PORT"));
                }
                _ => {
                    config.connect.push(ConnectTo {
                        host: host.to_owned(),
                        port: 443,
                        address,
                    });
                    config.open.push(Open {
                        net: address.ip().into(),
                        port: Some(address.port()),
                    });
                }
            }
        }
        Ok((config, Stage { plain }))
    }
}

/// The scheme and the address of `http://127.0.0.1:4010`. What goes out in plain text goes to this machine alone.
fn address(text: &str) -> Result<(String, SocketAddr), Failure> {
    let wrong = |why: &str| {
        Failure::usage(format!("`{text}` {why}"))
            .hint("write http://127.0.0.1:PORT or HOST=https://ADDRESS:PORT")
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err(wrong("has a path: the vendor's own paths are asked there"));
    }
    let ip = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.into(),
        Some(url::Host::Ipv6(ip)) => ip.into(),
        Some(url::Host::Domain("localhost")) => std::net::Ipv4Addr::LOCALHOST.into(),
        _ => return Err(wrong("has no address of numbers")),
    };
    let port = url.port_or_known_default().ok_or_else(|| wrong("has no port"))?;
    let address = SocketAddr::new(ip, port);
    match url.scheme() {
        "http" if !ip.is_loopback() => Err(wrong(
            "is another machine, and credentials go nowhere else in plain text",
        )),
        "http" | "https" => Ok((url.scheme().to_owned(), address)),
        _ => Err(wrong("is neither http nor https")),
    }
}

/// A component that was built of the manifest beside it, and where its machine code is kept.
pub(in crate::cli::workshop) struct Compiled {
    component: Vec<u8>,
    manifest: Manifest,
    runtime: sluice_runtime::Config,
}

impl Compiled {
    pub(in crate::cli::workshop) fn read(project: &Project, given: Option<&Path>) -> Result<Self, Failure> {
        let path = given.map_or_else(|| component(&project.dir, &project.manifest.id), Path::to_owned);
        if !path.is_file() {
            return Err(
                Failure::new(Exit::NotFound, format!("{} is not there", path.display()))
                    .hint("sluice connector build"),
            );
        }
        let component = author::read(&path)?;
        let mut runtime = sluice_runtime::Config {
            slots: 4,
            ..sluice_runtime::Config::default()
        };
        let inspection =
            Inspection::read(&component, runtime.max_component_bytes).map_err(|error| Failure {
                code: Some(error.code().to_owned()),
                ..Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
            })?;
        if inspection
            .manifest
            .is_some_and(|text| text != project.manifest_text)
        {
            return Err(Failure {
                code: Some("check.stale".to_owned()),
                ..Failure::new(
                    Exit::Failed,
                    format!("{} was built with another connector.toml", path.display()),
                )
            }
            .hint("sluice connector build"));
        }
        let dir = project.dir.join("dist/.compiled");
        // Beside somebody else's component there is nothing to be kept for the next time.
        if given.is_none()
            && let Some(key) = key(&dir)
        {
            (runtime.cache_key, runtime.cache_dir) = (key, Some(dir));
            runtime.cache_bytes = CACHE_BYTES;
        }
        Ok(Self {
            component,
            manifest: project.manifest.clone(),
            runtime,
        })
    }

    pub(in crate::cli::workshop) fn subject(&self, broker: sluice_broker::Config) -> Subject {
        Subject {
            component: self.component.clone(),
            manifest: self.manifest.clone(),
            runtime: self.runtime.clone(),
            broker,
        }
    }
}

/// Machine code of the last builds of one connector, in bytes.
const CACHE_BYTES: u64 = 256 << 20;

/// What authenticates the machine code of this directory. Without a place for it, it is made anew each time.
fn key(dir: &Path) -> Option<[u8; 32]> {
    fs::create_dir_all(dir).ok()?;
    let path = dir.join("key");
    if let Some(key) = fs::read(&path).ok().and_then(|bytes| bytes.try_into().ok()) {
        return Some(key);
    }
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).ok()?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(&path)
        .and_then(|mut file| file.write_all(&key))
        .ok()?;
    Some(key)
}

/// Makes a case with this configuration, where there is none.
pub(super) fn begin(place: &Place, values: &[String]) -> Result<(), Failure> {
    if place.case().is_file() {
        return match values {
            [] => Ok(()),
            _ => Err(
                Failure::usage(format!("{} says the configuration", place.case().display()))
                    .hint("change it there, or name another case with --case NAME"),
            ),
        };
    }
    let config = configuration(values)?;
    let text = toml::to_string(&serde_json::json!({ "config": config }))
        .map_err(|error| Failure::usage(format!("the configuration can't be written: {error}")))?;
    fs::create_dir_all(place.dir())
        .and_then(|()| fs::write(place.case(), text))
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", place.case().display())))
}

/// Single values. One that is JSON is taken so, any other as text.
fn configuration(values: &[String]) -> Result<Value, Failure> {
    let of = |text: &String| {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("`--config {text}` is not of the form KEY=VALUE")))?;
        let parsed = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok((key.to_owned(), parsed))
    };
    values.iter().map(of).collect::<Result<_, _>>().map(Value::Object)
}

pub(in crate::cli::workshop) fn failed(error: &sluice_harness::Error) -> Failure {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    let failure = Failure {
        code: Some(error.code().to_owned()),
        ..Failure::new(Exit::Failed, message)
    };
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
