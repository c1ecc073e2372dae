//! What versions cost: a connector of 2 MB from a registry on this machine to its first call; loading it again, verified, from the
//! authenticated cache; going over to another version under 500 calls a second; and a server with a thousand connectors installed.
//!
//! `install N` installs N connectors in the place of a thousand. The registry is Debian's, the vendor our stand-in, the server the
//! real binary; only loading is measured in this process, from the server's own database and cache.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_bench::hook::{self, Hook};
use sluice_bench::load::{self, Make};
use sluice_bench::{Far, Host, Package, Registry, Server, Usage};
use sluice_service::catalogue;

/// The bars of issue 6.
const FIRST_CALL: Duration = Duration::from_secs(3);
const LOADED: Duration = Duration::from_millis(5);
const RESIDENT_BYTES: u64 = 300 << 20;
const PER_SECOND: u32 = 500;
const INSTALLED: usize = 1_000;

/// Packages that are installed one after the other, each with another digest.
const PACKAGES: usize = 3;
const LOADS: usize = 9;
const LANES: u32 = 64;
const SWAPS: usize = 5;
const LOAD_TIME: Duration = Duration::from_secs(12);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match measure().await {
        Ok(short) if short.is_empty() => ExitCode::SUCCESS,
        Ok(short) => {
            eprintln!("install: falls short of its bar: {}", short.join(", "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("install: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<Vec<&'static str>> {
    let count = match std::env::args().nth(1) {
        Some(count) => count.parse().context("how many connectors")?,
        None => INSTALLED,
    };
    let (first_call, loaded) = from_registry().await?;
    let swapped = swap().await?;
    let idle = idle(count).await?;
    println!(
        "{}",
        json!({"first_call": first_call.shown, "loaded": loaded.shown, "swap": swapped.shown, "idle": idle.shown})
    );
    let parts = [
        ("first call", first_call),
        ("verified load", loaded),
        ("swap", swapped),
        ("idle", idle),
    ];
    Ok(parts
        .into_iter()
        .filter(|(_, part)| !part.holds)
        .map(|(name, _)| name)
        .collect())
}

/// What was measured of one part.
struct Part {
    shown: Value,
    holds: bool,
}

fn millis(time: Duration) -> f64 {
    (time.as_micros() as f64 / 1e3 * 100.0).round() / 100.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn text(file: &Path) -> Result<&str> {
    file.to_str().context("a path in UTF-8")
}

/// The GitHub issues in JavaScript, 2.2 MB, signed and published; from the command that installs it to the first answer of its code.
async fn from_registry() -> Result<(Part, Part)> {
    let scratch = tempfile::tempdir()?;
    let registry = Registry::start(scratch.path())?;
    let far = Far::start(&["--issues", "10", "--pulls", "0"], scratch.path())?;
    let mut server = Server::start_with(scratch.path(), Some(&far), &[registry.address.port()], 1)?;
    server.listening()?;
    let (key, token) = (scratch.path().join("author.key"), scratch.path().join("token"));
    server.cli(&["connector", "keygen", "--out", text(&key)?])?;
    std::fs::write(&token, "vendor-token")?;
    let package = Package::in_language("github-issues-js")?;
    let (mut fetched, mut called, mut bytes) = (Vec::new(), Vec::new(), 0);
    for number in 0..PACKAGES {
        let id = format!("issues-{number}");
        let named = package.replaced("id = \"github-issues-js\"", &format!("id = \"{id}\""))?;
        let (bare, packed) = (
            scratch.path().join("bare.wasm"),
            scratch.path().join("packed.wasm"),
        );
        std::fs::write(&bare, named.bytes())?;
        let manifest = scratch.path().join("connector.toml");
        std::fs::write(&manifest, named.manifest())?;
        let pack = ["connector", "pack", text(&bare)?, "-o", text(&packed)?];
        server.cli(&[&pack[..], &["--manifest", text(&manifest)?]].concat())?;
        let sign = ["connector", "sign", text(&packed)?, "--publisher", "bench"];
        server.cli(&[&sign[..], &["--key", text(&key)?]].concat())?;
        bytes = std::fs::metadata(&packed)?.len();
        let place = format!("oci://{}/bench/{id}", registry.address);
        server.cli(&["connector", "publish", text(&packed)?, &place])?;
        std::fs::remove_file(&packed)?;

        let started = Instant::now();
        server.cli(&[
            "connector",
            "install",
            &format!("{place}:0.1.0"),
            "--accept",
            &named.digest(),
        ])?;
        fetched.push(started.elapsed());
        let config = r#"repositories=["acme/web"]"#;
        let made = [
            "connection",
            "create",
            &id,
            "--connector",
            &id,
            "--config",
            config,
            "--secret-file",
        ];
        server.cli(&[&made[..], &[text(&token)?]].concat())?;
        let tested: Value = serde_json::from_str(&server.cli(&["connection", "test", &id])?)?;
        ensure!(tested.get("ok") == Some(&Value::Bool(true)), "{tested}");
        called.push(started.elapsed());
    }
    server.stop()?;
    let (installed, first) = (median(fetched), median(called));
    let mut loads = Vec::new();
    for _ in 0..LOADS {
        loads.push(load(scratch.path()).await? / u32::try_from(PACKAGES).unwrap_or(1));
    }
    let loaded = median(loads);
    Ok((
        Part {
            shown: json!({"bytes": bytes, "installed_ms": millis(installed), "first_call_ms": millis(first)}),
            holds: first < FIRST_CALL,
        },
        Part {
            shown: json!({"signed_bytes": bytes, "each_ms": millis(loaded)}),
            holds: loaded < LOADED,
        },
    ))
}

/// Loads the code of every install, as its first call would: the file from the database, its signature against the policy, its machine
/// code from the cache under its MAC.
async fn load(scratch: &Path) -> Result<Duration> {
    let host = Host::of_server(scratch).await?;
    let started = Instant::now();
    catalogue::warm(&host.service).await;
    Ok(started.elapsed())
}

/// Webhooks at 500 a second, each a call of the connector's code, while its connection goes from one version to the other and back.
async fn swap() -> Result<Part> {
    let scratch = tempfile::tempdir()?;
    let (_far, server) = hook::server(scratch.path(), "10", &[], 2)?;
    let hook = Hook::make(&server, scratch.path())?;
    let package = Package::github()?;
    let next = package.replaced("\ndescription = \"", "\ndescription = \"Later. ")?;
    let version = package.version()?;
    let next = next.replaced(&format!("version = \"{version}\""), "version = \"99.0.0\"")?;
    let file = scratch.path().join("next.wasm");
    std::fs::write(&file, next.bytes())?;
    let installed = server.cli(&["connector", "install", text(&file)?, "--accept", &next.digest()])?;
    let later = id_of(&installed)?;
    let shown: Value = serde_json::from_str(&server.cli(&["connection", "show", "bench"])?)?;
    let first = shown
        .pointer("/connection/install")
        .and_then(Value::as_str)
        .context("an install")?;
    let first = first.to_owned();

    let body = sluice_bench::delivery();
    let make: Make = Arc::new(move |n| hook.request(n, &body));
    let (to, server) = (server.address, Arc::new(server));
    let swapper = Arc::clone(&server);
    let swaps = tokio::task::spawn_blocking(move || -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        for number in 0..SWAPS {
            std::thread::sleep(LOAD_TIME / u32::try_from(SWAPS + 1).unwrap_or(1));
            let to = if number % 2 == 0 { &later } else { &first };
            let started = Instant::now();
            swapper.cli(&["connection", "upgrade", "bench", "--to", to])?;
            times.push(started.elapsed());
        }
        Ok(times)
    });
    // Every answer has to be 200, or this fails.
    let seen = load::paced(to, LANES, PER_SECOND, LOAD_TIME, 0, make).await?;
    let times = swaps.await??;
    let deadline = Instant::now() + Duration::from_secs(60);
    let (handled, failed) = loop {
        let (handled, failed) = outcomes(&server)?;
        if handled + failed >= seen.answers || Instant::now() > deadline {
            break (handled, failed);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    Ok(Part {
        shown: json!({
            "per_s": seen.per_second.round(), "swaps": times.len(), "swap_ms": millis(median(times)),
            "acknowledged": seen.answers, "handled": handled, "failed_or_dead": failed,
            "p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms,
        }),
        holds: handled == seen.answers && failed == 0,
    })
}

fn id_of(told: &str) -> Result<String> {
    let told: Value = serde_json::from_str(told)?;
    let id = told.get("id").and_then(Value::as_str);
    Ok(id.with_context(|| format!("{told}"))?.to_owned())
}

/// Webhooks that were handled, and those that were not, tries included.
fn outcomes(server: &Server) -> Result<(u64, u64)> {
    let metrics = server.get("/metrics")?;
    let of = |outcome: &str| {
        let name = format!("sluice_receipts_total{{outcome=\"{outcome}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|number| number.trim().parse::<f64>().ok())
            .unwrap_or(0.0) as u64
    };
    Ok((of("handled"), of("failed") + of("dead")))
}

/// Small connectors, in C: what a server holds for each is the same, and a thousand compilations of large ones take an hour.
async fn idle(count: usize) -> Result<Part> {
    let scratch = tempfile::tempdir()?;
    let mut server = Server::start(scratch.path(), None)?;
    server.listening()?;
    let package = Package::in_language("template-c")?;
    let file = scratch.path().join("connector.wasm");
    for number in 0..count {
        let named = package.replaced("id = \"my-connector\"", &format!("id = \"small-{number}\""))?;
        std::fs::write(&file, named.bytes())?;
        server.cli(&["connector", "install", text(&file)?, "--accept", &named.digest()])?;
    }
    let after_installs = server.usage()?.resident_bytes;
    server.stop()?;
    let started = Instant::now();
    let server = Server::start(scratch.path(), None)?;
    let ready = server.ready(started)?;
    let before = server.usage()?;
    std::thread::sleep(Duration::from_secs(5));
    let after = server.usage()?;
    server.stop()?;
    // What loading all of them adds, where every one was called.
    let own = Usage::own()?.resident_bytes;
    let Host { service } = Host::of_server(scratch.path()).await?;
    let started = Instant::now();
    catalogue::warm(&service).await;
    let loaded = started.elapsed();
    let grown = Usage::own()?.resident_bytes.saturating_sub(own);
    let resident = after.resident_bytes.max(before.resident_bytes);
    Ok(Part {
        shown: json!({
            "connectors": count, "ready_ms": millis(ready), "resident_mib": resident >> 20,
            "resident_after_installs_mib": after_installs >> 20,
            "cpu_s_in_5_s": after.cpu_s - before.cpu_s, "all_loaded_ms": millis(loaded),
            "all_loaded_add_mib": grown >> 20,
        }),
        // A connector that nobody calls is not loaded; what loading adds is told beside it.
        holds: resident < RESIDENT_BYTES,
    })
}
