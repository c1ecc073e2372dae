//! The trace of a call: every exchange it caused, redacted.

use std::sync::{Arc, Mutex, PoisonError};

use sluice_model::exchange::Exchange;

/// Exchanges that one trace keeps; later ones are counted only.
pub const MAX_EXCHANGES: usize = 1_000;

/// Collects exchanges. Clones share one collection. An exchange enters when its response has been read or dropped.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<Kept>>);

/// What a trace holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// In the order in which they ended.
    pub exchanges: Vec<Exchange>,
    /// Exchanges beyond [`MAX_EXCHANGES`].
    pub dropped: u64,
    /// Responses in which a known secret was found and redacted.
    pub reflected: u64,
}

impl Trace {
    /// What was collected so far; the trace is empty afterwards.
    #[must_use]
    pub fn take(&self) -> Kept {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn record(&self, exchange: Exchange) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.exchanges.len() < MAX_EXCHANGES {
            kept.exchanges.push(exchange);
            return;
        }
        kept.dropped += 1;
    }

    pub(crate) fn reflected(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reflected += 1;
    }
}
