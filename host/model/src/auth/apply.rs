//! How a credential goes on a request.

use super::{OAuth1Method, SignRecipe, Template};

/// How a credential goes on a request. Each says which parts of the credential it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Apply {
    /// `authorization: Bearer …` (RFC 6750 §2.1). Takes `secret`.
    Bearer,
    /// A header of its own. Takes `secret`.
    Header {
        /// In lower case.
        name: String,
        /// Written before the secret.
        prefix: String,
    },
    /// A parameter of the query. Takes `secret`.
    Query {
        /// The parameter.
        name: String,
    },
    /// `authorization: Basic …` (RFC 7617). Takes `secret`: the password, or `user:password`.
    Basic {
        /// The fixed user whose password the secret is; without one the secret is `user:password`.
        username: Option<String>,
    },
    /// A field of the body: at the top level of a JSON object, or of an `application/x-www-form-urlencoded` form. A
    /// request with another body, or with none, is refused. Takes `secret`.
    Body {
        /// The field.
        name: String,
    },
    /// AWS Signature Version 4 in the `authorization` header. Takes `access_key_id`, `secret_access_key` and, where it is
    /// there, `session_token`.
    SigV4 {
        /// `s3`, `ses`, `sns` …
        service: String,
        /// From the manifest or the configuration.
        region: Template,
    },
    /// An OAuth 1.0a signature in the `authorization` header (RFC 5849 §3.5.1). Takes `consumer_key`, `consumer_secret`,
    /// `token` and `token_secret`.
    OAuth1 {
        /// How it is signed.
        method: OAuth1Method,
    },
    /// A keyed hash over parts of the request, put where the vendor looks. Takes `key` and, where the recipe names it,
    /// `key_id`.
    Signed(Box<SignRecipe>),
    /// A client certificate in the TLS handshake (RFC 8446 §4.3.2). Takes `certificate` and `private_key`, both PEM.
    ClientCertificate,
}

impl Apply {
    /// The parts that the credential must have, and those it may have.
    #[must_use]
    pub const fn parts(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Bearer
            | Self::Header { .. }
            | Self::Query { .. }
            | Self::Basic { .. }
            | Self::Body { .. } => (&[super::SECRET], &[]),
            Self::SigV4 { .. } => (&["access_key_id", "secret_access_key"], &["session_token"]),
            Self::OAuth1 { .. } => (&["consumer_key", "consumer_secret", "token", "token_secret"], &[]),
            Self::Signed(_) => (&["key"], &["key_id"]),
            Self::ClientCertificate => (&["certificate", "private_key"], &[]),
        }
    }
}
