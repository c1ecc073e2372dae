//! Where a field is: a JSON pointer (RFC 6901), or the name of a field of the outermost object.

use std::fmt;

/// Tokens of a pointer. A path of sixteen names is longer than any vendor's.
pub const MAX_TOKENS: usize = 16;

/// Bytes of a pointer as it is written.
pub const MAX_BYTES: usize = 512;

/// A place in a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `/a/b`, `name`, or nothing at all, which is the whole.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_BYTES {
            return Err("a field has at most 512 bytes");
        }
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let Some(path) = text.strip_prefix('/') else {
            return Ok(Self(vec![text.to_owned()]));
        };
        let mut tokens = Vec::new();
        for token in path.split('/') {
            let plain = token.replace("~1", "").replace("~0", "");
            if plain.contains('~') {
                return Err("in a pointer ~ is written ~0 and / is written ~1");
            }
            tokens.push(token.replace("~1", "/").replace("~0", "~"));
        }
        if tokens.len() > MAX_TOKENS {
            return Err("a pointer has at most 16 names");
        }
        Ok(Self(tokens))
    }

    /// Reads what [`fmt::Display`] wrote, however long.
    pub(crate) fn any(text: &str) -> Self {
        let tokens = text.split('/').skip(1);
        Self(
            tokens
                .map(|token| token.replace("~1", "/").replace("~0", "~"))
                .collect(),
        )
    }

    /// The decoded names, outermost first.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.0
    }

    /// Whether it is the whole record.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `other` is at or inside this place.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|token| write!(out, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_read_and_written() {
        for (text, shown) in [
            ("a", "/a"),
            ("/a/b", "/a/b"),
            ("/a~1b/m~0n", "/a~1b/m~0n"),
            ("", ""),
            ("/", "/"),
            ("/~01", "/~01"),
        ] {
            assert_eq!(
                Pointer::parse(text).map(|pointer| pointer.to_string()),
                Ok(shown.to_owned())
            );
        }
        for text in ["/a~2", "/~", &"/a".repeat(17), &"x".repeat(513)] {
            assert!(Pointer::parse(text).is_err(), "{text}");
        }
    }
}
