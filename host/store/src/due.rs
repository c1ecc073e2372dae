//! Due work: one index over runs and receipts, by organization and time, so that workers sleep until something is due
//! and no organization's heap hides another's one row.

use std::sync::Arc;

use sluice_model::Timestamp;
use tokio::sync::Notify;

use crate::{Error, Store};

/// What kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Runs,
    Receipts,
}

impl Store {
    /// When the next run or receipt is due (a moment that has passed means now); `None` if nothing waits.
    pub async fn next_due(&self, work: Work) -> Result<Option<Timestamp>, Error> {
        todo!()
    }

    /// Fires after each commit that made work due or changed when it is. Take the `notified()` future before looking
    /// for work, so that nothing falls between.
    #[must_use]
    pub fn wake(&self) -> Arc<Notify> {
        todo!()
    }
}
