//! What an organization has seen of a name: whose it was first, and how far each key's versions had come.

use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;

use crate::{Digest, Name, PublicKey, Version};

/// All of one name. Kept as JSON under the connector's id; it outlives installs on purpose, since removing a connector must not
/// be a way back to an old version of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// Whose it was when it was first installed with a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// The newest of each key; at most 32.
    #[serde(default)]
    pub marks: Vec<Mark>,
}

/// A name and the key that first came with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    pub publisher: Name,
    pub key: PublicKey,
    pub since: Timestamp,
}

/// The newest version that a key has signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub key: PublicKey,
    pub version: Version,
    /// Of the package without its signature.
    pub content: Digest,
    pub at: Timestamp,
}

/// A name changes its key a few times in its life.
pub(crate) const MAX_MARKS: usize = 32;

impl Remembered {
    /// How far this key had come.
    #[must_use]
    pub fn mark(&self, key: &PublicKey) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.key == *key)
    }

    /// The same with this mark in the place of the key's own. Where there is no room, the oldest goes.
    pub(crate) fn with(&self, mark: Mark) -> Self {
        let mut next = self.clone();
        next.marks.retain(|found| found.key != mark.key);
        if next.marks.len() >= MAX_MARKS {
            next.marks.remove(0);
        }
        next.marks.push(mark);
        next
    }
}
