//! What a run in mode "check" found.

/// How a stream differs from what its vendor has.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Findings {
    /// Records that the vendor has and the stream does not.
    pub missing: Finding,
    /// Records that say something else.
    pub differing: Finding,
    /// Records that the vendor does not have any more.
    pub extra: Finding,
}

impl Findings {
    /// Whether the two are the same.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.missing.count == 0 && self.differing.count == 0 && self.extra.count == 0
    }
}

/// How many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    pub count: u64,
    pub ids: Vec<String>,
}

impl Finding {
    /// Ids that are kept.
    const KEPT: usize = 100;

    pub(crate) fn add(&mut self, id: String) {
        self.count += 1;
        if self.ids.len() < Self::KEPT {
            self.ids.push(id);
        }
    }
}
