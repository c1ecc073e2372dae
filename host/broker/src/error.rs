//! What can end a brokered request. Policy's refusals come first, then limits, then the peer's faults.
//!
//! No variant carries a header, a body or a query: an error is shown to guests, logged and kept.

use std::sync::Arc;
use std::time::Duration;

/// Why [`send`](crate::Broker::send) or the reading of a response failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No grant permits the request; the text is the missing grant as the permission page would say it.
    #[error("{missing}")]
    Denied { missing: String },
    /// The address literal, or one of the addresses of the name, is in a block that is not open.
    #[error("{host} is at {address}, which is {block}")]
    DeniedAddress {
        host: String,
        address: String,
        block: &'static str,
    },
    /// The address is one of our own listeners.
    #[error("{host} is this server itself")]
    DeniedSelf { host: String },
    /// The server redirected to where policy does not follow.
    #[error("redirect to {to}")]
    RedirectDenied {
        to: String,
        #[source]
        cause: Box<Error>,
    },
    /// A credential or placeholder was meant for an origin that it is not bound to.
    #[error("secret `{name}` is not bound to {origin}")]
    OriginMismatch { name: String, origin: String },
    /// The named credential does not exist for this connection.
    #[error("connection has no credential `{name}`")]
    NoCredential { name: String },
    /// The credentials could not be read.
    #[error("read the credential")]
    Vault(#[source] VaultError),
    /// The rate or the daily quota of the connection or of its app, or the one that the vendor stated, is used up. An hour to
    /// wait at most: what takes longer is to be asked again.
    #[error("rate limit reached, {} ms to wait", .after.as_millis())]
    RateLimited { after: Duration },
    /// The vendor's host failed repeatedly and is left alone.
    #[error("{host} failed repeatedly and is left alone for {} ms", .after.as_millis())]
    CircuitOpen { host: String, after: Duration },
    /// The total time ran out.
    #[error("no complete answer within {} ms", .limit.as_millis())]
    Timeout { limit: Duration },
    /// The name has no usable address.
    #[error("resolve {host}")]
    Resolve {
        host: String,
        #[source]
        cause: ResolveError,
    },
    /// No connection, or it was reset before an answer came.
    #[error("reach {host}: {reason}")]
    Unreachable { host: String, reason: String },
    /// The certificate or the TLS protocol of the peer is not acceptable.
    #[error("speak TLS with {host}: {reason}")]
    Tls { host: String, reason: String },
    /// The peer did not speak HTTP as it must be spoken.
    #[error("understand the answer of {host}: {reason}")]
    Protocol { host: String, reason: String },
    /// The request itself is malformed.
    #[error("accept the request: {reason}")]
    BadRequest { reason: String },
    /// The head or the decompressed body of the response is over its cap, in bytes.
    #[error("read a response over {cap} bytes")]
    TooLarge { cap: u64 },
    /// The body of the response ended early.
    #[error("read the whole body from {host}")]
    Truncated { host: String },
    /// A budget of this call is used up.
    #[error("stay within the budget of {what}")]
    Budget { what: &'static str },
}

impl Error {
    /// The codes that [`Error::code`] can give.
    pub const CODES: &[&str] = &[
        "egress.denied",
        "egress.denied_address",
        "egress.denied_self",
        "egress.redirect_denied",
        "secret.origin_mismatch",
        "secret.missing",
        "secret.unavailable",
        "egress.rate_limited",
        "egress.circuit_open",
        "egress.timeout",
        "egress.dns",
        "egress.unreachable",
        "egress.tls",
        "egress.protocol",
        "egress.bad_request",
        "egress.too_large",
        "egress.truncated",
        "egress.budget",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "egress.denied",
            Self::DeniedAddress { .. } => "egress.denied_address",
            Self::DeniedSelf { .. } => "egress.denied_self",
            Self::RedirectDenied { .. } => "egress.redirect_denied",
            Self::OriginMismatch { .. } => "secret.origin_mismatch",
            Self::NoCredential { .. } => "secret.missing",
            Self::Vault(_) => "secret.unavailable",
            Self::RateLimited { .. } => "egress.rate_limited",
            Self::CircuitOpen { .. } => "egress.circuit_open",
            Self::Timeout { .. } => "egress.timeout",
            Self::Resolve { .. } => "egress.dns",
            Self::Unreachable { .. } => "egress.unreachable",
            Self::Tls { .. } => "egress.tls",
            Self::Protocol { .. } => "egress.protocol",
            Self::BadRequest { .. } => "egress.bad_request",
            Self::TooLarge { .. } => "egress.too_large",
            Self::Truncated { .. } => "egress.truncated",
            Self::Budget { .. } => "egress.budget",
        }
    }

    /// What the person who has to act can do, where a person must act.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Denied { .. } => "grant it to the install, if the connector should reach it".into(),
            Self::DeniedAddress { address, .. } => {
                format!(
                    "if {address} is meant to be reached, the operator opens its range under `broker.open`"
                )
            }
            Self::DeniedSelf { .. } => "use another server; this one is never reached through itself".into(),
            Self::RedirectDenied { .. } => "grant the target of the redirect, if it is to be followed".into(),
            Self::OriginMismatch { name, .. } => {
                format!("send `{name}` only to the origins its auth scheme names")
            }
            Self::NoCredential { name } => format!("set the credential `{name}` of the connection"),
            Self::Tls { .. } => {
                "check the server's certificate; a private authority is added under `broker.extra_ca_files`"
                    .into()
            }
            Self::BadRequest { .. } => "correct the request; it was not sent".into(),
            Self::TooLarge { .. } => "ask for less at once, or raise `response_bytes` in the grant".into(),
            Self::Budget { what } => {
                format!("make fewer requests in one call, or raise the limit of {what} in the grant")
            }
            _ => return None,
        };
        Some(hint)
    }

    /// Whether the same request may succeed later without anybody acting.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::CircuitOpen { .. }
                | Self::Timeout { .. }
                | Self::Resolve { .. }
                | Self::Unreachable { .. }
                | Self::Truncated { .. }
        )
    }
}

