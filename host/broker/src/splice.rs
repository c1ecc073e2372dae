//! Replaces texts in a stream of bytes, whatever way the stream is cut into chunks: placeholders by secrets on the way
//! out, secrets by their names on the way in.

use bytes::Bytes;
use zeroize::Zeroizing;

/// Texts to look for and what to put in their place. Where several match at one position the longest wins.
pub(crate) struct Splice {
    /// Longest first, grouped by first byte.
    needles: Vec<Vec<Needle>>,
    /// One bit for each pair of bytes that begins a needle.
    pairs: Box<[u64]>,
    /// The end of the stream so far, where it may be the beginning of a needle.
    held: Zeroizing<Vec<u8>>,
    found: u64,
}

pub(crate) struct Needle {
    pub(crate) find: Zeroizing<Vec<u8>>,
    pub(crate) put: Zeroizing<Vec<u8>>,
}

enum At {
    Match(usize),
    MayBegin,
    Nothing,
}

impl Splice {
    /// Needles of less than two bytes are ignored.
    pub(crate) fn new(all: impl IntoIterator<Item = Needle>) -> Self {
        let mut needles: Vec<Vec<Needle>> = Vec::new();
        let mut pairs = vec![0u64; 1024].into_boxed_slice();
        for needle in all {
            let &[first, second, ..] = needle.find.as_slice() else {
                continue;
            };
            if needles.is_empty() {
                needles.resize_with(256, Vec::new);
            }
            let pair = usize::from(first) << 8 | usize::from(second);
            if let Some(word) = pairs.get_mut(pair >> 6) {
                *word |= 1 << (pair & 63);
            }
            if let Some(group) = needles.get_mut(usize::from(first))
                && !group.iter().any(|known| known.find == needle.find)
            {
                group.push(needle);
            }
        }
        for group in &mut needles {
            group.sort_by_key(|needle| std::cmp::Reverse(needle.find.len()));
        }
        Self {
            needles,
            pairs,
            held: Zeroizing::new(Vec::new()),
            found: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// How many needles were found.
    pub(crate) const fn found(&self) -> u64 {
        self.found
    }

    /// What can be said of the stream once `chunk` is there.
    pub(crate) fn feed(&mut self, chunk: Bytes) -> Bytes {
        if self.is_empty() || (self.held.is_empty() && self.candidate(&chunk, 0).is_none()) {
            return chunk;
        }
        let mut work = std::mem::take(&mut self.held);
        work.extend_from_slice(&chunk);
        self.replace(&work, false)
    }

    /// The rest, at the end of the stream.
    pub(crate) fn finish(&mut self) -> Bytes {
        let work = std::mem::take(&mut self.held);
        self.replace(&work, true)
    }

    /// All of a text at once.
    pub(crate) fn all(&mut self, text: Bytes) -> Bytes {
        let head = self.feed(text);
        let tail = self.finish();
        if tail.is_empty() {
            head
        } else {
            [head, tail].concat().into()
        }
    }

    fn replace(&mut self, work: &[u8], last: bool) -> Bytes {
        let mut out = Vec::with_capacity(work.len());
        let mut at = 0;
        while let Some(candidate) = self.candidate(work, at) {
            out.extend_from_slice(work.get(at..candidate).unwrap_or_default());
            let rest = work.get(candidate..).unwrap_or_default();
            match self.look(rest, last, &mut out) {
                At::Match(len) => {
                    self.found += 1;
                    at = candidate + len;
                }
                At::MayBegin => {
                    self.held.extend_from_slice(rest);
                    return out.into();
                }
                At::Nothing => {
                    out.extend_from_slice(rest.get(..1).unwrap_or_default());
                    at = candidate + 1;
                }
            }
        }
        out.extend_from_slice(work.get(at..).unwrap_or_default());
        out.into()
    }

    fn look(&self, rest: &[u8], last: bool, out: &mut Vec<u8>) -> At {
        let group = rest
            .first()
            .and_then(|first| self.needles.get(usize::from(*first)));
        for needle in group.into_iter().flatten() {
            if rest.starts_with(&needle.find) {
                out.extend_from_slice(&needle.put);
                return At::Match(needle.find.len());
            }
            if !last && needle.find.starts_with(rest) {
                return At::MayBegin;
            }
        }
        At::Nothing
    }

    /// The next position from `from` on where a needle may begin.
    fn candidate(&self, work: &[u8], from: usize) -> Option<usize> {
        let tail = work.get(from..)?;
        let pair = tail.windows(2).position(|pair| match *pair {
            [first, second] => {
                let pair = usize::from(first) << 8 | usize::from(second);
                self.pairs
                    .get(pair >> 6)
                    .is_some_and(|word| word >> (pair & 63) & 1 == 1)
            }
            _ => false,
        });
        if let Some(at) = pair {
            return Some(from + at);
        }
        let last = *tail.last()?;
        let begins = self
            .needles
            .get(usize::from(last))
            .is_some_and(|group| !group.is_empty());
        begins.then(|| work.len() - 1)
    }
}

impl std::fmt::Debug for Splice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Splice(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn splice(needles: &[(&str, &str)]) -> Splice {
        let bytes = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        Splice::new(needles.iter().map(|(find, put)| Needle {
            find: bytes(find),
            put: bytes(put),
        }))
    }

    fn check(needles: &[(&str, &str)], text: &str, expected: &str) {
        for cut in 0..=text.len() {
            for second in cut..=text.len() {
                let mut splice = splice(needles);
                let mut out = Vec::new();
                for part in [&text[..cut], &text[cut..second], &text[second..]] {
                    out.extend_from_slice(&splice.feed(Bytes::copy_from_slice(part.as_bytes())));
                }
                out.extend_from_slice(&splice.finish());
                assert_eq!(
                    String::from_utf8(out).unwrap(),
                    expected,
                    "cut at {cut} and {second}"
                );
            }
        }
    }

    #[test]
    fn replaces_across_cuts() {
        check(
            &[("secret", "X")],
            "a secret, secretsecret, secre",
            "a X, XX, secre",
        );
        check(&[("ab", "1"), ("abcd", "2")], "abcd abc ab", "2 1c 1");
        check(&[("aab", "X")], "aaaab aaa", "aaX aaa");
        check(&[("abcabd", "X")], "abcabcabd", "abcX");
        check(&[], "abc", "abc");
    }

    proptest! {
        #[test]
        fn no_needle_survives(text in "[ab]{0,40}", needle in "[ab]{2,6}", cuts in prop::collection::vec(1usize..5, 0..20)) {
            let mut splice = splice(&[(&needle, "-")]);
            let mut out = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (part, tail) = rest.split_at(cut.min(rest.len()));
                out.extend_from_slice(&splice.feed(Bytes::copy_from_slice(part)));
                rest = tail;
            }
            out.extend_from_slice(&splice.feed(Bytes::copy_from_slice(rest)));
            out.extend_from_slice(&splice.finish());
            prop_assert_eq!(String::from_utf8(out).unwrap(), text.replace(&needle, "-"));
        }
    }
}
