//! Requests signed with a keyed hash: what is signed and where the signature is put (Duo, Pusher and their like).

use serde_json::Value;

use super::{Template, TemplateError};
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

impl Placement {
    pub(super) fn expand(&self, config: &Value) -> Result<Self, TemplateError> {
        Ok(match self {
            Self::Header(name, value) => Self::Header(name.clone(), value.expand(config)?),
            Self::Query(name, value) => Self::Query(name.clone(), value.expand(config)?),
            Self::Basic(user, password) => Self::Basic(user.expand(config)?, password.expand(config)?),
        })
    }

    /// The templates of it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let (first, second) = match self {
            Self::Header(_, value) | Self::Query(_, value) => (value, None),
            Self::Basic(user, password) => (user, Some(password)),
        };
        std::iter::once(first).chain(second)
    }
}

impl SignRecipe {
    /// Every template of it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let placed = self.before.iter().chain(&self.after);
        std::iter::once(&self.message).chain(placed.flat_map(Placement::templates))
    }

    /// Whether it needs the credential's `key_id`.
    #[must_use]
    pub fn takes_key_id(&self) -> bool {
        self.templates().any(|template| template.takes("key_id"))
    }
}
