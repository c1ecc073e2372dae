//! Sets of request methods.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The methods that can be asked for, in the order they are printed in. CONNECT and TRACE are not among them: a tunnel
/// and an echo of credentials are no business of a connector.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A set of request methods: one bit each. GET does not imply HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MethodSet(u8);

impl MethodSet {
    /// The set without a method.
    pub const EMPTY: Self = Self(0);
    /// Every method that can be asked for.
    pub const ALL: Self = Self(0x7f);

    /// Adds the method, written in upper case; says whether there is such a method.
    pub fn insert(&mut self, method: &str) -> bool {
        let bit = bit(method);
        self.0 |= bit;
        bit != 0
    }

    /// The set of these methods; nothing if one of them cannot be asked for.
    #[must_use]
    pub fn of(methods: &[&str]) -> Option<Self> {
        let mut set = Self::EMPTY;
        methods.iter().all(|method| set.insert(method)).then_some(set)
    }

    /// Whether the method, in exactly this case, is in the set.
    #[must_use]
    pub fn contains(self, method: &str) -> bool {
        self.0 & bit(method) != 0
    }

    /// Whether every method of `other` is in this set.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The methods of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The methods that are in both.
    #[must_use]
    pub const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The set as a number, one bit for each method.
    #[must_use]
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The set of a number that [`bits`](Self::bits) gave.
    #[must_use]
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Whether no method is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The methods, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        METHODS
            .into_iter()
            .enumerate()
            .filter(move |(place, _)| self.0 >> place & 1 == 1)
            .map(|(_, name)| name)
    }

    /// The names of all methods that can be asked for.
    #[must_use]
    pub const fn names() -> &'static [&'static str] {
        &METHODS
    }
}

fn bit(method: &str) -> u8 {
    METHODS
        .iter()
        .position(|name| *name == method)
        .map_or(0, |place| 1 << place)
}

/// `GET, POST`.
impl fmt::Display for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl Serialize for MethodSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for MethodSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let mut set = Self::EMPTY;
        for name in names {
            if !set.insert(&name) {
                return Err(serde::de::Error::custom(format_args!(
                    "`{name}` is not a method that can be asked for"
                )));
            }
        }
        Ok(set)
    }
}
