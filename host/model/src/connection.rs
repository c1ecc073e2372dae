//! A connection's life.

/// Where a connection stands. The states of OAuth and of revoking join when the flows that reach them do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// Created, not yet tested.
    Draft,
    /// Tested and serving.
    Active,
    /// The vendor refused the credential: somebody has to reconnect.
    NeedsReauth,
    /// The configuration is wrong.
    Misconfigured,
    /// A person paused it.
    Paused,
}

impl ConnectionState {
    /// Whether background work may run for it.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::Active)
    }

    /// Whether `next` may follow.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use ConnectionState::{Active, Draft, Misconfigured, NeedsReauth, Paused};
        match self {
            Draft => matches!(next, Draft | Active | NeedsReauth | Misconfigured),
            Active => matches!(next, Active | NeedsReauth | Misconfigured | Paused),
            NeedsReauth | Misconfigured => matches!(next, Active | NeedsReauth | Misconfigured | Paused),
            Paused => matches!(next, Paused | Active | NeedsReauth | Misconfigured),
        }
    }
}
