//! Credentials: secret parts, how they go on a request, and the origins they are bound to.
//!
//! A part meets the request here and nowhere else, after policy has passed, and the header that carries it is marked
//! sensitive, so that HTTP/2 neither indexes nor prints it. Whoever signs does so anew for each try, over exactly what
//! goes on the wire, by the broker's clock.

mod body;
mod form;
mod md5;
mod oauth1;
mod outbound;
mod presign;
mod signed;
mod sigv4;
mod time;

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use sluice_model::auth::SECRET;
pub use sluice_model::auth::{Apply, ExpirySign};
use sluice_model::capability::{HostPattern, Scheme};
use sluice_model::secret::Secret;
use zeroize::Zeroizing;

use crate::error::{Error, VaultError};
use crate::place::Place;

pub use outbound::Whole;
pub(crate) use outbound::{Content, Outbound, Streamed};
pub use presign::{MAX_PRESIGNED, Presign};
pub(crate) use sigv4::{Chunks, wire_bytes};
pub(crate) use time::http_date;

/// The name under which a [`Vault`] is asked for the connection's own credential.
pub const OWN: &str = "";

/// One connection's view of its credentials. Two implementations: the service's and the tests'.
pub trait Vault: Send + Sync {
    /// The credential with this name, [`OWN`] for the connection's own. `None` is the same answer for one that does not
    /// exist and one that belongs to somebody else.
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>>;

    /// The credential that takes the place of one whose [`renewal`](Credential::renewal) signs say that it has ended.
    /// `None` where there is none: the answer that said so then goes on to the caller as it is.
    ///
    /// Asked at most once for each request. The broker may drop the future: what was begun has to end well without it.
    ///
    /// # Errors
    /// When it is not known whether there is one; the answer goes on as well.
    fn renewed<'a>(
        &'a self,
        refused: &'a Credential,
    ) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        let _ = refused;
        Box::pin(std::future::ready(Ok(None)))
    }
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

/// Parts that say who, not that it is true: they are not looked for in answers, where they would be found by chance.
const PUBLIC: [&str; 5] = ["user", "key_id", "access_key_id", "consumer_key", "certificate"];

/// Secret parts plus how they are applied and where they may go.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The name in the manifest; it also stands in for the secret where the secret is redacted.
    pub name: String,
    /// By their names in the manifest; [`Apply::parts`] says which are taken.
    pub parts: Vec<(String, Secret)>,
    /// Without places for the configuration: see [`Apply::expand`].
    pub apply: Apply,
    /// Empty: it goes nowhere.
    pub origins: Vec<Origin>,
    /// How an answer says that it has ended and [`Vault::renewed`] may give another; an empty list means status 401.
    pub renewal: Option<Arc<[ExpirySign]>>,
    /// Which one it is of those that the vault had under this name.
    pub version: u32,
}

impl Credential {
    /// A credential of one part that is not renewed.
    #[must_use]
    pub fn new(name: impl Into<String>, secret: Secret, apply: Apply, origins: Vec<Origin>) -> Self {
        Self {
            name: name.into(),
            parts: vec![(SECRET.to_owned(), secret)],
            apply,
            origins,
            renewal: None,
            version: 0,
        }
    }

