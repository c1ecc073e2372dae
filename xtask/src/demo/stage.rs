//! What the demo stands on: a directory that is made anew, the stand-in for the vendor and the server, both on loopback and on
//! ports that were free. Dropping the stage ends both; the directory stays until the next demo, so that it can be looked at.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::consent::{PROVIDER, Provider};
use super::http;
use crate::stand_in::StandIn;
use crate::{place, tool};

/// Bytes of one issue, about: what GitHub sends for one with labels and a text.
const ISSUE_BYTES: u64 = 2_500;
/// A first start makes keys and a database; nothing of it takes long.
const START: Duration = Duration::from_secs(30);
/// The server's own patience with what is under way is shorter.
const STOP: Duration = Duration::from_secs(35);

pub(super) struct Stage {
    server: Child,
    pub(super) vendor: StandIn,
    /// None where Node.js is missing, which only the scene with OAuth needs.
    pub(super) provider: Option<Provider>,
    pub(super) server_address: SocketAddr,
    pub(super) dir: PathBuf,
    sluice: PathBuf,
}

impl Stage {
    pub(super) fn build(release: bool, issues: u64) -> Result<Self> {
        let dir = place::target().join("demo");
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("empty {}", dir.display()))?;
        }
        fs::create_dir_all(&dir)?;
        let ca = dir.join("vendor-ca.pem");
        let vendor = StandIn::start(release, issues, ISSUE_BYTES, Some(&ca))?;
        let provider = if tool::has_node() {
            Some(Provider::start()?)
        } else {
            None
        };
        let sluice = place::binary("sluice", release);
        let (server, server_address) = start_server(&sluice, &dir, &ca, vendor.https, provider.as_ref())?;
        Ok(Self {
            server,
            vendor,
            provider,
            server_address,
            dir,
            sluice,
        })
    }

    /// The command line as a person in another terminal would have it.
    pub(super) fn sluice(&self) -> Command {
        let mut command = Command::new(&self.sluice);
        command.current_dir(place::root());
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command
    }

    /// What that person has to set.
    pub(super) fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("SLUICE_SERVER", format!("http://{}", self.server_address)),
            ("SLUICE_API_KEY_FILE", self.key_file().display().to_string()),
        ]
    }

    pub(super) fn key_file(&self) -> PathBuf {
        key_file(&self.dir)
    }

    pub(super) fn program(&self) -> &Path {
        &self.sluice
    }

    /// Ends the server as a service manager would, and says whether it ended well.
    pub(super) fn end(mut self) -> Result<()> {
        let told = Command::new("kill")
            .arg("-TERM")
            .arg(self.server.id().to_string())
            .status();
        let deadline = Instant::now() + STOP;
        while told.as_ref().is_ok_and(|status| status.success()) && Instant::now() < deadline {
            if let Some(status) = self.server.try_wait()? {
                if !status.success() {
                    bail!("the server ended with {status}: {}", tail(&self.dir));
                }
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the server did not end in {} s", STOP.as_secs());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        end(&mut self.server);
    }
}

/// Starts the server with a configuration that sends `api.github.com` to the stand-in; waits until it answers.
fn start_server(
    program: &Path,
    dir: &Path,
    ca: &Path,
    vendor: SocketAddr,
    provider: Option<&Provider>,
) -> Result<(Child, SocketAddr)> {
    let address = free_address()?;
    let config = dir.join("sluice.toml");
    fs::write(&config, configuration(address, dir, ca, vendor, provider)?)?;
    let log = fs::File::create(dir.join("server.log"))?;
    let mut server = Command::new(program)
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .arg("--key-file")
        .arg(key_file(dir))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let deadline = Instant::now() + START;
    loop {
        if let Some(status) = server.try_wait()? {
            bail!("the server ended at once with {status}: {}", tail(dir));
        }
        if http::send(address, "GET", "/health/ready", &[], b"").is_ok_and(|answer| answer.status == 200) {
            return Ok((server, address));
        }
        if Instant::now() > deadline {
            end(&mut server);
            bail!(
                "the server is not ready after {} s: {}",
                START.as_secs(),
                tail(dir)
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn configuration(
    listen: SocketAddr,
    dir: &Path,
    ca: &Path,
    vendor: SocketAddr,
    provider: Option<&Provider>,
) -> Result<String> {
    let (data, ca) = (dir.join("data"), ca.display().to_string());
    let mut open = vec![format!("{}/32:{}", vendor.ip(), vendor.port())];
    let mut authorities = vec![ca];
    let mut connect = vec![("api.github.com", vendor)];
    if let Some(provider) = provider {
        let at = SocketAddr::from(([127, 0, 0, 1], provider.port()?));
        open.push(format!("{}/32:{}", at.ip(), at.port()));
        authorities.push(provider.ca_file()?.to_owned());
        connect.push((PROVIDER, at));
    }
    let connect: String = connect
        .iter()
        .map(|(host, at)| format!("[[broker.connect]]\nhost = \"{host}\"\nport = 443\naddress = \"{at}\"\n"))
        .collect();
    Ok(format!(
        "# Stand-ins play the vendors: the connector is the one that talks to the real one, with the same grant.\n\
         [server]\n\
         listen = \"{listen}\"\n\
         [data]\n\
         dir = {:?}\n\
         [broker]\n\
         open = {open:?}\n\
         extra_ca_files = {authorities:?}\n\
         {connect}",
        data.display().to_string(),
    ))
}

fn key_file(dir: &Path) -> PathBuf {
    dir.join("api-key")
}

/// A loopback address with a port that is free now.
fn free_address() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
    Ok(listener.local_addr()?)
}

/// The last lines that the server wrote.
fn tail(dir: &Path) -> String {
    let path = dir.join("server.log");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(8)..).unwrap_or_default();
    format!("{}\n{}", path.display(), last.join("\n"))
}

fn end(child: &mut Child) {
    // It may have ended by itself; there is nobody to tell if it cannot be ended.
    drop(child.kill());
    drop(child.wait());
}
