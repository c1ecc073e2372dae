//! Why something can't be done with a link.

use sluice_mapping::RuleError;
use sluice_mapping::reconcile::PolicyError;

use crate::{call, connection};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no link `{0}`")]
    Missing(String),
    #[error("there is no conflict {0} in this link")]
    NoConflict(u64),
    #[error("the name has to be 1 to 80 characters without control characters, and no id")]
    Name,
    #[error("a stream cannot be linked with itself")]
    Itself,
    #[error("the connector has no stream `{0}`")]
    Stream(String),
    #[error("records of `{stream}` cannot be {what}d by its connector, which this link would have to")]
    Unwritable { stream: String, what: &'static str },
    #[error("the link's settings: `{pointer}` {reason}")]
    Settings { pointer: String, reason: String },
    #[error("the link's settings: {within}{error}")]
    Rules { error: RuleError, within: &'static str },
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error(transparent)]
    Prepare(#[from] call::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "link.not_found",
        "link.no_conflict",
        "link.name",
        "link.itself",
        "sync.stream",
        "write.unsupported",
        "link.settings",
        "link.policy",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "link.not_found",
            Self::NoConflict(_) => "link.no_conflict",
            Self::Name => "link.name",
            Self::Itself => "link.itself",
            Self::Stream(_) => "sync.stream",
            Self::Unwritable { .. } => "write.unsupported",
            Self::Settings { .. } => "link.settings",
            Self::Rules { error, .. } => error.code(),
            Self::Policy(_) => "link.policy",
            Self::Connection(error) => error.code(),
            Self::Prepare(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unwritable { what: "delete", .. } => {
                Some("link them with `\"deletes\": false`, or another stream".to_owned())
            }
            Self::Unwritable { .. } => {
                Some("`sluice connector info` shows what each stream can do".to_owned())
            }
            Self::Connection(error) => error.hint(),
            Self::Prepare(error) => error.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}
