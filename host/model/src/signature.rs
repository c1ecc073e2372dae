//! Webhook signature recipes that the host runs before any guest code.

mod header;
mod template;

use std::time::Duration;

use crate::clock::Timestamp;
use crate::secret::Secret;

pub use template::{Part, Template, TemplateError};

/// How a webhook is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// Families 1 and 2: an HMAC over the body, or over a text with the timestamp and the body in it.
    Hmac(Hmac),
    /// Family 12: not at all, and the publisher says why. Everything verifies.
    Unsigned {
        /// The publisher's words.
        reason: String,
    },
}

/// An HMAC recipe (RFC 2104).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hmac {
    /// The hash.
    pub algorithm: Algorithm,
    /// How the signature is written.
    pub encoding: Encoding,
    /// The header with the signatures, in lower case.
    pub header: String,
    /// How they stand in it.
    pub form: Form,
    /// What is signed.
    pub signed: Template,
    /// Where the time is, if it is signed.
    pub timestamp: Option<TimestampSource>,
    /// How far the time may be from ours, either way.
    pub tolerance: Duration,
    /// How the secret's text gives the key.
    pub secret: SecretForm,
}

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Only for vendors that have nothing better.
    HmacSha1,
    /// The usual one.
    HmacSha256,
    /// The long one.
    HmacSha512,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Base 16, either case.
    Hex,
    /// Base 64 with padding (RFC 4648 §4).
    Base64,
}

/// How signatures stand in their header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `sha256=…`, or several of them: `v1,… v1,…`. Those without the prefix are passed over.
    Values {
        /// Before each signature; may be empty.
        prefix: String,
        /// Between signatures; without one there is only one.
        separator: Option<char>,
    },
    /// `t=…,v1=…,v1=…`.
    Fields {
        /// Between fields.
        separator: char,
        /// The field with a signature; there may be several.
        signature: String,
    },
}

/// Where the time stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampSource {
    /// The place.
    pub place: TimestampPlace,
    /// Whether it counts milliseconds and not seconds.
    pub unit: TimestampUnit,
}

/// The place of a timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimestampPlace {
    /// A header of its own, in lower case.
    Header(String),
    /// A field of the signature's header.
    Field(String),
}

/// What a timestamp counts since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
}

/// How a secret's text gives the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretForm {
    /// Taken off first, where it is there: `whsec_`.
    pub prefix: Option<String>,
    /// How the rest is written; `None` means that its bytes are the key.
    pub encoding: Option<Encoding>,
}

/// Why a webhook is not the vendor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header that has to be there is not, or is there twice.
    #[error("the signature or what it needs is missing")]
    Missing,
    /// The time is missing, not a time, or too far from ours.
    #[error("the timestamp is missing, malformed or outside the tolerance")]
    Timestamp,
    /// No signature fits.
    #[error("no signature fits")]
    Mismatch,
    /// There is no usable secret.
    #[error("there is no usable secret")]
    Secret,
}

impl SignatureError {
    /// Every code that [`SignatureError::code`] can give.
    pub const CODES: &[&str] = &[
        "webhook.signature_missing",
        "webhook.timestamp",
        "webhook.signature",
        "webhook.secret",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "webhook.signature_missing",
            Self::Timestamp => "webhook.timestamp",
            Self::Mismatch => "webhook.signature",
            Self::Secret => "webhook.secret",
        }
    }
}

impl Recipe {
    /// Whether the webhook is the vendor's.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn verify(
        &self,
        _headers: &[(String, String)],
        _body: &[u8],
        _secrets: &[Secret],
        _now: Timestamp,
    ) -> Result<(), SignatureError> {
        match self {
            Self::Hmac(_) => Err(SignatureError::Mismatch),
            Self::Unsigned { .. } => Ok(()),
        }
    }

    /// The headers that a vendor would send.
    #[must_use]
    pub fn sign(&self, _body: &[u8], _secret: &Secret, _now: Timestamp) -> Vec<(String, String)> {
        Vec::new()
    }
}
