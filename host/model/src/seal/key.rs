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
/// The first byte of a sealed key, and of a value sealed under the first version of a key before there were others: the
/// layout `format, nonce, ciphertext, tag`.
const FORMAT: u8 = 1;
/// The first byte of a sealed value: the layout `format, key version (4 bytes, big-endian), nonce, ciphertext, tag`.
const FORMAT_OF_VALUE: u8 = 2;
const KEY_VERSION_BYTES: usize = 4;
/// NIST SP 800-38D §8.3 bounds random 96-bit nonces to 2^32 uses of a key.
const MAX_USES: u64 = 1 << 32;
/// From here on a key is to be replaced, nine tenths of [`MAX_USES`]. What is left are 429 million uses for those that
/// no count knows: of a database that went on after the backup which was restored.
const WORN_USES: u64 = MAX_USES / 10 * 9;
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

/// One version of an organization's key: seals its secrets. Counts its uses; whoever keeps it has to keep the count.
pub struct OrgKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    version: u32,
    uses: AtomicU64,
}

/// A sealed value: which version of the key, nonce, ciphertext, tag. Safe to keep, not to print at length.
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
        let mut wrapped = vec![FORMAT];
        seal(
            &self.0,
            &wrap_aad(org, key.version),
            key.bytes.as_slice(),
            &mut wrapped,
        )?;
        Ok(wrapped)
    }

    /// Opens this version of an organization's key. Its count of uses begins at zero: see [`OrgKey::with_uses`].
    ///
    /// # Errors
    ///
    /// When it is truncated, changed, another organization's, another version or under another master key.
    pub fn unwrap(&self, wrapped: &[u8], org: OrgId, version: u32) -> Result<OrgKey, SealError> {
        let rest = wrapped.strip_prefix(&[FORMAT]).ok_or(SealError::Malformed)?;
        let bytes = open(&self.0, &wrap_aad(org, version), rest)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != key.len() {
            return Err(SealError::Malformed);
        }
        key.copy_from_slice(&bytes);
        Ok(OrgKey {
            bytes: key,
            version,
            uses: AtomicU64::new(0),
        })
    }
}

impl OrgKey {
    /// The version of an organization's first key.
    pub const FIRST: u32 = 1;
    /// How often a key can seal.
    pub const MAX_USES: u64 = MAX_USES;

    /// Makes a new key and calls it this version. Versions of one organization only go up.
    ///
    /// # Errors
    ///
    /// When the machine gives no random bytes.
    pub fn generate(version: u32) -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new()
            .fill(bytes.as_mut_slice())
            .map_err(|_| SealError::Random)?;
        Ok(Self {
            bytes,
            version,
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

    /// Whether it has come to nine tenths of its uses: the next value is to be sealed under a new version.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.uses() >= WORN_USES
    }

    /// Which version of the organization's key it is.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
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
        let mut sealed = Vec::with_capacity(1 + KEY_VERSION_BYTES + NONCE_BYTES + plain.len() + TAG_BYTES);
        sealed.push(FORMAT_OF_VALUE);
        sealed.extend_from_slice(&self.version.to_be_bytes());
        seal(&self.bytes, &aad.to_bytes(), plain, &mut sealed)?;
        Ok(Sealed(sealed))
    }

    /// Opens a value that belongs to this place.
    ///
    /// # Errors
    ///
    /// When it is truncated or changed, or was sealed under another key or for another place.
    pub fn open(&self, aad: &Aad<'_>, sealed: &Sealed) -> Result<Secret, SealError> {
        let (version, rest) = sealed.split()?;
        if version != self.version {
            return Err(SealError::Refused);
        }
        open(&self.bytes, &aad.to_bytes(), rest).map(|mut plain| Secret::new(std::mem::take(&mut *plain)))
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

    /// Which version of the organization's key it says it is sealed under. Not authenticated by itself: under another
    /// version's key it does not open.
    ///
    /// # Errors
    ///
    /// When it is truncated or in an unknown format.
    pub fn key_version(&self) -> Result<u32, SealError> {
        self.split().map(|(version, _)| version)
    }

    /// The version of the key, and nonce, ciphertext and tag.
    fn split(&self) -> Result<(u32, &[u8]), SealError> {
        match self.0.split_first() {
            Some((&FORMAT, rest)) => Ok((OrgKey::FIRST, rest)),
            Some((&FORMAT_OF_VALUE, rest)) => {
                let (version, rest) = rest
                    .split_first_chunk::<KEY_VERSION_BYTES>()
                    .ok_or(SealError::Malformed)?;
                Ok((u32::from_be_bytes(*version), rest))
            }
            _ => Err(SealError::Malformed),
        }
    }
}

/// Binds a wrapped key to its organization and version. The first version is not named: its keys were wrapped before
/// there were versions. Still injective, as the lengths differ.
fn wrap_aad(org: OrgId, version: u32) -> Vec<u8> {
    let mut aad = b"sluice/1/org-key".to_vec();
    aad.extend_from_slice(org.as_bytes());
    if version != OrgKey::FIRST {
        aad.extend_from_slice(&version.to_be_bytes());
    }
    aad
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<aead::LessSafeKey, SealError> {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).map_err(|_| SealError::Refused)?;
    Ok(aead::LessSafeKey::new(key))
}

/// Appends nonce, ciphertext and tag.
fn seal(key: &[u8; KEY_BYTES], aad: &[u8], plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), SealError> {
    let mut nonce = [0; NONCE_BYTES];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| SealError::Random)?;
    sealed.reserve(NONCE_BYTES + plain.len() + TAG_BYTES);
    sealed.extend_from_slice(&nonce);
    let text_begins = sealed.len();
    sealed.extend_from_slice(plain);
    let (_, text) = sealed.split_at_mut(text_begins);
    let tag = cipher(key)?
        .seal_in_place_separate_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(aad),
            text,
        )
        .map_err(|_| SealError::TooLong)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(())
}

/// Opens nonce, ciphertext and tag.
fn open(key: &[u8; KEY_BYTES], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (nonce, text) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(SealError::Malformed)?;
    if text.len() < TAG_BYTES {
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
