//! Content codings of responses: gzip, because the broker asks for it, and none. A decoder never holds more than its cap.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Compressed bytes that are decoded at once: at most about a mebibyte comes of it.
pub(crate) const STEP_BYTES: usize = 1 << 10;

pub(crate) enum Decoder {
    Plain,
    Gzip(Box<MultiGzDecoder<Sink>>),
}

/// Takes what is decoded, up to what is left of the cap.
pub(crate) struct Sink {
    out: Vec<u8>,
    left: u64,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// The response has a coding that was not asked for.
    Unknown,
    /// It is not what the coding says.
    Corrupt,
    /// It ends before its end.
    Truncated,
    /// It is more than the cap.
    TooLarge,
}

impl Decoder {
    pub(crate) fn of(headers: &HeaderMap, cap: u64) -> Result<Self, DecodeError> {
        let mut codings = headers.get_all(CONTENT_ENCODING).iter();
        let coding = codings.next().map(|coding| coding.as_bytes().trim_ascii());
        if codings.next().is_some() {
            return Err(DecodeError::Unknown);
        }
        match coding {
            None | Some(b"" | b"identity") => Ok(Self::Plain),
            Some(coding)
                if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") =>
            {
                let sink = Sink {
                    out: Vec::new(),
                    left: cap,
                    over: false,
                };
                Ok(Self::Gzip(Box::new(MultiGzDecoder::new(sink))))
            }
            Some(_) => Err(DecodeError::Unknown),
        }
    }

    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Decodes the next piece.
    pub(crate) fn feed(&mut self, piece: Bytes) -> Result<Bytes, DecodeError> {
        let Self::Gzip(gzip) = self else { return Ok(piece) };
        let written = gzip.write_all(&piece).and_then(|()| gzip.flush());
        match written {
            Ok(()) => Ok(std::mem::take(&mut gzip.get_mut().out).into()),
            Err(_) if gzip.get_ref().over => Err(DecodeError::TooLarge),
            Err(_) => Err(DecodeError::Corrupt),
        }
    }

    /// The rest, at the end of the body.
    pub(crate) fn finish(&mut self) -> Result<Bytes, DecodeError> {
        let Self::Gzip(gzip) = self else {
            return Ok(Bytes::new());
        };
        match gzip.try_finish() {
            Ok(()) => Ok(std::mem::take(&mut gzip.get_mut().out).into()),
            Err(_) if gzip.get_ref().over => Err(DecodeError::TooLarge),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(DecodeError::Truncated),
            Err(_) => Err(DecodeError::Corrupt),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let len = piece.len() as u64;
        match self.left.checked_sub(len) {
            Some(left) => self.left = left,
            None => {
                self.over = true;
                return Err(io::Error::other("over the cap"));
            }
        }
        self.out.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(wire: &[u8], step: usize, cap: u64) -> Result<Vec<u8>, DecodeError> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        let mut decoder = Decoder::of(&headers, cap)?;
        let mut out = Vec::new();
        for piece in wire.chunks(step) {
            out.extend_from_slice(&decoder.feed(Bytes::copy_from_slice(piece))?);
        }
        out.extend_from_slice(&decoder.finish()?);
        Ok(out)
    }

    #[test]
    fn whole_and_broken() {
        let text = b"hello hello hello hello".repeat(50);
        let wire = gzip(&text);
        for step in [1, 7, wire.len()] {
            assert_eq!(decode(&wire, step, 10_000).unwrap(), text);
            let twice = [wire.clone(), wire.clone()].concat();
            assert_eq!(
                decode(&twice, step, 10_000).unwrap(),
                [text.clone(), text.clone()].concat()
            );
            for cut in 0..wire.len() {
                assert!(
                    decode(&wire[..cut], step, 10_000).is_err(),
                    "cut at {cut} of {}",
                    wire.len()
                );
            }
        }
        assert_eq!(decode(&wire, 7, 100), Err(DecodeError::TooLarge));
        assert!(decode(b"not gzip at all, really not", 5, 100).is_err());
        let mut flipped = wire;
        let at = flipped.len() - 6;
        flipped[at] ^= 1;
        assert!(decode(&flipped, 5, 10_000).is_err());
    }

    #[test]
    fn a_bomb_stays_small() {
        let wire = gzip(&vec![0; 50 << 20]);
        assert_eq!(decode(&wire, STEP_BYTES, 1 << 20), Err(DecodeError::TooLarge));
    }

    #[test]
    fn unknown_codings() {
        for coding in ["br", "deflate", "gzip, gzip", "zstd"] {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(coding))]);
            assert_eq!(Decoder::of(&headers, 1).err(), Some(DecodeError::Unknown));
        }
    }
}
