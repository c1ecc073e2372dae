//! OAuth 1.0a (RFC 5849), as far as vendors still ask for it.

use super::{Address, Template};

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuth1Method {
    /// RFC 5849 §3.4.2.
    HmacSha1,
    /// As `HMAC-SHA1` with SHA-256.
    HmacSha256,
    /// RFC 5849 §3.4.4; over TLS only.
    Plaintext,
}

/// The three steps that end in a token. The app's parts are `client_id` and `client_secret` (the specification's
/// consumer key and secret).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth1 {
    /// Where a temporary token is asked for (§2.1).
    pub request_url: Address,
    /// Where the person consents (§2.2).
    pub authorize_url: Address,
    /// More of its query, e.g. an app's name or the scopes.
    pub authorize_params: Vec<(String, Template)>,
    /// Where the token is asked for (§2.3).
    pub access_url: Address,
    /// How these requests are signed.
    pub method: OAuth1Method,
}
