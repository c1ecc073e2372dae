//! A fresh instance and one call of an exported function: through the runtime with every limit on, next to the same
//! component through bare wasmtime with the same pooling allocator and no limits. The two take turns, batch by batch, so
//! that whatever else the machine does meets both; each number is the median of all calls.
//!
//! Two functions of our GitHub connector are called: one that has nothing to do, so that only the way there and back is
//! measured, and one that reads a webhook of 2 KiB, which is what most calls are like.

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
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::OrgId;
use sluice_model::limits::Limits;
use sluice_model::{SystemClock, Timestamp};
use sluice_runtime::{
    Call, CancellationToken, Compiler, Config, ConnectionView, EmptyShelf, EmptySnapshot, Runtime,
};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable, ResourceType};
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

/// What is asked of the connector.
#[derive(Debug, Clone, Copy)]
enum Question {
    /// Streams beyond the manifest's: there are none.
    Discover,
    Handle,
}

/// The worse of the two ratios.
async fn measure() -> Result<f64> {
    let file = sluice_bench::connector("github")?;
    let bytes = std::fs::read(&file)
        .with_context(|| format!("read {}; build it with `cargo xtask build`", file.display()))?;
    let ours = Ours::new(&bytes).await?;
    let bare = Bare::new(&bytes)?;
    let mut worst: f64 = 0.0;
    for question in [Question::Discover, Question::Handle] {
        let (mut our_times, mut bare_times) = (Vec::new(), Vec::new());
        for batch in 0..=BATCHES {
            for _ in 0..CALLS {
                let started = Instant::now();
                ours.call(question).await?;
                our_times.push(started.elapsed());
            }
            for _ in 0..CALLS {
                let started = Instant::now();
                bare.call(question).await?;
                bare_times.push(started.elapsed());
            }
            // The first batch warms both up.
            if batch == 0 {
                our_times.clear();
                bare_times.clear();
            }
        }
        let (ours, bare) = (median(our_times), median(bare_times));
        println!(
            "{}",
            serde_json::json!({
                "function": format!("{question:?}").to_lowercase(), "ours_p50_us": ours, "bare_p50_us": bare,
                "ratio": ours / bare,
            })
        );
        worst = worst.max(ours / bare);
    }
    Ok(worst)
}

/// In microseconds.
fn median(mut times: Vec<std::time::Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(f64::NAN, |time| time.as_nanos() as f64 / 1e3)
}

const CONFIG: &str = r#"{"repositories":["acme/web"]}"#;

fn headers() -> Vec<(String, String)> {
    vec![
        ("x-github-event".to_owned(), "issues".to_owned()),
        ("x-github-delivery".to_owned(), "1".to_owned()),
    ]
}

struct Ours {
    runtime: Runtime,
    call: Call,
    body: Vec<u8>,
}

impl Ours {
    async fn new(bytes: &[u8]) -> Result<Self> {
        let broker = Broker::new(
            sluice_broker::Config::default(),
            Arc::new(System::new()?),
            Arc::new(SystemClock),
        )?;
        let config = Config {
            compiler: Compiler::InProcess,
            ..Config::default()
        };
        let runtime = Runtime::new(config, broker)?;
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
            app: None,
        };
        let call = Call {
            connector,
            connection: ConnectionView {
                id: "cnn_1".to_owned(),
                config: CONFIG.to_owned(),
                account: None,
            },
            caller,
            storage: Arc::new(EmptySnapshot),
            files: Arc::new(EmptyShelf),
            limits,
            cancel: CancellationToken::new(),
        };
        Ok(Self {
            runtime,
            call,
            body: sluice_bench::delivery(),
        })
    }

    async fn call(&self, question: Question) -> Result<()> {
        let mut call = self.call.clone();
        call.caller.budget = Budget::new(&call.limits);
        call.caller.trace = Trace::default();
        match question {
            Question::Discover => match self.runtime.discover(call).await.result {
                Ok(Ok(_)) => Ok(()),
                other => bail!("the call failed: {other:?}"),
            },
            Question::Handle => {
                let receipt = sluice_runtime::Receipt {
                    id: "rcp_1".to_owned(),
                    webhook: "repository".to_owned(),
                    received: Timestamp::from_millis(1),
                    method: "POST".to_owned(),
                    query: Vec::new(),
                    headers: headers(),
                    body: self.body.clone(),
                };
                match self.runtime.handle(call, receipt).await.result {
                    Ok(Ok(handled)) if !handled.events.is_empty() => Ok(()),
                    other => bail!("the call failed: {other:?}"),
                }
            }
        }
    }
}

struct Bare {
    engine: Engine,
    pre: contract::ConnectorPre<Nothing>,
    body: Vec<u8>,
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
        // As the runtime's, as far as it decides what a call costs.
        pool.total_component_instances(64)
            .total_stacks(64)
            .total_core_instances(512)
            .total_memories(128)
            .total_tables(256)
            .table_elements(100_000)
            .max_memory_size(1 << 30)
            .max_unused_warm_slots(64)
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
        stand_in(&engine, &component, &mut linker).map_err(plain)?;
        let pre = linker.instantiate_pre(&component).map_err(plain)?;
        let pre = contract::ConnectorPre::new(pre).map_err(plain)?;
        Ok(Self {
            engine,
            pre,
            body: sluice_bench::delivery(),
        })
    }

    async fn call(&self, question: Question) -> Result<()> {
        let state = Nothing {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        };
        let mut store = Store::new(&self.engine, state);
        let connector = self.pre.instantiate_async(&mut store).await.map_err(plain)?;
        let connection = contract::sluice::connector::types::Connection {
            id: "cnn_1".to_owned(),
            config: CONFIG.to_owned(),
            account: None,
        };
        match question {
            Question::Discover => {
                let sync = connector.sluice_connector_sync();
                let found = sync.call_discover(&mut store, &connection).await.map_err(plain)?;
                found.map(drop).map_err(|error| anyhow::anyhow!("{error:?}"))
            }
            Question::Handle => {
                let receipt = contract::exports::sluice::connector::webhook::Receipt {
                    id: "rcp_1".to_owned(),
                    webhook: "repository".to_owned(),
                    received: 1,
                    method: "POST".to_owned(),
                    query: Vec::new(),
                    headers: headers(),
                    body: self.body.clone(),
                };
                let webhook = connector.sluice_connector_webhook();
                let handled = webhook
                    .call_handle(&mut store, &connection, &receipt)
                    .await
                    .map_err(plain)?;
                handled.map(drop).map_err(|error| anyhow::anyhow!("{error:?}"))
            }
        }
    }
}

/// The contract's functions and resources, so that the component links; nothing that is measured calls them.
fn stand_in(engine: &Engine, component: &Component, linker: &mut Linker<Nothing>) -> wasmtime::Result<()> {
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else {
            continue;
        };
        if !name.starts_with("sluice:connector/") {
            continue;
        }
        let mut instance = linker.instance(name)?;
        for (name, export) in interface.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => {
                    instance.func_new(name, |_, _, _, _| Err(wasmtime::format_err!("nobody is there")))?;
                }
                ComponentItem::Resource(_) => {
                    instance.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The engine's error as this program's.
fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
