//! Keys: the operator's master key and the organizations' keys under it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::aead;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, Zeroizing};

use super::Aad;
use crate::id::OrgId;
use crate::secret::Secret;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// The first byte of everything sealed: the layout `format, nonce, ciphertext, tag`.
const FORMAT: u8 = 1;
/// NIST SP 800-38D §8.3 bounds random 96-bit nonces to 2^32 uses of a key; nine tenths of it leave room for a crash
/// between counting and using.
const MAX_USES: u64 = (1 << 32) / 10 * 9;
/// More than this is refused: a secret is a token, a key or a certificate, not a file.
const MAX_PLAIN_BYTES: usize = 1 << 20;

/// Why something cannot be sealed or opened. No variant carries a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key has been used so often that a nonce could repeat.
    #[error("the organization's key is used up")]
    Exhausted,
    /// The machine gave no random bytes.
    #[error("the system's random source failed")]
    Random,
    /// It is too long to be a secret.
    #[error("the value is longer than 1 MiB")]
    TooLong,
    /// It is too short, or not in a format that this version knows.
    #[error("the sealed value is truncated or in an unknown format")]
    Malformed,
    /// Another key, another place, or a changed byte: which of them cannot be known.
    #[error("the sealed value does not open: another key, another place, or it was changed")]
    Refused,
}

impl SealError {
    /// Every code that [`SealError::code`] can give.
    pub const CODES: &[&str] = &[
        "key.exhausted",
        "seal.random",
        "seal.too_long",
        "seal.malformed",
        "seal.refused",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exhausted => "key.exhausted",
            Self::Random => "seal.random",
            Self::TooLong => "seal.too_long",
            Self::Malformed => "seal.malformed",
            Self::Refused => "seal.refused",
        }
    }

    /// Who has to do what.
    #[must_use]
    pub fn hint(self) -> Option<String> {
        match self {
            Self::Exhausted => Some("rotate the organization's key".to_owned()),
            Self::Refused => {
                Some("check that the master key is the one this database was made with".to_owned())
            }
            Self::Random | Self::TooLong | Self::Malformed => None,
        }
    }
}

/// Why a text is not a master key. It never has the text in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing there.
    #[error("the master key is empty")]
    Empty,
    /// Neither 64 hex digits nor base64.
    #[error("the master key is neither 64 hex digits nor base64 of 32 bytes")]
    Malformed,
    /// Another length.
    #[error("the master key has {bytes} bytes instead of 32")]
    Length {
        /// How many it has.
        bytes: usize,
    },
    /// Every byte is the same: a placeholder, not a key.
    #[error("the master key is one byte repeated: it is a placeholder, not a key")]
    Placeholder,
}

impl KeyError {
    /// Every code that [`KeyError::code`] can give.
    pub const CODES: &[&str] = &["key.malformed"];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "key.malformed"
    }

    /// Who has to do what.
    #[must_use]
    pub fn hint(self) -> Option<String> {
        Some("write 32 random bytes as 64 hex digits, e.g. the output of `openssl rand -hex 32`".to_owned())
    }
}

/// The operator's key: wraps the organizations' keys and does nothing else.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

/// An organization's key: seals its secrets. Counts its uses; whoever keeps it has to keep the count.
pub struct OrgKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    uses: AtomicU64,
}

/// A sealed value: `format, nonce, ciphertext, tag`. Safe to keep, not to print at length.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl MasterKey {
    /// Reads 64 hex digits, or base64 (with or without padding, either alphabet) of 32 bytes; space around it is ignored.
    ///
    /// # Errors
    ///
    /// When it is anything else.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        let bytes = Zeroizing::new(decode(text).ok_or(KeyError::Malformed)?);
        let key: [u8; KEY_BYTES] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| KeyError::Length { bytes: bytes.len() })?;
        let mut key = Zeroizing::new(key);
        if key.iter().all(|byte| Some(byte) == key.first()) {
            key.zeroize();
            return Err(KeyError::Placeholder);
        }
        Ok(Self(key))
    }

    /// Seals an organization's key for keeping.
    ///
    /// # Errors
    ///
    /// When the machine gives no random bytes.
    pub fn wrap(&self, key: &OrgKey, org: OrgId) -> Result<Vec<u8>, SealError> {
        seal(&self.0, &wrap_aad(org), key.bytes.as_slice())
    }

    /// Opens a wrapped organization's key. Its count of uses begins at zero: see [`OrgKey::with_uses`].
    ///
    /// # Errors
    ///
    /// When it is truncated, changed, another organization's or under another master key.
    pub fn unwrap(&self, wrapped: &[u8], org: OrgId) -> Result<OrgKey, SealError> {
        let bytes = open(&self.0, &wrap_aad(org), wrapped)?;
        let bytes: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| SealError::Malformed)?;
        Ok(OrgKey {
            bytes: Zeroizing::new(bytes),
            uses: AtomicU64::new(0),
        })
    }
}

