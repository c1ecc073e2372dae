//! Webhook signature recipes that the host runs before any guest code.
//!
//! Who is involved: a manifest declares a [`Recipe`], the receiving side runs it over the bytes as they came in, with the
//! secrets of that one hook. What must always hold: comparing takes the same time wherever two signatures differ; nothing
//! verifies without a secret; the work is bounded (16 signatures, 4 secrets) before the body is hashed; the signed text
//! is unambiguous ([`Template`]). Deliberately absent: telling the sender more than that it was refused. The codes are
//! for the hook's owner.

mod header;
mod template;

use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::hmac;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::secret::Secret;

pub(crate) use template::is_header_name;
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

/// The most secrets of a hook: the current one and those that are being rotated out.
pub const MAX_SECRETS: usize = 4;

impl Recipe {
    /// Whether the webhook is the vendor's: whether one of its signatures fits one of the secrets, and its time ours.
    /// Header names are in lower case; the body is the bytes as they came in. Only the first [`MAX_SECRETS`] secrets
    /// count.
    ///
    /// # Errors
    ///
    /// When a header is missing, the timestamp is not one or too far from `now`, no signature fits, or there is no secret
    /// to check with.
    pub fn verify(
        &self,
        headers: &[(String, String)],
        body: &[u8],
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        match self {
            Self::Hmac(recipe) => recipe.verify(headers, body, secrets, now),
            Self::Unsigned { .. } => Ok(()),
        }
    }

    /// The headers that the vendor would send with this body: for tests, the demo and for triggering a hook by hand.
    /// Empty where nothing is signed or the secret's text does not give a key.
    #[must_use]
    pub fn sign(&self, body: &[u8], secret: &Secret, now: Timestamp) -> Vec<(String, String)> {
        match self {
            Self::Hmac(recipe) => recipe.sign(body, secret, now).unwrap_or_default(),
            Self::Unsigned { .. } => Vec::new(),
        }
    }

    /// Whether anything is verified.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        matches!(self, Self::Hmac(_))
    }
}

impl Hmac {
    fn verify(
        &self,
        headers: &[(String, String)],
        body: &[u8],
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let sent = header::read(self, headers)?;
        if let Some(source) = &self.timestamp {
            let time = sent
                .timestamp
                .and_then(|text| source.unit.read(text))
                .ok_or(SignatureError::Timestamp)?;
            if now.since(time) > self.tolerance || time.since(now) > self.tolerance {
                return Err(SignatureError::Timestamp);
            }
        }
        let keys: Vec<hmac::Key> = secrets
            .iter()
            .take(MAX_SECRETS)
            .filter_map(|secret| self.key(secret))
            .collect();
        if keys.is_empty() {
            return Err(SignatureError::Secret);
        }
        let signed;
        let message = if matches!(self.signed.parts(), [Part::Body]) {
            body
        } else {
            let filled = self
                .signed
                .fill(body, sent.timestamp, |name| header::only(headers, name));
            signed = filled.ok_or(SignatureError::Missing)?;
            &signed
        };
        // One tag for each key, not one for each pair: the body is hashed at most MAX_SECRETS times.
        let fits = keys.iter().fold(false, |fits, key| {
            let tag = hmac::sign(key, message);
            sent.signatures
                .iter()
                .fold(fits, |fits, signature| fits | same(key, &tag, signature))
        });
        if fits {
            Ok(())
        } else {
            Err(SignatureError::Mismatch)
        }
    }

    fn sign(&self, body: &[u8], secret: &Secret, now: Timestamp) -> Option<Vec<(String, String)>> {
        let key = self.key(secret)?;
        let stamp = self.timestamp.as_ref().map(|source| source.unit.write(now));
        let digest = ring::digest::digest(&ring::digest::SHA256, body);
        let id = format!(
            "msg_{:x}{}",
            now.as_millis(),
            HEXLOWER.encode(digest.as_ref().split_at(8).0)
        );
        let signed = self.signed.fill(body, stamp.as_deref(), |_| Some(id.as_str()))?;
        let signature = self.encoding.encode(hmac::sign(&key, &signed).as_ref());
        let mut headers = Vec::new();
        let mut fields = String::new();
        match (self.timestamp.as_ref().map(|source| &source.place), stamp) {
            (Some(TimestampPlace::Header(name)), Some(stamp)) => headers.push((name.clone(), stamp)),
            (Some(TimestampPlace::Field(name)), Some(stamp)) => fields = format!("{name}={stamp}"),
            _ => {}
        }
        let value = match &self.form {
            Form::Values { prefix, .. } => format!("{prefix}{signature}"),
            Form::Fields {
                separator,
                signature: name,
            } if !fields.is_empty() => {
                format!("{fields}{separator}{name}={signature}")
            }
            Form::Fields { signature: name, .. } => format!("{name}={signature}"),
        };
        headers.push((self.header.clone(), value));
        for part in self.signed.parts() {
            if let Part::Header(name) = part {
                headers.push((name.clone(), id.clone()));
            }
        }
        Some(headers)
    }

    /// The key that a secret's text gives; an empty one gives none, since anybody could sign with it.
    fn key(&self, secret: &Secret) -> Option<hmac::Key> {
        let text = secret.expose();
        let prefix = self.secret.prefix.as_deref().unwrap_or_default();
        let text = text.strip_prefix(prefix.as_bytes()).unwrap_or(text);
        let decoded;
        let bytes = match self.secret.encoding {
            None => text,
            Some(encoding) => {
                decoded = Zeroizing::new(encoding.decode(std::str::from_utf8(text).ok()?.trim())?);
                decoded.as_slice()
            }
        };
        (!bytes.is_empty()).then(|| hmac::Key::new(self.algorithm.hash(), bytes))
    }
}

/// Compares in the same time wherever the two differ: ring compares a MAC under the same key over both, which tells
/// nothing about the place of a difference.
fn same(key: &hmac::Key, tag: &hmac::Tag, signature: &[u8]) -> bool {
    hmac::verify(key, signature, hmac::sign(key, tag.as_ref()).as_ref()).is_ok()
}

impl Algorithm {
    fn hash(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
            Self::Base64 => BASE64.decode(text.as_bytes()).ok(),
        }
    }

    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => HEXLOWER.encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
        }
    }
}

impl TimestampUnit {
    /// Digits only: no sign, no fraction, no exponent, nothing beyond the end of time.
    fn read(self, text: &str) -> Option<Timestamp> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let count: u64 = text.parse().ok()?;
        match self {
            Self::Seconds => count.checked_mul(1000).map(Timestamp::from_millis),
            Self::Millis => Some(Timestamp::from_millis(count)),
        }
    }

    fn write(self, time: Timestamp) -> String {
        match self {
            Self::Seconds => time.as_secs().to_string(),
            Self::Millis => time.as_millis().to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
