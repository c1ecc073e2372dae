//! A thousand connections that are each read once a minute, and the same ones when nothing is due.
//!
//! `schedule [CONNECTIONS] [MINUTES] [JITTER_S]`: how late runs begin, how many there were, and the processor time of this process; then,
//! with every schedule an hour away, its processor time while nothing is to be done.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use sluice_bench::{Far, Host, Package, Usage};
use sluice_model::id::ConnectionId;
use sluice_service::page::Page;
use sluice_service::sync::cadence::Cadence;
use sluice_service::sync::stream::{self, Options};
use sluice_service::{Service, connection, sync, worker};

#[global_allocator]
static MEMORY: std::alloc::System = std::alloc::System;

/// How long it is watched doing nothing.
const IDLE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse().ok());
    let mut number = |default| numbers.next().flatten().unwrap_or(default);
    match measure(number(1000), number(3), number(60)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("schedule: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(connections: u64, minutes: u64, jitter_s: u64) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let far = Far::start(
        &["--issues", "20", "--issue-bytes", "800", "--pulls", "0"],
        scratch.path(),
    )?;
    let host = Host::start(scratch.path(), Some(&far)).await?;
    let service = &host.service;
    let package = Package::github()?
        .replaced("per_second = 15.0", "per_second = 10000.0")?
        .replaced("burst = 30", "burst = 10000")?;
    let mut ids = Vec::new();
    let config = json!({"repositories": ["acme/web"]});
    let secret = [("secret", "vendor-token")];
    ids.push(host.draft("github", &package, config.clone(), &secret).await?);
    for number in 1..connections {
        ids.push(
            host.another("github", &format!("bench {number}"), config.clone(), &secret)
                .await?,
        );
    }
    for id in &ids {
        let report = connection::test(service, service.org(), *id).await?;
        if !report.ok {
            bail!("a connection does not work: {report:?}");
        }
    }
    let workers = worker::spawn(service);
    for id in &ids {
        set(service, *id, 60, Some(jitter_s)).await?;
    }
    let (before, started) = (Usage::own()?, Instant::now());
    tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
    let (after, took) = (Usage::own()?, started.elapsed());
    let (mut runs, mut waits, mut badly) = (0_u64, Vec::new(), 0_u64);
    for id in &ids {
        let page = Page {
            limit: 1000,
            after: None,
        };
        for run in sync::list(service, service.org(), Some(*id), &page).await?.items {
            runs += 1;
            badly += u64::from(run.error.is_some());
            if let Some(begun) = run.started {
                waits.push(begun.since(run.created));
            }
        }
    }
    waits.sort();
    let of = |share: usize| {
        waits
            .get(waits.len() * share / 1000)
            .or(waits.last())
            .copied()
            .unwrap_or_default()
    };
    let mut late = 0;
    for id in &ids {
        let found = connection::get(service, service.org(), &id.to_string()).await?;
        let streams = stream::list(service, service.org(), &found).await?;
        late += streams
            .iter()
            .filter(|stream| stream.status == stream::Status::Late)
            .count();
    }
    for id in &ids {
        set(service, *id, 86_400, None).await?;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (idle_before, idle_began) = (Usage::own()?, Instant::now());
    tokio::time::sleep(IDLE).await;
    let idle = (Usage::own()?.cpu_s - idle_before.cpu_s) / idle_began.elapsed().as_secs_f64();
    workers.drain(Duration::from_secs(5)).await;
    println!(
        "{}",
        json!({
            "connections": connections, "minutes": minutes, "jitter_s": jitter_s, "runs": runs, "failed": badly, "late": late,
            "queued_ms_p50": of(500).as_millis() as u64, "queued_ms_p99": of(990).as_millis() as u64,
            "queued_ms_max": of(1000).as_millis() as u64,
            "cpu_share_of_a_core": (after.cpu_s - before.cpu_s) / took.as_secs_f64(),
            "cpu_ms_per_run": (after.cpu_s - before.cpu_s) * 1000.0 / runs as f64,
            "idle_share_of_a_core": idle, "resident_mib": Usage::own()?.resident_bytes >> 20,
        })
    );
    Ok(())
}

async fn set(service: &Service, id: ConnectionId, every_s: u64, jitter_s: Option<u64>) -> Result<()> {
    let org = service.org();
    let found = connection::get(service, org, &id.to_string()).await?;
    let streams = stream::list(service, org, &found).await?;
    let issues = streams
        .iter()
        .find(|stream| stream.name == "issues")
        .context("the stream")?;
    let options = Options {
        cadence: Some(Cadence {
            every_s: Some(every_s),
            jitter_s,
            ..Cadence::default()
        }),
        ..Options::default()
    };
    Ok(stream::set(service, org, &found, "issues", (options, issues.revision)).await?)
}
