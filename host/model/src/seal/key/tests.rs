use std::collections::HashSet;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, HEXLOWER, HEXUPPER};
use proptest::prelude::*;

use super::*;

fn bytes() -> [u8; 32] {
    std::array::from_fn(|place| place as u8 ^ 0xf7)
}

fn master() -> MasterKey {
    MasterKey::from_text(&HEXLOWER.encode(&bytes())).unwrap()
}

fn org(n: u8) -> OrgId {
    OrgId::from_bytes([n; 16])
}

const PLACE: Aad<'static> = Aad {
    org: OrgId::from_bytes([1; 16]),
    owner: "cnn_x",
    field: "token",
    version: 3,
};

#[test]
fn a_master_key_is_read_in_every_form() {
    let key = bytes();
    let forms = [
        HEXLOWER.encode(&key),
        HEXUPPER.encode(&key),
        BASE64.encode(&key),
        BASE64_NOPAD.encode(&key),
        BASE64URL.encode(&key),
    ];
    for text in forms {
        let text = format!("  {text}\n");
        assert_eq!(MasterKey::from_text(&text).unwrap().0.as_slice(), key);
    }
}

#[test]
fn what_is_no_master_key_is_not_repeated() {
    for (text, error) in [
        ("", KeyError::Empty),
        (" \n", KeyError::Empty),
        ("correct horse battery staple", KeyError::Malformed),
        ("!!!!", KeyError::Malformed),
        ("c2VjcmV0", KeyError::Length { bytes: 6 }),
        (&"ab".repeat(31), KeyError::Malformed),
        (&"ab".repeat(33), KeyError::Malformed),
        (&BASE64.encode(&[7; 31]), KeyError::Length { bytes: 31 }),
        (&BASE64.encode(&[7; 33]), KeyError::Length { bytes: 33 }),
        (&"00".repeat(32), KeyError::Placeholder),
        (&"ab".repeat(32), KeyError::Placeholder),
    ] {
        let refused = MasterKey::from_text(text).unwrap_err();
        let same_kind = std::mem::discriminant(&refused) == std::mem::discriminant(&error);
        // 62 and 66 hex digits may also be read as base64 of another length; either answer is right.
        assert!(
            same_kind || matches!(refused, KeyError::Length { .. }),
            "{text}: {refused}"
        );
        assert!(KeyError::CODES.contains(&refused.code()));
        assert!(refused.hint().is_some());
        let printed = format!("{refused} {refused:?}");
        assert!(text.trim().is_empty() || !printed.contains(text.trim()));
    }
}

#[test]
fn a_sealed_value_opens_only_whole_and_in_its_place() {
    let key = OrgKey::generate(1).unwrap();
    let sealed = key.seal(&PLACE, b"hunter2").unwrap();
    assert_eq!(key.open(&PLACE, &sealed).unwrap().expose(), b"hunter2");
    let open = |bytes: Vec<u8>| key.open(&PLACE, &Sealed::from_bytes(bytes)).unwrap_err();
    for place in 0..sealed.as_bytes().len() {
        for bit in 0..8 {
            let mut flipped = sealed.as_bytes().to_vec();
            flipped[place] ^= 1 << bit;
            let refused = open(flipped);
            let expected = if place == 0 {
                SealError::Malformed
            } else {
                SealError::Refused
            };
            assert_eq!(refused, expected, "byte {place}, bit {bit}");
        }
    }
    for length in 0..sealed.as_bytes().len() {
        let error = open(sealed.as_bytes()[..length].to_vec());
        let expected = if length < 1 + 4 + 12 + 16 {
            SealError::Malformed
        } else {
            SealError::Refused
        };
        assert_eq!(error, expected, "cut to {length}");
    }
    let mut longer = sealed.as_bytes().to_vec();
    longer.push(0);
    assert_eq!(open(longer), SealError::Refused);
    for aad in [
        Aad { org: org(2), ..PLACE },
        Aad {
            owner: "cnn_y",
            ..PLACE
        },
        Aad {
            field: "other",
            ..PLACE
        },
        Aad { version: 2, ..PLACE },
        Aad {
            owner: "cnn_xt",
            field: "oken",
            ..PLACE
        },
    ] {
        assert_eq!(
            key.open(&aad, &sealed).unwrap_err(),
            SealError::Refused,
            "{aad:?}"
        );
    }
    assert_eq!(
        OrgKey::generate(1).unwrap().open(&PLACE, &sealed).unwrap_err(),
        SealError::Refused
    );
}

