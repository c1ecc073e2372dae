//! A load of HTTP/1.1 requests over connections that stay open, and how long each took.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Makes the n-th request's bytes, head and body.
pub type Make = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// An issue event of 2 KiB, as GitHub would deliver it.
#[must_use]
pub fn delivery() -> Vec<u8> {
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

/// What a load saw.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub answers: u64,
}

/// As fast as the server answers, over this many connections for this long. Every answer must be a 200.
///
/// # Errors
///
/// The first connection that breaks or answer that is not 200.
pub async fn closed(
    to: SocketAddr,
    connections: usize,
    time: Duration,
    first: u64,
    make: Make,
) -> Result<Seen> {
    let next = Arc::new(AtomicU64::new(first));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (next, make) = (Arc::clone(&next), Arc::clone(&make));
        tasks.spawn(async move {
            let mut stream = connect(to).await?;
            let mut took = Vec::new();
            while started.elapsed() < time {
                let request = make(next.fetch_add(1, Ordering::Relaxed));
                let sent = Instant::now();
                exchange(&mut stream, &request).await?;
                took.push(sent.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    gather(tasks, started).await
}

/// As fast as the server answers, until it is gone; answers how many requests it answered with 200.
pub async fn until_it_breaks(to: SocketAddr, connections: usize, first: u64, make: Make) -> u64 {
    let next = Arc::new(AtomicU64::new(first));
    let answered = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (next, answered, make) = (Arc::clone(&next), Arc::clone(&answered), Arc::clone(&make));
        tasks.spawn(async move {
            let mut stream = connect(to).await?;
            loop {
                let request = make(next.fetch_add(1, Ordering::Relaxed));
                exchange(&mut stream, &request).await?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            #[expect(unreachable_code, reason = "the type of the task's end")]
            anyhow::Ok(())
        });
    }
    while tasks.join_next().await.is_some() {}
    answered.load(Ordering::Relaxed)
}

/// So many requests a second, however long the answers take, over this many connections.
///
/// # Errors
///
/// As [`closed`].
pub async fn paced(
    to: SocketAddr,
    connections: u32,
    per_second: u32,
    time: Duration,
    first: u64,
    make: Make,
) -> Result<Seen> {
    let started = Instant::now();
    let gap = Duration::from_secs(1) * connections / per_second;
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..connections {
        let make = Arc::clone(&make);
        tasks.spawn(async move {
            let mut stream = connect(to).await?;
            let mut took = Vec::new();
            let mut due = started + gap * lane / connections;
            let mut number = first + u64::from(lane) * 1_000_000;
            while due < started + time {
                tokio::time::sleep_until(due.into()).await;
                exchange(&mut stream, &make(number)).await?;
                // From when it should have been sent: a server that stalls is charged for all that waited.
                took.push(due.elapsed());
                due += gap;
                number += 1;
            }
            anyhow::Ok(took)
        });
    }
    gather(tasks, started).await
}

/// What a load saw that may be refused.
#[derive(Debug, Clone)]
pub struct Refused {
    pub per_second: f64,
    /// How often each status was answered.
    pub statuses: BTreeMap<u16, u64>,
}

/// So many requests a second from this address of the machine, whatever is answered; a connection that is closed is made anew. As many
/// as the server answers where that is fewer.
///
/// # Errors
///
/// If no connection can be made.
pub async fn whatever(
    (from, to): (Ipv4Addr, SocketAddr),
    connections: u32,
    per_second: u32,
    time: Duration,
    make: Make,
) -> Result<Refused> {
    let started = Instant::now();
    let gap = Duration::from_secs(1) * connections / per_second;
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..connections {
        let make = Arc::clone(&make);
        tasks.spawn(async move {
            let mut stream = connect_from(from, to).await?;
            let mut statuses = BTreeMap::<u16, u64>::new();
            let mut due = started + gap * lane / connections;
            let mut number = u64::from(lane) * 1_000_000;
            while due < started + time {
                tokio::time::sleep_until(due.into()).await;
                match ask(&mut stream, &make(number)).await {
                    Ok(status) => *statuses.entry(status).or_default() += 1,
                    Err(_) => stream = connect_from(from, to).await?,
                }
                due += gap;
                number += 1;
            }
            anyhow::Ok(statuses)
        });
    }
    let mut statuses = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        for (status, times) in done?? {
            *statuses.entry(status).or_default() += times;
        }
    }
    let all: u64 = statuses.values().sum();
    Ok(Refused {
        per_second: all as f64 / started.elapsed().as_secs_f64(),
        statuses,
    })
}

async fn gather(mut tasks: tokio::task::JoinSet<Result<Vec<Duration>>>, started: Instant) -> Result<Seen> {
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    let seconds = started.elapsed().as_secs_f64();
    all.sort_unstable();
    let at = |share: f64| {
        let index = (all.len().saturating_sub(1) as f64 * share).round() as usize;
        all.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    Ok(Seen {
        per_second: all.len() as f64 / seconds,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        answers: all.len() as u64,
    })
}

async fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to).await.context("connect to the server")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect_from(from: Ipv4Addr, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(to).await.context("connect to the server")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One request, which has to be answered with 200.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<()> {
    match ask(stream, request).await? {
        200 => Ok(()),
        status => bail!("the server answered {status}"),
    }
}

/// One request and the status of its answer. Answers have a `content-length`.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> Result<u16> {
    stream.write_all(request).await?;
    let mut answer = Vec::with_capacity(1024);
    let (status, head, length) = loop {
        if stream.read_buf(&mut answer).await? == 0 {
            bail!("the server closed the connection");
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default()).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("an answer without a length")?.trim().parse()?;
        let status = head
            .split(' ')
            .nth(1)
            .context("an answer without a status")?
            .parse()?;
        break (status, end + 4, length);
    };
    while answer.len() < head + length {
        if stream.read_buf(&mut answer).await? == 0 {
            bail!("the server closed the connection in an answer");
        }
    }
    Ok(status)
}
