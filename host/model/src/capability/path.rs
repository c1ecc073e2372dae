//! Path patterns.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::PatternError;

/// A path pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern(String);

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if !text.starts_with('/') {
            return Err(PatternError::new(text, "does not begin with `/`"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether the path is one of those meant.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.0 == path
    }

    /// Whether every path of `other` is one of this pattern's.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PathPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
