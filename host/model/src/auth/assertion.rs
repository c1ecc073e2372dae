//! Signed assertions: a JWT that stands for whoever holds the private key (RFC 7523, GitHub Apps, service accounts).

use super::Template;

/// A JWT that the host signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The signature.
    pub algorithm: JwtAlgorithm,
    /// The key: PEM for RS256 and ES256, the bytes for HS256. A template of one secret.
    pub key: Template,
    /// `kid` of the header.
    pub key_id: Option<Template>,
    /// Claims that are texts; `iat` and `exp` are the host's.
    pub claims: Vec<(String, Template)>,
    /// Seconds from `iat` to `exp`.
    pub lifetime_s: u32,
    /// Seconds that `iat` lies before now, against clocks that go ahead.
    pub backdate_s: u32,
    /// What is done with it.
    pub used: AssertionUse,
}

/// What is done with an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionUse {
    /// Sent as `assertion` with `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523 §2.1).
    Grant,
    /// Sent as `client_assertion` beside another grant (RFC 7523 §2.2).
    Client,
    /// Sent as a bearer token of the token request (GitHub Apps).
    Bearer,
}

/// How a JWT is signed (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
}
