//! Keys that packages are signed with.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::Digest;

/// A publisher's public key; as text `ed25519:` and 44 characters of Base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A short name for people to compare: the first 16 hex digits of its SHA-256, in fours.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hex = Digest::of(&self.0).hex();
        let parts = [0..4, 4..8, 8..12, 12..16].map(|part| hex.get(part).unwrap_or_default());
        parts.join("-")
    }
}

const PREFIX: &str = "ed25519:";

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyError::Public)?;
        let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| KeyError::Public)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::Public)
    }
}

impl serde::Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why something is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("not a public key: `ed25519:` and 44 characters of Base64")]
    Public,
    #[error("not a signing key: a PEM text with an Ed25519 key in PKCS #8")]
    Private,
    #[error("the machine's random source does not answer")]
    Random,
}

/// A publisher's key. It is not shown, and nothing but [`SigningKey::generate`] gives its bytes.
pub struct SigningKey(Ed25519KeyPair);

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

impl SigningKey {
    /// A new key, as PEM (RFC 7468) of PKCS #8 (RFC 8410), which `openssl pkey` reads too.
    ///
    /// # Errors
    ///
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Zeroizing<String>, KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        let encoded = Zeroizing::new(BASE64.encode(document.as_ref()));
        let mut text = Zeroizing::new(String::with_capacity(256));
        text.push_str(BEGIN);
        for (at, character) in encoded.chars().enumerate() {
            if at % 64 == 0 {
                text.push('\n');
            }
            text.push(character);
        }
        text.push('\n');
        text.push_str(END);
        text.push('\n');
        Ok(text)
    }

    /// Reads a PEM text, ours or `openssl genpkey -algorithm ed25519`'s.
    ///
    /// # Errors
    ///
    /// [`KeyError::Private`]; of the text nothing is repeated.
    pub fn read(pem: &str) -> Result<Self, KeyError> {
        let inner = pem
            .trim()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END))
            .ok_or(KeyError::Private)?;
        let mut encoded = Zeroizing::new(String::with_capacity(inner.len()));
        encoded.extend(inner.chars().filter(|c| !c.is_ascii_whitespace()));
        let document = Zeroizing::new(BASE64.decode(encoded.as_bytes()).map_err(|_| KeyError::Private)?);
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document)
            .map(Self)
            .map_err(|_| KeyError::Private)
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        bytes
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_made() {
        let pem = SigningKey::generate().unwrap();
        let key = SigningKey::read(&pem).unwrap();
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
        assert_eq!(key.public().fingerprint().len(), 19);
        let inner = pem.lines().nth(1).unwrap();
        assert!(!format!("{key:?}").contains(inner));
        for wrong in [
            "",
            BEGIN,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            inner,
        ] {
            assert_eq!(SigningKey::read(wrong).err(), Some(KeyError::Private), "{wrong}");
        }
    }

    #[test]
    fn public_keys_have_one_text() {
        for wrong in ["", "ed25519:", "ed25519:AAAA", "AAAA"] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(KeyError::Public));
        }
        // The bits after the last byte are not zero.
        let text = format!("ed25519:{}B=", "A".repeat(42));
        assert_eq!(text.parse::<PublicKey>(), Err(KeyError::Public));
    }
}
