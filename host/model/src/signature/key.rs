//! Keys: how a secret's text gives one, and what fits under it.
//!
//! What must always hold: the algorithm is the recipe's, never the request's; a key of another kind, or an empty one,
//! gives no key at all; two MACs are compared in the same time wherever they differ.

use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::{digest, hmac, signature};
use zeroize::Zeroizing;

use super::der::{self, KeyKind};
use crate::jws;
use crate::secret::Secret;

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
    /// Base 64 for URLs (RFC 4648 §5), with or without padding.
    Base64Url,
}

/// How a text is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// An HMAC (RFC 2104).
    Hmac(Algorithm),
    /// SHA-256 over the key and then the text: HubSpot's versions 1 and 2. Not an HMAC, and weaker.
    KeyedSha256,
    /// Ed25519 (RFC 8032). The secret is the vendor's public key.
    Ed25519,
    /// ECDSA over P-256 with SHA-256, in DER. The secret is the vendor's public key.
    EcdsaP256,
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2). The key is fetched, or the secret is the vendor's public key.
    Rsa(RsaHash),
}

/// The hash of an RSA signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaHash {
    /// SHA-256.
    Sha256,
    /// SHA-1, which SNS had first.
    Sha1,
}

/// How a secret's text gives the key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretForm {
    /// The text is `id:key`, and the id is told beside the signature.
    pub has_id: bool,
    /// Taken off first, where it is there: `whsec_`.
    pub prefix: Option<String>,
    /// How the rest gives the key.
    pub encoding: KeyEncoding,
}

/// How a text gives a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyEncoding {
    /// Its bytes are the key. A public key may be in PEM.
    #[default]
    Plain,
    /// It is written so.
    Written(Encoding),
    /// Its SHA-1 is the key: Braintree.
    Sha1,
}

/// A key that fits a proof.
pub(super) enum Key {
    Hmac(hmac::Key),
    Prefix(Zeroizing<Vec<u8>>, hmac::Key),
    Public(&'static dyn signature::VerificationAlgorithm, Vec<u8>),
}

impl SecretForm {
    /// The id and the rest of a secret's text.
    pub(super) fn halves<'s>(&self, secret: &'s Secret) -> Option<(&'s str, &'s [u8])> {
        let text = secret.expose();
        if !self.has_id {
            return Some(("", text));
        }
        let (id, key) = std::str::from_utf8(text).ok()?.split_once(':')?;
        (!id.is_empty()).then_some((id, key.as_bytes()))
    }

    /// The bytes of the key; nothing if they are none or not written as they should be.
    pub(super) fn bytes(&self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let (_, text) = self.halves(secret)?;
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let text = text.strip_prefix(prefix.as_bytes()).unwrap_or(text);
        if text.is_empty() {
            return None;
        }
        let bytes = match self.encoding {
            KeyEncoding::Plain => text.to_vec(),
            KeyEncoding::Written(encoding) => encoding.decode(std::str::from_utf8(text).ok()?.trim())?,
            KeyEncoding::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text)
                .as_ref()
                .to_vec(),
        };
        (!bytes.is_empty()).then(|| Zeroizing::new(bytes))
    }
}

impl Proof {
    /// The key that a secret gives for this proof.
    pub(super) fn key(self, form: &SecretForm, secret: &Secret) -> Option<Key> {
        let bytes = form.bytes(secret)?;
        let shared = || !jws::is_pem(&bytes);
        match self {
            Self::Hmac(algorithm) => shared().then(|| Key::Hmac(hmac::Key::new(algorithm.hash(), &bytes))),
            Self::KeyedSha256 => shared().then(|| {
                let own = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
                Key::Prefix(bytes.clone(), own)
            }),
            Self::Ed25519 => {
                let key = public(&bytes, KeyKind::Ed25519).filter(|key| key.len() == 32)?;
                Some(Key::Public(&signature::ED25519, key))
            }
            Self::EcdsaP256 => {
                let key = public(&bytes, KeyKind::P256).filter(|key| key.len() == 65)?;
                Some(Key::Public(&signature::ECDSA_P256_SHA256_ASN1, key))
            }
            Self::Rsa(hash) => Some(Key::Public(hash.algorithm(), public(&bytes, KeyKind::Rsa)?)),
        }
    }

    /// Whether the secret that verifies is the vendor's public key or an id, so that nobody here can sign.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Ed25519 | Self::EcdsaP256 | Self::Rsa(_))
    }
}

impl RsaHash {
    pub(super) fn algorithm(self) -> &'static dyn signature::VerificationAlgorithm {
        match self {
            Self::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Sha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }
}

impl Key {
    /// Whether one of the signatures is this key's over the message. All MACs are compared, whichever fits.
    pub(super) fn fits<'t>(&self, message: &[u8], mut signatures: impl Iterator<Item = &'t [u8]>) -> bool {
        match self {
            Self::Hmac(key) => {
                let tag = hmac::sign(key, message);
                signatures.fold(false, |fits, signature| fits | same(key, tag.as_ref(), signature))
            }
            Self::Prefix(secret, own) => {
                let tag = prefixed(secret, message);
                signatures.fold(false, |fits, signature| fits | same(own, tag.as_ref(), signature))
            }
            Self::Public(algorithm, key) => {
                let key = signature::UnparsedPublicKey::new(*algorithm, key);
                signatures.any(|signature| key.verify(message, signature).is_ok())
            }
        }
    }

    /// The signature, where this key can make one.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hmac(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            Self::Prefix(secret, _) => Some(prefixed(secret, message).as_ref().to_vec()),
            Self::Public(..) => None,
        }
    }
}

fn prefixed(secret: &[u8], message: &[u8]) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(secret);
    context.update(message);
    context.finish()
}

/// Compares in the same time wherever the two differ: ring compares MACs under one key over both, which tells nothing
/// about the place of a difference.
fn same(key: &hmac::Key, tag: &[u8], signature: &[u8]) -> bool {
    hmac::verify(key, signature, hmac::sign(key, tag).as_ref()).is_ok()
}

/// Whether two texts are the same, in the same time wherever they differ.
pub(super) fn is_same(expected: &[u8], given: &[u8]) -> bool {
    same(&hmac::Key::new(hmac::HMAC_SHA256, expected), expected, given)
}

/// The bytes of a public key in PEM, in DER, or as they are.
fn public(bytes: &[u8], wanted: KeyKind) -> Option<Vec<u8>> {
    let file = jws::der(bytes)?;
    match der::public_key(&file) {
        Some((kind, key)) => (kind == wanted).then(|| key.to_vec()),
        // Without an envelope nothing says what kind it is; the length and ring do.
        None if wanted == KeyKind::Rsa => None,
        None => Some(file.to_vec()),
    }
}

impl Algorithm {
    pub(super) fn hash(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }

    /// The plain digest of the same hash.
    pub(super) fn digest(self, bytes: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::HmacSha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => &digest::SHA256,
            Self::HmacSha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes)
    }
}

impl Encoding {
    /// The bytes; nothing if they are not written in this way.
    #[must_use]
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
            Self::Base64 => BASE64.decode(text.as_bytes()).ok(),
            Self::Base64Url if text.ends_with('=') => BASE64URL.decode(text.as_bytes()).ok(),
            Self::Base64Url => BASE64URL_NOPAD.decode(text.as_bytes()).ok(),
        }
    }

    /// The text, in lower case and with padding where there is a choice; without padding for URLs.
    #[must_use]
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => HEXLOWER.encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
            Self::Base64Url => BASE64URL_NOPAD.encode(bytes),
        }
    }
}
