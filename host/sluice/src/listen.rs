//! The listener: from accepted sockets to requests.
//!
//! What must always hold here: a connection's permit is taken before it is accepted, so that the process never holds
//! more sockets than it can serve; running out of file descriptors slows the loop down and never spins it; a peer that
//! sends its head or its body too slowly, or reads its answer too slowly, is cut off; a panic ends one request.
//! Absent on purpose: routes and keys (`api`).

mod accept;
mod activity;
mod tls;

pub use accept::{ListenError, Listener, Peer};
pub use tls::{TlsError, acceptor};

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What bounds a connection.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub connections: usize,
    /// From the connection to the end of the first request's head.
    pub header: Duration,
    /// Unused for so long, a connection is closed.
    pub idle: Duration,
}

/// What the listener counts.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Counts>);

/// The counts themselves.
#[derive(Debug, Default)]
pub struct Counts {
    pub accepted: AtomicU64,
    pub open: AtomicU64,
    /// Connections that were turned away because no file descriptor was left.
    pub exhausted: AtomicU64,
    /// Connections that were cut off for being slow or silent.
    pub cut_off: AtomicU64,
}

impl std::ops::Deref for Counters {
    type Target = Counts;
    fn deref(&self) -> &Counts {
        &self.0
    }
}