#[test]
fn an_organization_key_is_wrapped_for_one_organization_and_one_master_key() {
    let key = OrgKey::generate(1).unwrap();
    let sealed = key.seal(&PLACE, b"hunter2").unwrap();
    let wrapped = master().wrap(&key, org(1)).unwrap();
    let again = master().unwrap(&wrapped, org(1), 1).unwrap();
    assert_eq!(again.open(&PLACE, &sealed).unwrap().expose(), b"hunter2");
    assert_eq!(
        master().unwrap(&wrapped, org(2), 1).unwrap_err(),
        SealError::Refused
    );
    let other = MasterKey::from_text(&BASE64.encode(b"another key of thirty-two bytes!")).unwrap();
    assert_eq!(other.unwrap(&wrapped, org(1), 1).unwrap_err(), SealError::Refused);
    assert_eq!(master().unwrap(&[], org(1), 1).unwrap_err(), SealError::Malformed);
    // What was sealed under the key itself is not a wrapped key, whatever it says.
    let mut inner = key.seal(&PLACE, &bytes()).unwrap().as_bytes().to_vec();
    assert_eq!(
        master().unwrap(&inner, org(1), 1).unwrap_err(),
        SealError::Malformed
    );
    inner.splice(..5, [FORMAT]);
    assert_eq!(
        master().unwrap(&inner, org(1), 1).unwrap_err(),
        SealError::Refused
    );
}

#[test]
fn versions_of_a_key_are_told_apart() {
    let (first, second) = (OrgKey::generate(1).unwrap(), OrgKey::generate(2).unwrap());
    let (old, new) = (
        first.seal(&PLACE, b"x").unwrap(),
        second.seal(&PLACE, b"x").unwrap(),
    );
    assert_eq!((old.key_version(), new.key_version()), (Ok(1), Ok(2)));
    assert_eq!(second.open(&PLACE, &old).unwrap_err(), SealError::Refused);
    // Whatever version the bytes are made to say.
    let mut forged = old.as_bytes().to_vec();
    forged[4] = 2;
    assert_eq!(
        second.open(&PLACE, &Sealed::from_bytes(forged)).unwrap_err(),
        SealError::Refused
    );
    let wrapped = master().wrap(&second, org(1)).unwrap();
    assert_eq!(master().unwrap(&wrapped, org(1), 2).unwrap().version(), 2);
    for other in [0, 1, 3] {
        assert_eq!(
            master().unwrap(&wrapped, org(1), other).unwrap_err(),
            SealError::Refused
        );
    }
}

#[test]
fn what_was_sealed_before_there_were_versions_opens_under_the_first() {
    let key = OrgKey::generate(1).unwrap();
    let mut bytes = key.seal(&PLACE, b"hunter2").unwrap().as_bytes().to_vec();
    bytes.splice(..5, [FORMAT]);
    let sealed = Sealed::from_bytes(bytes);
    assert_eq!(sealed.key_version(), Ok(1));
    assert_eq!(key.open(&PLACE, &sealed).unwrap().expose(), b"hunter2");
}

#[test]
fn a_key_is_given_up_before_nonces_can_repeat() {
    let worn = |uses| OrgKey::generate(1).unwrap().with_uses(uses).is_worn();
    assert_eq!((WORN_USES, MAX_USES), (3_865_470_561, 4_294_967_296));
    assert_eq!((worn(WORN_USES - 1), worn(WORN_USES)), (false, true));
    let key = OrgKey::generate(1).unwrap().with_uses(MAX_USES - 1);
    let sealed = key.seal(&PLACE, b"last").unwrap();
    assert_eq!(key.uses(), MAX_USES);
    let refused = key.seal(&PLACE, b"one more").unwrap_err();
    assert_eq!((refused, refused.code()), (SealError::Exhausted, "key.exhausted"));
    assert_eq!(key.uses(), MAX_USES);
    // What it sealed still opens.
    assert_eq!(key.open(&PLACE, &sealed).unwrap().expose(), b"last");
    assert!(
        OrgKey::generate(1)
            .unwrap()
            .with_uses(u64::MAX)
            .seal(&PLACE, b"x")
            .is_err()
    );
}

