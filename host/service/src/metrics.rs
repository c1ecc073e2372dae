//! Counters of the work, for the operator's Prometheus page. Labels are few and bounded: never an id or a name from
//! outside.

use std::sync::atomic::{AtomicU64, Ordering};

/// All counters of one server. Reading and adding never waits.
#[derive(Debug, Default)]
pub struct Metrics {
    pub runs_succeeded: Counter,
    pub runs_failed: Counter,
    pub runs_deferred: Counter,
    pub pages: Counter,
    pub records_changed: Counter,
    pub records_unchanged: Counter,
    pub records_quarantined: Counter,
    pub receipts_accepted: Counter,
    pub receipts_duplicate: Counter,
    pub receipts_refused: Counter,
    pub receipts_answered: Counter,
    pub receipts_unrouted: Counter,
    pub receipts_handled: Counter,
    pub receipts_failed: Counter,
    pub receipts_dead: Counter,
    pub deliveries_made: Counter,
    pub deliveries_failed: Counter,
    pub actions_run: Counter,
    pub guest_calls: Counter,
    pub guest_traps: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The sum so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One line of the metrics page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// In Prometheus' form, ending in `_total` for counters.
    pub name: &'static str,
    pub help: &'static str,
    /// The one label's name and value, where there is one.
    pub label: Option<(&'static str, &'static str)>,
    pub value: u64,
}

impl Metrics {
    /// Everything as it is now; samples of one name stand together.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let sample = |name, help, label, counter: &Counter| Sample {
            name,
            help,
            label,
            value: counter.get(),
        };
        let runs = ("sluice_runs_total", "Runs by how they ended or were put off.");
        let records = ("sluice_records_total", "Record changes by what became of them.");
        let receipts = ("sluice_receipts_total", "Webhooks by what became of them.");
        let deliveries = (
            "sluice_delivery_tries_total",
            "Tries to deliver events by what they came to.",
        );
        vec![
            sample(
                runs.0,
                runs.1,
                Some(("outcome", "succeeded")),
                &self.runs_succeeded,
            ),
            sample(runs.0, runs.1, Some(("outcome", "failed")), &self.runs_failed),
            sample(runs.0, runs.1, Some(("outcome", "deferred")), &self.runs_deferred),
            sample("sluice_pages_total", "Pages committed.", None, &self.pages),
            sample(
                records.0,
                records.1,
                Some(("outcome", "changed")),
                &self.records_changed,
            ),
            sample(
                records.0,
                records.1,
                Some(("outcome", "unchanged")),
                &self.records_unchanged,
            ),
            sample(
                records.0,
                records.1,
                Some(("outcome", "quarantined")),
                &self.records_quarantined,
            ),
            sample(
                receipts.0,
                receipts.1,
                Some(("outcome", "accepted")),
                &self.receipts_accepted,
            ),
            sample(
                receipts.0,
                receipts.1,
                Some(("outcome", "duplicate")),
                &self.receipts_duplicate,
            ),
            sample(
                receipts.0,
                receipts.1,
                Some(("outcome", "refused")),
                &self.receipts_refused,
            ),
            sample(
                receipts.0,
                receipts.1,
                Some(("outcome", "unrouted")),
                &self.receipts_unrouted,
            ),
            sample(
                receipts.0,
                receipts.1,
                Some(("outcome", "answered")),
                &self.receipts_answered,
            ),
            sample(
                receipts.0,
                receipts.1,
                Some(("outcome", "handled")),
                &self.receipts_handled,
            ),
            sample(
                receipts.0,
                receipts.1,
                Some(("outcome", "failed")),
                &self.receipts_failed,
            ),
            sample(
                receipts.0,
                receipts.1,
                Some(("outcome", "dead")),
                &self.receipts_dead,
            ),
            sample(
                deliveries.0,
                deliveries.1,
                Some(("outcome", "delivered")),
                &self.deliveries_made,
            ),
            sample(
                deliveries.0,
                deliveries.1,
                Some(("outcome", "failed")),
                &self.deliveries_failed,
            ),
            sample("sluice_actions_total", "Actions run.", None, &self.actions_run),
            sample(
                "sluice_guest_calls_total",
                "Calls into connectors.",
                None,
                &self.guest_calls,
            ),
            sample(
                "sluice_guest_traps_total",
                "Calls that ended in a trap or at a limit.",
                None,
                &self.guest_traps,
            ),
        ]
    }
}
