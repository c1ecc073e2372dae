//! The vendor, played by `fixtures/vendor` on loopback. Dropping it ends it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::place;

/// The repository that it has.
pub(crate) const REPOSITORY: &str = "acme/web";
/// The token that it takes.
pub(crate) const TOKEN: &str = "vendor-token";

pub(crate) struct StandIn {
    child: Child,
    /// Clear text: for the demo itself and for the peers.
    pub(crate) http: SocketAddr,
    /// TLS: for the connector.
    pub(crate) https: SocketAddr,
}

impl StandIn {
    /// Starts it with `issues` issues of about `bytes` each. Its certificate authority is written to `ca`.
    pub(crate) fn start(release: bool, issues: u64, bytes: u64, ca: Option<&Path>) -> Result<Self> {
        let program = place::binary("vendor", release);
        let mut command = Command::new(&program);
        command.args(["--repository", REPOSITORY, "--token", TOKEN]);
        command.args([
            "--issues",
            &issues.to_string(),
            "--issue-bytes",
            &bytes.to_string(),
        ]);
        if let Some(ca) = ca {
            command.arg("--ca").arg(ca);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        match said(&mut child) {
            Ok((http, https)) => Ok(Self { child, http, https }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself; there is nobody to tell if it cannot be ended.
    drop(child.kill());
    drop(child.wait());
}

/// It says in one line of JSON where it is.
fn said(child: &mut Child) -> Result<(SocketAddr, SocketAddr)> {
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    addresses(&line)
}

fn addresses(line: &str) -> Result<(SocketAddr, SocketAddr)> {
    let said: serde_json::Value =
        serde_json::from_str(line).context("the stand-in did not say where it is")?;
    let address = |name: &str| -> Result<SocketAddr> {
        let url = said
            .get(name)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        let authority = url.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
        authority
            .parse()
            .with_context(|| format!("the stand-in's `{name}` is no address: {line}"))
    };
    Ok((address("http")?, address("https")?))
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn it_says_where_it_is() {
        let (http, https) =
            addresses(r#"{"ca":null,"http":"http://127.0.0.1:8","https":"https://127.0.0.1:9"}"#).unwrap();
        assert_eq!((http.port(), https.port()), (8, 9));
        assert!(addresses("").is_err());
        assert!(addresses(r#"{"http":"http://127.0.0.1:8"}"#).is_err());
    }
}
