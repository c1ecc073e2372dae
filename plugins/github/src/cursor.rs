//! Where reading a stream stands. Small: the host commits it with every page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The cursor of every stream.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// What finished passes leave behind, by repository.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) marks: BTreeMap<String, Mark>,
    /// The place of the pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Place>,
    /// The repositories of the pass under way, where the configuration names only their owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) list: Vec<String>,
}

/// What a finished pass knows about one repository.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The time of its newest record, in milliseconds: the next pass begins there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<u64>,
    /// The tag of the first page asked for with this `since`, where an unchanged first page means that nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
}

/// The next page of the pass under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// `owner/name`.
    pub(crate) repository: String,
    pub(crate) url: String,
    /// Where this pass began, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<u64>,
    /// The newest record of this pass so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) newest: Option<u64>,
    /// The mark's tag while the first page is still to come, then the first page's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    /// How many pages of this repository this pass has read.
    #[serde(default)]
    pub(crate) pages: u64,
    /// First and last record of the page before: one that is the same again is a vendor going in circles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) edge: Option<(String, String)>,
    /// Records that the next page will repeat because it begins at the time they have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seen: Vec<String>,
}