/// One key in five lives: in two threads of the process that made it, in two databases restored from the same backup,
/// and re-wrapped under another master key. None of them takes a nonce that another took.
#[test]
fn no_key_is_used_with_one_nonce_twice() {
    const SEALS: usize = 20_000;
    let key = OrgKey::generate(1).unwrap();
    let backup = master().wrap(&key, org(1)).unwrap();
    let restored = || master().unwrap(&backup, org(1), 1).unwrap();
    let other = MasterKey::from_text(&BASE64.encode(b"another key of thirty-two bytes!")).unwrap();
    let rewrapped = other.wrap(&restored(), org(1)).unwrap();
    let (once, twice, moved) = (
        restored(),
        restored(),
        other.unwrap(&rewrapped, org(1), 1).unwrap(),
    );
    let nonces = |key: &OrgKey| -> Vec<[u8; NONCE_BYTES]> {
        let nonce = |_| {
            key.seal(&PLACE, b"").unwrap().as_bytes()[5..17]
                .try_into()
                .unwrap()
        };
        (0..SEALS).map(nonce).collect()
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let lives = [&key, &key, &once, &twice, &moved].map(|key| scope.spawn(|| nonces(key)));
        lives.into_iter().flat_map(|life| life.join().unwrap()).collect()
    });
    assert_eq!(all.len(), 5 * SEALS);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 5 * SEALS);
    assert_eq!(key.uses(), 2 * SEALS as u64);
    // All of the nonce is random, not only as much of it as tells these apart.
    for bit in 0..8 * NONCE_BYTES {
        let ones = all.iter().filter(|nonce| nonce[bit / 8] >> (bit % 8) & 1 == 1);
        let off = ones.count().abs_diff(all.len() / 2);
        // 20 standard deviations of a fair coin.
        assert!(off < 3200, "bit {bit} is {off} off");
    }
}

#[test]
fn long_values_are_refused_before_they_count() {
    let key = OrgKey::generate(1).unwrap();
    assert_eq!(
        key.seal(&PLACE, &vec![0; MAX_PLAIN_BYTES + 1]).unwrap_err(),
        SealError::TooLong
    );
    assert_eq!(key.uses(), 0);
}

#[test]
fn nothing_prints_a_key_or_a_value() {
    let key = OrgKey::generate(1).unwrap();
    let sealed = key.seal(&PLACE, b"hunter2").unwrap();
    let opened = key.open(&PLACE, &sealed).unwrap();
    assert_eq!(
        format!("{:?} {key:?} {sealed:?} {opened:?}", master()),
        "MasterKey(…) OrgKey(…) Sealed(40 bytes) Secret(…)"
    );
}

#[test]
fn codes_are_listed() {
    use SealError::{Exhausted, Malformed, Random, Refused, TooLong};
    for error in [Exhausted, Random, TooLong, Malformed, Refused] {
        assert!(SealError::CODES.contains(&error.code()));
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens(plain in prop::collection::vec(any::<u8>(), 0..300), owner in ".{0,20}", field in ".{0,20}", version: u32) {
        let key = OrgKey::generate(1).unwrap();
        let aad = Aad { org: org(9), owner: &owner, field: &field, version };
        let sealed = key.seal(&aad, &plain).unwrap();
        let opened = key.open(&aad, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), plain.as_slice());
    }

    #[test]
    fn opening_nonsense_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let key = OrgKey::generate(1).unwrap();
        prop_assert!(key.open(&PLACE, &Sealed::from_bytes(bytes.clone())).is_err());
        let _ = Sealed::from_bytes(bytes.clone()).key_version();
        prop_assert!(master().unwrap(&bytes, org(1), 1).is_err());
    }

    #[test]
    fn reading_a_master_key_never_panics(text in ".{0,80}") {
        let _ = MasterKey::from_text(&text);
    }
}
