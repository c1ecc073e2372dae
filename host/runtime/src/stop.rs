//! Why the host ends a guest: the reasons travel through the engine as its errors and are found again at the end.

/// The reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("deadline")]
    Deadline,
    #[error("cancelled")]
    Cancelled,
    #[error("budget of {what} used up")]
    Budget { what: &'static str, limit: u64 },
    /// The host could not do its part.
    #[error("{0}")]
    Host(String),
}
