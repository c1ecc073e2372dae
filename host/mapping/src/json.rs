//! JSON as text: a value is a slice of what came in until a rule has to look inside.
//!
//! What must always hold: what is not opened keeps its bytes, numbers and escapes included; a text that is opened has no name
//! twice, so that no rule about a field can be evaded by writing the field a second time; nesting is bounded by
//! [`MAX_DEPTH`] before anything recurses over it.

mod number;
mod scan;
mod text;
mod tree;

pub(crate) use number::{compare as compare_numbers, is_integer, is_number};
pub(crate) use scan::{MAX_DEPTH, Malformed, Scan, check, elements, members};
pub(crate) use text::{decode, encode};
pub(crate) use tree::{Blocked, Node};

/// What a JSON text is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

/// The kind of a text that is known to be a JSON value without space around it.
pub(crate) fn kind(text: &str) -> Kind {
    match text.as_bytes().first() {
        Some(b'n') | None => Kind::Null,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'"') => Kind::Text,
        Some(b'[') => Kind::Array,
        Some(b'{') => Kind::Object,
        Some(_) => Kind::Number,
    }
}

/// Whether two JSON texts say the same: numbers by value, texts decoded, objects whatever their order.
pub(crate) fn same(left: &str, right: &str) -> bool {
    if left == right {
        return true;
    }
    match (kind(left), kind(right)) {
        (Kind::Number, Kind::Number) => compare_numbers(left, right).is_eq(),
        (Kind::Text, Kind::Text) => decode(left) == decode(right),
        (Kind::Array, Kind::Array) => {
            let (Ok(left), Ok(right)) = (elements(left), elements(right)) else {
                return false;
            };
            left.len() == right.len() && left.iter().zip(&right).all(|(left, right)| same(left, right))
        }
        (Kind::Object, Kind::Object) => {
            let (Ok(mut left), Ok(mut right)) = (members(left), members(right)) else {
                return false;
            };
            left.sort_by(|a, b| a.0.cmp(&b.0));
            right.sort_by(|a, b| a.0.cmp(&b.0));
            left.len() == right.len()
                && left
                    .iter()
                    .zip(&right)
                    .all(|(left, right)| left.0 == right.0 && same(left.2, right.2))
        }
        _ => false,
    }
}
