//! Secret bytes in memory: zeroized when dropped, never printed, compared in one way only.

use std::fmt;

use ring::hmac;
use zeroize::Zeroizing;

/// Bytes that must not leak: no `Display`, an empty `Debug`, wiped on drop.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the one place that applies or seals them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// Whether two texts are the same, in a time that does not depend on where they differ: the one way in which anything is
/// compared with a secret or with what only its holder can make. ring compares MACs so; MACs under one key, whichever it is,
/// are the same where the texts are, and tell nothing about the place of a difference.
#[must_use]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"compare");
    hmac::verify(&key, one, hmac::sign(&key, other).as_ref()).is_ok()
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn same_is_equal(one: Vec<u8>, other: Vec<u8>) {
            prop_assert_eq!(same(&one, &other), one == other);
            prop_assert!(same(&one, &one.clone()));
            let (one, other) = (Secret::new(one), Secret::new(other));
            prop_assert_eq!(one == other, one.expose() == other.expose());
        }

        #[test]
        fn one_bit_is_a_difference(bytes in proptest::collection::vec(any::<u8>(), 1..80), at: prop::sample::Index, bit in 0..8u8) {
            let mut other = bytes.clone();
            other[at.index(bytes.len())] ^= 1 << bit;
            prop_assert!(!same(&bytes, &other));
            prop_assert!(!same(&bytes, &bytes[..bytes.len() - 1]));
        }
    }
}
