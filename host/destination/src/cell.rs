//! Cells: what becomes of a record's values in the columns of a table, and what is left over.
//!
//! A value stands in its column where the column holds all of it. Otherwise it stands in `_sluice_rest`, an object of the
//! members without a cell; a time of more than microseconds stands in both. What no database can hold as it is (see
//! [`shape`](crate::shape)) stands there as `{"_sluice_text": "…"}`, its JSON text in a string. A missing member and one
//! that is null are both null.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::column::{Column, Kind};
use crate::decimal::{self, Decimal};
use crate::document::{Document, Member};
use crate::instant::{Instant, read_date};
use crate::shape;

/// The member that says that a text stands for a value.
const TEXT: &str = "_sluice_text";

/// The member that has an id that no column can hold, see [`held_id`].
const ID: &str = "_sluice_id";

/// The member that has a record that is no object.
const VALUE: &str = "_sluice_value";

/// A value that fits its column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    /// The JSON number's text.
    Number(&'a str),
    /// The number that it is exactly.
    Double(f64),
    Bool(bool),
    /// Microseconds since the epoch.
    Instant(i64),
    /// Days since the epoch.
    Date(i32),
    /// A JSON text.
    Json(&'a str),
}

/// The columns, found by the names of members.
#[derive(Debug)]
pub(crate) struct Fitter<'c> {
    columns: &'c [Column],
    places: HashMap<&'c str, usize>,
}

/// A record in cells, one for each column.
#[derive(Debug)]
pub(crate) struct Cells<'a> {
    pub(crate) cells: Vec<Cell<'a>>,
    /// A JSON object of what has no cell.
    pub(crate) rest: Option<String>,
}

impl Cells<'_> {
    /// Nothing in any of so many columns.
    pub(crate) fn empty(columns: usize) -> Self {
        Self {
            cells: vec![Cell::Null; columns],
            rest: None,
        }
    }
}

impl<'c> Fitter<'c> {
    pub(crate) fn new(columns: &'c [Column]) -> Self {
        let places = columns.iter().enumerate();
        Self {
            columns,
            places: places.map(|(at, column)| (column.field.as_str(), at)).collect(),
        }
    }

    /// Puts a record into cells.
    pub(crate) fn fit<'a>(&self, id: &str, document: &Document<'a>) -> Cells<'a> {
        let mut cells = vec![Cell::Null; self.columns.len()];
        let mut rest = Rest::default();
        match document {
            Document::Other(value) => rest.add(VALUE, &format!("\"{VALUE}\""), value),
            Document::Object(members) => {
                for member in members {
                    if !self.place(member, &mut cells) {
                        rest.member(member);
                    }
                }
            }
        }
        if id.contains('\0') {
            rest.add(ID, &format!("\"{ID}\""), &quoted(id));
        }
        Cells {
            cells,
            rest: rest.finish(),
        }
    }

    /// Whether the member's cell now says all of it.
    fn place<'a>(&self, member: &Member<'a>, cells: &mut [Cell<'a>]) -> bool {
        let place = member
            .name
            .as_deref()
            .and_then(|name| self.places.get(name).copied());
        let Some((place, column)) = place.and_then(|place| Some((place, self.columns.get(place)?))) else {
            return false;
        };
        let (cell, whole) = fit(column.kind, member.value);
        if let Some(free) = cells.get_mut(place) {
            *free = cell;
        }
        whole
    }

    /// Which columns of 64 bits would have to hold any number for this record's sake.
    pub(crate) fn narrow<'a>(&'a self, document: &'a Document<'_>) -> impl Iterator<Item = usize> + 'a {
        let members = match document {
            Document::Object(members) => members.as_slice(),
            Document::Other(_) => &[],
        };
        members.iter().filter_map(|member| {
            let place = *self.places.get(member.name.as_deref()?)?;
            let is_int = self.columns.get(place)?.kind == Kind::Int;
            (is_int
                && is_number(member.value)
                && fit(Kind::Int, member.value).0 == Cell::Null
                && decimal::is_holdable(member.value))
            .then_some(place)
        })
    }
}

