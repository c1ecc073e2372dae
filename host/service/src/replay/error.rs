//! Why something cannot be done with a replay.

use crate::endpoint;

/// See the variants.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no replay `{0}`")]
    Missing(String),
    #[error("a replay is of an earlier time to a later one, and of 1 to 1000000 deliveries or receipts")]
    Window,
    #[error("there is no such hook")]
    Hook,
    #[error("`{install}` can't handle what came in at the hook: {reason}")]
    Install { install: String, reason: String },
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "replay.not_found",
        "replay.window",
        "hook.not_found",
        "replay.install",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "replay.not_found",
            Self::Window => "replay.window",
            Self::Hook => "hook.not_found",
            Self::Install { .. } => "replay.install",
            Self::Endpoint(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Install { .. } => {
                Some("name an install of the hook's connector: sluice connector list".to_owned())
            }
            Self::Endpoint(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Missing(_) | Self::Window | Self::Hook => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed() {
        let own = [
            Error::Missing(String::new()),
            Error::Window,
            Error::Hook,
            Error::Install {
                install: String::new(),
                reason: String::new(),
            },
        ];
        assert!(own.iter().all(|error| Error::CODES.contains(&error.code())));
    }
}
