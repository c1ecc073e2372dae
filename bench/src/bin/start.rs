//! A start with a hundred installed connectors whose machine code is in the cache: from the process's start until
//! `/health/ready` answers 200, and what the server then holds in memory. A connector is loaded when it is called first,
//! so the time of loading each of them is measured beside it, in this process, from the same database and cache.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sluice_bench::{Host, Package, Server};
use sluice_service::catalogue;

/// The bar of issue 2.
const BAR: Duration = Duration::from_secs(1);
const CONNECTORS: usize = 100;
const STARTS: usize = 9;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match measure().await {
        Ok(time) if time < BAR => ExitCode::SUCCESS,
        Ok(time) => {
            eprintln!("start: {time:?} (bar: {BAR:?})");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("start: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<Duration> {
    let scratch = tempfile::tempdir()?;
    let mut server = Server::start(scratch.path(), None)?;
    server.listening()?;
    install(&server, scratch.path())?;
    server.stop()?;
    let mut times = Vec::new();
    let mut used = None;
    for _ in 0..STARTS {
        let started = Instant::now();
        let server = Server::start(scratch.path(), None)?;
        times.push(server.ready(started)?);
        used = Some(server.usage()?);
        server.stop()?;
    }
    times.sort_unstable();
    let ready = times.get(times.len() / 2).copied().unwrap_or_default();
    let loading = load(scratch.path()).await?;
    println!(
        "{}",
        serde_json::json!({
            "connectors": CONNECTORS, "ready_ms_p50": millis(ready),
            "ready_ms_worst": times.last().map(|time| millis(*time)),
            "ready_cpu_ms": used.map(|used| used.cpu_s * 1e3),
            "resident_mib": used.map(|used| used.resident_bytes >> 20), "load_all_ms": millis(loading),
            "load_each_ms": millis(loading) / CONNECTORS as f64,
        })
    );
    Ok(ready)
}

fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

/// Our GitHub connector a hundred times, each under a name of its own and so with a digest and machine code of its own.
fn install(server: &Server, scratch: &Path) -> Result<()> {
    let package = Package::github()?;
    let file = scratch.join("connector.wasm");
    let path = file.to_str().context("a path in UTF-8")?;
    for number in 0..CONNECTORS {
        let named = package.replaced("id = \"github\"", &format!("id = \"github-{number}\""))?;
        std::fs::write(&file, named.bytes())?;
        server.cli(&["connector", "install", path, "--accept", &named.digest()])?;
    }
    Ok(())
}

/// Loads the code of every install, as its first call would.
async fn load(scratch: &Path) -> Result<Duration> {
    let host = Host::of_server(scratch).await?;
    let started = Instant::now();
    catalogue::warm(&host.service).await;
    Ok(started.elapsed())
}
