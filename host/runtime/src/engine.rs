//! The one engine of the process: which wasm is spoken, how it is compiled, and how many of everything there can be.
//!
//! The compiler's child process makes an engine with the same code settings and no pools, so what shapes machine code
//! and what shapes allocation are kept apart here.

use std::hash::{Hash, Hasher};

use ring::digest;
use wasmtime::{
    Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy, WasmBacktraceDetails,
};

use crate::config::Config;
use crate::error::StartError;

/// Core instances of one component. A Rust component has about four, a Python one (dynamically linked) about thirty.
const CORE_INSTANCES: u32 = 64;

/// Linear memories of one component. Every toolchain's own components have one; a composed one has one per part.
const MEMORIES: u32 = 4;

/// Tables of one component: one per core module, and the adapter's.
const TABLES: u32 = 40;

/// Elements of one table; a large language runtime has some ten thousand functions in it.
const TABLE_ELEMENTS: usize = 100_000;

/// Metadata of one component instance in bytes; a Python one needs about 200 KiB.
const INSTANCE_BYTES: usize = 1 << 20;

/// Wasm's own stack in bytes. Recursion deeper than this traps.
const WASM_STACK: usize = 512 << 10;

/// The fiber's stack in bytes: wasm's, and below it the host function that runs on it (TLS handshakes among them).
const FIBER_STACK: usize = 2 << 20;

/// Address space of one linear memory in bytes: all that 32 bits reach, so that no bounds check is compiled in.
const MEMORY_RESERVATION: u64 = 4 << 30;

/// Frames of a trap that are named.
const FRAMES: usize = 32;

/// What of a linear memory stays resident between two calls, in bytes, where the kernel can say which pages were
/// touched (only those are wiped) and where it cannot (all of it is wiped).
const RESIDENT_SCANNED: usize = 1 << 20;
const RESIDENT_BLIND: usize = 64 << 10;

/// The settings that decide what machine code looks like.
fn code_settings() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .strategy(Strategy::Cranelift)
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_component_model(true)
        // The engine's own code between the parts of a composed component reads one memory and writes the other; modules with
        // two of their own are refused before it sees them.
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .memory_reservation(MEMORY_RESERVATION)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(FRAMES))
        .generate_address_map(false)
        // For debuggers and profilers of the process, nobody here asks it: what there is of it has to be read, authenticated and
        // registered with every load. Windows wants it.
        .native_unwind_info(cfg!(windows));
    config
}

/// An engine that only compiles; it reserves no address space for guests.
pub(crate) fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&code_settings())
}

/// The engine that serves.
pub(crate) fn serving(settings: &Config) -> Result<Engine, StartError> {
    let slots = settings.slots.max(1);
    let scanned = PoolingAllocationConfig::is_pagemap_scan_available();
    let mut pool = PoolingAllocationConfig::new();
    // Every pool holds what `slots` ordinary components need. One made of many parts takes more than its share, and
    // the call that then finds a pool empty is told that the runtime is saturated.
    pool.total_component_instances(slots)
        .total_stacks(slots)
        .total_core_instances(slots.saturating_mul(8).max(CORE_INSTANCES))
        .total_memories(slots.saturating_mul(2).max(MEMORIES))
        .total_tables(slots.saturating_mul(4).max(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memories_per_module(1)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_memory_size(
            usize::try_from(settings.max_memory_bytes.min(MEMORY_RESERVATION)).unwrap_or(usize::MAX),
        )
        .max_unused_warm_slots(slots)
        .linear_memory_keep_resident(if scanned { RESIDENT_SCANNED } else { RESIDENT_BLIND })
        .table_keep_resident(if scanned { RESIDENT_SCANNED } else { RESIDENT_BLIND })
        .pagemap_scan(if scanned { Enabled::Yes } else { Enabled::No });
    let mut config = code_settings();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).map_err(|error| StartError::Engine {
        reason: format!("{error:#}"),
    })
}

/// A digest of everything that decides whether machine code fits `engine`: version, target, processor features, flags.
pub(crate) fn compatibility(engine: &Engine) -> [u8; 32] {
    struct Sink(digest::Context);
    impl Hasher for Sink {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sink = Sink(digest::Context::new(&digest::SHA256));
    engine.precompile_compatibility_hash().hash(&mut sink);
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(sink.0.finish().as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiling_and_the_serving_engine_fit() {
        let serving = serving(&Config {
            slots: 2,
            ..Config::default()
        })
        .unwrap();
        assert_eq!(compatibility(&compiling().unwrap()), compatibility(&serving));
    }
}
