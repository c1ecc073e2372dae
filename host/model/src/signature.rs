//! Webhook signature recipes that the host runs before any guest code.
//!
//! Who is involved: a manifest declares a [`Recipe`] and its [`Challenge`]s, the receiving side runs them over the bytes
//! as they came in, with the secrets of that one hook and what it fetched because the recipe [`Needs`] it. What must
//! always hold: comparing takes the same time wherever two signatures differ; nothing verifies without a secret or a key
//! of the vendor's; the work is bounded (16 signatures, 4 where each is one of a public key, 4 secrets) before the body
//! is hashed; the signed text is unambiguous ([`Template`]). Deliberately absent: input and output of any kind, and
//! telling the sender more than that it was refused. The codes are for the hook's owner.

mod certificate;
mod challenge;
mod crc32;
mod der;
mod fetch;
mod fields;
mod json;
mod jwt;
mod key;
mod place;
mod sent;
mod shared;
mod signed;
mod sns;
mod source;
mod template;
mod time;
mod url;

use std::fmt;

use crate::clock::Timestamp;
use crate::secret::Secret;

pub use challenge::{Admitted, Answer, Challenge, ChallengeSign, Reply, ReplyValue, admit, verify_token};
pub use fetch::{AddressPattern, CertificateSource, Fetched, KeySource, Needs};
pub use jwt::{Bound, ClaimDigest, Expected, Jwt, TokenAlgorithm};
pub use key::{Algorithm, Encoding, KeyEncoding, Proof, RsaHash, SecretForm};
pub use place::Place;
pub use shared::Shared;
pub use signed::{BodyDigest, FetchedKey, Form, Signed};
pub use source::SourceRange;
pub use template::{Part, Template, TemplateError};
pub(crate) use template::{is_field_name, is_header_name};
pub use time::{TimestampPlace, TimestampSource, TimestampUnit};

use place::View;

/// A request as its sender made it. Its `Debug` has no values: tokens and signatures are among them.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// In capital letters.
    pub method: &'r str,
    /// As the sender used it: the public address, not the one behind a proxy, with the query. Empty if that is not
    /// known: recipes that sign it then refuse.
    pub url: &'r str,
    /// Names in lower case, in the order of the wire.
    pub headers: &'r [(String, String)],
    /// The exact bytes, before anything is decoded.
    pub body: &'r [u8],
}

/// How a webhook is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// Families 1 to 7: a signature over bytes of the request.
    Signed(Box<Signed>),
    /// Family 7: an envelope of Amazon SNS; the secret is the topic's ARN.
    Sns,
    /// Family 8: a JSON Web Token.
    Jwt(Box<Jwt>),
    /// Family 9: a token that is sent along.
    Shared(Shared),
    /// Family 10: user and password.
    Basic,
    /// Family 12: not at all, and the publisher says why. Everything verifies.
    Unsigned {
        /// The publisher's words.
        reason: String,
    },
}

/// What is known of a webhook that is the vendor's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// The delivery's id, where it is signed.
    pub id: Option<String>,
    /// When it was sent, where that is signed.
    pub time: Option<Timestamp>,
    /// A token that may be seen once: whoever receives keeps it for twice the tolerance, and refuses it the second time
    /// unless it is the same delivery.
    pub one_time: Option<String>,
}

/// Where a hook's secret comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretUse {
    /// There is none.
    Unused,
    /// It may be made up, and entered at the vendor; or the vendor's is entered here.
    Made,
    /// It is what the vendor says: its public key, an id, or an id and a key.
    Entered,
}

/// Why a webhook is not the vendor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header or field that has to be there is not, or is there twice.
    #[error("the signature or what it needs is missing")]
    Missing,
    /// The time is missing, not a time, or too far from ours.
    #[error("the timestamp is missing, malformed or outside the tolerance")]
    Timestamp,
    /// No signature fits.
    #[error("no signature fits")]
    Mismatch,
    /// The body is not the one that was signed.
    #[error("the body does not fit its signed digest")]
    Body,
    /// The token is genuine, but for something or somebody else.
    #[error("a claim of the token is not what the recipe wants")]
    Claims,
    /// There is no usable secret, or one where there must be none.
    #[error("there is no usable secret")]
    Secret,
    /// The certificate or the key that verifies was not fetched, or is not what the recipe wants.
    #[error("the vendor's certificate or key is not there or not fit")]
    Material,
    /// The request names an address that is not the vendor's.
    #[error("an address in the webhook is not the vendor's")]
    Address,
}

impl SignatureError {
    /// Every code that [`SignatureError::code`] can give.
    pub const CODES: &[&str] = &[
        "webhook.signature_missing",
        "webhook.timestamp",
        "webhook.signature",
        "webhook.body",
        "webhook.claims",
        "webhook.secret",
        "webhook.key",
        "webhook.address",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "webhook.signature_missing",
            Self::Timestamp => "webhook.timestamp",
            Self::Mismatch => "webhook.signature",
            Self::Body => "webhook.body",
            Self::Claims => "webhook.claims",
            Self::Secret => "webhook.secret",
            Self::Material => "webhook.key",
            Self::Address => "webhook.address",
        }
    }
}

/// The most secrets of a hook: the current one and those that are being rotated out.
pub const MAX_SECRETS: usize = 4;

