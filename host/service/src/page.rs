//! Long lists, a page at a time.

/// Which page of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The `next` of the page before; none for the first.
    pub after: Option<String>,
    /// At most so many items; rooms cap it at [`MAX_LIMIT`].
    pub limit: u32,
}

/// No page is longer, whatever was asked for.
pub const MAX_LIMIT: u32 = 1000;

impl Page {
    /// The limit within its bounds; 0 asks for the default of 100.
    #[must_use]
    pub fn bounded(&self) -> usize {
        let limit = if self.limit == 0 {
            100
        } else {
            self.limit.min(MAX_LIMIT)
        };
        usize::try_from(limit).unwrap_or(100)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    pub items: Vec<T>,
    /// Ask for the next page with this; none: that was all.
    pub next: Option<String>,
}
