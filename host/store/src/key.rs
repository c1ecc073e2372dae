//! Keys: tuples as bytes. Ids, numbers and hashes have a fixed width, texts go before their length, and the last part
//! may be bare, so that it sorts and is searched by prefix. Two different tuples of one table never have the same bytes.
//!
//! The order of two keys is the order of their fixed parts and of the bare last part; texts with a length sort by length
//! first, so nothing may depend on their order.

use std::ops::Bound;

use sluice_model::id::{Id, OrgId};

/// A key under construction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// Nothing yet. For the few tables that no organization owns.
    pub(crate) fn empty() -> Self {
        Self(Vec::with_capacity(64))
    }

    /// As every organization's key begins.
    pub(crate) fn org(org: OrgId) -> Self {
        Self::empty().id(org)
    }

    pub(crate) fn id<K>(mut self, id: Id<K>) -> Self {
        self.0.extend_from_slice(id.as_bytes());
        self
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// One byte that tells keys of the same table apart by what follows.
    pub(crate) fn mark(mut self, mark: u8) -> Self {
        self.0.push(mark);
        self
    }

    pub(crate) fn hash(mut self, hash: &[u8; 32]) -> Self {
        self.0.extend_from_slice(hash);
        self
    }

    /// A text behind its length, so that something may follow it.
    pub(crate) fn text(mut self, text: &str) -> Self {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// The last part, bare. Nothing may follow it.
    pub(crate) fn tail(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A key taken apart again, part by part; `None` where it is too short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(crate) const fn new(key: &'a [u8]) -> Self {
        Self(key)
    }

    pub(crate) fn id<K>(&mut self) -> Option<Id<K>> {
        let (id, rest) = self.0.split_first_chunk::<16>()?;
        self.0 = rest;
        Some(Id::from_bytes(*id))
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let (len, rest) = self.0.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    pub(crate) const fn tail(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn tail_text(self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }
}

/// A stretch of a table.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) start: Bound<Vec<u8>>,
    pub(crate) end: Bound<Vec<u8>>,
}

impl Span {
    /// Every key.
    pub(crate) const fn all() -> Self {
        Self {
            start: Bound::Unbounded,
            end: Bound::Unbounded,
        }
    }

    /// Every key that begins so.
    pub(crate) fn prefix(prefix: &Key) -> Self {
        Self {
            start: Bound::Included(prefix.0.clone()),
            end: successor(&prefix.0),
        }
    }

    /// Only from this key on.
    pub(crate) fn from(self, key: Key) -> Self {
        Self {
            start: Bound::Included(key.0),
            ..self
        }
    }

    /// Only what comes behind this key.
    pub(crate) fn after(self, key: Key) -> Self {
        Self {
            start: Bound::Excluded(key.0),
            ..self
        }
    }

    /// Only what comes before this key.
    pub(crate) fn before(self, key: Key) -> Self {
        Self {
            end: Bound::Excluded(key.0),
            ..self
        }
    }

    /// Whether it is the wrong way round, and so has nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Included(start), Bound::Excluded(end)) => start >= end,
            (Bound::Excluded(start), Bound::Excluded(end)) => start >= end,
            _ => false,
        }
    }
}

/// Behind every key that begins with `prefix`.
fn successor(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_model::id::ConnectionId;

    use super::*;

    type Tuple = ([u8; 16], [u8; 16], String, u64, String);

    fn key((org, id, text, number, tail): &Tuple) -> Key {
        Key::org(OrgId::from_bytes(*org))
            .id(ConnectionId::from_bytes(*id))
            .text(text)
            .number(*number)
            .tail(tail)
    }

    fn tuple() -> impl Strategy<Value = Tuple> {
        let few = || prop_oneof![Just([0; 16]), Just([1; 16]), Just([255; 16]), any::<[u8; 16]>()];
        (few(), few(), "[ab\\x00]{0,5}", 0..3u64, "[ab\\x00]{0,5}")
    }

    fn within(span: &Span, key: &[u8]) -> bool {
        std::ops::RangeBounds::<Vec<u8>>::contains(&(span.start.clone(), span.end.clone()), &key.to_vec())
    }

    proptest! {
        #[test]
        fn two_tuples_never_share_their_bytes(a in tuple(), b in tuple()) {
            prop_assert_eq!(key(&a) == key(&b), a == b);
        }

        #[test]
        fn parts_come_back(t in tuple()) {
            let key = key(&t);
            let mut parts = Parts::new(key.bytes());
            prop_assert_eq!(parts.id(), Some(OrgId::from_bytes(t.0)));
            prop_assert_eq!(parts.id(), Some(ConnectionId::from_bytes(t.1)));
            prop_assert_eq!(parts.text(), Some(t.2.as_str()));
            prop_assert_eq!(parts.number(), Some(t.3));
            prop_assert_eq!(parts.tail_text(), Some(t.4.as_str()));
        }

        #[test]
        fn any_bytes_are_taken_apart_without_a_panic(bytes: Vec<u8>) {
            let mut parts = Parts::new(&bytes);
            let _ = (parts.text(), parts.number(), parts.text(), parts.id::<sluice_model::id::kind::Run>(), parts.tail_text());
        }

        #[test]
        fn numbers_sort_like_numbers(org: [u8; 16], a: u64, b: u64) {
            let key = |n| Key::org(OrgId::from_bytes(org)).number(n);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn tails_sort_like_their_bytes(org: [u8; 16], a: String, b: String) {
            let key = |t: &str| Key::org(OrgId::from_bytes(org)).text("s").tail(t);
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }

        #[test]
        fn a_prefix_spans_exactly_what_begins_so(a in tuple(), b in tuple()) {
            let prefix = Key::org(OrgId::from_bytes(a.0)).id(ConnectionId::from_bytes(a.1));
            let inside = a.0 == b.0 && a.1 == b.1;
            prop_assert_eq!(within(&Span::prefix(&prefix), key(&b).bytes()), inside);
        }
    }
}
