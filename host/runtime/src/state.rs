//! What one call owns: the data of its store. Made for the call, taken apart at its end, never shared.

use std::sync::Arc;

use sluice_broker::{Broker, Caller, CaptureInto};
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::config::Fixed;
use crate::host::outgoing::Outgoing;
use crate::journal::{Journal, Lines};
use crate::keeping::Keeping;
use crate::limiter::Limiter;
use crate::outcome::{Effects, Level, Metrics, Source, Used};
use crate::shelf::Shelf;
use crate::snapshot::Snapshot;
use crate::stage::Stage;
use crate::stdio::Mouth;
use crate::stop::Stop;
use crate::wasi;

/// Resources of the host that a guest may hold at once: requests, responses, fields, streams, pollables, secrets.
/// Runtimes of languages hold about a dozen.
const RESOURCES: usize = 1_024;

/// Memory of one `wasi:http` fields resource in bytes; together with [`RESOURCES`] it bounds what a guest can pile up.
const FIELD_BYTES: usize = 16 << 10;

/// Handles of component resources that a guest may hold at once, its own included.
pub(crate) const HANDLES: usize = 10_000;

/// What a guest may hand over at once beside one request's body, in bytes: a page, a message, a list of requests.
const CROSSING_BYTES: u64 = 16 << 20;

/// The data of a call's store.
pub(crate) struct State {
    pub(crate) limiter: Limiter,
    pub(crate) meter: Meter,
    pub(crate) table: ResourceTable,
    pub(crate) journal: Journal,
    pub(crate) stage: Stage,
    pub(crate) keeping: Keeping,
    pub(crate) metrics: Metrics,
    pub(crate) broker: Broker,
    pub(crate) caller: Arc<Caller>,
    pub(crate) captured: Vec<(CaptureInto, Secret)>,
    /// Placeholders of presigned addresses and what they stand for; as many as a call may have placeholders.
    pub(crate) presigned: Vec<(String, Secret)>,
    pub(crate) limits: Limits,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    sockets_refused: u32,
}

/// What a call is made with, as far as its store is concerned.
pub(crate) struct Given {
    pub(crate) broker: Broker,
    pub(crate) caller: Arc<Caller>,
    pub(crate) storage: Arc<dyn Snapshot>,
    pub(crate) files: Arc<dyn Shelf>,
    pub(crate) limits: Limits,
    pub(crate) fixed: Option<Fixed>,
}

impl State {
    pub(crate) fn new(given: Given) -> Self {
        let Given {
            broker,
            caller,
            storage,
            files,
            limits,
            fixed,
        } = given;
        let journal = Journal::new(limits.log_bytes);
        let mouth = |level, source| Mouth::new(Lines::new(journal.clone(), level, source));
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELD_BYTES);
        Self {
            limiter: Limiter::new(limits.memory_bytes, limits.table_elements),
            meter: Meter {
                calls: 0,
                limit: limits.host_calls,
            },
            table,
            stage: Stage::new(storage, caller.rights.storage_bytes()),
            keeping: Keeping::new(files, caller.rights.files_bytes()),
            metrics: Metrics::default(),
            wasi: wasi::neutral(
                mouth(Level::Info, Source::Stdout),
                mouth(Level::Warn, Source::Stderr),
                fixed,
            ),
            http,
            outgoing: Outgoing::new(broker.clone(), Arc::clone(&caller), &limits),
            journal,
            broker,
            caller,
            captured: Vec::new(),
            presigned: Vec::new(),
            limits,
            sockets_refused: 0,
        }
    }

    /// What may cross into the host at once, in bytes.
    pub(crate) fn crossing_bytes(&self) -> u64 {
        self.limits
            .request_bytes
            .max(CROSSING_BYTES)
            .saturating_add(1 << 20)
    }

    /// Takes the call apart. What it wanted done is kept only where `succeeded`; what it did is kept always.
    pub(crate) fn into_effects(self, succeeded: bool) -> Effects {
        let used = Used {
            memory_bytes: self.limiter.memory_bytes() as u64,
            host_calls: self.meter.calls,
        };
        // The streams hold lines that have no end yet; with the context and the table they are gone.
        drop(self.wasi);
        drop(self.table);
        let trace = self.caller.trace.take();
        let downloaded = self.keeping.downloaded();
        Effects {
            files: if succeeded {
                self.keeping.into_writes()
            } else {
                Vec::new()
            },
            downloaded,
            storage: if succeeded {
                self.stage.into_writes()
            } else {
                Vec::new()
            },
            captured: if succeeded { self.captured } else { Vec::new() },
            presigned: if succeeded { self.presigned } else { Vec::new() },
            logs: self.journal.take(),
            metrics: self.metrics,
            exchanges: trace.exchanges,
            exchanges_dropped: trace.dropped,
            used,
        }
    }

    /// A guest asked for a socket, which there is none of; the log of the call says so once.
    pub(crate) fn refuse_socket(&mut self) {
        self.sockets_refused = self.sockets_refused.saturating_add(1);
        if self.sockets_refused == 1 {
            let message = "refused a socket: connectors reach the network only by http";
            self.journal.write(Level::Warn, Source::Host, message, None);
        }
    }
}

/// Counts calls of host functions.
#[derive(Debug)]
pub(crate) struct Meter {
    calls: u64,
    limit: u64,
}

impl Meter {
    /// Counts one call of ours.
    ///
    /// # Errors
    /// The reason to stop, when it is one too many.
    pub(crate) fn call(&mut self) -> wasmtime::Result<()> {
        self.note();
        Ok(self.check()?)
    }

    /// Counts one of WASI's, which cannot be refused where it is counted; the next tick stops the guest.
    fn note(&mut self) {
        self.calls = self.calls.saturating_add(1);
    }

    pub(crate) fn check(&self) -> Result<(), Stop> {
        if self.calls > self.limit {
            return Err(Stop::Budget {
                what: "host calls",
                limit: self.limit,
            });
        }
        Ok(())
    }
}

/// Every function of WASI comes through here, so here they are counted.
impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.meter.note();
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.meter.note();
        WasiHttpCtxView {
            hooks: &mut self.outgoing,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
