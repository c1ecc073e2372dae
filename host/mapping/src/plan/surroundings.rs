//! What rules need that is neither in the settings nor in the record.

use std::fmt;

use ring::hmac;

/// Finds the record of another stream of the connection: its stream and id, to its JSON text.
pub type Find<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

/// Given by the caller for each batch of records.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The organization's salt, for plans that hash.
    pub salt: Option<&'a Salt>,
    /// Finds records of other streams, for plans that enrich by them.
    pub find: Option<Find<'a>>,
}

impl Surroundings<'_> {
    /// Neither a salt nor other streams.
    pub const NONE: Surroundings<'static> = Surroundings {
        salt: None,
        find: None,
    };
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Surroundings")
            .field("salt", &self.salt)
            .finish_non_exhaustive()
    }
}

/// The key under which an organization's personal data are hashed. It never leaves: not by `Debug`, not by an error.
#[derive(Clone)]
pub struct Salt(hmac::Key);

impl Salt {
    /// Bytes of a salt: less could be guessed.
    pub const MIN_BYTES: usize = 16;

    /// Takes a salt of at least [`Self::MIN_BYTES`] bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::MIN_BYTES).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// HMAC-SHA256 in lower-case hex.
    pub(crate) fn hash(&self, bytes: &[u8]) -> String {
        data_encoding::HEXLOWER.encode(hmac::sign(&self.0, bytes).as_ref())
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Salt")
    }
}
