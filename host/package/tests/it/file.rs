//! One file: what goes in comes out, the same every time, and nothing else is read.

use proptest::prelude::*;
use sluice_package::{FormatError, Pack, Package, Part, Policy, Remembered};

use super::{NOW, component, key, manifest, pack, signed, terms};

#[test]
fn what_goes_in_comes_out() {
    let packed = pack("acme", "1.0.0");
    let package = Package::read(&packed.bytes).unwrap();
    assert_eq!(package.manifest_text(), manifest("acme", "1.0.0"));
    assert_eq!(package.text(Part::Readme), Some("# Acme\nreads things\n"));
    assert_eq!(package.icon_type(), Some("image/svg+xml"));
    let schemas: serde_json::Value = serde_json::from_str(package.text(Part::Schemas).unwrap()).unwrap();
    assert_eq!(schemas["config"]["type"], "object");
    assert_eq!(package.build_id().unwrap(), packed.build_id);
    assert!(package.signature().is_none());
    assert_eq!(package.content(), packed.bytes);
    assert_eq!(package.parts().count(), 7);
    // It is still a component that an engine takes.
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::default())
        .validate_all(&packed.bytes)
        .unwrap();
}

#[test]
fn the_same_inputs_make_the_same_bytes() {
    assert_eq!(pack("acme", "1.0.0").bytes, pack("acme", "1.0.0").bytes);
    assert_ne!(pack("acme", "1.0.0").digest, pack("acme", "1.0.1").digest);
    // Signing and taking the signature away again is no change.
    let key = key();
    let with = signed("acme", "1.0.0", "acme", &key);
    assert_eq!(
        sluice_package::detach(&with).unwrap(),
        pack("acme", "1.0.0").bytes
    );
}

#[test]
fn what_debuggers_read_is_beside_the_package() {
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let packed = pack("acme", "1.0.0");
    assert!(!has(&packed.bytes, ".debug_") && has(&packed.bytes, "named"));
    let symbols = packed.symbols.unwrap();
    assert!(has(&symbols, ".debug_info") && has(&symbols, ".debug_line") && has(&symbols, "deep"));
    let id = data_encoding::HEXLOWER
        .decode(packed.build_id.as_bytes())
        .unwrap();
    assert!(symbols.ends_with(&id));
    let text = manifest("acme", "1.0.0");
    let lean = Pack {
        component: &component(),
        manifest: &text,
        strip_names: true,
        ..Pack::default()
    };
    let lean = lean.make().unwrap();
    assert!(!has(&lean.bytes, "named") && !has(&lean.bytes, "deep"));
    // The build is what is left; both of these are the same build but for the names.
    let again = Pack {
        component: &symbols_free(&lean.bytes),
        manifest: &text,
        ..Pack::default()
    };
    assert!(again.make().unwrap().symbols.is_none());
}

/// The component of a package.
fn symbols_free(package: &[u8]) -> Vec<u8> {
    let at = package
        .windows(15)
        .position(|window| window == b"sluice:manifest")
        .unwrap();
    let head = (0..at)
        .rev()
        .find(|start| package[*start] == 0 && at - start < 8)
        .unwrap();
    package[..head].to_vec()
}

pub(crate) fn section(name: &str, data: &[u8]) -> Vec<u8> {
    let mut content = vec![u8::try_from(name.len()).unwrap()];
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(data);
    let mut out = vec![0];
    let mut length = content.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(content);
    out
}

