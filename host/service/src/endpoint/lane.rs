//! Lanes: tries under way at once, over all endpoints. Those that answered well the last time have a lane of their own, so that any
//! number of dead ones, each with a connection that hangs, leaves room for them.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::endpoint::Health;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Together half of what the broker lets one organization have under way.
const PROVEN: usize = 96;
const OTHERS: usize = 32;

/// A try that got no turn for so long is put off, and its endpoint's turn passes: leases are longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Lanes {
    proven: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            proven: Arc::new(Semaphore::new(PROVEN)),
            others: Arc::new(Semaphore::new(OTHERS)),
        }
    }
}

impl Lanes {
    /// The lane of an endpoint in this health.
    pub(super) fn of(&self, health: &Health) -> Arc<Semaphore> {
        Arc::clone(if health.is_proven() {
            &self.proven
        } else {
            &self.others
        })
    }
}

/// A turn in this lane; none if it does not come soon.
pub(super) async fn turn(lane: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout(PATIENCE, lane.acquire_owned())
        .await
        .ok()?
        .ok()
}
