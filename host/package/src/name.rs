//! Names of connectors and publishers: a few ASCII characters, so that what is read is what is compared.

use std::fmt;
use std::str::FromStr;

/// `[a-z][a-z0-9-]{1,62}`: no capitals, so nothing folds; no other script, so nothing looks alike but what
/// [`Name::looks_like`] finds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a person could take one for the other: `g1thub` for `github`, `rnail` for `mail`. A name looks like itself.
    #[must_use]
    pub fn looks_like(&self, other: &Self) -> bool {
        self.skeleton() == other.skeleton()
    }

    /// The name as it looks: characters that resemble each other become one, and hyphens go.
    fn skeleton(&self) -> String {
        let plain: String = self
            .0
            .chars()
            .filter(|c| *c != '-')
            .map(|c| match c {
                '0' => 'o',
                '1' | 'i' => 'l',
                '5' => 's',
                c => c,
            })
            .collect();
        plain.replace("rn", "m").replace("vv", "w")
    }
}

/// The text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name: a lower-case letter, then 1 to 62 of a-z, 0-9 and -")]
pub struct NoName;

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (2..=63).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(word);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoName)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ascii_is_a_name() {
        for name in ["ab", "github", "a-1", &"a".repeat(63)] {
            assert!(name.parse::<Name>().is_ok(), "{name}");
        }
        for name in [
            "",
            "a",
            "GitHub",
            "gitHub",
            "1ab",
            "-ab",
            "a_b",
            "a b",
            "a.b",
            "a/b",
            "../ab",
            "g\u{456}thub",
            "github\u{202e}",
            "git\u{200b}hub",
            "github\n",
            "github\0",
            "\u{17f}lack",
            &"a".repeat(64),
        ] {
            assert!(name.parse::<Name>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn what_looks_alike_is_found() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        for (one, other) in [
            ("github", "g1thub"),
            ("github", "glthub"),
            ("git-hub", "github"),
            ("mail", "rnail"),
            ("slack", "s1ack"),
            ("notion", "n0tion"),
        ] {
            assert!(name(one).looks_like(&name(other)), "{one} {other}");
        }
        assert!(!name("github").looks_like(&name("gitlab")));
    }
}
