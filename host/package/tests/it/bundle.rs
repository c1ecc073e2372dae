//! Bundles as parts of a package: one way to write them, and nothing in them that a bundle has not. Who is believed is judged where
//! there is software that makes true ones: `tests/it/packages`.

use data_encoding::BASE64;
use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_package::{FormatError, Package, Part, Policy, Remembered, Untrusted};

use super::{NOW, key, pack, signed, terms};

/// A bundle in form, with the digest of this package: its signature and its log entry are of something else.
fn bundle(package: &[u8]) -> Value {
    let digest = Package::read(package).unwrap().content_digest();
    let text = include_str!("data/bundle.json").replace("DIGEST", &BASE64.encode(digest.as_bytes()));
    serde_json::from_str(&text).unwrap()
}

fn refused(package: &[u8], bundle: &str) -> Untrusted {
    match sluice_package::attach_bundle(package, bundle).unwrap_err() {
        FormatError::Signature(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_bundle_and_a_signature_are_over_the_same() {
    let plain = pack("acme", "1.0.0").bytes;
    let bundle = bundle(&plain);
    let pretty = serde_json::to_string_pretty(&bundle).unwrap();
    let with = sluice_package::attach_bundle(&plain, &pretty).unwrap();
    let package = Package::read(&with).unwrap();
    assert_eq!(package.content(), plain);
    assert_eq!(
        package.bundle().unwrap().claims().issuer,
        "https://idp.acme.example"
    );
    assert_eq!(
        package.bundle().unwrap().claims().subject,
        "https://acme.example/release"
    );
    // However it came, it is written in one way.
    let text = package.text(Part::Bundle).unwrap();
    assert!(!text.contains('\n') && text.starts_with("{\"mediaType\""));
    assert_eq!(sluice_package::attach_bundle(&with, text).unwrap(), with);
    // A key signs the same content, whichever comes first, and neither takes the other away.
    let ours = key();
    let signature = sluice_package::sign(&with, &ours, &terms("acme")).unwrap();
    let both = sluice_package::attach(&with, &signature).unwrap();
    let signed = sluice_package::attach(&plain, &signature).unwrap();
    assert_eq!(sluice_package::attach_bundle(&signed, text).unwrap(), both);
    assert_eq!(sluice_package::detach(&both).unwrap(), plain);
    // Nobody has a root here: the key alone is not enough, and what was installed with both needs both.
    let judge = |bytes: &[u8]| {
        Policy::default().judge(
            &Package::read(bytes).unwrap(),
            &Remembered::default(),
            [],
            None,
            NOW,
        )
    };
    assert!(judge(&signed).is_ok());
    for bytes in [&with, &both] {
        let error = judge(bytes).unwrap_err();
        assert_eq!(error.code(), "package.no_trusted_root", "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn what_is_no_bundle_is_refused() {
    let plain = pack("acme", "1.0.0").bytes;
    let good = bundle(&plain);
    let other = bundle(&pack("acme", "1.0.1").bytes).to_string();
    assert_eq!(refused(&plain, &other), Untrusted::Content);
    let changed = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        refused(&plain, &changed.to_string()).to_string()
    };
    for (pointer, value, words) in [
        (
            "/mediaType",
            json!("application/vnd.dev.sigstore.bundle+json;version=0.2"),
            "another version",
        ),
        ("/mediaType", json!("text/plain"), "cannot be believed"),
        (
            "/messageSignature/messageDigest/algorithm",
            json!("SHA2_512"),
            "no SHA-256",
        ),
        ("/messageSignature/signature", json!("!"), "cannot be believed"),
        (
            "/messageSignature",
            json!({"dsseEnvelope": {}}),
            "`dsseEnvelope`, which is none",
        ),
        (
            "/verificationMaterial/certificate",
            json!({"rawBytes": "AAAA"}),
            "cannot be believed",
        ),
        (
            "/verificationMaterial",
            json!({"publicKey": {"hint": "x"}}),
            "`publicKey`, which is none",
        ),
    ] {
        let told = changed(pointer, value);
        assert!(told.contains(words), "{pointer}: {told}");
    }
    for garbage in ["", "{}", "null", "[1]", "\u{0}", "{\"mediaType\":", "\u{feff}{}"] {
        assert_eq!(refused(&plain, garbage).code(), "package.untrusted", "{garbage}");
    }
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    assert_eq!(refused(&plain, &deep).code(), "package.untrusted");
    let huge = good.to_string() + &" ".repeat(64 << 10);
    let error = sluice_package::attach_bundle(&plain, &huge).unwrap_err();
    assert!(matches!(error, FormatError::PartTooLarge { .. }), "{error}");

    // Put into the file by hand: with a space, with a name twice, and after the signature.
    let text = |bytes: &[u8]| {
        Package::read(bytes)
            .unwrap()
            .text(Part::Bundle)
            .unwrap()
            .to_owned()
    };
    let canonical = text(&sluice_package::attach_bundle(&plain, &good.to_string()).unwrap());
    let by_hand = |before: &[u8], text: &str| {
        let bytes = [
            before,
            &super::file::section("sluice:bundle", text.as_bytes())[..],
        ]
        .concat();
        Package::read(&bytes).unwrap_err().to_string()
    };
    for other in [
        canonical.replacen("\":", "\": ", 1),
        canonical.replacen('{', "{\"mediaType\":\"x\",", 1),
        canonical.replacen("mediaType", "mediaT\\u0079pe", 1),
    ] {
        let told = by_hand(&plain, &other);
        assert!(told.contains("not written in the one way"), "{told}");
    }
    let told = by_hand(&signed("acme", "1.0.0", "acme", &key()), &canonical);
    assert!(told.contains("where it does not belong"), "{told}");
}

proptest! {
    /// Whatever is done to a bundle, it is one or it is refused.
    #[test]
    fn nothing_panics(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>()) {
        let plain = pack("acme", "1.0.0").bytes;
        let mut bytes = bundle(&plain).to_string().into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for text in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(text) = std::str::from_utf8(text)
                && let Ok(whole) = sluice_package::attach_bundle(&plain, text)
            {
                prop_assert_eq!(Package::read(&whole).unwrap().content(), &plain[..]);
            }
        }
    }
}
