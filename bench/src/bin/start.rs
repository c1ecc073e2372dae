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
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sluice_bench::Server;
use sluice_broker::{Broker, System};
use sluice_model::SystemClock;
use sluice_model::manifest::Manifest;
use sluice_model::seal::MasterKey;
use sluice_runtime::{Config, Runtime};
use sluice_service::{Parts, Service, Settings, catalogue};
use sluice_store::{Options, Store};

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
    let mut resident = 0;
    for _ in 0..STARTS {
        let started = Instant::now();
        let server = Server::start(scratch.path(), None)?;
        times.push(server.ready(started)?);
        resident = server.usage()?.resident_bytes;
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
            "resident_mib": resident >> 20, "load_all_ms": millis(loading),
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
    let component = std::fs::read(sluice_bench::connector()?)?;
    let (code, manifest) = apart(&component)?;
    let file = scratch.join("connector.wasm");
    let path = file.to_str().context("a path in UTF-8")?;
    for number in 0..CONNECTORS {
        let named = manifest.replacen("id = \"github\"", &format!("id = \"github-{number}\""), 1);
        std::fs::write(&file, packed(code, &named))?;
        server.cli(&[
            "connector",
            "install",
            path,
            "--accept",
            &Manifest::digest(&named),
        ])?;
    }
    Ok(())
}

/// The name of the manifest's section behind its length, as `cargo xtask build` appends it.
const NAME: &[u8] = b"\x0fsluice:manifest";

fn apart(component: &[u8]) -> Result<(&[u8], &str)> {
    let at = component
        .windows(NAME.len())
        .rposition(|window| window == NAME)
        .context("the connector has no manifest")?;
    let (before, section) = component.split_at(at);
    let mut length = Vec::new();
    leb128(section.len(), &mut length);
    let code = before
        .get(..at - length.len() - 1)
        .context("its section has no head")?;
    Ok((
        code,
        std::str::from_utf8(section.get(NAME.len()..).unwrap_or_default())?,
    ))
}

fn packed(code: &[u8], manifest: &str) -> Vec<u8> {
    let mut bytes = code.to_vec();
    bytes.push(0);
    leb128(NAME.len() + manifest.len(), &mut bytes);
    bytes.extend_from_slice(NAME);
    bytes.extend_from_slice(manifest.as_bytes());
    bytes
}

fn leb128(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Loads the code of every install, as its first call would.
async fn load(scratch: &Path) -> Result<Duration> {
    let data = scratch.join("server");
    let text = std::fs::read_to_string(data.join("master.key"))?;
    // As the server derives it; with another key every connector would be compiled anew.
    let cache_key = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, text.trim().as_bytes()),
        b"sluice compiled cache 1",
    );
    let store = Store::open(Options::new(data.clone(), MasterKey::from_text(text.trim())?))?;
    let clock = Arc::new(SystemClock);
    let broker = Broker::new(
        sluice_broker::Config::default(),
        Arc::new(System::new()?),
        clock.clone(),
    )?;
    let config = Config {
        cache_dir: Some(data.join("compiled")),
        cache_key: cache_key.as_ref().try_into()?,
        ..Config::default()
    };
    let service = Service::start(Parts {
        store,
        runtime: Runtime::new(config, broker)?,
        clock,
        settings: Settings::default(),
    })
    .await?;
    let started = Instant::now();
    catalogue::warm(&service).await;
    Ok(started.elapsed())
}
