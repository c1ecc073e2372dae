//! Sweeping: what time makes superfluous, and removals that were interrupted, in bounded steps.

use sluice_model::Timestamp;

use crate::{Error, Store};

impl Store {
    /// Does up to `max_steps` steps (each one commit of at most a thousand rows): forgets dedupe keys older than
    /// [`DEDUPE_FOR`](crate::receipt::DEDUPE_FOR) and goes on with interrupted removals. Answers whether there is more.
    pub async fn sweep(&self, now: Timestamp, max_steps: usize) -> Result<bool, Error> {
        todo!()
    }
}
