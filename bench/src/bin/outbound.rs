//! Events on their way out: how many deliveries a second one endpoint gets, what one dead endpoint among 500 costs the others, and how
//! long an event is on its way to somebody who follows the feed.
//!
//! The server is the real binary, what it delivers began as webhooks, and the receiver is this process.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::collections::HashSet;
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sluice_bench::Server;
use sluice_bench::hook::{self, Hook};
use sluice_bench::load::{self, Make};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Events of the first part.
const EVENTS: usize = 20_000;
/// Deliveries a second.
const BAR: f64 = 3000.0;
const ENDPOINTS: usize = 500;
/// Events of the second part, and how far apart they are.
const ROUNDS: u64 = 40;
const APART: Duration = Duration::from_millis(500);
/// Events of the last part.
const FOLLOWED: u64 = 200;
/// Longer than any part may take.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    match measure().await {
        Ok(rate) if rate >= BAR => ExitCode::SUCCESS,
        Ok(rate) => {
            eprintln!("outbound: {rate:.0} deliveries a second (bar: {BAR})");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("outbound: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A delivery as it came in.
struct Got {
    path: String,
    id: String,
    number: u64,
    at: Instant,
}

type Kept = Arc<Mutex<Vec<Got>>>;

async fn measure() -> Result<f64> {
    let scratch = tempfile::tempdir()?;
    let (listener, dead) = (
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    );
    let (port, dead_port) = (listener.local_addr()?.port(), dead.local_addr()?.port());
    let kept = Kept::default();
    tokio::spawn(receive(listener, Arc::clone(&kept)));
    let (_far, server) = hook::server(scratch.path(), "1", &[port, dead_port], 16)?;
    let hook = Arc::new(Hook::make(&server, scratch.path())?);

    let (rate, per_cpu_s, owed) = throughput(&server, &hook, &kept, port).await?;
    server.cli(&["endpoint", "remove", "all"])?;
    let (p50, p99, worst) = beside_a_dead_one(&server, &hook, &kept, (port, dead_port)).await?;
    for number in 0..ENDPOINTS {
        server.cli(&["endpoint", "remove", &format!("e{number}")])?;
    }
    drop(dead);
    let (tail_p50, tail_p99) = tail(&server, &hook).await?;
    println!(
        "{}",
        serde_json::json!({
            "deliveries": owed, "per_s": rate.round(), "per_cpu_s": per_cpu_s.round(),
            "one_dead_among": ENDPOINTS, "others_ms": {"p50": p50, "p99": p99, "max": worst},
            "webhook_to_follower_ms": {"p50": tail_p50, "p99": tail_p99},
        })
    );
    Ok(rate)
}

/// One endpoint gets everything that was recorded before it was made.
async fn throughput(server: &Server, hook: &Arc<Hook>, kept: &Kept, port: u16) -> Result<(f64, f64, usize)> {
    let (signer, body) = (Arc::clone(hook), sluice_bench::delivery());
    let make: Make = Arc::new(move |number| signer.request(number, &body));
    let mut sent = 0;
    while sent < EVENTS as u64 {
        sent += load::closed(
            server.address,
            32,
            Duration::from_secs(1),
            1_000_000 + sent,
            Arc::clone(&make),
        )
        .await?
        .answers;
    }
    handled(server, sent).await?;
    let url = format!("http://127.0.0.1:{port}/all");
    server.cli(&[
        "endpoint",
        "create",
        &url,
        "--name",
        "all",
        "--event",
        "github.*",
        "--concurrency",
        "32",
    ])?;
    let before = server.usage()?.cpu_s;
    let began = Instant::now();
    server.cli(&["endpoint", "recover", "all", "--cap", "1000000", "--no-wait"])?;
    let owed = sent as usize;
    until(|| len(kept) >= owed, "all deliveries").await?;
    let took = began.elapsed().as_secs_f64();
    let cpu = server.usage()?.cpu_s - before;
    let ids: HashSet<String> = lock(kept).iter().map(|got| got.id.clone()).collect();
    ensure!(ids.len() == owed, "{} different events of {owed}", ids.len());
    Ok((owed as f64 / took, owed as f64 / cpu, owed))
}

/// Waits until every webhook has been handled.
async fn handled(server: &Server, sent: u64) -> Result<()> {
    let began = Instant::now();
    loop {
        let metrics = server.get("/metrics")?;
        let line = metrics.lines().find(|line| line.contains("outcome=\"handled\""));
        let count = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        if count.context("the count of what was handled")? >= sent as f64 {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "not all webhooks were handled");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn beside_a_dead_one(
    server: &Server,
    hook: &Arc<Hook>,
    kept: &Kept,
    (port, dead): (u16, u16),
) -> Result<(f64, f64, f64)> {
    for number in 0..ENDPOINTS {
        // The port of the dead one takes connections and says nothing.
        let port = if number == 0 { dead } else { port };
        let url = format!("http://127.0.0.1:{port}/e{number}");
        server.cli(&[
            "endpoint",
            "create",
            &url,
            "--name",
            &format!("e{number}"),
            "--event",
            "github.*",
        ])?;
    }
    lock(kept).clear();
    let mut sent = Vec::new();
    for round in 0..ROUNDS {
        sent.push(Instant::now());
        post(server, hook, 2_000_000 + round).await?;
        tokio::time::sleep(APART).await;
    }
    let owed = usize::try_from(ROUNDS)? * (ENDPOINTS - 1);
    until(|| len(kept) >= owed, "the deliveries of those that live").await?;
    let mut took: Vec<f64> = lock(kept)
        .iter()
        .filter(|got| got.path.starts_with("/e"))
        .filter_map(|got| {
            let round = usize::try_from(got.number.checked_sub(2_000_000)?).ok()?;
            Some(got.at.duration_since(*sent.get(round)?).as_secs_f64() * 1e3)
        })
        .collect();
    ensure!(took.len() == owed, "{} deliveries of {owed}", took.len());
    took.sort_by(f64::total_cmp);
    Ok((share(&took, 0.5), share(&took, 0.99), share(&took, 1.0)))
}

/// From the moment that a webhook is sent until its event is there for somebody who follows: verified, committed, handled and
/// committed again.
async fn tail(server: &Server, hook: &Arc<Hook>) -> Result<(f64, f64)> {
    let mut follower = TcpStream::connect(server.address).await?;
    let request = format!(
        "GET /api/v1/events/tail?kind=github. HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\naccept: text/event-stream\r\n\r\n",
        server.api_key()?
    );
    follower.write_all(request.as_bytes()).await?;
    let (mut took, mut text) = (Vec::new(), String::new());
    let mut piece = vec![0; 64 << 10];
    for round in 0..FOLLOWED {
        let number = 3_000_000 + round;
        let (sent, wanted) = (Instant::now(), format!("\"number\":{number}"));
        post(server, hook, number).await?;
        while !text.contains(&wanted) {
            let read = tokio::time::timeout(PATIENCE, follower.read(&mut piece)).await??;
            ensure!(read > 0, "the feed ended");
            text.push_str(&String::from_utf8_lossy(piece.get(..read).unwrap_or_default()));
        }
        took.push(sent.elapsed().as_secs_f64() * 1e3);
        text.clear();
    }
    took.sort_by(f64::total_cmp);
    Ok((share(&took, 0.5), share(&took, 0.99)))
}

/// Delivers a webhook with this number.
async fn post(server: &Server, hook: &Arc<Hook>, number: u64) -> Result<()> {
    let mut body: serde_json::Value = serde_json::from_slice(&sluice_bench::delivery())?;
    if let Some(place) = body.pointer_mut("/issue/number") {
        *place = number.into();
    }
    let mut stream = TcpStream::connect(server.address).await?;
    stream
        .write_all(&hook.request(number, body.to_string().as_bytes()))
        .await?;
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await?;
    let head = answer.get(..read).unwrap_or_default();
    ensure!(
        head.starts_with(b"HTTP/1.1 200"),
        "the server answered {}",
        String::from_utf8_lossy(head)
    );
    Ok(())
}

async fn receive(listener: TcpListener, kept: Kept) {
    while let Ok((stream, _)) = listener.accept().await {
        let kept = Arc::clone(&kept);
        tokio::spawn(async move {
            stream.set_nodelay(true).ok();
            let service = service_fn(|request| keep(request, Arc::clone(&kept)));
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

async fn keep(request: Request<Incoming>, kept: Kept) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let id = request.headers().get("webhook-id");
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let at = Instant::now();
    let number = if path.starts_with("/e") { number(&body) } else { 0 };
    lock(&kept).push(Got { path, id, number, at });
    Ok(Response::new(Full::new(Bytes::from_static(b"{}"))))
}

fn number(body: &[u8]) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let number = body.pointer("/data/issue/number");
    number.and_then(serde_json::Value::as_u64).unwrap_or_default()
}

async fn until(mut done: impl FnMut() -> bool, what: &str) -> Result<()> {
    let began = Instant::now();
    while !done() {
        ensure!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

fn len(kept: &Kept) -> usize {
    lock(kept).len()
}

fn lock(kept: &Kept) -> std::sync::MutexGuard<'_, Vec<Got>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn share(sorted: &[f64], share: f64) -> f64 {
    let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
