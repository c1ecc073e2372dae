//! Permits: how many exchanges are under way at once. An organization waits for its own share first, so that however
//! many it asks for, the others find theirs free.

use std::sync::{Arc, Mutex, PoisonError};

use sluice_model::id::OrgId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::table::Table;

pub(crate) struct Permits {
    all: Arc<Semaphore>,
    orgs: Mutex<Table<OrgId, Arc<Semaphore>>>,
    per_org: usize,
}

/// Held until the response has been read or dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _held: [Option<OwnedSemaphorePermit>; 2],
}

impl Permits {
    pub(crate) fn new(all: usize, per_org: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all.clamp(1, Semaphore::MAX_PERMITS))),
            orgs: Mutex::new(Table::new()),
            per_org: per_org.clamp(1, Semaphore::MAX_PERMITS),
        }
    }

    /// Waits its turn; the caller bounds the time. Cancel-safe: a cancelled wait holds nothing.
    pub(crate) async fn acquire(&self, org: OrgId) -> Permit {
        let share = {
            let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
            let make = || Arc::new(Semaphore::new(self.per_org));
            Arc::clone(orgs.obtain(&org, make, |share| Arc::strong_count(share) == 1))
        };
        // Neither semaphore is ever closed.
        let own = share.acquire_owned().await.ok();
        let one = Arc::clone(&self.all).acquire_owned().await.ok();
        Permit { _held: [own, one] }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_tenant_leaves_the_others_theirs() {
        let (greedy, modest) = (OrgId::from_bytes([1; 16]), OrgId::from_bytes([2; 16]));
        let permits = Permits::new(4, 2);
        let held = [permits.acquire(greedy).await, permits.acquire(greedy).await];
        assert!(permits.acquire(greedy).now_or_never().is_none());
        let mine = permits.acquire(modest).now_or_never();
        assert!(mine.is_some());
        drop(held);
        assert!(permits.acquire(greedy).now_or_never().is_some());
    }
}
