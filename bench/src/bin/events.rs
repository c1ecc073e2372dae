//! The event store when it is full: how fast events are appended and read by cursor with few and with many of them, and how long a step
//! of what retention deletes keeps others waiting.
//!
//! `events [MILLIONS]`: 10 without. Needs about a kilobyte of disk for an event.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use sluice_bench::Usage;
use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::id::{EventId, OrgId};
use sluice_model::seal::MasterKey;
use sluice_store::sweep::Keep;
use sluice_store::{Options, Store};

const MILLION: u64 = 1_000_000;
/// Events of one commit.
const BATCH: u64 = 500;
/// Events of one read, and how many reads.
const PAGE: usize = 500;
const READS: u64 = 2000;
/// Steps of retention.
const STEPS: usize = 500;
/// What may get worse from the first million to the last.
const BAR: f64 = 1.2;
/// Events are this far apart.
const APART_MS: u64 = 100;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let millions = std::env::args().nth(1).and_then(|text| text.parse().ok());
    match measure(millions.unwrap_or(10)).await {
        Ok(worst) if worst <= BAR => ExitCode::SUCCESS,
        Ok(worst) => {
            eprintln!("events: {worst:.2} times as much at the end (bar: {BAR})");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("events: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Processor time for a thousand events, in milliseconds.
struct Cost {
    append: f64,
    read: f64,
}

async fn measure(millions: u64) -> Result<f64> {
    let scratch = tempfile::tempdir()?;
    let master = MasterKey::from_text("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")?;
    let store = Store::open(Options::new(scratch.path().join("data"), master))?;
    let org = store.ensure_org("bench", Timestamp::from_millis(0)).await?;
    let began = Instant::now();
    let mut costs = Vec::new();
    for million in 0..millions {
        let before = Usage::own()?.cpu_s;
        for batch in (million * MILLION..(million + 1) * MILLION).step_by(BATCH as usize) {
            let events = (batch + 1..=batch + BATCH).map(event).collect();
            let last = store.append_events(org, events, at(batch)).await?;
            ensure!(last == batch + BATCH, "event {last} after {batch}");
        }
        let append = (Usage::own()?.cpu_s - before) * 1e6 / MILLION as f64;
        costs.push(Cost {
            append,
            read: read(&store, org, (million + 1) * MILLION).await?,
        });
        eprintln!(
            "events: {} million after {:.0} s: {append:.1} ms of processor time for 1,000",
            million + 1,
            began.elapsed().as_secs_f64()
        );
    }
    let bytes = std::fs::read_dir(scratch.path().join("data"))?
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum::<u64>();
    let (steps_p50, steps_max, gone) = forget(&store, org, millions * MILLION).await?;
    // The first million grows the file from nothing; what is compared is the second with the last.
    let (first, last) = (costs.get(1).or(costs.first()), costs.last());
    let ratio = |of: fn(&Cost) -> f64| match (first, last) {
        (Some(first), Some(last)) => of(last) / of(first),
        _ => f64::NAN,
    };
    let (append, read) = (ratio(|cost| cost.append), ratio(|cost| cost.read));
    println!(
        "{}",
        json!({
            "events": millions * MILLION, "file_bytes_per_event": bytes / (millions * MILLION),
            "append_cpu_ms_per_1000": costs.iter().map(|cost| cost.append).collect::<Vec<_>>(),
            "read_cpu_ms_per_1000": costs.iter().map(|cost| cost.read).collect::<Vec<_>>(),
            "last_to_second": {"append": append, "read": read},
            "retention": {"steps": STEPS, "gone": gone, "step_ms_p50": steps_p50, "step_ms_max": steps_max},
            "resident_mib": Usage::own()?.resident_bytes >> 20,
        })
    );
    Ok(append.max(read))
}

/// Reads pages from places all over what there is.
async fn read(store: &Store, org: OrgId, count: u64) -> Result<f64> {
    let before = Usage::own()?.cpu_s;
    let mut place = 1;
    for _ in 0..READS {
        place = (place * 7919 + 104_729) % (count - PAGE as u64);
        let page = store.events(org, place, PAGE, "").await?;
        ensure!(
            page.events.len() == PAGE && page.next == place + PAGE as u64,
            "a page of {} behind {place}",
            page.events.len()
        );
    }
    Ok((Usage::own()?.cpu_s - before) * 1e6 / (READS as f64 * PAGE as f64))
}

/// Lets the older half go, step by step.
async fn forget(store: &Store, org: OrgId, count: u64) -> Result<(f64, f64, u64)> {
    let now = at(count);
    let keep = Keep {
        events: Some(Duration::from_millis(count / 2 * APART_MS)),
        deliveries: None,
    };
    let mut took = Vec::new();
    for _ in 0..STEPS {
        let began = Instant::now();
        store.sweep_events(now, keep, 1).await?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    let of = |index: usize| took.get(index).copied().unwrap_or(f64::NAN);
    let first = store.events(org, 0, 1, "").await?;
    let gone = first.events.first().map_or(count, |event| event.seq - 1);
    Ok((of(took.len() / 2), of(took.len() - 1), gone))
}

fn at(number: u64) -> Timestamp {
    Timestamp::from_millis(number * APART_MS)
}

/// An event of some 300 bytes.
fn event(number: u64) -> NewEvent {
    let mut random = [0; 10];
    if let Some(end) = random.get_mut(2..) {
        end.copy_from_slice(&number.to_be_bytes());
    }
    NewEvent {
        id: EventId::new(at(number), random),
        kind: "github.issues.edited".to_owned(),
        subject: "cnn_00000000000000000000000000".to_owned(),
        source_id: Some(number.to_string()),
        occurred: Some(at(number)),
        data: json!({"action": "edited", "number": number, "title": "a title of an issue", "body": "x".repeat(120)}).to_string(),
    }
}
