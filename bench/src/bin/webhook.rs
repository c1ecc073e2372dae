//! The way of a webhook into the server: verified, committed, acknowledged; over 64 connections next to a bare hyper
//! server that commits the same bytes with the same group commit, the two in turns; then at 500 a second for the tail.
//!
//! The server is the real binary, with its listener, its hook workers (one) handling what comes in, and its log.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use sluice_bench::load::{self, Make, Seen};
use sluice_bench::{Far, Usage};

/// The bar of issue 2, as a share of the bare server's requests a second.
const BAR: f64 = 0.5;
const ROUNDS: u64 = 4;
const ROUND: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    match measure().await {
        Ok(ratio) if ratio >= BAR => ExitCode::SUCCESS,
        Ok(ratio) => {
            eprintln!("webhook: {ratio:.2} of the bare server (bar: {BAR})");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("webhook: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Running {
    child: Child,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn measure() -> Result<f64> {
    let scratch = tempfile::tempdir()?;
    let far = Far::start(&["--issues", "1", "--pulls", "0"], scratch.path())?;
    let (server, hook) = server(scratch.path(), &far)?;
    let bare = bare()?;
    let ours: Make = Arc::new(move |n| hook.request(n));
    let body = payload();
    let plain: Make = Arc::new(move |_| request("/", "", &body));
    let (mut our_rate, mut bare_rate) = (Vec::new(), Vec::new());
    let before = usage(&server)?;
    let mut answered = 0;
    for round in 0..ROUNDS {
        let seen = load::closed(
            server.address,
            CONNECTIONS,
            ROUND,
            round * 10_000_000,
            Arc::clone(&ours),
        )
        .await?;
        answered += seen.answers;
        our_rate.push(seen.per_second);
        bare_rate.push(
            load::closed(bare.address, CONNECTIONS, ROUND, 0, Arc::clone(&plain))
                .await?
                .per_second,
        );
    }
    let cpu = usage(&server)?.cpu_s - before.cpu_s;
    let tail = load::paced(server.address, 16, 500, Duration::from_secs(10), 1 << 40, ours).await?;
    let (ours, bare) = (median(our_rate), median(bare_rate));
    let Seen {
        p50_ms,
        p99_ms,
        per_second,
        ..
    } = tail;
    println!(
        "{}",
        serde_json::json!({
            "ours_per_s": ours.round(), "bare_per_s": bare.round(), "ratio": ours / bare,
            "ours_per_cpu_s_handling_included": (answered as f64 / cpu).round(),
            "paced": {"per_s": per_second.round(), "p50_ms": p50_ms, "p99_ms": p99_ms},
        })
    );
    Ok(ours / bare)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

fn usage(running: &Running) -> Result<Usage> {
    Ok(Usage::of(&running.child.id().to_string())?)
}

/// A hook's address and how a delivery to it is signed.
struct Hook {
    path: String,
    signature: String,
    body: Vec<u8>,
}

impl Hook {
    fn request(&self, number: u64) -> Vec<u8> {
        let headers = format!(
            "x-github-event: issues\r\nx-github-delivery: {number}\r\nx-hub-signature-256: {}\r\n",
            self.signature
        );
        request(&self.path, &headers, &self.body)
    }
}

fn request(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// An issue event of 2 KiB.
fn payload() -> Vec<u8> {
    serde_json::json!({
        "action": "edited",
        "issue": {"id": 1, "node_id": "I_1", "number": 1, "title": "a title", "state": "open",
                  "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
                  "body": "x".repeat(1700)},
        "repository": {"id": 1, "full_name": "acme/web"},
        "sender": {"id": 1, "login": "mona"},
    })
    .to_string()
    .into_bytes()
}

fn bare() -> Result<Running> {
    let mut child = Command::new(std::env::current_exe()?.with_file_name("bare"))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("the bare server's output")?).read_line(&mut line)?;
    Ok(Running {
        child,
        address: line.trim().parse()?,
    })
}

/// Starts the real server, installs, connects and makes a hook through its command line.
fn server(scratch: &Path, far: &Far) -> Result<(Running, Hook)> {
    let program = std::env::current_exe()?.with_file_name("sluice");
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let config = scratch.join("sluice.toml");
    let key = scratch.join("key");
    let ca = scratch.join("vendor-ca.pem");
    std::fs::write(
        &config,
        format!(
            "[server]\nlisten = \"{address}\"\n[data]\ndir = {:?}\n[hooks]\nworkers = 1\n[log]\nfilter = \"error\"\n\
             [broker]\nopen = [\"127.0.0.1/32:{}\"]\nextra_ca_files = [{ca:?}]\n\
             [[broker.connect]]\nhost = \"api.github.com\"\nport = 443\naddress = \"{}\"\n",
            scratch.join("server"),
            far.https.port(),
            far.https
        ),
    )?;
    let mut child = Command::new(&program)
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
    let stdout = child.stdout.take().context("the server's output")?;
    let running = Running { child, address };
    BufReader::new(stdout).read_line(&mut String::new())?;
    let cli = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(&program)
            .args(arguments)
            .args([
                "--json",
                "--server",
                &format!("http://{address}"),
                "--api-key-file",
            ])
            .arg(&key)
            .output()?;
        anyhow::ensure!(
            output.status.success(),
            "sluice {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    };
    let target = program
        .parent()
        .and_then(Path::parent)
        .context("the target directory")?;
    let connector = target.join("connectors/github.wasm");
    let connector = connector.to_str().context("a path in UTF-8")?;
    let manifest =
        std::fs::read_to_string("plugins/github/connector.toml").context("run it from the repository")?;
    let digest = sluice_model::manifest::Manifest::digest(&manifest);
    cli(&["connector", "install", connector, "--accept", &digest])?;
    let token = scratch.join("token");
    std::fs::write(&token, "vendor-token")?;
    let token = token.to_str().context("a path in UTF-8")?;
    let config = r#"repositories=["acme/web"]"#;
    cli(&[
        "connection",
        "create",
        "bench",
        "--connector",
        "github",
        "--config",
        config,
        "--secret-file",
        token,
    ])?;
    let hook: serde_json::Value = serde_json::from_str(&cli(&["hook", "create", "bench"])?)?;
    let text = |name: &str| {
        hook.get(name)
            .and_then(|value| value.as_str())
            .context("what the hook is")
    };
    let body = payload();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, text("secret")?.as_bytes());
    let signature = format!(
        "sha256={}",
        data_encoding::HEXLOWER.encode(ring::hmac::sign(&key, &body).as_ref())
    );
    Ok((
        running,
        Hook {
            path: format!("/hooks/{}", text("id")?),
            signature,
            body,
        },
    ))
}
