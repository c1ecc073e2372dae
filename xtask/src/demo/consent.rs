//! The scene with OAuth: an account is connected by a person's consent at a real OpenID provider, the certified `oidc-provider` of
//! `tests/counterparts`, on loopback. With `--exit` a headless Chromium plays the person; without it the link is shown, and whoever
//! watches follows it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::stage::Stage;
use super::{http, say, sluice, sluice_json};
use crate::place;

/// The name under which the connector knows the provider.
pub(super) const PROVIDER: &str = "id.acme.example";
/// The connection's name.
const NAME: &str = "consent";
/// A cold browser on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The provider, as a process that ends with the demo.
pub(super) struct Provider {
    child: Child,
    _input: Option<ChildStdin>,
    ready: Value,
}

impl Provider {
    pub(super) fn start() -> Result<Self> {
        let script = place::root().join("tests/counterparts/oidc/main.mjs");
        let mut child = Command::new("node")
            .arg(&script)
            .args(["--issuer", &format!("https://{PROVIDER}"), "--items", "120"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start the OpenID provider with node")?;
        let out = child.stdout.take().context("the provider has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let ready = serde_json::from_str(&line).context(
            "the OpenID provider did not start; `npm ci` in tests/counterparts installs what it needs",
        )?;
        Ok(Self {
            _input: child.stdin.take(),
            child,
            ready,
        })
    }

    pub(super) fn port(&self) -> Result<u16> {
        let port = self.ready.get("port").and_then(Value::as_u64);
        port.and_then(|port| u16::try_from(port).ok())
            .context("the provider has no port")
    }

    pub(super) fn ca_file(&self) -> Result<&str> {
        self.ready
            .get("ca_file")
            .and_then(Value::as_str)
            .context("the provider has no certificate")
    }

    /// What it gave to whoever registered the app.
    fn client(&self, part: &str) -> Result<String> {
        let found = self
            .ready
            .pointer(&format!("/clients/sluice/{part}"))
            .and_then(Value::as_str);
        found
            .map(str::to_owned)
            .with_context(|| format!("the provider's client has no {part}"))
    }

    /// Registers where browsers come back to.
    fn register(&self, callback: &str) -> Result<()> {
        let port = self.ready.get("control_port").and_then(Value::as_u64);
        let port = port
            .and_then(|port| u16::try_from(port).ok())
            .context("the provider has no control port")?;
        let body = json!({ "client_id": self.client("client_id")?, "redirect_uris": [callback] });
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let answer = http::send(
            ([127, 0, 0, 1], port).into(),
            "POST",
            "/__control/client",
            &headers,
            body.to_string().as_bytes(),
        )?;
        if answer.status != 200 {
            bail!(
                "the provider does not take the callback address: status {}",
                answer.status
            );
        }
        Ok(())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Plays the scene.
pub(super) fn play(stage: &Stage, connector: &Path, exit: bool) -> Result<()> {
    say("Connect another account with OAuth: an OpenID provider asks a person");
    let Some(provider) = &stage.provider else {
        println!("   left out: the provider needs Node.js 20 with npm, which this machine does not have");
        return Ok(());
    };
    let connector = place::shown(connector);
    let digest = super::show_permissions(stage, &connector)?;
    sluice(
        stage,
        &["connector", "install", &connector, "--accept", &digest],
        None,
    )?;
    let client_id = format!("client_id={}", provider.client("client_id")?);
    let set = [
        "app",
        "set",
        "acme",
        "oauth",
        "--part",
        &client_id,
        "--secret-from-stdin",
    ];
    sluice(stage, &set, Some(&provider.client("client_secret")?))?;
    let app = sluice_json(stage, &["app", "show", "acme", "oauth"])?;
    let callback = app
        .get("callback_url")
        .and_then(Value::as_str)
        .context("the app has no callback address")?;
    provider.register(callback)?;
    let link = sluice_json(
        stage,
        &["connection", "create", NAME, "--connector", "acme", "--link"],
    )?;
    let url = link
        .get("url")
        .and_then(Value::as_str)
        .context("there is no link")?
        .to_owned();
    if exit {
        println!("   a headless Chromium follows the link, signs in and allows the access");
        consent(provider, &url)?;
    } else {
        println!(
            "   follow the link in a browser of this machine that finds {PROVIDER} at 127.0.0.1:{}:",
            provider.port()?
        );
        println!(
            "   chromium --ignore-certificate-errors --host-resolver-rules='MAP {PROVIDER}:443 127.0.0.1:{}' '{url}'",
            provider.port()?
        );
        println!(
            "   waiting for it for {} s; sign in with any name",
            PATIENCE.as_secs()
        );
    }
    if !is_connected(stage, exit)? {
        println!("   nobody came; the demo goes on without that account");
        return Ok(());
    }
    sluice(stage, &["connection", "show", NAME], None)?;
    sluice(stage, &["connection", "sync", NAME, "--wait"], None)?;
    sluice(stage, &["connection", "refresh", NAME], None)
}

fn consent(provider: &Provider, url: &str) -> Result<()> {
    let output = Command::new("node")
        .arg(place::root().join("tests/counterparts/browser/consent.mjs"))
        .args([
            url,
            "--allow",
            "--user",
            "ada",
            "--click",
            "button[type=submit]",
            "--ca",
            provider.ca_file()?,
        ])
        .args(["--map", &format!("{PROVIDER}=127.0.0.1:{}", provider.port()?)])
        .stderr(Stdio::inherit())
        .output()
        .context("start the browser")?;
    if !output.status.success() {
        bail!("the browser's journey ended with {}", output.status);
    }
    let page: Value = serde_json::from_slice(&output.stdout).context("the browser printed no JSON")?;
    println!(
        "   its last page says: {}",
        page.get("text").and_then(Value::as_str).unwrap_or_default()
    );
    Ok(())
}

/// Waits for the consent. Without a person it has to come; with one the demo does not depend on it.
fn is_connected(stage: &Stage, exit: bool) -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = stage
            .sluice()
            .args(["connection", "show", NAME, "--json"])
            .stdin(Stdio::null())
            .output()?;
        let found: Value = serde_json::from_slice(&output.stdout).context("the connection is no JSON")?;
        let state = found
            .pointer("/connection/state")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match state {
            "active" => return Ok(true),
            "authorizing" | "verifying" if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(if exit { 100 } else { 1000 }));
            }
            _ if !exit => return Ok(false),
            other => bail!("the account is not connected: the connection is {other}"),
        }
    }
}
