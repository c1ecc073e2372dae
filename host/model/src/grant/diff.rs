//! What an upgrade changes.

use serde::Serialize;

use super::Grant;

/// The lines of the permission page that an upgrade changes, decided by containment and not by text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GrantDiff {
    /// Rules that permit more than a rule they replace, and limits that rise.
    pub wider: Vec<String>,
    /// Rules that permit what nothing permitted before.
    pub new: Vec<String>,
    /// Rules and limits that stay.
    pub same: Vec<String>,
    /// Rules that are gone or permit less, and limits that fall.
    pub narrower: Vec<String>,
}

/// Compares what is granted with what is asked for.
#[must_use]
pub fn diff(_old: &Grant, _new: &Grant) -> GrantDiff {
    GrantDiff::default()
}