    /// The part of this name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&Secret> {
        self.parts
            .iter()
            .find(|(part, _)| part == name)
            .map(|(_, secret)| secret)
    }

    /// Whether it has every part that goes on a request: one that is still being obtained has not.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let has = |part: &&str| self.part(part).is_some();
        let (needed, _) = self.apply.parts();
        let as_two: &[&str] = match &self.apply {
            Apply::Basic { username: Some(_) } => &["password"],
            Apply::Basic { username: None } => &["user", "password"],
            _ => needed,
        };
        needed.iter().all(has) || as_two.iter().all(has)
    }

    /// Puts it on a request to `whole`'s place as [`Broker::send`](crate::Broker::send) would, without sending anything:
    /// for measuring, and for tests that look at what is signed. Policy has not been asked.
    ///
    /// # Errors
    /// When it is not bound to the place, lacks a part, or does not fit the request.
    pub fn put_on(&self, whole: &mut Whole) -> Result<(), Error> {
        if !self.is_bound_to(&whole.place) {
            return Err(Error::OriginMismatch {
                name: self.name.clone(),
                origin: whole.place.origin(),
            });
        }
        self.apply(&mut Outbound {
            method: &whole.method,
            place: &mut whole.place,
            headers: &mut whole.headers,
            content: Content::Whole(&mut whole.body),
            now: whole.now,
        })
    }

    pub(crate) fn is_bound_to(&self, place: &Place) -> bool {
        self.origins.iter().any(|origin| origin.matches(place))
    }

    /// Puts the credential on a request that goes to a bound origin. Replaces what the guest set in the same place.
    pub(crate) fn apply(&self, out: &mut Outbound<'_>) -> Result<(), Error> {
        match &self.apply {
            Apply::Bearer => {
                let value = self.value(b"Bearer ", self.need(SECRET)?)?;
                out.headers.insert(AUTHORIZATION, value);
            }
            Apply::Header { name, prefix } => {
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| self.unfit("its header name is not a header name"))?;
                let value = self.value(prefix.as_bytes(), self.need(SECRET)?)?;
                out.headers.insert(name, value);
            }
            Apply::Basic { username } => {
                let pair = self.pair(username.as_deref())?;
                out.headers.insert(AUTHORIZATION, self.basic(&pair)?);
            }
            Apply::Query { name } => out.place.set_query_value(name, self.text(SECRET)?),
            Apply::Body { name } => body::apply(self, name, out)?,
            Apply::SigV4 { service, region } => sigv4::apply(self, service, region, out)?,
            Apply::OAuth1 { method } => oauth1::apply(self, *method, out)?,
            Apply::Signed(recipe) => signed::apply(self, recipe, out)?,
            // In the handshake, see `tls`.
            Apply::ClientCertificate if out.place.scheme() == Scheme::Https => {}
            Apply::ClientCertificate => {
                return Err(self.unfit("a client certificate goes over TLS only"));
            }
        }
        Ok(())
    }

    /// Everything that gives it away where an answer has it: the secret parts, and the texts that are made of them.
    /// Signatures are not among them, since they say nothing about their key.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let is_secret = |(name, _): &&(String, Secret)| !PUBLIC.contains(&name.as_str());
        let mut all: Vec<Secret> = self
            .parts
            .iter()
            .filter(is_secret)
            .map(|(_, secret)| secret.clone())
            .collect();
        if let Apply::Basic { username } = &self.apply
            && let Ok(pair) = self.pair(username.as_deref())
        {
            all.push(Secret::new(BASE64.encode(&pair).into_bytes()));
            if let Some(at) = pair.iter().position(|byte| *byte == b':') {
                let password = pair.get(at + 1..).unwrap_or_default();
                all.push(Secret::new(password.to_vec()));
            }
        }
        all
    }

    /// User and password with a colon between, from one part or from two.
    fn pair(&self, username: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut pair = Zeroizing::new(Vec::with_capacity(256));
        let parts = match (username, self.part(SECRET)) {
            (Some(username), _) => {
                let password = self.part(SECRET).or_else(|| self.part("password"));
                [Some(username.as_bytes()), password.map(Secret::expose)]
            }
            (None, Some(whole)) => [None, Some(whole.expose())],
            (None, None) => [Some(self.need("user")?), Some(self.need("password")?)],
        };
        if let Some(user) = parts.first().copied().flatten() {
            pair.extend_from_slice(user);
            pair.push(b':');
        }
        let rest = parts.last().copied().flatten();
        pair.extend_from_slice(rest.ok_or_else(|| self.lacks(SECRET))?);
        Ok(pair)
    }

    fn basic(&self, pair: &[u8]) -> Result<HeaderValue, Error> {
        let encoded = Zeroizing::new(BASE64.encode(pair));
        self.value(b"Basic ", encoded.as_bytes())
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

    fn need(&self, part: &str) -> Result<&[u8], Error> {
        self.part(part)
            .map(Secret::expose)
            .ok_or_else(|| self.lacks(part))
    }

    fn text(&self, part: &str) -> Result<&str, Error> {
        std::str::from_utf8(self.need(part)?)
            .map_err(|_| self.unfit("it is not text and cannot stand in a text"))
    }

    fn lacks(&self, part: &str) -> Error {
        self.unfit(&format!("it has no part `{part}`"))
    }

    pub(crate) fn unfit(&self, why: &str) -> Error {
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
