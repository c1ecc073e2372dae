//! A server with the GitHub connector, a connection and a hook, made through its command line; and deliveries to the hook, signed.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{Far, Package, Server};

/// A hook's address, and what its deliveries are signed with.
#[derive(Debug)]
pub struct Hook {
    path: String,
    key: ring::hmac::Key,
}

impl Hook {
    /// Installs the connector, connects an account called `bench` and makes a hook for it.
    ///
    /// # Errors
    ///
    /// If the server refuses one of it.
    pub fn make(server: &Server, scratch: &Path) -> Result<Self> {
        // A rate says nothing about work.
        let package = Package::github()?
            .replaced("per_second = 15.0", "per_second = 10000.0")?
            .replaced("burst = 30", "burst = 10000")?;
        let (file, token) = (scratch.join("github.wasm"), scratch.join("token"));
        std::fs::write(&file, package.bytes())?;
        std::fs::write(&token, "vendor-token")?;
        let path = |file: &Path| file.to_str().map(str::to_owned).context("a path in UTF-8");
        server.cli(&[
            "connector",
            "install",
            &path(&file)?,
            "--accept",
            &package.digest(),
        ])?;
        let config = r#"repositories=["acme/web"]"#;
        server.cli(&[
            "connection",
            "create",
            "bench",
            "--connector",
            "github",
            "--config",
            config,
            "--secret-file",
            &path(&token)?,
        ])?;
        let hook: serde_json::Value = serde_json::from_str(&server.cli(&["hook", "create", "bench"])?)?;
        let text = |name: &str| {
            let found = hook.get(name).and_then(serde_json::Value::as_str);
            found.context("what the hook is")
        };
        Ok(Self::of(&format!("/hooks/{}", text("id")?), text("secret")?))
    }

    /// One at this path, whose deliveries are signed with this secret.
    #[must_use]
    pub fn of(path: &str, secret: &str) -> Self {
        Self {
            path: path.to_owned(),
            key: ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes()),
        }
    }

    /// A request with this body that somebody else has signed.
    #[must_use]
    pub fn forged(&self, body: &[u8]) -> Vec<u8> {
        let signature = "0".repeat(64);
        let headers = format!(
            "x-github-event: issues\r\nx-github-delivery: forged\r\nx-hub-signature-256: sha256={signature}\r\n"
        );
        post(&self.path, &headers, body)
    }

    /// The end of its path.
    #[must_use]
    pub fn id(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The request that delivers this body, as the delivery of this number.
    #[must_use]
    pub fn request(&self, number: u64, body: &[u8]) -> Vec<u8> {
        let signature = data_encoding::HEXLOWER.encode(ring::hmac::sign(&self.key, body).as_ref());
        let headers = format!(
            "x-github-event: issues\r\nx-github-delivery: {number}\r\nx-hub-signature-256: sha256={signature}\r\n"
        );
        post(&self.path, &headers, body)
    }
}

/// The bytes of a request with this body.
#[must_use]
pub fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The stand-in, and a server that reaches it and these ports of this machine, and handles so many webhooks at once.
///
/// # Errors
///
/// As [`Far::start`], [`Server::start_with`].
pub fn server(scratch: &Path, records: &str, open: &[u16], workers: u32) -> Result<(Far, Server)> {
    let far = Far::start(
        &["--issues", records, "--issue-bytes", "800", "--pulls", "0"],
        scratch,
    )?;
    let mut server = Server::start_with(scratch, Some(&far), open, workers)?;
    server.listening()?;
    Ok((far, server))
}
