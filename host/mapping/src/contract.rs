//! What happens when the vendor's records change their shape.

use serde::{Deserialize, Serialize};

/// The reaction to each way of changing. Fields that are missing are never a break: vendors leave out what is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contract {
    /// A field that no record had.
    pub new_fields: Reaction,
    /// A field with a value of a type that it never had. An integer where numbers are known, and null, are no change.
    pub changed_types: Reaction,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// Take it; the shape grows.
    #[default]
    Evolve,
    /// Stop the run.
    Freeze,
    /// Set the record aside.
    DiscardRow,
    /// Leave the value out and count it.
    DiscardValue,
}

impl Contract {
    /// Whether nothing has to be compared.
    #[must_use]
    pub const fn evolves(&self) -> bool {
        matches!(
            (self.new_fields, self.changed_types),
            (Reaction::Evolve, Reaction::Evolve)
        )
    }
}
