//! Reading by the time of the last change, for vendors that can sort a list by it and filter from a time on: the cursor
//! of such a stream, and the rules that let nothing slip through.
//!
//! A pass begins a while before the newest change that is known ([`Walk::from`]), because several records may share that
//! time, clocks are rounded, and indexes lag; what is seen twice is an upsert. The lower bound stays the same while the
//! pass is read, so the vendor's tokens keep their meaning. Only a pass that came to its end moves the newest change: it
//! is the newest that was seen, whichever way the list is sorted.
//!
//! ```
//! use sluice_sdk::{Page, testing, walk::Walk};
//!
//! let mut walk = Walk::begin(&testing::read_request("issues", None), 60_000)?;
//! assert_eq!((walk.from(), walk.token()), (None, None));
//! walk.saw(Some(1_000_000));
//! let page: Page = walk.page(Vec::new(), "")?;
//! let next = Walk::begin(&testing::read_request("issues", page.cursor), 60_000)?;
//! assert_eq!(next.from(), Some(940_000));
//! # Ok::<(), sluice_sdk::Error>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::{Change, Error, Page, ReadRequest, log, paging};

/// How often a pass may begin again because the vendor no longer took its token.
const MAX_RESTARTS: u8 = 3;

/// One step of a pass.
#[derive(Debug)]
pub struct Walk {
    cursor: Cursor,
    place: Place,
    until: Option<u64>,
    is_window: bool,
}

