//! A whole sync: fetch over TLS, parse in the guest, check against the schema, compare, commit. Records per second of this
//! process's processor time (the stand-in is another process), and the peak of its memory for two counts, to see whether
//! it grows.
//!
//! `sync RECORDS BYTES [--paced] [--into parquet|ndjson|csv|postgres]`; paced: at the 15 requests a second that the connector's
//! manifest asks for; into: also loaded there, and measured until the last record is. PostgreSQL itself is another process and
//! not counted.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use local_postgres::{PASSWORD, Postgres};
use serde_json::json;
use sluice_bench::{Far, Host, Usage};
use sluice_model::id::ConnectionId;
use sluice_model::run::{Mode, RunState, Trigger};
use sluice_model::secret::Secret;
use sluice_service::destination::{self, LoadState};
use sluice_service::{Service, sync, worker};
use sluice_store::load::LoadSettings;

#[global_allocator]
static MEMORY: std::alloc::System = std::alloc::System;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| {
        arguments
            .get(index)
            .and_then(|n| n.parse().ok())
            .unwrap_or(default)
    };
    let paced = arguments.iter().any(|argument| argument == "--paced");
    let into = arguments
        .iter()
        .skip_while(|argument| *argument != "--into")
        .nth(1);
    match measure(
        (number(0, 100_000), number(1, 800)),
        paced,
        into.map(String::as_str),
    )
    .await
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sync: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure((records, bytes): (usize, usize), paced: bool, into: Option<&str>) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (issues, size) = (records.to_string(), bytes.to_string());
    let far = Far::start(
        &["--issues", &issues, "--issue-bytes", &size, "--pulls", "0"],
        scratch.path(),
    )?;
    let postgres = (into == Some("postgres")).then(Postgres::start);
    let place = postgres
        .as_ref()
        .map(|server| ("db.test", ([127, 0, 0, 1], server.port()).into()));
    let host = Host::start_beside(scratch.path(), Some(&far), place).await?;
    let connection = host.connect_github("vendor-token", !paced).await?;
    let service = &host.service;
    if let Some(kind) = into {
        load(service, connection, kind, postgres.as_ref()).await?;
    }
    let workers = worker::spawn(service);
    let (before, started) = (Usage::own()?, Instant::now());
    let runs = sync::start(
        service,
        service.org(),
        connection,
        sync::Order {
            streams: vec!["issues".to_owned()],
            mode: Mode::Full,
            window: None,
            trigger: Trigger::Manual,
        },
    )
    .await?;
    let Some(run) = runs.first() else {
        bail!("no run was queued")
    };
    let done = loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = sync::get(service, service.org(), run.id).await?;
        if now.state.ended() {
            break now;
        }
    };
    while into.is_some() && !loaded(service).await? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (after, took) = (Usage::own()?, started.elapsed());
    workers.drain(Duration::from_secs(5)).await;
    if done.state != RunState::Succeeded || done.counts.added != records as u64 {
        bail!(
            "the run ended {:?} with {:?}: {:?}",
            done.state,
            done.counts,
            done.error
        );
    }
    let cpu = after.cpu_s - before.cpu_s;
    println!(
        "{}",
        serde_json::json!({
            "records": records, "record_bytes": bytes, "paced": paced, "into": into, "wall_s": took.as_secs_f64(), "cpu_s": cpu,
            "records_per_cpu_s": (records as f64 / cpu).round(), "peak_mib": after.peak_bytes >> 20,
            "resident_before_mib": before.resident_bytes >> 20, "database_mib": database(scratch.path()) >> 20,
        })
    );
    Ok(())
}

/// Has what the connection brings loaded into a destination of this kind.
async fn load(
    service: &Service,
    connection: ConnectionId,
    kind: &str,
    postgres: Option<&Postgres>,
) -> Result<()> {
    let (settings, secrets) = match postgres {
        Some(server) => (
            json!({"kind": "postgres", "host": "db.test", "port": server.port(), "database": "postgres",
                "user": "postgres", "tls": "disable"}),
            vec![("password".to_owned(), Secret::new(PASSWORD.as_bytes().to_vec()))],
        ),
        None => (
            json!({"kind": "directory", "directory": "out", "format": kind}),
            Vec::new(),
        ),
    };
    let org = service.org();
    destination::create(service, org, "bench", &settings, secrets.into_iter().collect()).await?;
    let settings = LoadSettings {
        streams: Vec::new(),
        prefix: String::new(),
        every_s: 0,
    };
    destination::create_load(service, org, ("bench", &connection.to_string()), settings).await?;
    Ok(())
}

async fn loaded(service: &Service) -> Result<bool> {
    let loads = destination::list_loads(service, service.org(), "bench").await?;
    let Some(load) = loads.first() else {
        bail!("there is no load")
    };
    if let Some(error) = &load.error {
        bail!("the load failed: {error:?}");
    }
    Ok(load.state == LoadState::UpToDate)
}

fn database(scratch: &std::path::Path) -> u64 {
    std::fs::metadata(scratch.join("data/sluice.redb")).map_or(0, |file| file.len())
}
