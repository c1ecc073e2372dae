//! A receipt's life: accepted and durable, handled in the background, or set aside for a person to look at.

/// Where a receipt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiptState {
    /// Durable and acknowledged; waits for a worker.
    Accepted,
    /// A try failed; waits for the next one.
    RetryAt,
    /// Its events and changes are committed.
    Handled,
    /// Every try failed or the failure is final; kept, listed and replayable.
    Dead,
}

impl ReceiptState {
    /// Whether work is still owed.
    #[must_use]
    pub const fn due(self) -> bool {
        matches!(self, Self::Accepted | Self::RetryAt)
    }
}
