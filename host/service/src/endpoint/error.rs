//! Why something cannot be done with an endpoint.

use sluice_mapping::RuleError;
use sluice_model::endpoint::{HeaderError, KeyError, KindsError};

/// See the variants.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no endpoint `{0}`")]
    Missing(String),
    #[error("there is no delivery of event {0} to this endpoint, nor such an event")]
    NoDelivery(u64),
    #[error("a name is 1 to 100 characters, without control characters, and not an endpoint's id")]
    Name,
    #[error("the endpoint's address is not one that can be delivered to: {0}")]
    Url(&'static str),
    #[error("the endpoint's address is not to be reached")]
    Refused(#[source] sluice_broker::Error),
    #[error(transparent)]
    Kinds(#[from] KindsError),
    #[error(transparent)]
    Headers(#[from] HeaderError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the key before goes on for at most 30 days")]
    Overlap,
    #[error("the rules of the endpoint: {0}")]
    Rules(#[from] RuleError),
    #[error("the endpoint's rules refuse the event: {reason}")]
    Rule { code: &'static str, reason: String },
    #[error("the rules of an endpoint cannot look into streams")]
    Enriched,
    #[error("the endpoint's filter does not let this event through")]
    Filtered,
    #[error("an endpoint has 1 to 32 tries under way at once")]
    Concurrency,
    #[error("a rate is 0 (as fast as it goes), or 0.001 to 10000 tries a second")]
    Rate,
    #[error("the endpoint's secrets cannot be read")]
    Sealed,
    #[error(transparent)]
    Store(sluice_store::Error),
}

/// Codes of tries that failed, besides the broker's and the mapping's.
pub const TRY_CODES: &[&str] = &[
    "delivery.answer",
    "delivery.redirect",
    "delivery.gone",
    "delivery.event_gone",
];

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "endpoint.not_found",
        "delivery.not_found",
        "endpoint.name",
        "endpoint.url",
        "endpoint.kinds",
        "endpoint.headers",
        "endpoint.key",
        "endpoint.rules",
        "endpoint.filtered",
        "endpoint.limits",
        "endpoint.sealed",
        "endpoint.taken",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "endpoint.not_found",
            Self::NoDelivery(_) => "delivery.not_found",
            Self::Name => "endpoint.name",
            Self::Url(_) => "endpoint.url",
            Self::Refused(error) => error.code(),
            Self::Kinds(_) => "endpoint.kinds",
            Self::Headers(_) => "endpoint.headers",
            Self::Key(_) | Self::Overlap => "endpoint.key",
            Self::Rules(error) => error.code(),
            Self::Rule { code, .. } => code,
            Self::Enriched => "endpoint.rules",
            Self::Filtered => "endpoint.filtered",
            Self::Concurrency | Self::Rate => "endpoint.limits",
            Self::Sealed => "endpoint.sealed",
            Self::Store(sluice_store::Error::Conflict { .. }) => "endpoint.taken",
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(error) => error.hint(),
            Self::Rules(error) => Some(error.hint().to_owned()),
            Self::Url(_) => Some("give an https address".to_owned()),
            Self::Headers(_) => Some("the host signs and frames the request; add other headers".to_owned()),
            Self::Store(sluice_store::Error::Conflict { .. }) => Some("choose another name".to_owned()),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

impl From<sluice_store::Error> for Error {
    fn from(error: sluice_store::Error) -> Self {
        match error {
            sluice_store::Error::Missing { what: "the endpoint" } => Self::Missing("(removed)".to_owned()),
            other => Self::Store(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay_within_what_is_listed() {
        let conflict = sluice_store::Error::Conflict {
            what: "an endpoint",
            name: String::new(),
        };
        let all = [
            Error::Missing(String::new()),
            Error::NoDelivery(1),
            Error::Name,
            Error::Url("none"),
            Error::Kinds(KindsError::Count),
            Error::Headers(HeaderError::Count),
            Error::Key(KeyError::Form),
            Error::Enriched,
            Error::Filtered,
            Error::Rate,
            Error::Sealed,
            conflict.into(),
        ];
        let codes: Vec<_> = all.iter().map(Error::code).collect();
        assert_eq!(codes, Error::CODES);
        assert_eq!(Error::Overlap.code(), "endpoint.key");
        assert_eq!(Error::Concurrency.code(), "endpoint.limits");
    }
}
