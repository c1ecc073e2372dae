//! What every request's work can reach.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sluice_model::id::{KeyId, OrgId};
use sluice_model::signature::SourceRange;
use sluice_service::Service;
use sluice_service::approval::Actor;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::listen::Counters;

/// Shared by all requests; a clone is a reference.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

/// What the composition root hands over.
#[derive(Debug)]
pub struct Parts {
    pub service: Service,
    pub listener: Counters,
    /// Hosts under which this server may be addressed; none: it is public and any may be.
    pub hosts: Option<Vec<String>>,
    /// The public address without a slash at its end, for the addresses of hooks.
    pub public_url: Option<String>,
    /// Proxies that are believed about who sends.
    pub proxies: Vec<SourceRange>,
    pub body_timeout: Duration,
    pub body_memory_bytes: u64,
    pub component_bytes: u64,
    pub hook_body_bytes: u64,
    /// Where large bodies wait until they are whole.
    pub spool: PathBuf,
    /// Says that what has no end of its own has to end.
    pub stop: CancellationToken,
}

/// See [`Parts`].
#[derive(Debug)]
pub struct Shared {
    pub service: Service,
    pub listener: Counters,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) public_url: Option<String>,
    pub(super) proxies: Vec<SourceRange>,
    pub(super) body_timeout: Duration,
    pub(super) body_memory: Arc<Semaphore>,
    pub(super) component_bytes: u64,
    pub(super) hook_body_bytes: u64,
    pub(super) spool: PathBuf,
    pub(super) requests: Requests,
    /// Turns of those who follow the events.
    pub(super) tails: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

/// Answers by their class, and panics that were caught.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) ok: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) panicked: AtomicU64,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) org: OrgId,
    pub(super) key: KeyId,
    /// May approve what connectors may do.
    pub(super) approves: bool,
}

impl Caller {
    pub(super) fn actor(&self) -> Actor {
        Actor {
            key: self.key.to_string(),
            approves: self.approves,
        }
    }
}

impl App {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let blocks =
            usize::try_from(parts.body_memory_bytes / BODY_BLOCK_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            service: parts.service,
            listener: parts.listener,
            hosts: parts.hosts,
            public_url: parts.public_url,
            proxies: parts.proxies,
            body_timeout: parts.body_timeout,
            body_memory: Arc::new(Semaphore::new(blocks.clamp(1, Semaphore::MAX_PERMITS))),
            component_bytes: parts.component_bytes,
            hook_body_bytes: parts.hook_body_bytes,
            spool: parts.spool,
            requests: Requests::default(),
            stop: parts.stop,
            tails: Arc::new(Semaphore::new(super::tail::MAX_TAILS)),
        }))
    }
}

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Memory for bodies is given out in blocks of this many bytes.
pub(super) const BODY_BLOCK_BYTES: u64 = 16 * 1024;
