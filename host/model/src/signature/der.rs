//! Just enough DER (X.690 §10) to take a public key out of its envelope: lengths are definite, short and exact.

/// A value's tag, its content, and what follows.
type Value<'d> = (u8, &'d [u8], &'d [u8]);

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The kind of a public key (RFC 3279 §2.3, RFC 8410 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    Ed25519,
}

/// The first value of a text.
pub(super) fn value(text: &[u8]) -> Option<Value<'_>> {
    let (tag, rest) = text.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let count = length & 0x7f;
        if !(1..=3).contains(&count) {
            return None;
        }
        let (digits, tail) = rest.split_at_checked(count)?;
        length = digits
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = tail;
    }
    let (content, tail) = rest.split_at_checked(length)?;
    Some((*tag, content, tail))
}

/// The first value of a text, if it has this tag.
pub(super) fn tagged(text: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = value(text)?;
    (found == tag).then_some((content, rest))
}

/// The kind and the bytes of a SubjectPublicKeyInfo (RFC 5280 §4.1).
pub(super) fn public_key(info: &[u8]) -> Option<(KeyKind, &[u8])> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    let (inside, _) = tagged(info, SEQUENCE)?;
    let (algorithm, rest) = tagged(inside, SEQUENCE)?;
    let (object, parameters) = tagged(algorithm, OBJECT)?;
    let kind = match object {
        RSA => KeyKind::Rsa,
        ED25519 => KeyKind::Ed25519,
        EC if tagged(parameters, OBJECT)?.0 == P256 => KeyKind::P256,
        _ => return None,
    };
    let (bits, _) = tagged(rest, BIT_STRING)?;
    let (unused, key) = bits.split_first()?;
    (*unused == 0 && !key.is_empty()).then_some((kind, key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_within_the_text() {
        assert_eq!(value(&[2, 1, 5, 9]), Some((2, &[5][..], &[9][..])));
        assert_eq!(value(&[4, 0x81, 1, 5]), Some((4, &[5][..], &[][..])));
        for text in [
            &[][..],
            &[2],
            &[2, 2, 5],
            &[2, 0x80, 5, 0, 0],
            &[2, 0x84, 0, 0, 0, 1, 5],
        ] {
            assert_eq!(value(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = public_key(&text);
        }
    }
}
