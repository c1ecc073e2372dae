//! Packaging: the manifest goes into the component as a custom section, readable without running the code.

/// `component` with `manifest` as its custom section `sluice:manifest`.
pub(crate) fn embed_manifest(component: &[u8], manifest: &str) -> Vec<u8> {
    let name = b"sluice:manifest";
    let mut bytes = component.to_vec();
    bytes.push(0);
    leb128(1 + name.len() + manifest.len(), &mut bytes);
    leb128(name.len(), &mut bytes);
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(manifest.as_bytes());
    bytes
}

fn leb128(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
