//! The way of a webhook into the server, next to a flow builder that checks the same signature and then answers: in turns, on the same
//! machine; then both are killed under load, and what was acknowledged is looked for. Started by `bench/hooks.sh`:
//! `flows NAME ADDRESS PATH SECRET PID BAR`. `PEER_KEPT` is a command that says how many requests the other has kept; without one it keeps
//! none.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_bench::hook::{self, Hook};
use sluice_bench::load::{self, Make};
use sluice_bench::{Server, Usage};

const ROUNDS: u64 = 4;
const ROUND: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match measure(&arguments).await {
        Ok((ratio, bar)) if ratio >= bar => ExitCode::SUCCESS,
        Ok((ratio, bar)) => {
            eprintln!("flows: {ratio:.2} of the other's requests per processor second (bar: {bar})");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("flows: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What a program came to.
#[derive(Default)]
struct Sum {
    answers: u64,
    seconds: f64,
    cpu_s: f64,
}

impl Sum {
    async fn round(&mut self, to: SocketAddr, process: &str, first: u64, make: &Make) -> Result<()> {
        let before = Usage::of(process)?.cpu_s;
        let seen = load::closed(to, CONNECTIONS, ROUND, first, Arc::clone(make)).await?;
        self.answers += seen.answers;
        self.seconds += seen.answers as f64 / seen.per_second;
        self.cpu_s += Usage::of(process)?.cpu_s - before;
        Ok(())
    }

    fn per_cpu_s(&self) -> f64 {
        self.answers as f64 / self.cpu_s
    }

    fn shown(&self) -> Value {
        json!({"per_s": (self.answers as f64 / self.seconds).round(), "per_cpu_s": self.per_cpu_s().round()})
    }
}

/// Requests per processor second, as a share of the other's, and the bar for it.
async fn measure(arguments: &[String]) -> Result<(f64, f64)> {
    let [name, address, path, secret, process, bar] = arguments else {
        anyhow::bail!("NAME ADDRESS PATH SECRET PID BAR");
    };
    let bar: f64 = bar.parse()?;
    let peer: SocketAddr = address.parse()?;
    let scratch = tempfile::tempdir()?;
    let (far, server) = hook::server(scratch.path(), "1", &[], 1)?;
    let hook = Hook::make(&server, scratch.path())?;
    let hook_id = hook.id().to_owned();
    let body = sluice_bench::delivery();
    let theirs = Hook::of(path, secret);
    let (own_body, other_body) = (body.clone(), body);
    let ours: Make = Arc::new(move |number| hook.request(number, &own_body));
    let theirs: Make = Arc::new(move |number| theirs.request(number, &other_body));
    let (mut own, mut other) = (Sum::default(), Sum::default());
    let own_process = server.process();
    for round in 0..ROUNDS {
        let first = (round + 1) * 10_000_000;
        own.round(server.address, &own_process, first, &ours).await?;
        other.round(peer, process, first, &theirs).await?;
    }
    let acknowledged = killed(server.address, &own_process, 1 << 40, &ours).await?;
    drop(server);
    let lost = killed(peer, process, 1 << 40, &theirs).await?;
    let mut again = Server::start(scratch.path(), Some(&far))?;
    again.listening()?;
    let kept = kept(&again, &hook_id)?;
    println!(
        "{}",
        json!({
            "ours": own.shown(), name: other.shown(), "ratio_per_cpu_s": own.per_cpu_s() / other.per_cpu_s(),
            "killed": {
                "ours": {"acknowledged": own.answers + acknowledged, "kept": kept},
                name: {"acknowledged": other.answers + lost, "kept": peer_kept()?},
            },
        })
    );
    ensure!(
        kept >= own.answers + acknowledged,
        "{kept} are kept of what was acknowledged"
    );
    Ok((own.per_cpu_s() / other.per_cpu_s(), bar))
}

/// How many requests the killed peer has kept.
fn peer_kept() -> Result<u64> {
    let Ok(command) = std::env::var("PEER_KEPT") else {
        return Ok(0);
    };
    let said = Command::new("sh").args(["-c", &command]).output()?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8(said.stdout)?;
    said.trim()
        .parse()
        .with_context(|| format!("`{}` is no number", said.trim()))
}

/// Kills it under load; answers how many were acknowledged from then to its end.
async fn killed(to: SocketAddr, process: &str, first: u64, make: &Make) -> Result<u64> {
    let load = tokio::spawn(load::until_it_breaks(to, CONNECTIONS, first, Arc::clone(make)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sent = Command::new("kill").args(["-9", process]).status()?;
    ensure!(sent.success(), "it is gone already");
    load.await.context("the load")
}

/// How many receipts the hook has.
fn kept(server: &Server, hook: &str) -> Result<u64> {
    let (mut count, mut after) = (0, String::new());
    loop {
        let path = format!("/api/v1/hooks/{hook}/receipts?limit=1000{after}");
        let page: Value = serde_json::from_str(&server.get(&path)?)?;
        let items = page.get("items").and_then(Value::as_array).context("a page")?;
        count += items.len() as u64;
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(count),
        }
    }
}
