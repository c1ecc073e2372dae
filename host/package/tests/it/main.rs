//! Packages as authors make them, as attackers change them, and as organizations judge them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests are free"
)]

mod bundle;
mod file;
mod place;
mod trust;

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_package::{Pack, Packed, SigningKey, Terms};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A manifest that asks for nothing.
pub(crate) fn manifest(id: &str, version: &str) -> String {
    format!(
        "manifest = 1\nid = \"{id}\"\nversion = \"{version}\"\ncontract = \"0.1\"\nname = \"Acme\"\ndescription = \"d\"\ncategory = \"c\"\n\
         licence = \"MIT\"\n[config]\ntype = \"object\"\n"
    )
}

/// A component with names, DWARF, and a component in it.
pub(crate) fn component() -> Vec<u8> {
    wat::parse_str(
        "(component $outer
           (core module $m (@custom \".debug_info\" \"dwarf\") (func $named (export \"f\")))
           (component $inner (core module (func $deep) (@custom \".debug_line\" \"lines\"))))",
    )
    .unwrap()
}

pub(crate) fn pack(id: &str, version: &str) -> Packed {
    let manifest = manifest(id, version);
    let pack = Pack {
        component: &component(),
        manifest: &manifest,
        readme: Some("# Acme\r\nreads things\n"),
        icon: Some(b"<svg viewBox=\"0 0 1 1\"><path d=\"M0 0\"/></svg>"),
        licence: Some("do what you like\n"),
        sbom: Some("{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\"}"),
        strip_names: false,
    };
    pack.make().unwrap()
}

pub(crate) fn key() -> SigningKey {
    SigningKey::read(&SigningKey::generate().unwrap()).unwrap()
}

pub(crate) fn terms(publisher: &str) -> Terms {
    Terms {
        publisher: publisher.parse().unwrap(),
        signed: NOW,
        lifetime: 365 * DAY,
    }
}

/// A signed package.
pub(crate) fn signed(id: &str, version: &str, publisher: &str, key: &SigningKey) -> Vec<u8> {
    let packed = pack(id, version);
    let text = sluice_package::sign(&packed.bytes, key, &terms(publisher)).unwrap();
    sluice_package::attach(&packed.bytes, &text).unwrap()
}
