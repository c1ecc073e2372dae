//! The runtime from outside: real components, a real broker, a real server on loopback.
//!
//! - `support`: the guest, the runtime and a call, as every test needs them
//! - `load`: what is taken as a connector and what is refused
//! - `compile`: the child process and its limits
//! - `cached`: the compiled cache, whole and tampered with
//! - `typed`: every export of the contract there and back
//! - `limits`: time, memory, host calls, handles, slots
//! - `logs`: the log, stdout and stderr, and metrics
//! - `neutral`: WASI that gives nothing away
//! - `staged`: storage over a snapshot
//! - `network`: http through the broker
//! - `secret`: handles and placeholders

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests are free"
)]

mod cached;
mod compile;
mod limits;
mod load;
mod logs;
mod network;
mod neutral;
mod secret;
mod staged;
mod support;
mod typed;
