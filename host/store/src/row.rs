//! Rows: what is kept under a key. A checksum over key, version and content goes first, so that a flipped bit or a row
//! under another row's key is found when it is read, whatever the database believes of its pages. Then the version of
//! the encoding, then the content: JSON where rows are small, bytes where they are many or large.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::table::Table;

/// The encoding that is written. A change of a row's encoding raises it and teaches [`open`] both.
const VERSION: u8 = 1;

/// Bytes before the content.
pub(crate) const HEAD: usize = 5;

/// No value is larger: what a guest or a vendor sends is capped far below it.
pub(crate) const MAX_VALUE_BYTES: usize = 32 << 20;

/// No name that becomes part of a key is longer.
pub(crate) const MAX_NAME_BYTES: usize = 1024;

/// Fills `out`, which is `HEAD` and the parts' lengths long.
pub(crate) fn write(key: &[u8], parts: &[&[u8]], out: &mut [u8]) {
    let mut sum = crc32fast::Hasher::new();
    sum.update(key);
    sum.update(&[VERSION]);
    parts.iter().for_each(|part| sum.update(part));
    let Some((head, mut rest)) = out.split_first_chunk_mut::<HEAD>() else {
        return;
    };
    let [a, b, c, d] = sum.finalize().to_le_bytes();
    *head = [a, b, c, d, VERSION];
    for part in parts {
        let Some((here, behind)) = rest.split_at_mut_checked(part.len()) else {
            return;
        };
        here.copy_from_slice(part);
        rest = behind;
    }
}

/// The content of a row, if it is what was written under this key.
pub(crate) fn open<'a>(table: Table, key: &[u8], row: &'a [u8]) -> Result<&'a [u8], Error> {
    let (head, content) = row
        .split_first_chunk::<HEAD>()
        .ok_or_else(|| corrupt(table, "a row is truncated"))?;
    let [a, b, c, d, version] = *head;
    let mut sum = crc32fast::Hasher::new();
    sum.update(key);
    sum.update(&[version]);
    sum.update(content);
    if sum.finalize() != u32::from_le_bytes([a, b, c, d]) {
        return Err(corrupt(table, "a row's checksum is wrong"));
    }
    if version != VERSION {
        return Err(corrupt(
            table,
            "a row is in an encoding that this Sluice does not know",
        ));
    }
    Ok(content)
}

pub(crate) fn corrupt(table: Table, reason: &str) -> Error {
    Error::Corrupt {
        table: table.name(),
        reason: reason.to_owned(),
    }
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|_| Error::Broken("encode a row as JSON"))
}

pub(crate) fn from_json<T: DeserializeOwned>(table: Table, content: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(content).map_err(|error| corrupt(table, &format!("a row does not parse: {error}")))
}

/// A JSON head and bytes behind it: `length of the head, head, bytes`.
pub(crate) fn with_head<T: Serialize>(head: &T) -> Result<Vec<u8>, Error> {
    let json = to_json(head)?;
    let len = u32::try_from(json.len()).map_err(|_| Error::Broken("encode a row's head"))?;
    let mut out = Vec::with_capacity(json.len() + 4);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&json);
    Ok(out)
}

/// Takes apart what [`with_head`] and bytes behind it made.
pub(crate) fn split_head<T: DeserializeOwned>(table: Table, content: &[u8]) -> Result<(T, &[u8]), Error> {
    let (head, _, bytes) = split_head_bytes(table, content)?;
    Ok((head, bytes))
}

/// The same, with the head also as it is written, so that bytes can be put behind it anew.
pub(crate) fn split_head_bytes<T: DeserializeOwned>(
    table: Table,
    content: &[u8],
) -> Result<(T, &[u8], &[u8]), Error> {
    let short = || corrupt(table, "a row is truncated");
    let len = content.first_chunk::<4>().ok_or_else(short)?;
    let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| short())?;
    let border = len.checked_add(4).ok_or_else(short)?;
    let (written, bytes) = content.split_at_checked(border).ok_or_else(short)?;
    let head = from_json(table, written.get(4..).unwrap_or_default())?;
    Ok((head, written, bytes))
}

pub(crate) fn utf8(table: Table, bytes: &[u8]) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec()).map_err(|_| corrupt(table, "a text is not UTF-8"))
}

/// Refuses a value over `limit`.
pub(crate) const fn cap(what: &'static str, bytes: usize, limit: usize) -> Result<(), Error> {
    if bytes > limit {
        Err(Error::TooLarge { what, bytes, limit })
    } else {
        Ok(())
    }
}

/// Refuses a name that is too long for a key.
pub(crate) const fn cap_name(what: &'static str, name: &str) -> Result<(), Error> {
    cap(what, name.len(), MAX_NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(key: &[u8], content: &[u8]) -> Vec<u8> {
        let mut out = vec![0; HEAD + content.len()];
        write(key, &[content], &mut out);
        out
    }

    proptest! {
        #[test]
        fn content_comes_back(key: Vec<u8>, content: Vec<u8>) {
            let row = row(&key, &content);
            prop_assert_eq!(open(Table::Meta, &key, &row).unwrap(), content.as_slice());
        }

        #[test]
        fn a_flipped_bit_is_found(key: Vec<u8>, content: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
            let mut row = row(&key, &content);
            let at = at.index(row.len());
            row[at] ^= 1 << bit;
            prop_assert_eq!(open(Table::Meta, &key, &row).unwrap_err().code(), "storage.corrupt");
        }

        #[test]
        fn another_rows_content_is_found(a in "[ab]{1,4}", b in "[ab]{1,4}", content: Vec<u8>) {
            prop_assume!(a != b);
            prop_assert!(open(Table::Meta, b.as_bytes(), &row(a.as_bytes(), &content)).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            let _ = open(Table::Meta, b"k", &bytes);
            let _ = split_head::<u64>(Table::Meta, &bytes);
        }
    }
}
