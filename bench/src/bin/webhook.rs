//! The way of a webhook into the server: verified, committed, acknowledged; over 64 connections next to a bare hyper
//! server that commits the same bytes with the same group commit, the two in turns; then at 1,000 a second for the tail, the same beside
//! 10,000 forged ones a second from another address and from the good one's own, and the same while a full sync runs.
//!
//! The server is the real binary, with its listener, its hook workers (one) handling what comes in, and its log.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use sluice_bench::hook::{self, Hook};
use sluice_bench::load::{self, Make, Seen};

/// The bar of issue 2, as a share of the bare server's requests a second.
const BAR: f64 = 0.5;
const ROUNDS: u64 = 4;
const ROUND: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 64;
/// Connections of the paced load: senders do not wait for one another, so there are as many as may be waiting.
const LANES: u32 = 128;
/// Forged webhooks a second, and their connections.
const FORGED: u32 = 10_000;
const FORGERS: u32 = 64;
/// What the full sync reads: more than it can within the time of the measurement.
const RECORDS: &str = "400000";

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
    let (_far, server) = hook::server(scratch.path(), RECORDS, &[], 1)?;
    let hook = Hook::make(&server, scratch.path())?;
    let bare = bare()?;
    let body = sluice_bench::delivery();
    let plain = body.clone();
    let forged = hook.forged(&body);
    let forged: Make = Arc::new(move |_| forged.clone());
    let ours: Make = Arc::new(move |n| hook.request(n, &body));
    let plain: Make = Arc::new(move |_| hook::post("/", "", &plain));
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
    let tail = paced(server.address, 1 << 40, &ours).await?;
    let mut floods = Vec::new();
    for (number, from) in [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::LOCALHOST]
        .into_iter()
        .enumerate()
    {
        let (at, before) = ((from, server.address), server.usage()?);
        let flood = load::whatever(at, FORGERS, FORGED, Duration::from_secs(10), Arc::clone(&forged));
        let good = paced(server.address, (50 + number as u64) << 33, &ours);
        let (flood, good) = tokio::try_join!(flood, good)?;
        let after = server.usage()?;
        floods.push(serde_json::json!({
            "from": from, "forged_per_s": flood.per_second.round(), "answers": flood.statuses, "good": shown(&good),
            "resident_mib_before": before.resident_bytes >> 20, "resident_mib_after": after.resident_bytes >> 20,
        }));
    }
    server.cli(&["connection", "sync", "bench", "--stream", "issues"])?;
    let beside = paced(server.address, 1 << 41, &ours).await?;
    let runs = server.cli(&["run", "list", "--connection", "bench"])?;
    let (ours, bare) = (median(our_rate), median(bare_rate));
    println!(
        "{}",
        serde_json::json!({
            "ours_per_s": ours.round(), "bare_per_s": bare.round(), "ratio": ours / bare,
            "ours_per_cpu_s_handling_included": (answered as f64 / cpu).round(),
            "paced": shown(&tail), "beside_forged_ones": floods, "while_a_sync_runs": shown(&beside), "runs": serde_json::from_str::<serde_json::Value>(&runs)?,
        })
    );
    Ok(ours / bare)
}

async fn paced(to: SocketAddr, first: u64, make: &Make) -> Result<Seen> {
    load::paced(to, LANES, 1000, Duration::from_secs(10), first, Arc::clone(make)).await
}

fn shown(seen: &Seen) -> serde_json::Value {
    serde_json::json!({"per_s": seen.per_second.round(), "p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms})
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
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