/// Why the broker could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A certificate authority of `extra_ca_pem` is not a certificate.
    #[error("read certificate authority {index} of `broker.extra_ca_files`: {reason}")]
    Authority { index: usize, reason: String },
    /// The TLS library refuses its own settings.
    #[error("set TLS up")]
    Tls(#[source] rustls::Error),
    /// The system's DNS configuration is unusable.
    #[error("read the system's DNS configuration: {0}")]
    Dns(String),
}

impl ConfigError {
    /// The codes that [`ConfigError::code`] can give.
    pub const CODES: &[&str] = &["config.egress_ca", "config.egress_tls", "config.egress_dns"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Authority { .. } => "config.egress_ca",
            Self::Tls(_) => "config.egress_tls",
            Self::Dns(_) => "config.egress_dns",
        }
    }
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name does not exist or has no address.
    #[error("no address")]
    NoAddress,
    /// The answer is larger than anybody needs.
    #[error("more than {0} addresses")]
    TooMany(usize),
    /// No answer within the time for DNS.
    #[error("no answer from DNS in time")]
    Timeout,
    /// The name server failed.
    #[error("{0}")]
    Failed(String),
}

/// Why a credential could not be read. Never tells of the credential itself.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct VaultError {
    /// What failed.
    pub reason: String,
    /// The vendor has ended the grant: nothing but its owner brings another credential.
    pub is_over: bool,
    /// The cause, for the operator.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl VaultError {
    /// An error with these words.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            is_over: false,
            source: None,
        }
    }

    /// The grant is over, and these words say how.
    pub fn ended(reason: impl Into<String>) -> Self {
        Self {
            is_over: true,
            ..Self::new(reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_listed() {
        let host = || "x".to_owned();
        let all = [
            Error::Denied { missing: host() },
            Error::DeniedAddress {
                host: host(),
                address: host(),
                block: "b",
            },
            Error::DeniedSelf { host: host() },
            Error::RedirectDenied {
                to: host(),
                cause: Box::new(Error::Denied { missing: host() }),
            },
            Error::OriginMismatch {
                name: host(),
                origin: host(),
            },
            Error::NoCredential { name: host() },
            Error::Vault(VaultError::new("x")),
            Error::RateLimited {
                after: Duration::ZERO,
            },
            Error::CircuitOpen {
                host: host(),
                after: Duration::ZERO,
            },
            Error::Timeout {
                limit: Duration::ZERO,
            },
            Error::Resolve {
                host: host(),
                cause: ResolveError::NoAddress,
            },
            Error::Unreachable {
                host: host(),
                reason: host(),
            },
            Error::Tls {
                host: host(),
                reason: host(),
            },
            Error::Protocol {
                host: host(),
                reason: host(),
            },
            Error::BadRequest { reason: host() },
            Error::TooLarge { cap: 1 },
            Error::Truncated { host: host() },
            Error::Budget { what: "x" },
        ];
        let codes: Vec<_> = all.iter().map(Error::code).collect();
        assert_eq!(codes, Error::CODES);
        let tls = ConfigError::Tls(rustls::Error::EncryptError);
        assert!(ConfigError::CODES.contains(&tls.code()));
    }
}