#[test]
fn what_is_wrong_is_refused() {
    let check = |extra: &[Vec<u8>], code: &str, words: &str| {
        let mut bytes = component();
        extra.iter().for_each(|section| bytes.extend(section));
        let error = Package::read(&bytes).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(
            FormatError::CODES.contains(&code) || code.starts_with("manifest") || code == "package.untrusted"
        );
        assert!(error.to_string().contains(words), "{error}");
    };
    let text = manifest("acme", "1.0.0");
    let m = || section("sluice:manifest", text.as_bytes());
    let s = |name: &str, data: &str| section(name, data.as_bytes());
    check(&[], "package.no_manifest", "");
    check(&[s("sluice:manifest", "id = 1")], "manifest.invalid", "");
    check(&[m(), m()], "package.invalid", "where it does not belong");
    check(
        &[s("sluice:readme", "a"), m()],
        "package.invalid",
        "manifest where",
    );
    check(
        &[m(), s("producers", "")],
        "package.invalid",
        "something of the component",
    );
    check(
        &[m(), s("sluice:new\u{202e}", "")],
        "package.invalid",
        "unknown part `sluice:new.`",
    );
    check(
        &[m(), s("sluice:readme", "a\u{202e}b")],
        "package.invalid",
        "hide",
    );
    check(
        &[m(), s("sluice:readme", "a\u{1b}[2Jb")],
        "package.invalid",
        "hide",
    );
    check(
        &[m(), section("sluice:readme", &[0xff])],
        "package.invalid",
        "not text",
    );
    check(
        &[m(), s("sluice:icon", "<svg onload=x>")],
        "package.invalid",
        "icon",
    );
    check(
        &[m(), s("sluice:schemas", "{}")],
        "package.invalid",
        "something else",
    );
    check(&[m(), s("sluice:sbom", "{}")], "package.invalid", "CycloneDX");
    check(&[m(), s("sluice:build-id", "x")], "package.invalid", "length");
    check(
        &[m(), s("sluice:signature", "x")],
        "package.untrusted",
        "ends before",
    );
    let long = "a".repeat(Part::Readme.limit() + 1);
    check(
        &[m(), s("sluice:readme", &long)],
        "package.invalid",
        "are allowed",
    );
    // A length in more bytes than it takes.
    let mut padded = section("sluice:readme", b"a");
    padded.splice(1..2, [padded[1] | 0x80, 0]);
    check(&[m(), padded], "package.invalid", "one way");
    assert_eq!(
        Package::read(b"\0asm\x01\0\0\0").unwrap_err().code(),
        "package.not_component"
    );
    assert_eq!(Package::read(b"").unwrap_err().code(), "package.not_component");
    let packed = pack("acme", "1.0.0").bytes;
    let text = manifest("acme", "1.0.0");
    let again = Pack {
        component: &packed,
        manifest: &text,
        ..Pack::default()
    };
    assert_eq!(again.make().unwrap_err(), FormatError::Packed);
}

#[test]
fn each_byte_of_a_signed_package_counts() {
    let key = key();
    let whole = signed("acme", "1.0.0", "acme", &key);
    let policy = Policy::default();
    let judge = |bytes: &[u8]| -> Result<(), &'static str> {
        let package = Package::read(bytes).map_err(|error| error.code())?;
        let verdict = policy.judge(&package, &Remembered::default(), [], None, NOW);
        verdict.map(drop).map_err(|error| error.code())
    };
    assert_eq!(judge(&whole), Ok(()));
    let mut changed = whole.clone();
    let mut untrusted = 0;
    for place in 0..whole.len() {
        for bit in 0..8 {
            changed[place] = whole[place] ^ (1 << bit);
            match judge(&changed) {
                Ok(()) => panic!("byte {place}, bit {bit}"),
                Err("package.untrusted") => untrusted += 1,
                Err(_) => {}
            }
        }
        changed[place] = whole[place];
    }
    // Nearly everywhere the file is still one, and then it is the signature that says so.
    assert!(untrusted > whole.len() * 6, "{untrusted} of {}", whole.len() * 8);
    // Cut off where a part ends, the file is a package that nobody signed. That is why a name that somebody signs is never
    // taken unsigned.
    let first = Package::read(&whole).unwrap();
    let known = policy
        .judge(&first, &Remembered::default(), [], None, NOW)
        .unwrap()
        .remember
        .unwrap();
    for cut in 0..whole.len() {
        let read = Package::read(&whole[..cut]);
        assert!(
            read.is_err() || read.is_ok_and(|cut| policy.judge(&cut, &known, [], None, NOW).is_err()),
            "cut at {cut}"
        );
    }
    for extra in [&b"\0"[..], b"\0\x02\x01a", b"\0\x11\x10sluice:signature"] {
        assert!(judge(&[&whole[..], extra].concat()).is_err());
    }
}

#[test]
fn a_signature_goes_to_no_other_package() {
    let key = key();
    let text = sluice_package::sign(&pack("acme", "1.0.0").bytes, &key, &terms("acme")).unwrap();
    for other in [pack("acme", "1.0.1"), pack("acmf", "1.0.0")] {
        let error = sluice_package::attach(&other.bytes, &text).unwrap_err();
        assert_eq!(error.code(), "package.untrusted", "{error}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(mut tail in proptest::collection::vec(any::<u8>(), 0..200), head in 0..3u8) {
        let mut bytes = if head == 0 { Vec::new() } else { component() };
        if head == 2 {
            bytes.extend(section("sluice:manifest", manifest("acme", "1.0.0").as_bytes()));
        }
        bytes.append(&mut tail);
        let _ = Package::read(&bytes);
    }

    #[test]
    fn any_readme_is_kept_or_refused(readme in "\\PC{0,200}") {
        let text = manifest("acme", "1.0.0");
        let pack = Pack { component: &component(), manifest: &text, readme: Some(&readme), ..Pack::default() };
        if let Ok(packed) = pack.make() {
            let package = Package::read(&packed.bytes).unwrap();
            let expected = readme.replace("\r\n", "\n");
            prop_assert_eq!(package.text(Part::Readme), Some(expected.as_str()));
        }
    }
}
