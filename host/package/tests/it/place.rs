//! Where packages lie: indexes and registries.

use sluice_package::index::{self, Index};
use sluice_package::oci::{self, Layout, Reference};
use sluice_package::{Digest, Package, Untrusted};

use super::{DAY, NOW, key, pack, signed};

#[test]
fn an_index_lists_and_finds() {
    let mut list = Index::default();
    for version in ["1.10.0", "1.9.0", "2.0.0-rc.1"] {
        let bytes = pack("acme", version).bytes;
        list.add(&Package::read(&bytes).unwrap(), &bytes).unwrap();
    }
    let bytes = pack("acme", "1.9.0").bytes;
    list.add(&Package::read(&bytes).unwrap(), &bytes).unwrap();
    let other = signed("acme", "1.9.0", "acme", &key());
    assert!(list.add(&Package::read(&other).unwrap(), &other).is_err());
    let list = Index::read(list.to_text().as_bytes()).unwrap();
    assert_eq!(list.packages().len(), 3);
    let acme = "acme".parse().unwrap();
    let newest = list.find(&acme, None).unwrap();
    assert_eq!(
        (newest.version.as_str(), newest.file.as_str()),
        ("1.10.0", "acme-1.10.0.wasm")
    );
    let version = "2.0.0-rc.1".parse().unwrap();
    assert_eq!(list.find(&acme, Some(&version)).unwrap().version, version);
    assert_eq!(
        list.find(&"other".parse().unwrap(), None).unwrap_err().code(),
        "package.not_found"
    );
}

#[test]
fn an_index_of_a_stranger_is_read_with_care() {
    let digest = Digest::of(b"");
    let listing = |file: &str, more: &str| {
        format!(
            "{{\"format\":\"sluice-index-1\",\"packages\":[{{\"name\":\"acme\",\"version\":\"1.0.0\",\"file\":{file:?},\
             \"digest\":\"{digest}\",\"bytes\":1{more}}}]}}"
        )
    };
    Index::read(listing("acme-1.0.0.wasm", "").as_bytes()).unwrap();
    for file in [
        "../a.wasm",
        "/a.wasm",
        "a/b.wasm",
        ".a.wasm",
        "a..wasm",
        "a.wasm\n",
        "a\\b.wasm",
        "a.txt",
        "%2e.wasm",
        "",
    ] {
        assert!(Index::read(listing(file, "").as_bytes()).is_err(), "{file}");
    }
    assert!(Index::read(listing("a.wasm", ",\"x\":1").as_bytes()).is_err());
    assert!(Index::read(b"[").is_err());
    assert!(Index::read(&vec![b' '; 9 << 20]).is_err());
}

#[test]
fn an_index_is_neither_held_back_nor_turned_back() {
    let key = key();
    let text = Index::default().to_text();
    let sign = |at| index::sign(text.as_bytes(), &key, at, 7 * DAY);
    let old = sign(NOW);
    let found = index::verify(text.as_bytes(), &old, None, NOW.after(DAY)).unwrap();
    assert_eq!((found.key, found.signed), (key.public(), NOW));
    let error = index::verify(text.as_bytes(), &old, None, NOW.after(8 * DAY)).unwrap_err();
    assert!(matches!(error, Untrusted::Expired(_)), "{error}");
    let error = index::verify(text.as_bytes(), &old, Some(NOW.after(DAY)), NOW.after(DAY)).unwrap_err();
    assert_eq!(error.code(), "package.rollback", "{error}");
    assert!(matches!(
        index::verify(text.as_bytes(), &sign(NOW.after(DAY)), None, NOW),
        Err(Untrusted::Future(86_400))
    ));
    assert_eq!(index::verify(b"{}", &old, None, NOW), Err(Untrusted::Content));
    for at in 0..old.len() {
        let mut changed = old.clone().into_bytes();
        changed[at] ^= 1;
        if let Ok(changed) = String::from_utf8(changed) {
            assert!(
                index::verify(text.as_bytes(), &changed, None, NOW).is_err(),
                "byte {at}"
            );
        }
    }
}

#[test]
fn a_registry_is_given_what_wkg_reads() {
    let whole = signed("acme", "1.0.0+b1", "acme-inc", &key());
    let package = Package::read(&whole).unwrap();
    let layout = Layout::of(&package, &whole).unwrap();
    assert_eq!(layout.tag, "1.0.0_b1");
    let manifest: serde_json::Value = serde_json::from_slice(&layout.manifest).unwrap();
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.version"],
        "1.0.0+b1"
    );
    let config: serde_json::Value = serde_json::from_slice(&layout.config).unwrap();
    assert_eq!(
        (&config["architecture"], &config["os"]),
        (&"wasm".into(), &"wasip2".into())
    );
    assert_eq!(config["layerDigests"][0], layout.layer_digest.to_string());
    assert!(config["created"].as_str().unwrap().ends_with('Z'));
    assert!(config["component"]["imports"].is_array());
    assert_eq!(
        oci::component(&layout.manifest),
        Ok((Digest::of(&whole), whole.len() as u64))
    );
    for (from, to) in [
        ("\"schemaVersion\":2", "\"schemaVersion\":1"),
        ("vnd.wasm.config.v0", "vnd.oci.image.config.v1"),
        ("application/wasm", "application/tar"),
        ("image.manifest.v1", "image.index.v1"),
        ("sha256:", "sha512:"),
    ] {
        let text = String::from_utf8(layout.manifest.clone()).unwrap();
        assert!(text.contains(from));
        assert!(oci::component(text.replace(from, to).as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn references_are_whole() {
    for text in [
        "oci://127.0.0.1:5000/sluice/acme:1.0.0",
        "oci://registry.example.com/acme:1.0.0_b1",
        &format!("oci://registry.example.com/a/b-c/d_e@{}", Digest::of(b"")),
    ] {
        assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
    }
    for text in [
        "registry.example.com/acme:1",
        "oci://registry.example.com/acme",
        "oci://registry.example.com/:1",
        "oci://registry.example.com/../acme:1",
        "oci://registry.example.com/a//b:1",
        "oci://registry.example.com/Acme:1",
        "oci://user@registry.example.com/acme:1",
        "oci:///acme:1",
        "oci://registry.example.com/acme:-1",
        "oci://registry.example.com/acme:1?x=y",
        "oci://registry.example.com/acme@sha256:00",
    ] {
        assert!(text.parse::<Reference>().is_err(), "{text}");
    }
}
