//! A body that is signed while it is sent: AWS, "Signature Calculations for the Authorization Header: Transferring
//! Payload in Multiple Chunks (Chunked Upload)".
//!
//! What must always hold: a chunk's signature covers its bytes and the signature before it, the first one's that of the
//! request itself, and an empty chunk ends the body. So no chunk can be changed, dropped, moved or added on the way.

use bytes::{BufMut, Bytes, BytesMut};
use data_encoding::HEXLOWER;
use ring::hmac;

use super::sha256;

/// What the request says in the digest's place.
pub(super) const PAYLOAD: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
/// How its body is coded, as the request's Content-Encoding says.
pub(super) const CODING: &str = "aws-chunked";
/// Bytes of every chunk but the last: AWS's own examples have as many; 8 KiB are the fewest that it takes.
const CHUNK_BYTES: usize = 64 << 10;
/// `;chunk-signature=`, 64 digits, and the two ends of lines.
const FRAME_BYTES: u64 = 17 + 64 + 4;

/// Signs a body chunk by chunk, whatever pieces it comes in. Holds less than one chunk.
pub(crate) struct Chunks {
    key: hmac::Key,
    /// `20130524T000000Z`.
    moment: String,
    /// `20130524/us-east-1/s3/aws4_request`.
    scope: String,
    previous: String,
    held: BytesMut,
}

impl Chunks {
    /// After a request with the signature `seed`.
    pub(super) fn new(key: hmac::Key, moment: String, scope: String, seed: String) -> Self {
        Self {
            key,
            moment,
            scope,
            previous: seed,
            held: BytesMut::new(),
        }
    }

    /// The chunks that are complete once `bytes` are there.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Bytes {
        self.held.extend_from_slice(bytes);
        let mut out = BytesMut::new();
        while self.held.len() >= CHUNK_BYTES {
            let chunk = self.held.split_to(CHUNK_BYTES);
            self.frame(&chunk, &mut out);
        }
        out.freeze()
    }

    /// The rest, and the end.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        let rest = self.held.split();
        if !rest.is_empty() {
            self.frame(&rest, &mut out);
        }
        self.frame(b"", &mut out);
        out.freeze()
    }

    fn frame(&mut self, chunk: &[u8], out: &mut BytesMut) {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{}",
            self.moment,
            self.scope,
            self.previous,
            sha256(b""),
            sha256(chunk)
        );
        self.previous = HEXLOWER.encode(hmac::sign(&self.key, text.as_bytes()).as_ref());
        let head = format!("{:x};chunk-signature={}\r\n", chunk.len(), self.previous);
        out.reserve(head.len() + chunk.len() + 2);
        out.put_slice(head.as_bytes());
        out.put_slice(chunk);
        out.put_slice(b"\r\n");
    }
}

/// How many bytes a body of `length` has on the wire.
pub(crate) fn wire_bytes(length: u64) -> u64 {
    let full = CHUNK_BYTES as u64;
    let framed = |chunk: u64| {
        let digits = u64::from(chunk.checked_ilog2().unwrap_or_default() / 4 + 1);
        digits + FRAME_BYTES + chunk
    };
    let rest = match length % full {
        0 => 0,
        rest => framed(rest),
    };
    (length / full)
        .saturating_mul(framed(full))
        .saturating_add(rest)
        .saturating_add(framed(0))
}
