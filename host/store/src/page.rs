//! How lists are cut: by the id of the last item seen, never by a count that shifts.

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    /// Start behind this one; `None` starts at the beginning of the list's order.
    pub after: Option<K>,
    /// At most this many; cut to 1..=[`MAX_LIMIT`].
    pub limit: usize,
}

/// No list is longer than this, whatever was asked for.
pub const MAX_LIMIT: usize = 1000;

impl<K> Page<K> {
    /// The first `limit` of a list.
    #[must_use]
    pub const fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.clamp(1, MAX_LIMIT)
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T, K> {
    /// In the list's order.
    pub items: Vec<T>,
    /// What to pass as [`Page::after`] for the next part; `None` if this was the last.
    pub next: Option<K>,
}

impl<T, K> Listing<T, K> {
    /// Makes a listing out of up to `limit + 1` found items: one more than asked tells that there is a next part.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}
