//! A run: one execution of a sync of one stream of one connection.

/// Where a run stands. Legal moves: queued → leased → running → succeeded / partial / failed / cancelled, and back from
/// running to retry-wait or waiting-rate and again to leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Waiting for a worker.
    Queued,
    /// A worker has it and moves pages.
    Running,
    /// The vendor asked to wait; goes on by itself.
    WaitingRate,
    /// A fault that passes; tried again later.
    RetryWait,
    /// Everything there was has been read.
    Succeeded,
    /// Ended with records in quarantine.
    Partial,
    /// Ended by an error that somebody has to act on.
    Failed,
    /// Ended by a person.
    Cancelled,
}

impl RunState {
    /// Whether the run is over.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Partial | Self::Failed | Self::Cancelled
        )
    }

    /// Whether `next` may follow.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use RunState::{Cancelled, Failed, Partial, Queued, RetryWait, Running, Succeeded, WaitingRate};
        match self {
            Queued | WaitingRate | RetryWait => matches!(next, Running | Cancelled | Failed),
            Running => matches!(
                next,
                Running | WaitingRate | RetryWait | Succeeded | Partial | Failed | Cancelled
            ),
            Succeeded | Partial | Failed | Cancelled => false,
        }
    }
}

/// What a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From the last checkpoint on.
    Incremental,
    /// Everything again; the cursor starts from nothing.
    Full,
}
