//! WASI 0.2 as connectors find it: all there, because language runtimes import it whether they use it or not, and
//! neutral: no environment, no arguments, no files, no sockets, coarse clocks.
//!
//! What is linked here is what [`crate::imports`] knows; the two are kept together by a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sluice_model::{Clock, SystemClock, Timestamp};
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random, sockets};
use wasmtime_wasi::random::{Deterministic, WasiRandom, WasiRandomView as _};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsCtxView, WasiSocketsView as _};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx};

use crate::config::Fixed;
use crate::state::State;
use crate::stdio::Mouth;

/// The steps in which a guest sees time go by: too coarse to tell a cache hit from a miss.
const RESOLUTION: Duration = Duration::from_millis(1);

/// Random bytes in one call of a function. Runtimes ask for 32 to seed themselves.
const RANDOM_BYTES: u64 = 64 << 10;

/// The context of one call.
pub(crate) fn neutral(stdout: Mouth, stderr: Mouth, fixed: Option<Fixed>) -> WasiCtx {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(stdout)
        .stderr(stderr)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .socket_addr_check(|_, _| Box::pin(std::future::ready(false)))
        .max_random_size(RANDOM_BYTES)
        .wall_clock(Coarse(Instant::now()))
        .monotonic_clock(Coarse(Instant::now()));
    if let Some(fixed) = fixed {
        let random = || Deterministic::new(fixed.random());
        builder
            .wall_clock(Still(fixed.now))
            .monotonic_clock(Steps(AtomicU64::new(0)))
            .secure_random(random())
            .insecure_random(random())
            .insecure_random_seed(u128::from(fixed.seed));
    }
    builder.build()
}

/// Random bytes of a call that can be repeated; they come again after these.
const FIXED_BYTES: u64 = 4 << 10;

impl Fixed {
    fn random(self) -> Vec<u8> {
        let block = |number: u64| {
            let input = [self.seed.to_be_bytes(), number.to_be_bytes()].concat();
            ring::digest::digest(&ring::digest::SHA256, &input)
        };
        (0..FIXED_BYTES / 32)
            .flat_map(|number| block(number).as_ref().to_vec())
            .collect()
    }
}

/// A wall clock that stands.
struct Still(Timestamp);

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.as_millis())
    }
}

/// A clock that goes on by one step each time it is looked at: whoever waits for it gets there, and always after as many looks.
struct Steps(AtomicU64);

impl HostMonotonicClock for Steps {
    fn resolution(&self) -> u64 {
        u64::try_from(RESOLUTION.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        let step = HostMonotonicClock::resolution(self);
        self.0.fetch_add(step, Ordering::Relaxed)
    }
}

/// Both clocks, in steps of [`RESOLUTION`].
struct Coarse(Instant);

impl HostWallClock for Coarse {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        Duration::from_millis(SystemClock.now().as_millis())
    }
}

impl HostMonotonicClock for Coarse {
    fn resolution(&self) -> u64 {
        u64::try_from(RESOLUTION.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        let step = HostMonotonicClock::resolution(self);
        let nanos = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        nanos / step * step
    }
}

/// Links WASI 0.2 and the outgoing half of `wasi:http`.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    // Streams and polls, both clocks, the random numbers and the three standard streams.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure::add_to_linker::<State, WasiRandom>(linker, State::random)?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, State::random)?;

    cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;

    filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;

    // Making a socket and looking up a name are where a guest shows that it means it.
    sockets::tcp_create_socket::add_to_linker::<State, WasiSockets>(linker, refused_sockets)?;
    sockets::udp_create_socket::add_to_linker::<State, WasiSockets>(linker, refused_sockets)?;
    sockets::ip_name_lookup::add_to_linker::<State, WasiSockets>(linker, refused_sockets)?;
    sockets::instance_network::add_to_linker::<State, WasiSockets>(linker, State::sockets)?;
    sockets::network::add_to_linker::<State, WasiSockets>(
        linker,
        &sockets::network::LinkOptions::default(),
        State::sockets,
    )?;
    sockets::tcp::add_to_linker::<State, WasiSockets>(linker, State::sockets)?;
    sockets::udp::add_to_linker::<State, WasiSockets>(linker, State::sockets)?;

    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

fn refused_sockets(state: &mut State) -> WasiSocketsCtxView<'_> {
    state.refuse_socket();
    state.sockets()
}
