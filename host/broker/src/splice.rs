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
    /// How far to go on where a pair of bytes ends a stretch of `reach`, by a hash of the pair: 0 where a needle may
    /// begin with the stretch (Wu and Manber, "A fast algorithm for multi-pattern searching", with blocks of two).
    jumps: Box<[u8]>,
    /// The shortest needle's length.
    reach: usize,
    longest: usize,
    /// The end of the stream so far, where it may be the beginning of a needle.
    held: Zeroizing<Vec<u8>>,
    found: u64,
}

pub(crate) struct Needle {
    pub(crate) find: Zeroizing<Vec<u8>>,
    pub(crate) put: Zeroizing<Vec<u8>>,
}

enum At<'a> {
    Match(&'a Needle),
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
        let (jumps, reach) = jumps(&needles);
        let longest = needles.iter().flatten().map(|needle| needle.find.len()).max();
        Self {
            needles,
            pairs,
            jumps,
            reach,
            longest: longest.unwrap_or(0),
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
        if self.is_empty() {
            return chunk;
        }
        if self.held.is_empty() {
            return self.pass(chunk);
        }
        // Only the seam is put together anew.
        let mut out = Vec::with_capacity(chunk.len());
        let mut at = 0;
        while !self.held.is_empty() && at < chunk.len() {
            let end = chunk.len().min(at + self.longest);
            let mut work = std::mem::take(&mut self.held);
            work.extend_from_slice(chunk.get(at..end).unwrap_or_default());
            out.extend_from_slice(&self.replace(&work, false));
            at = end;
        }
        out.extend_from_slice(&self.pass(chunk.slice(at..)));
        out.into()
    }

    /// As [`feed`](Self::feed), where nothing is held. What has no needle in it is not copied.
    fn pass(&mut self, chunk: Bytes) -> Bytes {
        let mut at = 0;
        while let Some(candidate) = self.candidate(&chunk, at) {
            let rest = chunk.get(candidate..).unwrap_or_default();
            match self.look(rest, false) {
                At::Match(..) => return self.replace(&chunk, false),
                At::MayBegin => {
                    self.held.extend_from_slice(rest);
                    return chunk.slice(..candidate);
                }
                At::Nothing => at = candidate + 1,
            }
        }
        chunk
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
            match self.look(rest, last) {
                At::Match(needle) => {
                    out.extend_from_slice(&needle.put);
                    at = candidate + needle.find.len();
                    self.found += 1;
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

    fn look(&self, rest: &[u8], last: bool) -> At<'_> {
        let group = rest
            .first()
            .and_then(|first| self.needles.get(usize::from(*first)));
        for needle in group.into_iter().flatten() {
            if rest.starts_with(&needle.find) {
                return At::Match(needle);
            }
            if !last && needle.find.starts_with(rest) {
                return At::MayBegin;
            }
        }
        At::Nothing
    }

    /// The next position from `from` on where a needle may begin.
    fn candidate(&self, work: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while let Some([first, second]) = work.get(at + self.reach - 2..at + self.reach) {
            match self.jumps.get(hash(*first, *second)) {
                Some(0) | None if self.begins(work, at) => return Some(at),
                Some(0) | None => at += 1,
                Some(jump) => at += usize::from(*jump),
            }
        }
        // Less is left than any needle has; one may begin and go on behind it.
        let tail = work.get(at..)?;
        let pair = (0..tail.len().saturating_sub(1)).find(|offset| self.begins(tail, *offset));
        if let Some(offset) = pair {
            return Some(at + offset);
        }
        let last = *tail.last()?;
        let begins = self
            .needles
            .get(usize::from(last))
            .is_some_and(|group| !group.is_empty());
        begins.then(|| work.len() - 1)
    }

    /// Whether a needle begins with the pair of bytes that is there.
    fn begins(&self, work: &[u8], at: usize) -> bool {
        let Some([first, second]) = work.get(at..at + 2) else {
            return false;
        };
        let pair = usize::from(*first) << 8 | usize::from(*second);
        self.pairs
            .get(pair >> 6)
            .is_some_and(|word| word >> (pair & 63) & 1 == 1)
    }
}

/// The jumps for these needles and their reach.
fn jumps(needles: &[Vec<Needle>]) -> (Box<[u8]>, usize) {
    let shortest = needles.iter().flatten().map(|needle| needle.find.len()).min();
    let reach = shortest.unwrap_or(2).min(usize::from(u8::MAX));
    let most = u8::try_from(reach - 1).unwrap_or(1);
    let mut jumps = vec![most; 1 << 12].into_boxed_slice();
    for needle in needles.iter().flatten() {
        let pairs = needle.find.windows(2).take(reach - 1);
        for (pair, left) in pairs.zip((0..most).rev()) {
            if let [first, second] = *pair
                && let Some(jump) = jumps.get_mut(hash(first, second))
            {
                *jump = left.min(*jump);
            }
        }
    }
    (jumps, reach)
}

/// Twelve bits of a pair.
fn hash(first: u8, second: u8) -> usize {
    usize::from(first) << 4 ^ usize::from(second)
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
        fn needles_of_any_lengths_are_found(
            text in "[abc]{0,80}", needles in prop::collection::vec("[abc]{2,9}", 1..5), cut in any::<prop::sample::Index>(),
        ) {
            let pairs: Vec<_> = needles.iter().map(|needle| (needle.as_str(), "-")).collect();
            let mut expected = String::new();
            let mut rest = text.as_str();
            while let Some(letter) = rest.chars().next() {
                let longest = needles.iter().filter(|needle| rest.starts_with(*needle)).map(String::len).max();
                expected.push(if longest.is_some() { '-' } else { letter });
                rest = &rest[longest.unwrap_or(1)..];
            }
            let mut splice = splice(&pairs);
            let (before, behind) = text.as_bytes().split_at(cut.index(text.len() + 1));
            let mut out = splice.feed(Bytes::copy_from_slice(before)).to_vec();
            out.extend_from_slice(&splice.feed(Bytes::copy_from_slice(behind)));
            out.extend_from_slice(&splice.finish());
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }

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
