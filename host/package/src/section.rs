//! Sections of WebAssembly binaries, taken apart by their lengths and put together again: binary format §5.5.2.

use crate::error::FormatError;

/// What every component begins with: the magic, then version 13 of the component layer.
pub(crate) const COMPONENT: &[u8; 8] = b"\0asm\x0d\0\x01\0";

/// What a core module begins with.
pub(crate) const MODULE: &[u8; 8] = b"\0asm\x01\0\0\0";

/// Id of a custom section, on both layers.
pub(crate) const CUSTOM: u8 = 0;

/// One section of a binary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) id: u8,
    pub(crate) content: &'a [u8],
    /// The section with its id and length.
    pub(crate) whole: &'a [u8],
    /// Where it begins in the binary.
    pub(crate) start: usize,
}

impl<'a> Section<'a> {
    /// Name and data of a custom section.
    pub(crate) fn custom(&self) -> Option<(&'a str, &'a [u8])> {
        if self.id != CUSTOM {
            return None;
        }
        let (name, data) = sized(self.content)?;
        Some((std::str::from_utf8(name).ok()?, data))
    }
}

/// The sections after an eight-byte head.
pub(crate) fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>, FormatError> {
    let malformed = |offset: usize, reason: &str| FormatError::Malformed {
        reason: reason.to_owned(),
        offset,
    };
    let mut found = Vec::new();
    let mut rest = bytes.get(COMPONENT.len()..).unwrap_or_default();
    while let Some((id, after)) = rest.split_first() {
        let start = bytes.len() - rest.len();
        let (content, next) = sized(after).ok_or_else(|| malformed(start, "a section is cut off"))?;
        if found.len() == MAX_SECTIONS {
            return Err(malformed(start, "too many sections"));
        }
        let whole = rest.get(..rest.len() - next.len()).unwrap_or_default();
        found.push(Section {
            id: *id,
            content,
            whole,
            start,
        });
        rest = next;
    }
    Ok(found)
}

/// More than any toolchain makes of one binary.
const MAX_SECTIONS: usize = 100_000;

/// Appends a section.
pub(crate) fn write(id: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(id);
    leb128(content.len(), out);
    out.extend_from_slice(content);
}

/// Appends a custom section.
pub(crate) fn write_custom(name: &str, data: &[u8], out: &mut Vec<u8>) {
    let mut content = Vec::with_capacity(name.len() + data.len() + 5);
    leb128(name.len(), &mut content);
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(data);
    write(CUSTOM, &content, out);
}

/// Whether a custom section is written as we write it: no length in more bytes than it takes.
pub(crate) fn is_canonical(section: &Section<'_>, name: &str, data: &[u8]) -> bool {
    let mut again = Vec::with_capacity(section.whole.len());
    write_custom(name, data, &mut again);
    again == section.whole
}

/// The bytes after a length, and what follows them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return bytes
                .get(at + 1..)?
                .split_at_checked(usize::try_from(length).ok()?);
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
