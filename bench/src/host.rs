//! The real host in this process, and the vendor's stand-in in another, so that processor time tells them apart.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use sluice_broker::{Broker, ConnectTo, Open, System};
use sluice_model::SystemClock;
use sluice_model::id::ConnectionId;
use sluice_model::seal::MasterKey;
use sluice_model::secret::Secret;
use sluice_runtime::{Compiler, Config, Runtime};
use sluice_service::{Parts, Service, Settings, connection, install};
use sluice_store::{Options, Store};

use crate::Package;

/// The stand-in's process.
#[derive(Debug)]
pub struct Far {
    child: Child,
    pub http: String,
    pub https: SocketAddr,
    pub ca_pem: Vec<u8>,
}

impl Far {
    /// Starts the stand-in with these arguments; it is ended when this is dropped.
    ///
    /// # Errors
    ///
    /// If the program is not built (`cargo build --release -p vendor`) or does not say where it is.
    pub fn start(arguments: &[&str], scratch: &Path) -> Result<Self> {
        let program = beside_this("vendor")?;
        let ca = scratch.join("vendor-ca.pem");
        let mut child = Command::new(&program)
            .args(arguments)
            .arg("--ca")
            .arg(&ca)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!(
                    "start {}; build it with `cargo build --release -p vendor`",
                    program.display()
                )
            })?;
        let stdout = child.stdout.take().context("the stand-in has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let said: serde_json::Value = serde_json::from_str(&line).context("read where the stand-in is")?;
        let text = |name: &str| {
            said.get(name)
                .and_then(|value| value.as_str())
                .context("the stand-in's first line")
        };
        let https = text("https")?.trim_start_matches("https://").parse()?;
        Ok(Self {
            child,
            http: text("http")?.to_owned(),
            https,
            ca_pem: std::fs::read(&ca)?,
        })
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The host, as the server composes it, on a database of its own.
#[derive(Debug)]
pub struct Host {
    pub service: Service,
}

impl Host {
    /// Opens a fresh database in `scratch` and starts everything but the listener.
    ///
    /// # Errors
    ///
    /// Whatever does not start.
    pub async fn start(scratch: &Path, far: Option<&Far>) -> Result<Self> {
        Self::start_beside(scratch, far, None).await
    }

    /// Opens what a server of these measurements left in `scratch`, with its database and its compiled code.
    ///
    /// # Errors
    ///
    /// If the server still runs, or whatever does not start.
    pub async fn of_server(scratch: &Path) -> Result<Self> {
        let data = scratch.join("server");
        let master = std::fs::read_to_string(data.join("master.key"))?;
        // As the server derives it; with another key every connector would be compiled anew.
        let cache_key = ring::hmac::sign(
            &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, master.trim().as_bytes()),
            b"sluice compiled cache 1",
        );
        let store = Store::open(Options::new(data.clone(), MasterKey::from_text(master.trim())?))?;
        let clock = Arc::new(SystemClock);
        let broker = Broker::new(
            sluice_broker::Config::default(),
            Arc::new(System::new()?),
            clock.clone(),
        )?;
        let config = Config {
            cache_dir: Some(data.join("compiled")),
            cache_key: cache_key.as_ref().try_into()?,
            ..Config::default()
        };
        let service = Service::start(Parts {
            store,
            runtime: Runtime::new(config, broker)?,
            clock,
            settings: Settings::default(),
        })
        .await?;
        Ok(Self { service })
    }

    /// The same with a database beside it, on this machine: under this name, at this address.
    ///
    /// # Errors
    ///
    /// As [`Host::start`].
    pub async fn start_beside(
        scratch: &Path,
        far: Option<&Far>,
        database: Option<(&str, SocketAddr)>,
    ) -> Result<Self> {
        let master =
            MasterKey::from_text("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")?;
        let store = Store::open(Options::new(scratch.join("data"), master))?;
        let vendor = far.map(|far| ("api.github.com", 443, far.https));
        let database = database.map(|(host, address)| (host, address.port(), address));
        let mut config = sluice_broker::Config {
            extra_ca_pem: far.map(|far| far.ca_pem.clone()).into_iter().collect(),
            ..sluice_broker::Config::default()
        };
        for (host, port, address) in vendor.into_iter().chain(database) {
            config.open.push(Open {
                net: "127.0.0.1/32".parse()?,
                port: Some(address.port()),
            });
            config.connect.push(ConnectTo {
                host: host.to_owned(),
                port,
                address,
            });
        }
        let clock = Arc::new(SystemClock);
        let broker = Broker::new(config, Arc::new(System::new()?), clock.clone())?;
        let config = Config {
            compiler: Compiler::InProcess,
            ..Config::default()
        };
        let runtime = Runtime::new(config, broker)?;
        let files = scratch.join("files");
        std::fs::create_dir_all(&files)?;
        let settings = Settings {
            page_hint: 100,
            files_dir: Some(files),
            ..Settings::default()
        };
        let service = Service::start(Parts {
            store,
            runtime,
            clock,
            settings,
        })
        .await?;
        Ok(Self { service })
    }

    /// Installs our GitHub connector and connects the stand-in's repository with it. `hurried`: without the pace that its
    /// manifest asks for, 15 requests a second.
    ///
    /// # Errors
    ///
    /// If the connector is not built (`cargo xtask build`), or the stand-in refuses.
    pub async fn connect_github(&self, token: &str, hurried: bool) -> Result<ConnectionId> {
        let service = &self.service;
        let mut package = Package::github()?;
        if hurried {
            package = package
                .replaced("per_second = 15.0", "per_second = 10000.0")?
                .replaced("burst = 30", "burst = 10000")?;
        }
        let config = serde_json::json!({"repositories": ["acme/web"]});
        let id = self
            .draft("github", &package, config, &[("secret", token)])
            .await?;
        let report = connection::test(service, service.org(), id).await?;
        if !report.ok {
            bail!("the connection does not work: {report:?}");
        }
        Ok(id)
    }

    /// Installs a connector and makes a connection with this secret. No vendor is asked.
    ///
    /// # Errors
    ///
    /// Whatever the service refuses.
    pub async fn draft(
        &self,
        connector: &str,
        package: &Package,
        config: serde_json::Value,
        secret: &[(&str, &str)],
    ) -> Result<ConnectionId> {
        let service = &self.service;
        let bytes = Bytes::from(package.bytes());
        let proposal = install::inspect(service, service.org(), bytes.clone()).await?;
        install::install(service, service.org(), bytes, &proposal.digest, "bench").await?;
        self.another(connector, &format!("bench {connector}"), config, secret)
            .await
    }

    /// Makes one more connection of an installed connector.
    ///
    /// # Errors
    ///
    /// Whatever the service refuses.
    pub async fn another(
        &self,
        connector: &str,
        name: &str,
        config: serde_json::Value,
        secret: &[(&str, &str)],
    ) -> Result<ConnectionId> {
        let service = &self.service;
        let part =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::new(value.as_bytes().to_vec()));
        let new = connection::New {
            name: name.to_owned(),
            connector: connector.to_owned(),
            config,
            auth: None,
            secret: Some(secret.iter().map(part).collect()),
        };
        Ok(connection::create(service, service.org(), new).await?.id)
    }
}

fn beside_this(name: &str) -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    Ok(exe.with_file_name(name))
}

/// Where our connector of this id is, once `cargo xtask build` has made it.
///
/// # Errors
///
/// If this program is not in a target directory.
pub fn connector(id: &str) -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let target = exe
        .parent()
        .and_then(Path::parent)
        .context("the target directory")?;
    Ok(target.join(format!("connectors/{id}.wasm")))
}
