//! Associated data: the place that a sealed value belongs to.

use crate::id::OrgId;

/// Where a sealed value belongs. It is not kept with the value: whoever opens it has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aad<'a> {
    /// The organization.
    pub org: OrgId,
    /// What owns it: a connection's id, an install's, a hook's.
    pub owner: &'a str,
    /// Which of the owner's values it is.
    pub field: &'a str,
    /// Raised with every replacement, so that an old value cannot be put back.
    pub version: u32,
}

impl Aad<'_> {
    /// The bytes that are authenticated. Injective: texts are preceded by their length, numbers have a fixed width.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"sluice/1/value".to_vec();
        bytes.extend_from_slice(self.org.as_bytes());
        for text in [self.owner, self.field] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = ([u8; 16], String, String, u32);

    fn bytes((org, owner, field, version): &Owned) -> Vec<u8> {
        Aad {
            org: OrgId::from_bytes(*org),
            owner,
            field,
            version: *version,
        }
        .to_bytes()
    }

    fn place() -> impl Strategy<Value = Owned> {
        (
            any::<[u8; 16]>().prop_map(|_| [1; 16]),
            "[ab\\x00]{0,4}",
            "[ab\\x00]{0,4}",
            0u32..3,
        )
    }

    proptest! {
        #[test]
        fn two_places_never_have_the_same_bytes(a in place(), b in place()) {
            prop_assert_eq!(bytes(&a) == bytes(&b), a == b);
        }
    }

    #[test]
    fn a_border_that_moves_is_another_place() {
        let of = |owner: &str, field: &str| bytes(&([0; 16], owner.into(), field.into(), 1));
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("", "abc"), of("abc", ""));
    }
}
