//! Packaging: the manifest goes into the component as a custom section, readable without running the code.

use anyhow::{Result, bail};

/// The name of the section that holds the exact bytes of `connector.toml`.
const SECTION: &[u8] = b"sluice:manifest";

/// What every component begins with: the magic of WebAssembly, then version 13 of the component layer.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// `component` with `manifest` as its last section. Refused: what is no component, and one that has a manifest already,
/// because readers would have to choose.
pub(crate) fn embed_manifest(component: &[u8], manifest: &str) -> Result<Vec<u8>> {
    let Some(mut rest) = component.strip_prefix(COMPONENT) else {
        bail!("not a WebAssembly component")
    };
    while let Some((id, after)) = rest.split_first() {
        let Some((section, next)) = sized(after) else {
            bail!("the component is cut off")
        };
        if *id == 0 && sized(section).is_some_and(|(name, _)| name == SECTION) {
            bail!("the component has a manifest already");
        }
        rest = next;
    }
    let mut content = Vec::with_capacity(SECTION.len() + manifest.len() + 1);
    leb128(SECTION.len(), &mut content);
    content.extend_from_slice(SECTION);
    content.extend_from_slice(manifest.as_bytes());
    let mut bytes = Vec::with_capacity(component.len() + content.len() + 6);
    bytes.extend_from_slice(component);
    bytes.push(0);
    leb128(content.len(), &mut bytes);
    bytes.extend_from_slice(&content);
    Ok(bytes)
}

/// The bytes after a length, and what follows them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return bytes.get(at + 1..)?.split_at_checked(length);
        }
    }
    None
}

/// Unsigned LEB128, as WebAssembly writes lengths.
fn leb128(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_the_last_section() {
        for bytes in [0, 1, 111, 112, 127, 128, 20_000] {
            let manifest = "m".repeat(bytes);
            let packed = embed_manifest(COMPONENT, &manifest).unwrap();
            let section = packed.strip_prefix(COMPONENT).unwrap();
            let (content, rest) = sized(&section[1..]).unwrap();
            assert_eq!((section[0], rest), (0, &[][..]));
            let (name, data) = sized(content).unwrap();
            assert_eq!((name, data), (SECTION, manifest.as_bytes()));
        }
    }

    #[test]
    fn only_a_component_without_one_gets_one() {
        let packed = embed_manifest(COMPONENT, "id = 1").unwrap();
        assert!(embed_manifest(&packed, "id = 2").is_err());
        assert!(embed_manifest(b"\0asm\x01\0\0\0", "").is_err());
        assert!(embed_manifest(&packed[..packed.len() - 1], "").is_err());
    }
}
