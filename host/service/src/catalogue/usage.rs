//! What of an install's rights is used: noted by the broker's question, written down here once a day for each right.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use sluice_model::Timestamp;
use sluice_model::id::OrgId;
use sluice_runtime::Effects;
use sluice_store::usage::Usage;

use super::Known;
use crate::Service;

/// What was seen and is not written down.
pub(crate) struct Tally(Mutex<Pending>);

struct Pending {
    day: u64,
    usage: Usage,
    /// Credentials that were written down today.
    told: BTreeSet<String>,
}

/// So many calls are at most not counted after a crash.
const CALLS: u64 = 500;

/// The day, counted from the epoch.
pub(crate) const fn day(at: Timestamp) -> u64 {
    at.as_millis() / 86_400_000
}

impl Tally {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self(Mutex::new(Pending {
            day: day(now),
            usage: Usage {
                used: sluice_model::grant::Used::new(),
                credentials: BTreeSet::new(),
                calls: 0,
                file_bytes: 0,
            },
            told: BTreeSet::new(),
        }))
    }
}

impl Known {
    /// Notes a call and the credentials that it used; what is new today is written down in the background.
    pub(crate) fn tally(&self, service: &Service, org: OrgId, effects: &Effects) {
        let Some((day, usage)) = self.pending(service, Some(effects), CALLS) else {
            return;
        };
        let (service, id) = (service.clone(), self.install.id);
        tokio::spawn(async move {
            if let Err(error) = service.store().note_usage(org, id, day, usage).await {
                tracing::warn!(install = %id, code = error.code(), %error, "what was used is not written down");
            }
        });
    }

    /// Writes down what is not yet.
    pub(crate) async fn flush(&self, service: &Service, org: OrgId) -> Result<(), sluice_store::Error> {
        match self.pending(service, None, 1) {
            Some((day, usage)) => service.store().note_usage(org, self.install.id, day, usage).await,
            None => Ok(()),
        }
    }

    fn pending(&self, service: &Service, effects: Option<&Effects>, most: u64) -> Option<(u64, Usage)> {
        let today = day(service.now());
        let mut pending = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = self.rights.watch()?;
        let used = if pending.day == today {
            watch.take()
        } else {
            pending.day = today;
            pending.told.clear();
            watch.begin()
        };
        pending.usage.used.add(used);
        let exchanges = effects.map_or(&[][..], |effects| &effects.exchanges);
        pending.usage.calls += u64::from(effects.is_some());
        pending.usage.file_bytes += effects.map_or(0, |effects| effects.downloaded);
        for name in exchanges
            .iter()
            .filter_map(|exchange| exchange.credential.as_ref())
        {
            if !pending.told.contains(name) {
                pending.told.insert(name.clone());
                pending.usage.credentials.insert(name.clone());
            }
        }
        let usage = &pending.usage;
        // Files are few and large, and somebody pays for them: they are written down at once.
        let new = !usage.used.is_empty() || !usage.credentials.is_empty() || usage.file_bytes > 0;
        (new || usage.calls >= most).then(|| (today, std::mem::take(&mut pending.usage)))
    }
}
