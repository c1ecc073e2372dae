//! Versions and which of two is newer: semver.org 2.0.0 §11.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A semantic version. Equal are those of the same text; [`Version::precedence`] leaves build metadata out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    text: String,
    core: [u64; 3],
    pre: Vec<Part>,
}

/// A part of a pre-release. Numbers come before words (§11.4.3), so their variant does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Number(u64),
    Word(String),
}

/// No product has a larger number. A version near the end of numbers would make every honest one after it look old, and a
/// date (20261231) must fit.
const MAX_NUMBER: u64 = 999_999_999;

impl Version {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which of the two is newer.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        let release = self.pre.is_empty().cmp(&other.pre.is_empty());
        self.core
            .cmp(&other.core)
            .then(release)
            .then_with(|| self.pre.cmp(&other.pre))
    }

    /// Whether its numbers are of a size that a product has.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.core.iter().all(|number| *number <= MAX_NUMBER)
    }
}

/// The text is not a semantic version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version such as 1.2.3 (semver.org)")]
pub struct NoVersion;

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        if text.len() > 128 {
            return Err(NoVersion);
        }
        let (rest, build) = match text.split_once('+') {
            Some((rest, build)) => (rest, Some(build)),
            None => (text, None),
        };
        let (numbers, pre) = match rest.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (rest, None),
        };
        let mut parts = numbers.split('.').map(number);
        let core = [next(&mut parts)?, next(&mut parts)?, next(&mut parts)?];
        if parts.next().is_some() {
            return Err(NoVersion);
        }
        let pre = pre.map_or(Ok(Vec::new()), |pre| pre.split('.').map(part).collect())?;
        if build.is_some_and(|build| !build.split('.').all(is_word)) {
            return Err(NoVersion);
        }
        Ok(Self {
            text: text.to_owned(),
            core,
            pre,
        })
    }
}

fn next(parts: &mut impl Iterator<Item = Option<u64>>) -> Result<u64, NoVersion> {
    parts.next().flatten().ok_or(NoVersion)
}

/// Digits without leading zeros that fit.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn part(text: &str) -> Result<Part, NoVersion> {
    if !is_word(text) {
        return Err(NoVersion);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).map(Part::Number).ok_or(NoVersion);
    }
    Ok(Part::Word(text.to_owned()))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn the_order_is_that_of_the_specification() {
        // §11, and what is below the example there.
        let ordered = [
            "0.0.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.9.0",
            "1.10.0",
            "2.0.0-0",
            "2.0.0",
        ];
        for pair in ordered.windows(2) {
            assert_eq!(
                version(pair[0]).precedence(&version(pair[1])),
                Ordering::Less,
                "{pair:?}"
            );
        }
        assert_eq!(
            version("1.0.0+a").precedence(&version("1.0.0+b")),
            Ordering::Equal
        );
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "01.2.3",
            "1.02.3",
            "v1.2.3",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3+",
            "1.2.3 ",
            "+1.2.3",
            "-1.2.3",
            "1.2.3-ä",
            "18446744073709551616.0.0",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
        assert!(!version("18446744073709551615.0.0").is_plausible());
        assert!(version("20261231.0.1").is_plausible());
    }
}
