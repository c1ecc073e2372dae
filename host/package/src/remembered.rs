//! What an organization has seen of a name: whose it was first, and how far the versions of each key and identity had come.

use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;

use crate::{Digest, Name, Version, Who};

/// All of one name. Kept as JSON under the connector's id; it outlives installs on purpose, since removing a connector must not
/// be a way back to an old version of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// Whose it was when it was first installed with a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// The newest of each key and identity; at most 32.
    #[serde(default)]
    pub marks: Vec<Mark>,
}

/// A name and the key that first came with it, or that the policy listed then. An identity stands here only where it was listed: it
/// keeps the name from others once it is listed no more, and is not believed for standing here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    pub publisher: Name,
    #[serde(flatten)]
    pub who: Who,
    pub since: Timestamp,
}

/// The newest version that a key or identity has signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    #[serde(flatten)]
    pub who: Who,
    pub version: Version,
    /// Of the package without its signatures.
    pub content: Digest,
    pub at: Timestamp,
}

/// A name changes its key a few times in its life.
pub(crate) const MAX_MARKS: usize = 32;

impl Remembered {
    /// How far this key or identity had come.
    #[must_use]
    pub fn mark(&self, who: &Who) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.who == *who)
    }

    /// The same with this mark in the place of the one before it. Where there is no room, the oldest goes.
    pub(crate) fn with(&self, mark: Mark) -> Self {
        let mut next = self.clone();
        next.marks.retain(|found| found.who != mark.who);
        if next.marks.len() >= MAX_MARKS {
            next.marks.remove(0);
        }
        next.marks.push(mark);
        next
    }
}
