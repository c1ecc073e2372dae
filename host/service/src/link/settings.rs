//! What a person sets about a link.

use serde::{Deserialize, Serialize};
use sluice_mapping::StreamRules;
use sluice_mapping::reconcile::Policy;

use super::Error;

/// How two streams are kept alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkSettings {
    pub direction: Direction,
    /// The members that are kept alike, by their names on each side.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldPair>,
    /// Instead of `fields`: what becomes of a source's record before the target is told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_target: Option<StreamRules>,
    /// The same the other way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_source: Option<StreamRules>,
    /// Who wins when both sides changed a record.
    pub policy: Policy,
    /// The members that have the vendors' revisions: writes then say which one they build on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<FieldPair>,
    /// Whether a record that is deleted on one side is deleted on the other.
    pub deletes: bool,
}

/// Whether the source is told what the target changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    #[default]
    OneWay,
    BothWays,
}

/// A member by its name on each side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldPair {
    pub source: String,
    pub target: String,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            direction: Direction::OneWay,
            fields: Vec::new(),
            to_target: None,
            to_source: None,
            policy: Policy::Manual,
            revision: None,
            deletes: true,
        }
    }
}

impl LinkSettings {
    pub(super) fn written(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::Settings {
            pointer: String::new(),
            reason: error.to_string(),
        })
    }

    pub(super) fn read_kept(link: &sluice_store::link::Link) -> Result<Self, Error> {
        serde_json::from_str(&link.settings).map_err(|error| {
            Error::Store(sluice_store::Error::Corrupt {
                table: "links",
                reason: error.to_string(),
            })
        })
    }
}
