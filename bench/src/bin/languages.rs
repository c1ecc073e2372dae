//! The same connector in four languages: how large it is, how long it is compiled once and loaded ever after, what a fresh instance costs,
//! and what memory it needs, idle and in a call. The components are made by `cargo xtask build` and `cargo xtask sdks`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sluice_bench::Usage;
use sluice_broker::{Broker, Budget, Caller, EmptyVault, System, Trace};
use sluice_model::SystemClock;
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::OrgId;
use sluice_model::limits::Limits;
use sluice_runtime::{
    Call, CancellationToken, Compiler, Config, ConnectionView, EmptyShelf, EmptySnapshot, Runtime,
};

/// Each language's component, from the target directory.
const COMPONENTS: [(&str, &str); 4] = [
    ("rust", "connectors/github.wasm"),
    ("c", "connectors-sdk/github-issues-c.wasm"),
    ("js", "connectors-sdk/github-issues-js.wasm"),
    ("python", "connectors-sdk/github-issues-python.wasm"),
];

const LOADS: usize = 9;
const CALLS: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // One process for each language: what one leaves behind in memory is not counted for the next.
    let Some(name) = std::env::args().nth(1) else {
        return each();
    };
    match measure(&name).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("languages: {name} was not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn each() -> ExitCode {
    let mut all = true;
    for (name, _) in COMPONENTS {
        let status =
            std::env::current_exe().and_then(|exe| std::process::Command::new(exe).arg(name).status());
        all &= status.is_ok_and(|status| status.success());
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(name: &str) -> Result<()> {
    let found = COMPONENTS.iter().find(|(language, _)| *language == name);
    let (_, file) = found.with_context(|| format!("there is no component in `{name}`"))?;
    let exe = std::env::current_exe()?;
    let target = exe
        .parent()
        .and_then(Path::parent)
        .context("the target directory")?;
    let bytes = std::fs::read(target.join(file))
        .with_context(|| format!("read {file}; `cargo xtask build` and `cargo xtask sdks` make it"))?;
    let cache = tempfile::tempdir()?;
    let digest = Runtime::digest(&bytes);

    let started = Instant::now();
    runtime(cache.path())?.compile(&bytes).await?;
    let compiled = started.elapsed();
    let mut loads = Vec::new();
    for _ in 0..LOADS {
        let fresh = runtime(cache.path())?;
        let started = Instant::now();
        fresh.load(&bytes, &digest).await?;
        loads.push(started.elapsed());
    }

    let serving = runtime(cache.path())?;
    let before = Usage::own()?.resident_bytes;
    let call = call(serving.load(&bytes, &digest).await?);
    let loaded = Usage::own()?.resident_bytes;
    let mut times = Vec::new();
    let mut in_a_call = 0;
    for _ in 0..CALLS {
        let mut call = call.clone();
        call.caller.budget = Budget::new(&call.limits);
        call.caller.trace = Trace::default();
        let started = Instant::now();
        let outcome = serving.discover(call).await;
        times.push(started.elapsed());
        in_a_call = outcome.effects.used.memory_bytes;
        if !matches!(outcome.result, Ok(Ok(_))) {
            bail!("the call failed: {:?}", outcome.result);
        }
    }
    let idle = Usage::own()?.resident_bytes;
    println!(
        "{}",
        serde_json::json!({
            "language": name,
            "component_bytes": bytes.len(),
            "compile_ms": compiled.as_secs_f64() * 1e3,
            "load_ms": median(loads).as_secs_f64() * 1e3,
            "call_us": median(times).as_secs_f64() * 1e6,
            "linear_memory_bytes": in_a_call,
            "resident_when_loaded_bytes": loaded.saturating_sub(before),
            "resident_after_calls_bytes": idle.saturating_sub(before),
        })
    );
    Ok(())
}

/// As the server's, but that it compiles in this process, so that compiling is all that is timed.
fn runtime(cache: &Path) -> Result<Runtime> {
    let broker = Broker::new(
        sluice_broker::Config::default(),
        Arc::new(System::new()?),
        Arc::new(SystemClock),
    )?;
    let config = Config {
        compiler: Compiler::InProcess,
        cache_dir: Some(cache.to_owned()),
        cache_key: [7; 32],
        ..Config::default()
    };
    Ok(Runtime::new(config, broker)?)
}

fn call(connector: sluice_runtime::Connector) -> Call {
    let grant = Grant::default();
    let limits = Limits {
        memory_bytes: 128 << 20,
        ..Limits::default()
    };
    let caller = Caller {
        org: OrgId::from_bytes([1; 16]),
        connection: None,
        connector: "bench".to_owned(),
        rights: Arc::new(Rights::new(&grant, &Ceiling::default(), &grant)),
        vault: Arc::new(EmptyVault),
        trace: Trace::default(),
        budget: Budget::new(&limits),
        rates: Vec::new(),
        app: None,
    };
    Call {
        connector,
        connection: ConnectionView {
            id: "cnn_1".to_owned(),
            config: r#"{"repositories":["acme/web"]}"#.to_owned(),
            account: None,
        },
        caller,
        storage: Arc::new(EmptySnapshot),
        files: Arc::new(EmptyShelf),
        limits,
        cancel: CancellationToken::new(),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
