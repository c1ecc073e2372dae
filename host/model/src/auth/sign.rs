//! Requests signed with a keyed hash: what is signed and where the signature is put (Duo, Pusher and their like).

use super::Template;
use crate::signature::{Algorithm, Encoding};

/// A keyed hash over parts of the request.
///
/// Beside `key_id`, the templates may take these, computed once per attempt over exactly what goes on the wire:
/// `method`, `host` (lower case, with a port that is not the scheme's own), `path`, `query` (pairs sorted by name, then
/// value, percent-encoded), `form` (the same over a form body), `parameters` (`form` where there is a form, else
/// `query`), `body` (text), `body_md5`, `body_sha256` (hex), `timestamp` (seconds), `timestamp_ms`, `date` (RFC 2822
/// §3.3) and `nonce` (32 random hex digits).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignRecipe {
    /// The hash.
    pub algorithm: Algorithm,
    /// How the signature is written.
    pub encoding: Encoding,
    /// Set before anything is signed, so that `query` and `headers` have them.
    pub before: Vec<Placement>,
    /// What is signed.
    pub message: Template,
    /// Set after; may take `signature`.
    pub after: Vec<Placement>,
}

/// Where a value is put on a request, replacing what the guest set there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// A header, by its name in lower case.
    Header(String, Template),
    /// A parameter of the query.
    Query(String, Template),
    /// `authorization: Basic` over user and password.
    Basic(Template, Template),
}
