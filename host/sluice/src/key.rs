//! API keys: `slk_` and 32 random bytes. The server keeps a SHA-256 of each and nothing else: a key is long and random,
//! so neither guessing nor a slow hash has a place here, and looking a hash up tells nobody by its time how much of a
//! guessed key was right.

use data_encoding::BASE32_NOPAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use sluice_model::Timestamp;
use sluice_model::id::KeyId;
use sluice_model::secret::Secret;
use sluice_store::api_key::ApiKey;

/// Every key begins so, so that a scanner for leaked secrets can know one.
pub const PREFIX: &str = "slk_";

/// Letters of the key that are kept to tell keys apart.
const SHOWN: usize = 10;

/// A new key and the row that is kept of it.
#[derive(Debug)]
pub struct Issued {
    pub row: ApiKey,
    /// Shown once.
    pub key: Secret,
}

/// Makes a key.
///
/// # Errors
///
/// If the machine's random source does not answer.
pub fn issue(name: &str, approves: bool, now: Timestamp) -> Result<Issued, ring::error::Unspecified> {
    let random = SystemRandom::new();
    let (mut bytes, mut id) = ([0; 32], [0; 10]);
    random.fill(&mut bytes)?;
    random.fill(&mut id)?;
    let text = format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_lowercase());
    let row = ApiKey {
        id: KeyId::new(now, id),
        name: name.to_owned(),
        prefix: text.chars().take(SHOWN).collect(),
        hash: hash(&text),
        created: now,
        revoked: None,
        approves,
    };
    Ok(Issued {
        row,
        key: Secret::new(text.into_bytes()),
    })
}

/// What is kept of a key.
#[must_use]
pub fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    hash.iter_mut()
        .zip(digest.as_ref())
        .for_each(|(to, from)| *to = *from);
    hash
}

/// The key of an `Authorization: Bearer …` field.
#[must_use]
pub fn from_header(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    // RFC 9110 §11.1: the scheme's letters may be of either case.
    (scheme.eq_ignore_ascii_case("bearer") && key.starts_with(PREFIX) && key.len() <= 128).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_hash_alone() {
        let issued = issue("admin", true, Timestamp::from_millis(1)).unwrap();
        let text = std::str::from_utf8(issued.key.expose()).unwrap();
        assert_eq!(text.len(), PREFIX.len() + 52);
        assert_eq!(
            hash(from_header(&format!("bearer {text}")).unwrap()),
            issued.row.hash
        );
        assert!(text.starts_with(&issued.row.prefix) && issued.row.prefix.len() < 12);
        assert!(!format!("{issued:?}").contains(text));
        for bad in ["", "Bearer", "Basic slk_x", "Bearer xyz", "slk_abc"] {
            assert_eq!(from_header(bad), None, "{bad}");
        }
    }
}