impl OrgKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// When the machine gives no random bytes.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new()
            .fill(bytes.as_mut_slice())
            .map_err(|_| SealError::Random)?;
        Ok(Self {
            bytes,
            uses: AtomicU64::new(0),
        })
    }

    /// The same key after so many uses, as they were kept. Rounding up is safe.
    #[must_use]
    pub fn with_uses(self, uses: u64) -> Self {
        Self {
            uses: AtomicU64::new(uses),
            ..self
        }
    }

    /// How often it has sealed something.
    #[must_use]
    pub fn uses(&self) -> u64 {
        self.uses.load(Ordering::Acquire)
    }

    /// Seals a value for its place, with a fresh random nonce.
    ///
    /// # Errors
    ///
    /// When the key is used up, the value longer than 1 MiB, or the machine gives no random bytes.
    pub fn seal(&self, aad: &Aad<'_>, plain: &[u8]) -> Result<Sealed, SealError> {
        if plain.len() > MAX_PLAIN_BYTES {
            return Err(SealError::TooLong);
        }
        let one_more = |uses: u64| (uses < MAX_USES).then_some(uses.saturating_add(1));
        self.uses
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .map_err(|_| SealError::Exhausted)?;
        seal(&self.bytes, &aad.to_bytes(), plain).map(Sealed)
    }

    /// Opens a value that belongs to this place.
    ///
    /// # Errors
    ///
    /// When it is truncated or changed, or was sealed under another key or for another place.
    pub fn open(&self, aad: &Aad<'_>, sealed: &Sealed) -> Result<Secret, SealError> {
        open(&self.bytes, &aad.to_bytes(), &sealed.0)
            .map(|mut plain| Secret::new(std::mem::take(&mut *plain)))
    }
}

impl Sealed {
    /// Bytes as the store kept them.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn wrap_aad(org: OrgId) -> Vec<u8> {
    let mut aad = b"sluice/1/org-key".to_vec();
    aad.extend_from_slice(org.as_bytes());
    aad
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<aead::LessSafeKey, SealError> {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).map_err(|_| SealError::Refused)?;
    Ok(aead::LessSafeKey::new(key))
}

fn seal(key: &[u8; KEY_BYTES], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_BYTES];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| SealError::Random)?;
    let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + plain.len() + TAG_BYTES);
    sealed.push(FORMAT);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let (_, text) = sealed.split_at_mut(1 + NONCE_BYTES);
    let tag = cipher(key)?
        .seal_in_place_separate_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(aad),
            text,
        )
        .map_err(|_| SealError::TooLong)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

fn open(key: &[u8; KEY_BYTES], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (format, rest) = sealed.split_first().ok_or(SealError::Malformed)?;
    let (nonce, text) = rest
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(SealError::Malformed)?;
    if *format != FORMAT || text.len() < TAG_BYTES {
        return Err(SealError::Malformed);
    }
    let mut plain = Zeroizing::new(text.to_vec());
    let length = cipher(key)?
        .open_in_place(
            aead::Nonce::assume_unique_for_key(*nonce),
            aead::Aad::from(aad),
            plain.as_mut_slice(),
        )
        .map_err(|_| SealError::Refused)?
        .len();
    plain.truncate(length);
    Ok(plain)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
    let text = text.as_bytes();
    if text.len() == 2 * KEY_BYTES && text.iter().all(u8::is_ascii_hexdigit) {
        return HEXLOWER_PERMISSIVE.decode(text).ok();
    }
    [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD]
        .iter()
        .find_map(|form| form.decode(text).ok())
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl fmt::Debug for OrgKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrgKey(…)")
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
