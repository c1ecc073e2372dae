//! What the composition root decides about the runtime. Everything has a default that is safe to serve with.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sluice_model::Timestamp;

/// Settings of one [`Runtime`](crate::Runtime).
#[derive(Clone)]
pub struct Config {
    /// Where compiled connectors are kept between starts; none: compiled anew by every process.
    pub cache_dir: Option<PathBuf>,
    /// Authenticates the compiled cache. Whoever knows it can make this process run their machine code.
    pub cache_key: [u8; 32],
    /// All files of the cache together, in bytes; the oldest leave first.
    pub cache_bytes: u64,
    /// Calls under way at once. One organization has at most half of them (at least one).
    pub slots: u32,
    /// How long a call waits for a slot before it is [`Saturated`](crate::CallError::Saturated).
    pub slot_wait: Duration,
    /// Calls of one organization that may wait for a slot; more are turned away at once.
    pub slot_queue: u32,
    /// The largest linear memory that any grant can reach, in bytes. Address space, not memory in use.
    pub max_memory_bytes: u64,
    /// The largest component, in bytes.
    pub max_component_bytes: u64,
    /// Where connectors are compiled.
    pub compiler: Compiler,
    /// What one compilation may use.
    pub compile: CompileLimits,
    /// For rehearsing a connector: every call has this time and the same random numbers. None: as they are.
    pub fixed: Option<Fixed>,
}

/// What is the same in every call, so that a call can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    /// What the wall clock says.
    pub now: Timestamp,
    /// What the random numbers are made of; they are no secret.
    pub seed: u64,
}

/// Where machine code is made from wasm. The compiler is the largest piece of code that a stranger's bytes go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// This executable again, with `__compile` as its first argument; it must hand over to
    /// [`compile_child`](crate::compile_child).
    Itself,
    /// Another executable that hands over to [`compile_child`](crate::compile_child).
    Program {
        program: PathBuf,
        /// Go before the two that the runtime adds (bytes of memory, seconds of processor time).
        args: Vec<OsString>,
    },
    /// This process, without limits: only for components that the operator made, in tests and benchmarks.
    InProcess,
}

/// What one compilation may use; a compilation that exceeds one is killed and is `package.compile_failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space of the child in bytes (`RLIMIT_AS`).
    pub memory_bytes: u64,
    /// Processor time of the child in whole seconds (`RLIMIT_CPU`).
    pub cpu_seconds: u64,
    /// From the child's start to its end.
    pub wall: Duration,
    /// Machine code larger than this is not taken, in bytes.
    pub artifact_bytes: u64,
    /// Compilations under way at once; more wait.
    pub at_once: u32,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu_seconds: 120,
            wall: Duration::from_secs(180),
            artifact_bytes: 256 << 20,
            at_once: 1,
        }
    }
}

impl Default for Config {
    /// No cache directory and a cache key of zeroes, which is fine as long as there is no cache directory.
    fn default() -> Self {
        Self {
            cache_dir: None,
            cache_key: [0; 32],
            cache_bytes: 2 << 30,
            slots: 64,
            slot_wait: Duration::from_secs(5),
            slot_queue: 256,
            max_memory_bytes: 1 << 30,
            max_component_bytes: 64 << 20,
            compiler: Compiler::Itself,
            compile: CompileLimits::default(),
            fixed: None,
        }
    }
}

/// Without the key.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("cache_dir", &self.cache_dir)
            .field("slots", &self.slots)
            .field("max_memory_bytes", &self.max_memory_bytes)
            .field("max_component_bytes", &self.max_component_bytes)
            .field("compiler", &self.compiler)
            .field("compile", &self.compile)
            .field("fixed", &self.fixed)
            .finish_non_exhaustive()
    }
}
