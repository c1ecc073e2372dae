//! SHA-256, as everything here is named and bound.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use ring::digest;

/// SHA-256 of some bytes; as text `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// Of `bytes`, and of `bytes` and what follows them: all of it is looked at once.
    pub(crate) fn of_both(bytes: &[u8], rest: &[u8]) -> (Self, Self) {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(bytes);
        let mut whole = context.clone();
        whole.update(rest);
        let finish = |context: digest::Context| {
            let mut out = [0; 32];
            out.copy_from_slice(context.finish().as_ref());
            Self(out)
        };
        (finish(context), finish(whole))
    }

    /// One that was made elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hex digits alone.
    #[must_use]
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `sha256:` and 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: `sha256:` and 64 lower-case hex digits")]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let hex = text.strip_prefix("sha256:").ok_or(NoDigest)?;
        let bytes = HEXLOWER.decode(hex.as_bytes()).map_err(|_| NoDigest)?;
        bytes.try_into().map(Self).map_err(|_| NoDigest)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_and_the_whole_are_hashed_as_each_by_itself() {
        let bytes: Vec<u8> = (0..300_u16).map(|n| n.to_le_bytes()[0]).collect();
        for at in [0, 1, 63, 64, 65, 299, 300] {
            let (beginning, rest) = bytes.split_at(at);
            let both = (Digest::of(beginning), Digest::of(&bytes));
            assert_eq!(Digest::of_both(beginning, rest), both);
        }
    }
}
