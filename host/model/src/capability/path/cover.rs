//! Containment of path patterns, as inclusion of automata over segments.
//!
//! The states of `ours` that some beginning of a path of `theirs` can be in are followed through `theirs`. A `**` of
//! theirs stands for segments that no pattern names, so only `*` and `**` of ours can follow it. If every way through
//! theirs ends with ours at its end, ours covers theirs. The number of situations looked at is bounded; beyond the bound
//! the answer is no.

use std::collections::HashSet;

use super::segment::Segment;

/// Situations looked at before the answer is no. Patterns as people write them need a few dozen.
const MAX_SITUATIONS: usize = 4096;

/// One bit for each place before a segment and one for the end.
type Places = u128;

pub(super) fn covers(ours: &[Segment], theirs: &[Segment]) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![(skip(ours, 1), 0usize)];
    while let Some((places, at)) = open.pop() {
        if !seen.insert((places, at)) {
            continue;
        }
        if places == 0 || seen.len() > MAX_SITUATIONS {
            return false;
        }
        match theirs.get(at) {
            None if !at_end(ours, places) => return false,
            None => {}
            Some(Segment::Many) => {
                open.push((places, at + 1));
                open.push((step(ours, places, &Segment::One), at));
                // An empty segment can only be a path's last.
                let empty = step(ours, places, &Segment::Literal(String::new()));
                let last = theirs.iter().skip(at).all(|segment| *segment == Segment::Many);
                if last && !at_end(ours, empty) {
                    return false;
                }
            }
            Some(segment) => open.push((step(ours, places, segment), at + 1)),
        }
    }
    true
}

/// Where ours can be after a segment of theirs.
fn step(ours: &[Segment], places: Places, segment: &Segment) -> Places {
    let mut after = 0;
    for (place, own) in ours.iter().enumerate() {
        if places >> place & 1 == 0 {
            continue;
        }
        if *own == Segment::Many {
            after |= 1 << place;
        } else if own.covers(segment) {
            after |= 1 << (place + 1);
        }
    }
    skip(ours, after)
}

/// A `**` may stand for nothing: whoever is before it is also behind it.
fn skip(ours: &[Segment], mut places: Places) -> Places {
    for (place, own) in ours.iter().enumerate() {
        if *own == Segment::Many && places >> place & 1 == 1 {
            places |= 1 << (place + 1);
        }
    }
    places
}

fn at_end(ours: &[Segment], places: Places) -> bool {
    places >> ours.len() & 1 == 1
}
