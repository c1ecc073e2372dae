//! Slots: how many calls are under way at once, in all and for one organization. Fair: who waits longest is next, and no
//! organization has more than half.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sluice_model::id::OrgId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of one runtime.
#[derive(Debug)]
pub(crate) struct Slots {
    all: Arc<Semaphore>,
    orgs: Mutex<HashMap<OrgId, Weak<Lane>>>,
    per_org: usize,
    queue: usize,
    wait: Duration,
}

/// One organization's share, for as long as it has calls.
#[derive(Debug)]
struct Lane {
    slots: Arc<Semaphore>,
    /// Places of calls that run or wait.
    places: Arc<Semaphore>,
}

/// A slot; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    _lane: Arc<Lane>,
}

impl Slots {
    pub(crate) fn new(slots: u32, queue: u32, wait: Duration) -> Self {
        let slots = usize::try_from(slots.max(1))
            .unwrap_or(1)
            .min(Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(slots)),
            orgs: Mutex::new(HashMap::new()),
            per_org: (slots / 2).max(1),
            queue: usize::try_from(queue).unwrap_or(0),
            wait,
        }
    }

    /// Waits for a slot; none if the organization has too many waiting or the wait was too long. Cancel-safe.
    pub(crate) async fn take(&self, org: OrgId) -> Option<Slot> {
        let lane = self.lane(org);
        let place = Arc::clone(&lane.places).try_acquire_owned().ok()?;
        let both = async {
            // One's own share first: whoever waits for it holds nothing that others need.
            let own = Arc::clone(&lane.slots).acquire_owned().await.ok()?;
            let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some((own, all))
        };
        let (own, all) = tokio::time::timeout(self.wait, both).await.ok()??;
        Some(Slot {
            _all: all,
            _own: own,
            _place: place,
            _lane: lane,
        })
    }

    fn lane(&self, org: OrgId) -> Arc<Lane> {
        let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = orgs.get(&org).and_then(Weak::upgrade) {
            return lane;
        }
        orgs.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::new(Lane {
            slots: Arc::new(Semaphore::new(self.per_org)),
            places: Arc::new(Semaphore::new(self.per_org.saturating_add(self.queue))),
        });
        orgs.insert(org, Arc::downgrade(&lane));
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(number: u8) -> OrgId {
        OrgId::from_bytes([number; 16])
    }

    #[tokio::test]
    async fn one_organization_leaves_half_to_others() {
        let slots = Slots::new(4, 8, Duration::from_millis(1));
        let first = (
            slots.take(org(1)).await.unwrap(),
            slots.take(org(1)).await.unwrap(),
        );
        assert!(slots.take(org(1)).await.is_none());
        let second = slots.take(org(2)).await.unwrap();
        drop(first);
        assert!(slots.take(org(1)).await.is_some());
        drop(second);
        assert_eq!(slots.all.available_permits(), 4);
    }

    #[tokio::test]
    async fn a_full_queue_turns_away_at_once() {
        let slots = Arc::new(Slots::new(1, 0, Duration::from_secs(3600)));
        let _held = slots.take(org(1)).await.unwrap();
        assert!(slots.take(org(1)).await.is_none());
    }

    #[tokio::test]
    async fn one_slot_serves() {
        let slots = Slots::new(1, 1, Duration::from_millis(1));
        drop(slots.take(org(1)).await.unwrap());
        assert!(slots.take(org(2)).await.is_some());
    }
}
