//! A fresh instance and one call of an exported function: through the runtime with every limit on, next to the same
//! component through bare wasmtime with the same pooling allocator and no limits. The two take turns, batch by batch, so
//! that whatever else the machine does meets both.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sluice_broker::{Broker, Budget, Caller, EmptyVault, System, Trace};
use sluice_model::SystemClock;
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::OrgId;
use sluice_model::limits::Limits;
use sluice_runtime::{Call, CancellationToken, Compiler, Config, ConnectionView, EmptySnapshot, Runtime};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod contract {
    wasmtime::component::bindgen!({
        path: "../wit/0.1",
        world: "connector",
        exports: { default: async },
    });
}

/// The bar of issue 2.
const BAR: f64 = 1.15;
const BATCHES: usize = 60;
const CALLS: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match measure().await {
        Ok(ratio) if ratio <= BAR => ExitCode::SUCCESS,
        Ok(ratio) => {
            eprintln!("call: {ratio:.2} × bare wasmtime (bar: {BAR})");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("call: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<f64> {
    let file = std::env::args()
        .nth(1)
        .context("usage: call COMPONENT (fixtures/guests' neighbour)")?;
    let bytes = std::fs::read(&file).with_context(|| format!("read {file}"))?;
    let ours = Ours::new(&bytes).await?;
    let bare = Bare::new(&bytes)?;
    let (mut our_times, mut bare_times) = (Vec::new(), Vec::new());
    for batch in 0..=BATCHES {
        let started = Instant::now();
        for _ in 0..CALLS {
            ours.call().await?;
        }
        let our_time = started.elapsed().as_nanos() as f64 / CALLS as f64;
        let started = Instant::now();
        for _ in 0..CALLS {
            bare.call().await?;
        }
        let bare_time = started.elapsed().as_nanos() as f64 / CALLS as f64;
        // The first batch warms both up.
        if batch > 0 {
            our_times.push(our_time);
            bare_times.push(bare_time);
        }
    }
    let (ours, bare) = (median(our_times), median(bare_times));
    println!(
        "{}",
        serde_json::json!({"ours_p50_us": ours / 1e3, "bare_p50_us": bare / 1e3, "ratio": ours / bare})
    );
    Ok(ours / bare)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

struct Ours {
    runtime: Runtime,
    call: Call,
}

impl Ours {
    async fn new(bytes: &[u8]) -> Result<Self> {
        let broker = Broker::new(
            sluice_broker::Config::default(),
            Arc::new(System::new()?),
            Arc::new(SystemClock),
        )?;
        let runtime = Runtime::new(
            Config {
                compiler: Compiler::InProcess,
                ..Config::default()
            },
            broker,
        )?;
        let connector = runtime.load(bytes, &Runtime::digest(bytes)).await?;
        let grant = Grant {
            storage_bytes: 1 << 20,
            ..Grant::default()
        };
        let limits = Limits::default();
        let caller = Caller {
            org: OrgId::from_bytes([1; 16]),
            connection: None,
            connector: "bench".to_owned(),
            rights: Arc::new(Rights::new(&grant, &Ceiling::default(), &grant)),
            vault: Arc::new(EmptyVault),
            trace: Trace::default(),
            budget: Budget::new(&limits),
            rates: Vec::new(),
        };
        let connection = ConnectionView {
            id: "cnn_1".to_owned(),
            config: "{}".to_owned(),
            account: None,
        };
        let cancel = CancellationToken::new();
        let call = Call {
            connector,
            connection,
            caller,
            storage: Arc::new(EmptySnapshot),
            limits,
            cancel,
        };
        Ok(Self { runtime, call })
    }

    async fn call(&self) -> Result<()> {
        let mut call = self.call.clone();
        call.caller.budget = Budget::new(&call.limits);
        call.caller.trace = Trace::default();
        match self.runtime.check(call).await.result {
            Ok(Ok(_)) => Ok(()),
            other => bail!("the call failed: {other:?}"),
        }
    }
}

struct Bare {
    engine: Engine,
    pre: contract::ConnectorPre<Nothing>,
}

/// A store's content without anything of ours.
struct Nothing {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Nothing {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl Bare {
    fn new(bytes: &[u8]) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.max_unused_warm_slots(64)
            .linear_memory_keep_resident(1 << 20)
            .table_keep_resident(1 << 20);
        if PoolingAllocationConfig::is_pagemap_scan_available() {
            pool.pagemap_scan(wasmtime::Enabled::Yes);
        }
        let mut config = wasmtime::Config::new();
        config
            .concurrency_support(false)
            .memory_init_cow(true)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).map_err(plain)?;
        let component = Component::new(&engine, bytes).map_err(plain)?;
        let mut linker = Linker::<Nothing>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(plain)?;
        linker
            .define_unknown_imports_as_traps(&component)
            .map_err(plain)?;
        let pre = linker.instantiate_pre(&component).map_err(plain)?;
        let pre = contract::ConnectorPre::new(pre).map_err(plain)?;
        Ok(Self { engine, pre })
    }

    async fn call(&self) -> Result<()> {
        use contract::sluice::connector::types::Connection;
        let state = Nothing {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&self.engine, state);
        let connector = self.pre.instantiate_async(&mut store).await.map_err(plain)?;
        let connection = Connection {
            id: "cnn_1".to_owned(),
            config: "{}".to_owned(),
            account: None,
        };
        let account = connector
            .sluice_connector_auth()
            .call_check(&mut store, &connection)
            .await
            .map_err(plain)?;
        account
            .map(drop)
            .map_err(|error| anyhow::anyhow!("the guest failed: {error:?}"))
    }
}

/// The engine's error as this program's.
fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
