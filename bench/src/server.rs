//! The real server, as its own process, and its command line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{Far, Usage};

/// A running `sluice serve` on a data directory in `scratch`; it is ended when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    program: PathBuf,
    key: PathBuf,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it. A second one on the same `scratch` finds what the first one left.
    ///
    /// # Errors
    ///
    /// If the program is not built (`cargo build --release -p sluice`) or does not say that it listens.
    pub fn start(scratch: &Path, far: Option<&Far>) -> Result<Self> {
        Self::start_with(scratch, far, &[], 1)
    }

    /// The same, and it may reach these ports of this machine and handles so many webhooks at once.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub fn start_with(scratch: &Path, far: Option<&Far>, open: &[u16], workers: u32) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("sluice");
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (config, key) = (scratch.join("sluice.toml"), scratch.join("key"));
        let ports = far
            .map(|far| far.https.port())
            .into_iter()
            .chain(open.iter().copied());
        let open: Vec<String> = ports.map(|port| format!("\"127.0.0.1/32:{port}\"")).collect();
        let vendor = far.map_or(String::new(), |far| {
            format!(
                "[broker]\nopen = [{}]\nextra_ca_files = [{:?}]\n\
                 [[broker.connect]]\nhost = \"api.github.com\"\nport = 443\naddress = \"{}\"\n",
                open.join(", "),
                scratch.join("vendor-ca.pem"),
                far.https
            )
        });
        std::fs::write(
            &config,
            format!(
                "[server]\nlisten = \"{address}\"\n[data]\ndir = {:?}\n[hooks]\nworkers = {workers}\n\
                 [log]\nfilter = \"error\"\n{vendor}",
                scratch.join("server"),
            ),
        )?;
        let child = Command::new(&program)
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--key-file")
            .arg(&key)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| {
                format!(
                    "start {}; build it with `cargo build --release -p sluice`",
                    program.display()
                )
            })?;
        Ok(Self {
            child,
            program,
            key,
            address,
        })
    }

    /// Waits until it says where it listens.
    ///
    /// # Errors
    ///
    /// If it ended instead.
    pub fn listening(&mut self) -> Result<()> {
        let stdout = self.child.stdout.take().context("the server's output")?;
        BufReader::new(stdout).read_line(&mut String::new())?;
        Ok(())
    }

    /// Asks until `/health/ready` answers 200; gives the time of that since `started`.
    ///
    /// # Errors
    ///
    /// If it does not within ten seconds.
    pub fn ready(&self, started: Instant) -> Result<Duration> {
        loop {
            ensure!(
                started.elapsed() < Duration::from_secs(10),
                "the server is not ready"
            );
            if self.is_ready().unwrap_or(false) {
                return Ok(started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_ready(&self) -> Result<bool> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    }

    /// Runs the command line against it; gives what it printed.
    ///
    /// # Errors
    ///
    /// With what it printed, if its status is not 0.
    pub fn cli(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.program)
            .args(arguments)
            .args([
                "--json",
                "--server",
                &format!("http://{}", self.address),
                "--api-key-file",
            ])
            .arg(&self.key)
            .output()?;
        ensure!(
            output.status.success(),
            "sluice {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The administrator's API key.
    ///
    /// # Errors
    ///
    /// If the server has not written it yet.
    pub fn api_key(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.key)?.trim().to_owned())
    }

    /// The id of its process.
    #[must_use]
    pub fn process(&self) -> String {
        self.child.id().to_string()
    }

    /// What it answers to this path.
    ///
    /// # Errors
    ///
    /// If it does not answer with 200.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        let request = format!(
            "GET {path} HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n",
            self.api_key()?
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
        ensure!(head.contains(" 200 "), "{path}: {head}");
        Ok(body.to_owned())
    }

    /// What it used so far.
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn usage(&self) -> Result<Usage> {
        Ok(Usage::of(&self.child.id().to_string())?)
    }

    /// Ends it as an operator would, and waits for it.
    ///
    /// # Errors
    ///
    /// If there is no `kill`.
    pub fn stop(mut self) -> Result<()> {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(sent.success(), "the server is gone already");
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