impl<'r> Request<'r> {
    /// The URL's query, without the `?`.
    #[must_use]
    pub fn query(&self) -> &'r str {
        self.url.split_once('?').map_or("", |(_, query)| query)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Recipe {
    /// What has to be fetched before this request can be verified. Nothing is verified by asking: whoever fetches bounds
    /// how often, and keeps what came ([`Fetched`]) under [`Needs::cache_key`].
    ///
    /// # Errors
    ///
    /// When the request cannot verify whatever is fetched: it does not say where from, or names an address that is not
    /// the vendor's.
    pub fn needs(&self, request: &Request<'_>) -> Result<Needs, SignatureError> {
        match self {
            Self::Signed(recipe) => recipe.needs(&View::new(request)),
            Self::Sns => sns::needs(&View::new(request)),
            Self::Jwt(recipe) => recipe.needs(&View::new(request)),
            Self::Shared(_) | Self::Basic | Self::Unsigned { .. } => Ok(Needs::Nothing),
        }
    }

    /// Whether the webhook is the vendor's: whether one of its signatures fits one of the secrets or what was fetched,
    /// its time ours, and what it says of the request is so. Only the first [`MAX_SECRETS`] secrets count.
    ///
    /// # Errors
    ///
    /// When something is missing or there twice, the timestamp is not one or too far from `now`, no signature fits, or
    /// there is no secret or key to check with.
    pub fn verify(
        &self,
        request: &Request<'_>,
        secrets: &[Secret],
        fetched: Option<&Fetched>,
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        let view = View::new(request);
        match self {
            Self::Signed(recipe) => recipe.verify(&view, secrets, fetched, now),
            Self::Sns => sns::verify(&view, secrets, fetched, now),
            Self::Jwt(recipe) => recipe.verify(&view, secrets, fetched, now),
            Self::Shared(recipe) => recipe.verify(&view, secrets),
            Self::Basic => shared::basic(&view, secrets),
            Self::Unsigned { .. } => Ok(Verified::default()),
        }
    }

    /// The headers that the vendor would add to this request: for tests, the demo and for triggering a hook by hand.
    /// Empty where nothing is signed, where only the vendor has the key, or where what proves it stands elsewhere.
    #[must_use]
    pub fn sign(&self, request: &Request<'_>, secret: &Secret, now: Timestamp) -> Vec<(String, String)> {
        let header = |name: &str, value: String| vec![(name.to_owned(), value)];
        match self {
            Self::Signed(recipe) => recipe.sign(request, secret, now).unwrap_or_default(),
            Self::Shared(Shared {
                place: Place::Header(name),
                prefix,
            }) if !secret.expose().is_empty() => {
                let token = std::str::from_utf8(secret.expose());
                token.map_or_else(|_| Vec::new(), |token| header(name, format!("{prefix}{token}")))
            }
            Self::Basic if secret.expose().contains(&b':') => header(
                "authorization",
                format!("Basic {}", Encoding::Base64.encode(secret.expose())),
            ),
            _ => Vec::new(),
        }
    }

    /// Whether anything is verified.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        !matches!(self, Self::Unsigned { .. })
    }

    /// Whether what is verified says something about the whole body. Where it does not, whoever has seen one webhook can
    /// send another: what it says has to be fetched from the vendor before it is believed.
    #[must_use]
    pub fn covers_body(&self) -> bool {
        match self {
            Self::Signed(recipe) => recipe.covers_body(),
            Self::Sns => true,
            Self::Jwt(recipe) => recipe.body.is_some() || recipe.detached || recipe.place.is_in_body(),
            Self::Shared(_) | Self::Basic | Self::Unsigned { .. } => false,
        }
    }

    /// Where the hook's secret comes from.
    #[must_use]
    pub fn secret_use(&self) -> SecretUse {
        let entered_if = |wanted: bool| {
            if wanted {
                SecretUse::Entered
            } else {
                SecretUse::Made
            }
        };
        match self {
            Self::Unsigned { .. } => SecretUse::Unused,
            Self::Signed(recipe) if recipe.fetched.is_some() && !recipe.signed.has_secret() => {
                SecretUse::Unused
            }
            Self::Signed(recipe) => entered_if(recipe.proof.is_public() || recipe.secret.has_id),
            Self::Jwt(recipe) if recipe.keys.is_some() && !recipe.wants_secret() => SecretUse::Unused,
            Self::Jwt(recipe) => entered_if(recipe.keys.is_some() || recipe.secret.has_id),
            Self::Shared(_) => SecretUse::Made,
            Self::Sns | Self::Basic => SecretUse::Entered,
        }
    }

    /// A new secret of these random bytes, written as the vendor's own are: `whsec_` and base64 where the recipe says so, and
    /// else in hexadecimal.
    #[must_use]
    pub fn make_secret(&self, random: &[u8; 32]) -> Secret {
        let form = self.secret_form();
        let key = match form.encoding {
            KeyEncoding::Written(encoding) => encoding.encode(random),
            KeyEncoding::Plain | KeyEncoding::Sha1 => Encoding::Hex.encode(random),
        };
        let prefix = form.prefix.unwrap_or_default();
        Secret::new(format!("{prefix}{key}").into_bytes())
    }

    fn secret_form(&self) -> SecretForm {
        match self {
            Self::Signed(recipe) => recipe.secret.clone(),
            Self::Jwt(recipe) => recipe.secret.clone(),
            _ => SecretForm::default(),
        }
    }
}

#[cfg(test)]
mod tests;
