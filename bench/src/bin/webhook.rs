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
use sluice_bench::{Far, Package, Server};

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

/// The bare server's process.
struct Bare {
    child: Child,
    address: SocketAddr,
}

impl Drop for Bare {
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
    let body = sluice_bench::delivery();
    let plain: Make = Arc::new(move |_| request("/", "", &body));
    let (mut our_rate, mut bare_rate) = (Vec::new(), Vec::new());
    let before = server.usage()?;
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
    let cpu = server.usage()?.cpu_s - before.cpu_s;
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

fn bare() -> Result<Bare> {
    let mut child = Command::new(std::env::current_exe()?.with_file_name("bare"))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("the bare server's output")?).read_line(&mut line)?;
    Ok(Bare {
        child,
        address: line.trim().parse()?,
    })
}

/// Starts the real server, installs, connects and makes a hook through its command line.
fn server(scratch: &Path, far: &Far) -> Result<(Server, Hook)> {
    let mut server = Server::start(scratch, Some(far))?;
    server.listening()?;
    let connector = sluice_bench::connector("github")?;
    let connector = connector.to_str().context("a path in UTF-8")?;
    let digest = Package::github()?.digest();
    server.cli(&["connector", "install", connector, "--accept", &digest])?;
    let token = scratch.join("token");
    std::fs::write(&token, "vendor-token")?;
    let token = token.to_str().context("a path in UTF-8")?;
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
        token,
    ])?;
    let hook: serde_json::Value = serde_json::from_str(&server.cli(&["hook", "create", "bench"])?)?;
    let text = |name: &str| {
        hook.get(name)
            .and_then(|value| value.as_str())
            .context("what the hook is")
    };
    let body = sluice_bench::delivery();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, text("secret")?.as_bytes());
    let signature = format!(
        "sha256={}",
        data_encoding::HEXLOWER.encode(ring::hmac::sign(&key, &body).as_ref())
    );
    let hook = Hook {
        path: format!("/hooks/{}", text("id")?),
        signature,
        body,
    };
    Ok((server, hook))
}
