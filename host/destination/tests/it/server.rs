//! A PostgreSQL server of this test: a directory of its own, a free port, killed at the end.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sluice_broker::connect::{Peer, Security};
use sluice_broker::{Broker, Config, ConnectTo, Open, Resolve, ResolveError};
use sluice_destination::{Access, Destination, DestinationSettings};
use sluice_model::SystemClock;
use sluice_model::id::OrgId;
use sluice_model::secret::Secret;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

pub(crate) const PASSWORD: &str = "pw'\"\\ c4n4ry ü";

/// The name that the broker finds it by.
pub(crate) const HOST: &str = "db.test";

pub(crate) struct Server {
    home: TempDir,
    pub(crate) port: u16,
    child: Child,
    /// What the postmaster is started with.
    settings: Vec<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where Debian has the programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL: apt-get install postgresql");
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
    found.sort();
    found.pop().expect("PostgreSQL: apt-get install postgresql")
}

/// Runs a program as a user that PostgreSQL accepts: it refuses root.
fn command(program: &str) -> Command {
    let mut command = Command::new(programs().join(program));
    command.env_clear().env("LC_ALL", "C").current_dir("/");
    if let Some((uid, gid)) = other() {
        command.uid(uid).gid(gid);
    }
    command
}

/// The user `postgres`, where we are root.
fn other() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let fields: Vec<&str> = line.expect("a user `postgres`").split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn give(path: &Path) {
    if let Some((uid, gid)) = other() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With further settings; `files` are put into its directory before.
    pub(crate) fn with(settings: &[&str]) -> Self {
        Self::with_files(settings, &[])
    }

    pub(crate) fn with_files(settings: &[&str], files: &[(&str, &str)]) -> Self {
        let home = TempDir::with_prefix("sluice-pg-").unwrap();
        give(home.path());
        let password = home.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        give(&password);
        let made = command("initdb")
            .args([
                "--no-sync",
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
            ])
            .args(["--locale=C.UTF-8", "--no-instructions", "--pwfile"])
            .arg(&password)
            .arg("--pgdata")
            .arg(home.path().join("data"))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb: {made}");
        for (name, content) in files {
            use std::os::unix::fs::PermissionsExt;
            let path = home.path().join("data").join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            give(&path);
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let child = launch(home.path(), port, &settings).expect("it starts");
        Self {
            home,
            port,
            child,
            settings,
        }
    }

    /// SIGKILL to the postmaster; its backends end when they notice.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after a kill.
    pub(crate) fn revive(&mut self) {
        // Refused while a backend of before is still there.
        for _ in 0..1000 {
            if let Some(child) = launch(self.home.path(), self.port, &self.settings) {
                self.child = child;
                return;
            }
        }
        panic!("it does not start again");
    }

    /// A broker that finds it, and nothing else that is not public.
    pub(crate) fn broker(&self) -> Broker {
        broker(self.port, Vec::new())
    }

    pub(crate) fn settings(&self) -> serde_json::Value {
        serde_json::json!({"kind": "postgres", "host": HOST, "port": self.port, "database": "postgres",
            "user": "postgres", "schema": "public", "tls": "disable", "deletes": "remove"})
    }

    pub(crate) fn open(&self) -> Destination {
        self.open_with(&self.settings(), PASSWORD)
    }

    pub(crate) fn open_with(&self, settings: &serde_json::Value, password: &str) -> Destination {
        open(settings, password, self.broker())
    }

    /// Somebody who looks at what came.
    pub(crate) async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }

    pub(crate) async fn try_client(&self) -> Option<Client> {
        let peer = Peer {
            org: OrgId::from_bytes([9; 16]),
            host: HOST,
            port: self.port,
            security: Security::Plain,
        };
        let stream = self.broker().connect(&peer).await.ok()?;
        let mut config = tokio_postgres::Config::new();
        config.user("postgres").dbname("postgres").password(PASSWORD);
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let (client, connection) = config.connect_raw(stream, NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    /// Rows of one text column.
    pub(crate) async fn texts(&self, question: &str) -> Vec<String> {
        let rows = self.client().await.query(question, &[]).await.unwrap();
        rows.iter()
            .map(|row| row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".into()))
            .collect()
    }

    pub(crate) async fn run(&self, statements: &str) {
        self.client().await.batch_execute(statements).await.unwrap();
    }
}

pub(crate) fn open(settings: &serde_json::Value, password: &str, broker: Broker) -> Destination {
    let access = Access {
        broker,
        org: OrgId::from_bytes([1; 16]),
        password: Some(Secret::new(password.into())),
        root: None,
        caller: None,
    };
    Destination::open(DestinationSettings::read(settings).unwrap(), access).unwrap()
}

pub(crate) fn broker(port: u16, extra_ca_pem: Vec<Vec<u8>>) -> Broker {
    let config = Config {
        open: vec![Open {
            net: "127.0.0.1/32".parse().unwrap(),
            port: Some(port),
        }],
        connect: vec![ConnectTo {
            host: HOST.into(),
            port,
            address: ([127, 0, 0, 1], port).into(),
        }],
        extra_ca_pem,
        ..Config::default()
    };
    Broker::new(config, Arc::new(NoNames), Arc::new(SystemClock)).unwrap()
}

/// Nothing is found by name.
pub(crate) struct NoNames;

impl Resolve for NoNames {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<std::net::IpAddr>, ResolveError>> {
        Box::pin(std::future::ready(Err(ResolveError::NoAddress)))
    }
}

/// Starts the postmaster and waits until it says that it is ready; `None` if it ends.
fn launch(home: &Path, port: u16, settings: &[String]) -> Option<Child> {
    let mut command = command("postgres");
    command.arg("-D").arg(home.join("data")).arg("-k").arg(home);
    for setting in [
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "max_connections=20",
        "shared_buffers=16MB",
        "log_destination=stderr",
        "logging_collector=off",
        "lc_messages=C",
    ] {
        command.args(["-c", setting]);
    }
    command.args(["-p", &port.to_string()]);
    for setting in settings {
        command.args(["-c", setting]);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_ready = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains("ready to accept connections"));
    if !is_ready {
        drop(child.wait());
        return None;
    }
    // What it says later is read, so that it never waits for us.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some(child)
}
