//! Content codings of webhooks (RFC 9110 §8.4): vendors sign the bytes on the wire, connectors read what is in them.
//!
//! What must always hold: a signature is checked before anything is inflated; what comes of it is bounded whatever the
//! sender packed; what is kept is what came over the wire.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// How much of a body is inflated to look for its id.
pub(super) const LOOKED_AT_BYTES: u64 = 8 << 20;

/// Why a body can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("its content-encoding is none that is known here: gzip and deflate are")]
    Unknown,
    #[error("it is not what its content-encoding says")]
    Corrupt,
    #[error("it is more than {0} bytes when it is inflated")]
    TooLarge(u64),
}

/// The body without its coding, of at most `limit` bytes.
pub(super) fn plain<'b>(
    headers: &[(String, String)],
    body: &'b [u8],
    limit: u64,
) -> Result<Cow<'b, [u8]>, Unreadable> {
    let mut codings = headers
        .iter()
        .filter(|(name, _)| name == "content-encoding")
        .map(|(_, coding)| coding.trim().to_ascii_lowercase());
    let coding = codings.next();
    if codings.next().is_some() {
        return Err(Unreadable::Unknown);
    }
    match coding.as_deref() {
        None | Some("" | "identity") => Ok(Cow::Borrowed(body)),
        Some("gzip" | "x-gzip") => inflated(MultiGzDecoder::new(body), limit),
        Some("deflate") => inflated(ZlibDecoder::new(body), limit),
        Some(_) => Err(Unreadable::Unknown),
    }
}

fn inflated<'b>(from: impl Read, limit: u64) -> Result<Cow<'b, [u8]>, Unreadable> {
    let mut out = Vec::new();
    from.take(limit.saturating_add(1))
        .read_to_end(&mut out)
        .map_err(|_| Unreadable::Corrupt)?;
    if out.len() as u64 > limit {
        return Err(Unreadable::TooLarge(limit));
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn coded(coding: &str) -> Vec<(String, String)> {
        vec![("content-encoding".to_owned(), coding.to_owned())]
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(text in prop::collection::vec(any::<u8>(), 0..2000)) {
            let packed = gzip(&text);
            let unpacked = plain(&coded("GZIP"), &packed, 2000).unwrap();
            prop_assert_eq!(unpacked.as_ref(), text.as_slice());
            let cut = packed.get(..packed.len() - 1).unwrap_or_default();
            prop_assert_eq!(plain(&coded("gzip"), cut, 2000), Err(Unreadable::Corrupt));
        }

        #[test]
        fn nothing_that_comes_in_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(plain(&coded("gzip"), &bytes, 100));
            drop(plain(&coded("deflate"), &bytes, 100));
        }
    }

    #[test]
    fn a_bomb_is_cut_off() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert_eq!(
            plain(&coded("gzip"), &bomb, 1 << 20),
            Err(Unreadable::TooLarge(1 << 20))
        );
    }

    #[test]
    fn codings() {
        assert_eq!(plain(&[], b"a", 10), Ok(Cow::Borrowed(&b"a"[..])));
        assert_eq!(plain(&coded("br"), b"a", 10), Err(Unreadable::Unknown));
        assert_eq!(plain(&coded("gzip, gzip"), b"a", 10), Err(Unreadable::Unknown));
        let twice = [coded("gzip"), coded("gzip")].concat();
        assert_eq!(plain(&twice, b"a", 10), Err(Unreadable::Unknown));
    }
}
