//! Signatures of what is delivered, as Standard Webhooks 1.0 has them: over `id.timestamp.body`, HMAC-SHA256 as `v1` and Ed25519
//! as `v1a`, one for each key that is valid, with spaces between them.

use std::fmt;

use data_encoding::BASE64;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::secret::Secret;

/// The field with the event's id: the same at every try.
pub const ID_HEADER: &str = "webhook-id";
/// The field with the second of the try.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The field with the signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// The two kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// One secret, which the receiver has too.
    Hmac,
    /// A key pair: the receiver has the public half, and nothing that has to be kept secret.
    Ed25519,
}

impl KeyKind {
    /// The word for it, as it is shown and stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// Why a text is not a key. Never says the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Another form.
    #[error(
        "a key is `whsec_` and 24 to 64 bytes in base64, or `whsk_` and the 32 or 64 bytes of an Ed25519 key"
    )]
    Form,
    /// The halves of an Ed25519 key do not belong together.
    #[error("the public half of the Ed25519 key is not the one of its private half")]
    Halves,
}

/// A key that deliveries are signed with.
#[derive(Clone)]
pub struct SigningKey(Inner);

#[derive(Clone)]
enum Inner {
    Hmac(Secret),
    Ed25519(Secret),
}

const HMAC_PREFIX: &str = "whsec_";
const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";

impl SigningKey {
    /// A new key of 32 random bytes.
    ///
    /// # Errors
    /// Never for 32 bytes of `ring`; the type cannot say so.
    pub fn made(kind: KeyKind, random: [u8; 32]) -> Result<Self, KeyError> {
        match kind {
            KeyKind::Hmac => Ok(Self(Inner::Hmac(Secret::new(random.to_vec())))),
            KeyKind::Ed25519 => Self::ed25519(&random),
        }
    }

    /// Reads `whsec_…` or `whsk_…`. A private Ed25519 key is its 32 bytes, or those and the public half.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(text).map_err(|_| KeyError::Form)?.trim();
        let bytes = |base64: &str| BASE64.decode(base64.as_bytes()).map_err(|_| KeyError::Form);
        if let Some(rest) = text.strip_prefix(HMAC_PREFIX) {
            let bytes = bytes(rest)?;
            // Standard Webhooks, "Signature scheme": 24 to 64 bytes.
            if !(24..=64).contains(&bytes.len()) {
                return Err(KeyError::Form);
            }
            return Ok(Self(Inner::Hmac(Secret::new(bytes))));
        }
        let bytes = Secret::new(bytes(text.strip_prefix(PRIVATE_PREFIX).ok_or(KeyError::Form)?)?);
        let (seed, public) = bytes.expose().split_first_chunk::<32>().ok_or(KeyError::Form)?;
        let key = Self::ed25519(seed)?;
        if public.is_empty() || key.public_bytes().as_deref() == Some(public) {
            Ok(key)
        } else {
            Err(KeyError::Halves)
        }
    }

    fn ed25519(seed: &[u8; 32]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Form)?;
        Ok(Self(Inner::Ed25519(Secret::new(seed.to_vec()))))
    }

    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self.0 {
            Inner::Hmac(_) => KeyKind::Hmac,
            Inner::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// The text that [`parse`](Self::parse) reads: what a receiver of an HMAC needs, and what is sealed.
    #[must_use]
    pub fn text(&self) -> Secret {
        let (prefix, bytes) = match &self.0 {
            Inner::Hmac(secret) => (HMAC_PREFIX, secret),
            Inner::Ed25519(seed) => (PRIVATE_PREFIX, seed),
        };
        let mut text = prefix.to_owned();
        BASE64.encode_append(bytes.expose(), &mut text);
        Secret::new(text.into_bytes())
    }

    /// `whpk_…`: what a receiver verifies Ed25519 with. Nothing for an HMAC.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        let bytes = self.public_bytes()?;
        Some(format!("{PUBLIC_PREFIX}{}", BASE64.encode(&bytes)))
    }

    fn public_bytes(&self) -> Option<Vec<u8>> {
        match &self.0 {
            Inner::Hmac(_) => None,
            Inner::Ed25519(seed) => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
                Some(pair.public_key().as_ref().to_vec())
            }
        }
    }

    fn sign(&self, content: &[u8]) -> String {
        match &self.0 {
            Inner::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
                format!("v1,{}", BASE64.encode(hmac::sign(&key, content).as_ref()))
            }
            Inner::Ed25519(seed) => match Ed25519KeyPair::from_seed_unchecked(seed.expose()) {
                Ok(pair) => format!("v1a,{}", BASE64.encode(pair.sign(content).as_ref())),
                // It was read as a key before it became one of these.
                Err(_) => String::new(),
            },
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kind().name())
    }
}

