//! Path patterns: segments between slashes, `*` for one segment or a part of one, `**` for any number of segments.
//!
//! What must always hold: a path that servers might read in another way than we do (dot segments, encoded or doubled
//! slashes, backslashes, path parameters on dots) is not one of anybody's paths, so that it cannot slip past a pattern.

mod cover;
mod segment;

use std::fmt;
use std::str::Split;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::PatternError;
use segment::Segment;

/// The longest pattern: no API has longer paths, and covering stays cheap.
const MAX_PATTERN_BYTES: usize = 512;
/// The most segments of a pattern.
const MAX_PATTERN_SEGMENTS: usize = 64;
/// The longest path that can be permitted: servers refuse longer request lines.
const MAX_PATH_BYTES: usize = 8 * 1024;
/// The most segments of a path that can be permitted; bounds the time that a hostile pattern and path can take together.
const MAX_PATH_SEGMENTS: usize = 256;

/// A path pattern, e.g. `/repos/**`. `*` alone in a segment means any one segment that is not empty; as a part of a
/// segment, any text within it; `**` any number of segments, none included, so `/repos/**` also means `/repos`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    text: String,
    /// Where the first star's text begins (with the slash before it, since `**` may stand for nothing), and where the
    /// last one ends. What is outside stands in every path that is meant: most rules are passed over by that alone.
    before: usize,
    after: usize,
    segments: Vec<Segment>,
}

impl PathPattern {
    /// Reads a pattern of at most 512 bytes and 64 segments.
    ///
    /// # Errors
    ///
    /// When it does not begin with `/`, has a query or a fragment, a `**` that is not a whole segment, an empty segment
    /// before the end, a dot segment, an encoded slash, dot or backslash, or a character that no path has.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let error = |reason: &str| Err(PatternError::new(text, reason));
        if text.len() > MAX_PATTERN_BYTES {
            return error("is longer than 512 bytes");
        }
        let Some(rest) = text.strip_prefix('/') else {
            return error("does not begin with `/`");
        };
        if text.contains(['?', '#']) {
            return error("has a query or a fragment: only the path belongs here");
        }
        if let Err(reason) = check(text) {
            return error(reason);
        }
        let mut segments = Vec::new();
        for part in rest.split('/') {
            let Some(segment) = Segment::parse(part) else {
                return error("has a `**` that is not a whole segment");
            };
            // Two `**` beside each other mean the same as one.
            if segment != Segment::Many || segments.last() != Some(&Segment::Many) {
                segments.push(segment);
            }
        }
        if segments.len() > MAX_PATTERN_SEGMENTS {
            return error("has more than 64 segments");
        }
        let first = text.find('*').unwrap_or(text.len());
        let begins_with = text.get(..first).unwrap_or(text);
        let slash = if first < text.len() {
            begins_with.strip_suffix('/').map(str::len)
        } else {
            None
        };
        Ok(Self {
            text: text.to_owned(),
            before: slash.unwrap_or(first),
            after: text.rfind('*').map_or(text.len(), |last| last + 1),
            segments,
        })
    }

    /// Whether the path is one of those meant. Allocates nothing; takes time in proportion to the path for a pattern
    /// with one `**`, and never more than segments times segments.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        is_plain(path) && self.matches_plain(path)
    }

    /// [`matches`](Self::matches) for a path that [`is_plain`]: whoever asks many patterns about one path reads it once.
    pub(crate) fn matches_plain(&self, path: &str) -> bool {
        let (Some(before), Some(after)) = (self.text.get(..self.before), self.text.get(self.after..)) else {
            return false;
        };
        if self.before == self.after {
            return self.text == path;
        }
        path.starts_with(before)
            && path.ends_with(after)
            && path
                .strip_prefix('/')
                .is_some_and(|rest| matches(&self.segments, rest.split('/')))
    }

    /// Whether every path of `other` is one of this pattern's.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        cover::covers(&self.segments, &other.segments)
    }
}

/// Glob matching over segments: on a mismatch, the last `**` takes one segment more. Never needs an earlier one.
fn matches(pattern: &[Segment], path: Split<'_, char>) -> bool {
    let (mut pattern, mut path) = (pattern, path);
    let mut retry: Option<(&[Segment], Split<'_, char>)> = None;
    loop {
        let step = match pattern.split_first() {
            Some((Segment::Many, rest)) => {
                if rest.is_empty() {
                    return true;
                }
                retry = Some((rest, path.clone()));
                pattern = rest;
                continue;
            }
            Some((segment, rest)) => {
                let Some(part) = path.next() else { return false };
                segment.matches(part).then_some(rest)
            }
            None if path.next().is_none() => return true,
            None => None,
        };
        if let Some(rest) = step {
            pattern = rest;
            continue;
        }
        let Some((after, from)) = retry.as_mut() else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        (pattern, path) = (*after, from.clone());
    }
}

/// Whether every server reads this path as we do. Nothing else is ever permitted, whatever the pattern.
pub(crate) fn is_plain(path: &str) -> bool {
    path.len() <= MAX_PATH_BYTES && check(path).is_ok() && path.split('/').count() <= MAX_PATH_SEGMENTS + 1
}

fn check(path: &str) -> Result<(), &'static str> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err("does not begin with `/`");
    };
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a character that no path has on the wire: write it percent-encoded");
    }
    if path.contains(['\\', '?', '#']) {
        return Err("has a backslash, `?` or `#` in it");
    }
    if path.contains("//") {
        return Err("has an empty segment");
    }
    if path.contains('%') {
        check_escapes(path)?;
    }
    if path.contains("/.") && rest.split('/').any(is_dots) {
        return Err("has a `.` or `..` segment");
    }
    Ok(())
}

/// `.` and `..`, also with a path parameter behind, which some servers cut off before they look.
fn is_dots(segment: &str) -> bool {
    matches!(segment.split(';').next(), Some("." | ".."))
}

/// Refuses escapes that are none, and those that become a slash, a dot, a backslash, NUL or another line when a server
/// decodes them once or twice.
fn check_escapes(path: &str) -> Result<(), &'static str> {
    let mut rest = path.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            continue;
        }
        // `%25` is the percent sign itself: what follows may be an escape again.
        while let [b'2', b'5', inner @ ..] = rest {
            rest = inner;
        }
        let twice = rest.len() + 1 < tail.len();
        match rest {
            [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                if matches!(
                    [high.to_ascii_lowercase(), low.to_ascii_lowercase()],
                    [b'0' | b'1', _] | [b'2', b'e' | b'f']
                ) || matches!(
                    [high.to_ascii_lowercase(), low.to_ascii_lowercase()],
                    [b'5', b'c'] | [b'7', b'f']
                ) {
                    return Err("has an encoded slash, dot, backslash or control character in it");
                }
            }
            _ if twice => {}
            _ => return Err("has a `%` that is not followed by two hexadecimal digits"),
        }
    }
    Ok(())
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for PathPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