fn is_number(value: &str) -> bool {
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// The cell of a value, and whether it says all of the value.
fn fit(kind: Kind, value: &str) -> (Cell<'_>, bool) {
    if value == "null" {
        return (Cell::Null, true);
    }
    let fits = |cell: Option<Cell<'_>>| cell.is_some();
    let found = match kind {
        Kind::Text => text(value).map(Cell::Text),
        Kind::Int => value
            .parse()
            .ok()
            .or_else(|| Decimal::read(value)?.as_i64())
            .map(Cell::Int),
        Kind::Number => (is_number(value) && decimal::is_holdable(value)).then_some(Cell::Number(value)),
        Kind::Double => is_number(value)
            .then(|| decimal::as_double(value))
            .flatten()
            .map(Cell::Double),
        Kind::Bool => match value {
            "true" => Some(Cell::Bool(true)),
            "false" => Some(Cell::Bool(false)),
            _ => None,
        },
        Kind::Date => text(value).and_then(|text| read_date(&text)).map(Cell::Date),
        Kind::Instant => {
            let read = text(value).and_then(|text| Instant::read(&text));
            return read.map_or((Cell::Null, false), |read| {
                (Cell::Instant(read.micros), read.exact)
            });
        }
        Kind::Json => shape::is_holdable(value).then_some(Cell::Json(value)),
    };
    let whole = fits(found.clone());
    (found.unwrap_or(Cell::Null), whole)
}

/// The text of a JSON string, where a database can hold it.
pub(crate) fn text(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let text: String = serde_json::from_str(value).ok()?;
    (!text.contains('\0')).then_some(Cow::Owned(text))
}

/// What has no cell, on its way to an object.
#[derive(Debug, Default)]
struct Rest {
    members: String,
    /// Members whose names cannot be held.
    nameless: String,
}

impl Rest {
    fn member(&mut self, member: &Member<'_>) {
        match &member.name {
            Some(name) if !name.contains('\0') => self.add(name, member.raw_name, member.value),
            _ => push(&mut self.nameless, member.raw_name, member.value),
        }
    }

    fn add(&mut self, name: &str, raw_name: &str, value: &str) {
        // One that says it is a text of ours is kept as a text, so that nothing is taken for what it is not.
        let is_taken = name == TEXT || value.contains(TEXT);
        if shape::is_holdable(value) && !is_taken {
            push(&mut self.members, raw_name, value);
        } else if name == TEXT {
            push(&mut self.nameless, raw_name, value);
        } else {
            push(
                &mut self.members,
                raw_name,
                &format!("{{\"{TEXT}\":{}}}", quoted(value)),
            );
        }
    }

    fn finish(mut self) -> Option<String> {
        if !self.nameless.is_empty() {
            let whole = format!("{{{}}}", self.nameless);
            push(&mut self.members, &format!("\"{TEXT}\""), &quoted(&whole));
        }
        (!self.members.is_empty()).then(|| format!("{{{}}}", self.members))
    }
}

fn push(members: &mut String, raw_name: &str, value: &str) {
    if !members.is_empty() {
        members.push(',');
    }
    members.push_str(raw_name);
    members.push(':');
    members.push_str(value);
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An id as a database can hold it: one with a NUL becomes another text that is as much its own, and is kept in the rest.
pub(crate) fn held_id(id: &str) -> Cow<'_, str> {
    if !id.contains('\0') {
        return Cow::Borrowed(id);
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
    let hex = data_encoding::HEXLOWER.encode(digest.as_ref().get(..16).unwrap_or_default());
    Cow::Owned(format!("{}_{hex}", id.replace('\0', "\u{2400}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, record: &str, expected: Cell<'_>, rest: Option<&str>) {
        let columns = [Column {
            field: "a".into(),
            name: "a".into(),
            kind,
        }];
        let document = Document::read(record).unwrap();
        let cells = Fitter::new(&columns).fit("id", &document);
        assert_eq!(cells.cells, [expected], "{record}");
        assert_eq!(cells.rest.as_deref(), rest, "{record}");
        if let Some(rest) = rest {
            assert!(shape::is_holdable(rest) && serde_json::from_str::<serde_json::Value>(rest).is_ok());
        }
    }

    #[test]
    fn what_fits_stands_in_its_column() {
        check(Kind::Text, r#"{"a":"x\ny"}"#, Cell::Text("x\ny".into()), None);
        check(
            Kind::Int,
            r#"{"a":9007199254740993}"#,
            Cell::Int(9_007_199_254_740_993),
            None,
        );
        check(Kind::Int, r#"{"a":1e3}"#, Cell::Int(1000), None);
        check(Kind::Number, r#"{"a":1e400}"#, Cell::Number("1e400"), None);
        check(Kind::Bool, r#"{"a":true}"#, Cell::Bool(true), None);
        check(
            Kind::Instant,
            r#"{"a":"1970-01-01T00:00:01Z"}"#,
            Cell::Instant(1_000_000),
            None,
        );
        check(Kind::Date, r#"{"a":"1970-01-02"}"#, Cell::Date(1), None);
        check(Kind::Json, r#"{"a":[1, 2]}"#, Cell::Json("[1, 2]"), None);
        check(Kind::Json, r#"{"a":null}"#, Cell::Null, None);
        check(Kind::Int, "{}", Cell::Null, None);
    }

    #[test]
    fn what_does_not_fit_is_the_rest() {
        check(
            Kind::Int,
            r#"{"a":"x","b":2}"#,
            Cell::Null,
            Some(r#"{"a":"x","b":2}"#),
        );
        check(
            Kind::Int,
            r#"{"a":9223372036854775808}"#,
            Cell::Null,
            Some(r#"{"a":9223372036854775808}"#),
        );
        check(Kind::Text, r#"{"a":5}"#, Cell::Null, Some(r#"{"a":5}"#));
        check(
            Kind::Date,
            r#"{"a":"9999-13-01"}"#,
            Cell::Null,
            Some(r#"{"a":"9999-13-01"}"#),
        );
        let nanos = r#"{"a":"1970-01-01T00:00:00.000001001Z"}"#;
        check(Kind::Instant, nanos, Cell::Instant(1), Some(nanos));
        check(Kind::Text, "[1]", Cell::Null, Some(r#"{"_sluice_value":[1]}"#));
    }

    #[test]
    fn what_nobody_can_hold_is_a_text() {
        check(
            Kind::Text,
            r#"{"a":"x\u0000"}"#,
            Cell::Null,
            Some(r#"{"a":{"_sluice_text":"\"x\\u0000\""}}"#),
        );
        check(
            Kind::Text,
            r#"{"a":"\ud800"}"#,
            Cell::Null,
            Some(r#"{"a":{"_sluice_text":"\"\\ud800\""}}"#),
        );
        check(
            Kind::Number,
            r#"{"a":1e99999}"#,
            Cell::Null,
            Some(r#"{"a":{"_sluice_text":"1e99999"}}"#),
        );
        check(
            Kind::Text,
            r#"{"\u0000":1,"\udc00":"x"}"#,
            Cell::Null,
            Some(r#"{"_sluice_text":"{\"\\u0000\":1,\"\\udc00\":\"x\"}"}"#),
        );
        check(
            Kind::Text,
            r#"{"b":{"_sluice_text":"1"}}"#,
            Cell::Null,
            Some(r#"{"b":{"_sluice_text":"{\"_sluice_text\":\"1\"}"}}"#),
        );
    }

    #[test]
    fn ids_stay_their_own() {
        assert_eq!(held_id("a"), "a");
        assert!(!held_id("a\0b").contains('\0'));
        assert_ne!(held_id("a\0b"), held_id("a\u{2400}b"));
    }
}
