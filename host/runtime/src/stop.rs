//! Why the host ends a guest: the reasons travel through the engine as its errors and are found again at the end.

use sluice_model::fault::Fault;

/// The reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("deadline")]
    Deadline,
    #[error("cancelled")]
    Cancelled,
    #[error("budget of {what} used up")]
    Budget { what: &'static str, limit: u64 },
    /// What the guest itself would have to answer: who has to act is known already.
    #[error("{0}")]
    Fault(Fault),
    /// The host could not do its part.
    #[error("{0}")]
    Host(String),
}