/// Where reading stands.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The newest change of the finished passes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    /// The pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// The vendor's token of the next page; none where the pass begins again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// From when on the pass reads, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    /// The newest change that it has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    restarts: u8,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde gives a reference to `skip_serializing_if`"
)]
const fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl Walk {
    /// Goes on where the request's cursor stands. A new pass begins `again_ms` milliseconds before the newest change that
    /// is known: at least twice the unit in which the vendor compares times, and as long as its index may lag. A window
    /// is read from its start, and leaves the place of the other passes as it is.
    ///
    /// # Errors
    /// `invalid-data` for a cursor that this did not make.
    pub fn begin(request: &ReadRequest, again_ms: u64) -> Result<Self, Error> {
        let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
        let window = request.window.as_ref();
        let place = cursor.at.take().unwrap_or_else(|| Place {
            from: match window {
                Some(window) => Some(window.start),
                None => cursor.since.map(|since| since.saturating_sub(again_ms)),
            },
            ..Place::default()
        });
        Ok(Self {
            cursor,
            place,
            until: window.map(|window| window.end),
            is_window: window.is_some(),
        })
    }

    /// From when on to read, in milliseconds, this time included; none for everything.
    #[must_use]
    pub const fn from(&self) -> Option<u64> {
        self.place.from
    }

    /// Up to when, in milliseconds, this time not included: of a window only.
    #[must_use]
    pub const fn until(&self) -> Option<u64> {
        self.until
    }

    /// The vendor's token of the page to ask for; none for the first one.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.place.token.as_deref()
    }

    /// Whether a change at this time is one that the pass is about, for vendors that cannot cut the list themselves. An
    /// unknown time is.
    #[must_use]
    pub fn covers(&self, modified: Option<u64>) -> bool {
        let Some(at) = modified else { return true };
        self.from().is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }

    /// Takes note of a record's time, for every record of the page.
    pub fn saw(&mut self, modified: Option<u64>) {
        self.place.newest = self.place.newest.max(modified);
    }

    /// Ends the step; `next` is the vendor's token of the next page, empty where the pass is through.
    ///
    /// # Errors
    /// `invalid-data` for a token that leads nowhere, see [`paging::token`].
    pub fn page(mut self, changes: Vec<Change>, next: &str) -> Result<Page, Error> {
        let next = paging::token(next, self.place.token.as_deref())?;
        let more = next.is_some();
        if more {
            self.place.token = next;
            self.cursor.at = Some(self.place);
        } else if !self.is_window {
            self.cursor.since = self.cursor.since.max(self.place.newest);
        }
        Page::at(changes, &self.cursor, more)
    }

    /// Begins the pass again from its lower bound, because the vendor no longer takes the token.
    ///
    /// # Errors
    /// `transient` when that happens again and again.
    pub fn again(mut self) -> Result<Page, Error> {
        self.place.restarts = self.place.restarts.saturating_add(1);
        if self.place.token.is_none() || self.place.restarts > MAX_RESTARTS {
            return Err(Error::transient(
                "the vendor ends its tokens again and again before the list is read",
            ));
        }
        log::info("the vendor no longer takes the page's token: the pass begins again");
        self.place.token = None;
        self.cursor.at = Some(self.place);
        Page::at(Vec::new(), &self.cursor, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Window, testing};
    use proptest::prelude::*;

    fn begin(cursor: Option<String>) -> Walk {
        Walk::begin(&testing::read_request("any", cursor), 100).unwrap()
    }

    #[test]
    fn a_pass_keeps_its_bound_and_only_its_end_moves_the_newest() {
        let mut walk = begin(Some(r#"{"since":1000}"#.to_owned()));
        assert_eq!((walk.from(), walk.until(), walk.token()), (Some(900), None, None));
        walk.saw(Some(5_000));
        let first = walk.page(Vec::new(), "a").unwrap();
        assert!(first.more);
        let mut walk = begin(first.cursor);
        assert_eq!((walk.from(), walk.token()), (Some(900), Some("a")));
        walk.saw(Some(1_200));
        walk.saw(None);
        let last = walk.page(Vec::new(), "").unwrap();
        assert_eq!(
            (last.more, last.cursor.as_deref()),
            (false, Some(r#"{"since":5000}"#))
        );
    }

    #[test]
    fn nothing_new_leaves_the_newest_as_it_was() {
        let page = begin(Some(r#"{"since":1000}"#.to_owned()))
            .page(Vec::new(), "")
            .unwrap();
        assert_eq!(page.cursor.as_deref(), Some(r#"{"since":1000}"#));
    }

    #[test]
    fn a_window_leaves_the_newest_alone() {
        let mut request = testing::read_request("any", Some(r#"{"since":1000}"#.to_owned()));
        request.window = Some(Window { start: 200, end: 300 });
        let mut walk = Walk::begin(&request, 100).unwrap();
        assert_eq!((walk.from(), walk.until()), (Some(200), Some(300)));
        assert!(walk.covers(Some(200)) && walk.covers(None));
        assert!(!walk.covers(Some(300)) && !walk.covers(Some(199)));
        walk.saw(Some(9_000));
        let page = walk.page(Vec::new(), "").unwrap();
        assert_eq!(page.cursor, request.cursor);
    }

    #[test]
    fn a_token_that_ended_begins_the_pass_again_but_not_for_ever() {
        let mut cursor = begin(None).page(Vec::new(), "a").unwrap().cursor;
        for _ in 0..MAX_RESTARTS {
            let again = begin(cursor).again().unwrap();
            let walk = begin(again.cursor);
            assert!(again.more && walk.token().is_none());
            cursor = walk.page(Vec::new(), "a").unwrap().cursor;
        }
        assert!(matches!(begin(cursor).again(), Err(Error::Transient(_))));
        assert!(matches!(begin(None).again(), Err(Error::Transient(_))));
    }

    #[test]
    fn a_cursor_of_somebody_else_is_refused() {
        let request = testing::read_request("any", Some(r#"{"since":"now"}"#.to_owned()));
        assert!(matches!(
            Walk::begin(&request, 0),
            Err(Error::InvalidData(detail)) if detail.pointer.as_deref() == Some("/since")
        ));
    }

    /// A vendor whose records change while they are read, newest first: every change is seen by a later pass at the latest.
    fn read_newest_first(
        vendor: &mut [(u32, u64)],
        cursor: Option<String>,
        size: usize,
    ) -> (Page, Vec<(u32, u64)>) {
        let mut walk = begin(cursor);
        vendor.sort_by_key(|(id, at)| std::cmp::Reverse((*at, *id)));
        let after = walk.token().and_then(|token| {
            let (at, id) = token.split_once('/')?;
            Some((at.parse::<u64>().ok()?, id.parse::<u32>().ok()?))
        });
        let listed: Vec<(u32, u64)> = vendor
            .iter()
            .filter(|(id, at)| after.is_none_or(|after| (*at, *id) < after))
            .filter(|(_, at)| walk.from().is_none_or(|from| *at >= from))
            .copied()
            .collect();
        let page: Vec<(u32, u64)> = listed.iter().take(size).copied().collect();
        for (_, at) in &page {
            walk.saw(Some(*at));
        }
        let next = match page.last() {
            Some((id, at)) if listed.len() > page.len() => format!("{at}/{id}"),
            _ => String::new(),
        };
        (walk.page(Vec::new(), &next).unwrap(), page)
    }

    proptest! {
        #[test]
        fn what_changes_meanwhile_is_not_lost(
            changes in proptest::collection::vec((0_u32..12, 0_u64..3), 0..60),
            size in 1_usize..5,
            at_once in 1_usize..6,
        ) {
            let mut vendor: Vec<(u32, u64)> = (0..12).map(|id| (id, 1_000)).collect();
            let mut seen = std::collections::BTreeMap::new();
            let (mut cursor, mut clock) = (None, 1_000);
            let mut step = |vendor: &mut Vec<(u32, u64)>, cursor: &mut Option<String>| {
                let (page, records) = read_newest_first(vendor, cursor.take(), size);
                seen.extend(records);
                *cursor = page.cursor;
                page.more
            };
            for some in changes.chunks(at_once) {
                for (id, later) in some {
                    clock += later * 60;
                    vendor.retain(|(known, _)| known != id);
                    vendor.push((*id, clock));
                }
                step(&mut vendor, &mut cursor);
            }
            // What is under way ends, and one more pass is made.
            while step(&mut vendor, &mut cursor) {}
            while step(&mut vendor, &mut cursor) {}
            vendor.sort_unstable();
            prop_assert_eq!(seen.into_iter().collect::<Vec<_>>(), vendor);
        }
    }
}