/// The three fields of a signed delivery. `id` has no dot, so that what is signed says one thing only.
#[must_use]
pub fn signed(keys: &[SigningKey], id: &str, now: Timestamp, body: &[u8]) -> Vec<(String, String)> {
    let seconds = (now.as_millis() / 1000).to_string();
    let mut content = Vec::with_capacity(id.len() + seconds.len() + body.len() + 2);
    for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        content.extend_from_slice(part);
    }
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(&content)).collect();
    vec![
        (ID_HEADER.to_owned(), id.to_owned()),
        (TIMESTAMP_HEADER.to_owned(), seconds),
        (SIGNATURE_HEADER.to_owned(), signatures.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of the specification's own test suite (standard-webhooks, `libraries/*/tests`).
    #[test]
    fn the_example_of_the_specification() {
        let key = SigningKey::parse(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let headers = signed(
            &[key],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp::from_millis(1_614_265_330_000),
            br#"{"test": 2432232314}"#,
        );
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers[2].1, expected);
        assert_eq!(headers[1].1, "1614265330");
    }

    #[test]
    fn each_key_that_is_valid_signs() {
        let keys = [
            SigningKey::made(KeyKind::Hmac, [1; 32]).unwrap(),
            SigningKey::made(KeyKind::Ed25519, [2; 32]).unwrap(),
        ];
        let headers = signed(&keys, "evt_1", Timestamp::from_millis(5_999), b"x");
        let parts: Vec<_> = headers[2].1.split(' ').collect();
        assert!(
            parts[0].starts_with("v1,") && parts[1].starts_with("v1a,"),
            "{parts:?}"
        );
        let public = keys[1].public().unwrap();
        let public = BASE64
            .decode(public.strip_prefix("whpk_").unwrap().as_bytes())
            .unwrap();
        let signature = BASE64
            .decode(parts[1].strip_prefix("v1a,").unwrap().as_bytes())
            .unwrap();
        ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public)
            .verify(b"evt_1.5.x", &signature)
            .unwrap();
    }

    #[test]
    fn texts_that_are_no_keys() {
        let short = format!("whsec_{}", BASE64.encode(&[0; 23]));
        let other_half = format!("whsk_{}", BASE64.encode(&[7; 64]));
        assert_eq!(
            SigningKey::parse(other_half.as_bytes()).unwrap_err(),
            KeyError::Halves
        );
        for text in ["", "x", "whsec_", "whsec_%%%", "whsk_AAAA", "whpk_AAAA", &short] {
            assert_eq!(
                SigningKey::parse(text.as_bytes()).unwrap_err(),
                KeyError::Form,
                "{text}"
            );
        }
        let key = SigningKey::made(KeyKind::Hmac, [1; 32]).unwrap();
        assert!(!format!("{key:?}").contains("AQEB"));
    }

    proptest! {
        #[test]
        fn keys_come_back(random: [u8; 32], is_hmac: bool) {
            let kind = if is_hmac { KeyKind::Hmac } else { KeyKind::Ed25519 };
            let key = SigningKey::made(kind, random).unwrap();
            let back = SigningKey::parse(key.text().expose()).unwrap();
            prop_assert_eq!(back.text(), key.text());
            prop_assert_eq!(back.public(), key.public());
        }

        #[test]
        fn no_text_panics(text: Vec<u8>) {
            let _ = SigningKey::parse(&text);
        }
    }
}
