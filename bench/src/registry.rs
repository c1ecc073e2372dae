//! Debian's registry as its own process, on a port of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A running `docker-registry`; it is ended when this is dropped.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    pub address: SocketAddr,
}

impl Registry {
    /// Starts it; what it keeps is in `scratch`.
    ///
    /// # Errors
    ///
    /// If it is not installed (`apt-get install docker-registry`) or does not say that it listens.
    pub fn start(scratch: &Path) -> Result<Self> {
        let config = scratch.join("registry.yml");
        let data = scratch.join("registry");
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: info, formatter: text}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
                 http: {{addr: \"127.0.0.1:0\"}}\n",
                data.display()
            ),
        )?;
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start docker-registry: apt-get install docker-registry")?;
        let mut lines = BufReader::new(child.stderr.take().context("its log")?).lines();
        let address = loop {
            let line = lines.next().context("the registry ended")??;
            if let Some((_, after)) = line.split_once("listening on ") {
                let end = after.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':')));
                break after
                    .get(..end.unwrap_or(after.len()))
                    .unwrap_or_default()
                    .parse()?;
            }
        };
        // Read to the end, so that it never waits for somebody to read.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
