//! A streamed body taken apart at its line ends. No more of it is held than a piece and a line. Where reading stands is a
//! number of bytes and a hash of them: a body that begins with the same bytes can be gone on with.

use sluice_sdk::Error;
use sluice_sdk::http::Incoming;

/// How many bytes are asked for at once.
const PIECE: u32 = 262_144;

/// The longest line. Mixpanel takes events of up to 1 MB.
const MAX_LINE_BYTES: usize = 8 << 20;

/// FNV-1a of 64 bits (draft-eastlake-fnv).
const PRIME: u64 = 0x0000_0100_0000_01b3;
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

#[derive(Debug)]
pub(crate) struct Lines {
    incoming: Incoming,
    buffer: Vec<u8>,
    /// Where in the buffer the next line begins.
    at: usize,
    is_ended: bool,
    place: Place,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bytes: u64,
    pub(crate) hash: u64,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            bytes: 0,
            hash: OFFSET,
        }
    }
}

impl Place {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash = fnv(self.hash, bytes);
    }
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// A hash of several parts, in which where one ends makes a difference.
pub(crate) fn hash(parts: &[&str]) -> u64 {
    parts
        .iter()
        .fold(OFFSET, |hash, part| fnv(fnv(hash, part.as_bytes()), &[0xff]))
}

impl Lines {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self {
            incoming,
            buffer: Vec::new(),
            at: 0,
            is_ended: false,
            place: Place::default(),
        }
    }

    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// Passes over what was read before. False if the body does not begin with that.
    pub(crate) fn skip(&mut self, before: Place) -> Result<bool, Error> {
        while self.place.bytes < before.bytes {
            if self.at >= self.buffer.len() && !self.fill()? {
                return Ok(false);
            }
            let wanted = usize::try_from(before.bytes - self.place.bytes).unwrap_or(usize::MAX);
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let piece = rest.get(..wanted.min(rest.len())).unwrap_or_default();
            self.place.take(piece);
            self.at += piece.len();
        }
        Ok(self.place == before)
    }

    /// The next line without its end; none at the end of the body. An empty line is one.
    pub(crate) fn next(&mut self) -> Result<Option<String>, Error> {
        let mut looked_at = 0;
        let end = loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let unseen = rest.get(looked_at..).unwrap_or_default();
            if let Some(end) = unseen.iter().position(|byte| *byte == b'\n') {
                break looked_at + end + 1;
            }
            looked_at = rest.len();
            if looked_at > MAX_LINE_BYTES {
                return Err(Error::invalid_data(format!(
                    "a line of the export is longer than {MAX_LINE_BYTES} bytes"
                )));
            }
            if !self.fill()? {
                if looked_at == 0 {
                    return Ok(None);
                }
                break looked_at;
            }
        };
        let line = self.buffer.get(self.at..self.at + end).unwrap_or_default();
        self.place.take(line);
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        self.at += end;
        Ok(Some(text))
    }

    /// Takes another piece in. False at the end of the body.
    fn fill(&mut self) -> Result<bool, Error> {
        if self.is_ended {
            return Ok(false);
        }
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.at = 0;
        match self.incoming.read(PIECE)? {
            Some(piece) => {
                self.buffer.extend(piece);
                Ok(true)
            }
            None => {
                self.is_ended = true;
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sluice_sdk::{http, testing};

    fn open(body: &str) -> Lines {
        let body = body.to_owned();
        testing::serve(move |_| testing::answer(200, &[], &body));
        Lines::new(http::open(http::get("https://data.mixpanel.com/")).unwrap())
    }

    fn rest(lines: &mut Lines) -> Vec<String> {
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn a_last_line_needs_no_end() {
        assert_eq!(rest(&mut open("a\r\n\nb")), ["a", "", "b"]);
        assert_eq!(rest(&mut open("a\n")), ["a"]);
        assert!(rest(&mut open("")).is_empty());
    }

    #[test]
    fn lines_over_several_pieces_and_too_long_ones() {
        let long = "x".repeat(PIECE as usize * 3);
        assert_eq!(rest(&mut open(&format!("a\n{long}\nb\n"))), ["a", &long, "b"]);
        let endless = "x".repeat(MAX_LINE_BYTES + PIECE as usize + 1);
        assert!(open(&endless).next().is_err());
    }

    #[test]
    fn another_beginning_is_noticed() {
        let mut lines = open("a\nb\n");
        lines.next().unwrap();
        let place = lines.place();
        assert!(open("a\nc\n").skip(place).unwrap());
        assert!(!open("x\nc\n").skip(place).unwrap());
        assert!(!open("a").skip(place).unwrap());
    }

    proptest! {
        #[test]
        fn going_on_anywhere_gives_the_rest(lines in proptest::collection::vec("[a-zä]{0,5}", 0..20), stop in 0_usize..20) {
            let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut first = open(&body);
            let stop = stop.min(lines.len());
            for line in &lines[..stop] {
                prop_assert_eq!(first.next().unwrap(), Some(line.clone()));
            }
            let mut second = open(&body);
            prop_assert!(second.skip(first.place()).unwrap());
            prop_assert_eq!(rest(&mut second), lines[stop..].to_vec());
        }
    }
}
