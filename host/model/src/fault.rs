//! What a guest reports went wrong, by who has to act: the contract's closed `error` variant.

use std::fmt;
use std::time::Duration;

use crate::exchange::Exchange;

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The user: the configuration is wrong.
    Config,
    /// The user: reconnect.
    Auth,
    /// Nobody: wait.
    RateLimited,
    /// Nobody: try again.
    Transient,
    /// Data that breaks its schema.
    InvalidData,
    /// The connector does not offer this.
    Unsupported,
    /// The connector's author.
    Internal,
    /// The operator: a request was refused that the grant does not have. No connector says it; the host saw it.
    Denied,
}

impl FaultKind {
    /// The stable error code, `guest.…`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Config => "guest.config",
            Self::Auth => "guest.auth",
            Self::RateLimited => "guest.rate_limited",
            Self::Transient => "guest.transient",
            Self::InvalidData => "guest.invalid_data",
            Self::Unsupported => "guest.unsupported",
            Self::Internal => "guest.internal",
            Self::Denied => "guest.denied",
        }
    }

    /// Whether the same call may succeed later without anybody acting.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Self::RateLimited | Self::Transient)
    }
}

/// A guest's error: a value, not a trap.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fault {
    /// Who has to act.
    pub kind: FaultKind,
    /// The connector's words, redacted and cut by the host.
    pub message: String,
    /// RFC 6901, into the configuration, input or record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// How long the vendor asked to be left alone; already clamped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// What stands for it once the requests of its call are known: what a connector takes for a wrong configuration, where policy
    /// refused a request, is no reason to change the configuration, nor to stop what goes without that request.
    #[must_use]
    pub fn seen_with(self, exchanges: &[Exchange]) -> Self {
        let is_denial = |code: &str| matches!(code, "egress.denied" | "egress.redirect_denied");
        let mut codes = exchanges.iter().filter_map(|exchange| exchange.error.as_deref());
        match self.kind == FaultKind::Config && codes.any(is_denial) {
            true => Self {
                kind: FaultKind::Denied,
                ..self
            },
            false => self,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.pointer {
            Some(pointer) => write!(f, " (at `{pointer}`)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}
