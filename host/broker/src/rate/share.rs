//! The operator's apps, whose budgets organizations share. This is all that is kept across organizations: who of them
//! asks at all, and how much of a declared day is used. What a vendor told one of them stays with it, so that none can
//! close a vendor to the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::id::OrgId;
use tokio::time::Instant;

use super::day::Day;
use super::line::Hinted;
use crate::caller::VendorApp;
use crate::table::Table;

/// An organization that has not asked for so long leaves its share to the others.
const ACTIVE: Duration = Duration::from_secs(60);
/// How often it is looked who is still there.
const SWEEP: Duration = Duration::from_secs(1);
/// Organizations that are told apart for one app; more of them share as if there were so many.
const MAX_MEMBERS: usize = 1_024;

pub(super) struct Shares {
    members: Table<Arc<VendorApp>, Members>,
    days: Table<(Arc<VendorApp>, Hinted), Day>,
}

#[derive(Default)]
struct Members {
    seen: HashMap<OrgId, Instant>,
    swept: Option<Instant>,
}

impl Shares {
    pub(super) fn new() -> Self {
        Self {
            members: Table::new(),
            days: Table::new(),
        }
    }

    /// How many organizations share the app now, this one included.
    pub(super) fn count(&mut self, app: &Arc<VendorApp>, org: OrgId, now: Instant) -> u32 {
        let members = self.members.obtain(app, Members::default, |members| {
            members.seen.values().all(|seen| *seen + ACTIVE <= now)
        });
        if members.swept.is_none_or(|swept| swept + SWEEP <= now) {
            members.seen.retain(|_, seen| *seen + ACTIVE > now);
            members.swept = Some(now);
        }
        if members.seen.len() < MAX_MEMBERS || members.seen.contains_key(&org) {
            members.seen.insert(org, now);
        }
        u32::try_from(members.seen.len()).unwrap_or(u32::MAX).max(1)
    }

    /// What all of them together used of a day.
    pub(super) fn day(&mut self, app: &Arc<VendorApp>, hint: &Hinted, now: Instant) -> &mut Day {
        let key = (Arc::clone(app), hint.clone());
        self.days.obtain(&key, Day::default, |day| day.is_over(now))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::caller::AppOwner;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_ask_is_not_counted() {
        let app = Arc::new(VendorApp {
            connector: "test".into(),
            id: "client-1".into(),
            owner: AppOwner::Operator,
        });
        let mut shares = Shares::new();
        let mut count = |of: u8| shares.count(&app, OrgId::from_bytes([of; 16]), Instant::now());
        assert_eq!([count(1), count(1), count(2)], [1, 1, 2]);
        advance(ACTIVE / 2).await;
        assert_eq!(count(1), 2);
        advance(ACTIVE / 2).await;
        assert_eq!(count(1), 1);
    }
}
