//! Credentials: a secret, how it goes on a request, and the origins it is bound to.
//!
//! The secret meets the request here and nowhere else, after policy has passed, and the header that carries it is marked
//! sensitive, so that HTTP/2 neither indexes nor prints it.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
pub use sluice_model::auth::Apply;
use sluice_model::capability::{HostPattern, Scheme};
use sluice_model::secret::Secret;
use zeroize::Zeroizing;

use crate::error::{Error, VaultError};
use crate::place::Place;

/// The name under which a [`Vault`] is asked for the connection's own credential.
pub const OWN: &str = "";

/// One connection's view of its credentials. Two implementations: the service's and the tests'.
pub trait Vault: Send + Sync {
    /// The credential with this name, [`OWN`] for the connection's own. `None` is the same answer for one that does not
    /// exist and one that belongs to somebody else.
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>>;
}

/// The view of a connection without credentials.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyVault;

impl Vault for EmptyVault {
    fn credential<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Scheme, host and port that a secret may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub scheme: Scheme,
    pub host: HostPattern,
    pub port: u16,
}

impl Origin {
    /// Whether `place` is such an origin.
    #[must_use]
    pub fn matches(&self, place: &Place) -> bool {
        self.scheme == place.scheme() && self.port == place.port() && self.host.matches(place.host())
    }
}

/// A secret plus how it is applied and where it may go.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The name in the manifest; it also stands in for the secret where the secret is redacted.
    pub name: String,
    pub secret: Secret,
    pub apply: Apply,
    /// Empty: it goes nowhere.
    pub origins: Vec<Origin>,
}

impl Credential {
    pub(crate) fn is_bound_to(&self, place: &Place) -> bool {
        self.origins.iter().any(|origin| origin.matches(place))
    }

    /// Puts the secret on a request that goes to a bound origin. Replaces what the guest set in the same place.
    pub(crate) fn apply(&self, headers: &mut HeaderMap, place: &mut Place) -> Result<(), Error> {
        match &self.apply {
            Apply::Bearer => {
                headers.insert(AUTHORIZATION, self.value(b"Bearer ", self.secret.expose())?);
            }
            Apply::Header { name, prefix } => {
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| self.unfit("its header name is not a header name"))?;
                headers.insert(name, self.value(prefix.as_bytes(), self.secret.expose())?);
            }
            Apply::Basic { username } => {
                let pair = self.pair(username.as_deref());
                let encoded = Zeroizing::new(BASE64.encode(&pair));
                headers.insert(AUTHORIZATION, self.value(b"Basic ", encoded.as_bytes())?);
            }
            Apply::Query { name } => {
                let text = std::str::from_utf8(self.secret.expose())
                    .map_err(|_| self.unfit("it is not text and cannot stand in a query"))?;
                place.set_query_value(name, text);
            }
            Apply::Body { .. }
            | Apply::SigV4 { .. }
            | Apply::OAuth1 { .. }
            | Apply::Signed(_)
            | Apply::ClientCertificate => {
                return Err(self.unfit("its scheme is not one that is applied here"));
            }
        }
        Ok(())
    }

    /// The texts beside the secret itself that give it away: the encoded pair, and the password within a pair.
    pub(crate) fn derived(&self) -> Vec<Zeroizing<Vec<u8>>> {
        let Apply::Basic { username } = &self.apply else {
            return Vec::new();
        };
        let encoded = BASE64.encode(&self.pair(username.as_deref())).into_bytes();
        let mut all = vec![Zeroizing::new(encoded)];
        if username.is_none()
            && let Some(at) = self.secret.expose().iter().position(|byte| *byte == b':')
        {
            let password = self.secret.expose().get(at + 1..).unwrap_or_default();
            all.push(Zeroizing::new(password.to_vec()));
        }
        all
    }

    fn pair(&self, username: Option<&str>) -> Zeroizing<Vec<u8>> {
        let mut pair = Zeroizing::new(Vec::with_capacity(256));
        if let Some(username) = username {
            pair.extend_from_slice(username.as_bytes());
            pair.push(b':');
        }
        pair.extend_from_slice(self.secret.expose());
        pair
    }

    fn value(&self, prefix: &[u8], secret: &[u8]) -> Result<HeaderValue, Error> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(prefix.len() + secret.len()));
        bytes.extend_from_slice(prefix);
        bytes.extend_from_slice(secret);
        let mut value = HeaderValue::from_bytes(&bytes)
            .map_err(|_| self.unfit("it has characters that no header may carry"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unfit(&self, why: &str) -> Error {
        Error::BadRequest {
            reason: format!("credential `{}` cannot be applied: {why}", self.name),
        }
    }
}

/// Which credential a request wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CredentialChoice {
    /// The connection's own, if it has one; an origin that it is not bound to is an error.
    #[default]
    Default,
    /// The connection's own where the origin is bound to it, none elsewhere: for ordinary HTTP clients, which cannot say.
    WhereBound,
    /// The one with this name; it must exist and be bound.
    Named(String),
    /// None.
    None,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}
