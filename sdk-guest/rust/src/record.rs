//! Records: from a vendor's page to changes, without parsing more of them than their identity.
//!
//! [`each`] walks over a JSON array and gives every element twice: as a small type of the connector's own, which names
//! the two or three members that matter (everything else is skipped, but checked to be JSON), and as the vendor's text,
//! to be handed on unchanged. One pass, no copies.
//!
//! ```
//! use sluice_sdk::record::{self, Id, Text};
//!
//! #[derive(serde::Deserialize)]
//! struct Head<'a> {
//!     #[serde(borrow, default)]
//!     id: Id<'a>,
//!     #[serde(borrow, default)]
//!     updated_at: Text<'a>,
//! }
//!
//! let page = r#"[{"id":7,"updated_at":"1970-01-01T00:00:01Z","body":{"kept":"as it is"}}]"#;
//! for element in record::each::<Head<'_>>(page) {
//!     let (head, text) = element?;
//!     let item = record::item(head.id.to_string(), text, head.updated_at.timestamp());
//!     assert_eq!((item.id.as_str(), item.modified), ("7", Some(1_000)));
//! }
//! # Ok::<(), sluice_sdk::Error>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

pub use crate::connection::input;
use crate::{Change, Error, Item, time};

/// The elements of a JSON array (RFC 8259), each with its text; see the module's example. The first thing that is wrong
/// ends it with an error.
#[must_use]
pub fn each<'a, H: Deserialize<'a>>(array: &'a str) -> Each<'a, H> {
    Each {
        text: array,
        at: 0,
        state: State::Before,
        head: PhantomData,
    }
}

/// The iterator of [`each`].
#[derive(Debug)]
pub struct Each<'a, H> {
    text: &'a str,
    at: usize,
    state: State,
    head: PhantomData<fn() -> H>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Inside,
    Done,
}

impl<'a, H: Deserialize<'a>> Iterator for Each<'a, H> {
    type Item = Result<(H, &'a str), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let element = self.step();
        if !matches!(element, Ok(Some(_))) {
            self.state = State::Done;
        }
        element.transpose()
    }
}

impl<'a, H: Deserialize<'a>> Each<'a, H> {
    fn step(&mut self) -> Result<Option<(H, &'a str)>, Error> {
        let first = self.state == State::Before;
        if first {
            self.expect(b'[')?;
            self.state = State::Inside;
        }
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                return match self.peek() {
                    None => Ok(None),
                    Some(_) => Err(self.wrong("something follows the array")),
                };
            }
            _ if first => {}
            _ => self.expect(b',')?,
        }
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<H>();
        let head = match values.next() {
            Some(Ok(head)) => head,
            Some(Err(error)) => return Err(self.wrong(&error.to_string())),
            None => return Err(self.wrong("the array does not end")),
        };
        let length = values.byte_offset();
        self.at += length;
        Ok(Some((head, rest.get(..length).unwrap_or_default())))
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(&format!("expected `{}`", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    fn wrong(&self, what: &str) -> Error {
        Error::invalid_data(format!(
            "the page is not a JSON array of records: {what}, from byte {}",
            self.at
        ))
    }
}

/// An item whose data is the vendor's text.
#[must_use]
pub fn item(id: impl Into<String>, data: &str, modified: Option<u64>) -> Item {
    Item {
        id: id.into(),
        data: data.to_owned(),
        modified,
    }
}

/// A value as JSON text.
///
/// # Errors
/// `internal` for a value that has no JSON form, such as a map with keys that are not text.
pub fn text<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::internal(format!("no JSON form: {error}")))
}

/// The record with one more member at its end, for what the vendor says only around the record: which channel, which base.
/// The record's own text stays as it is.
///
/// ```
/// use sluice_sdk::record;
/// assert_eq!(record::with_member(r#"{"ts":"1"}"#, "channel", "C1")?, r#"{"ts":"1","channel":"C1"}"#);
/// assert_eq!(record::with_member(" { } ", "n", &7)?, r#"{"n":7}"#);
/// assert!(record::with_member("[]", "n", &7).is_err());
/// # Ok::<(), sluice_sdk::Error>(())
/// ```
///
/// # Errors
/// `invalid-data` for a record that is no JSON object; `internal` for a value that has no JSON form.
pub fn with_member<T: Serialize + ?Sized>(record: &str, name: &str, value: &T) -> Result<String, Error> {
    let open = record.trim_ascii();
    let object = open.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let Some(members) = object.map(str::trim_ascii) else {
        return Err(Error::invalid_data("a record of the vendor's is no JSON object"));
    };
    let between = if members.is_empty() { "" } else { "," };
    Ok(format!("{{{members}{between}{}:{}}}", text(name)?, text(value)?))
}

/// The id of a record whose primary key has several parts: `C1/1714557600.000100`. Empty where a part is, so that the host
/// sets the record aside.
///
/// ```
/// use sluice_sdk::record;
/// assert_eq!(record::key(&["C1", "17.0001"]), "C1/17.0001");
/// assert_eq!(record::key(&["C1", ""]), "");
/// ```
#[must_use]
pub fn key(parts: &[&str]) -> String {
    if parts.iter().any(|part| part.is_empty()) {
        return String::new();
    }
    parts.join("/")
}

/// A vendor's words for a message: without control characters, cut after `most` characters.
#[must_use]
pub fn words(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// Parsed records as upserts, with what `pointer` (RFC 6901) finds in each, a text or a number, as its id. For small
/// pages; [`each`] does the same at a fraction of the cost.
///
/// ```
/// let records = [serde_json::json!({"day": "mon"}), serde_json::json!({"day": 2})];
/// let changes = sluice_sdk::record::upserts(&records, "/day")?;
/// assert_eq!(changes.iter().map(|c| c.id()).collect::<Vec<_>>(), ["mon", "2"]);
/// # Ok::<(), sluice_sdk::Error>(())
/// ```
///
/// # Errors
/// `internal`, never in practice: a parsed value has a JSON form.
pub fn upserts(records: &[Value], pointer: &str) -> Result<Vec<Change>, Error> {
    let id = |record: &Value| match record.pointer(pointer) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        // The host sets a record without an id aside and says so.
        _ => String::new(),
    };
    records
        .iter()
        .map(|record| {
            Ok(Change::Upsert(Item {
                id: id(record),
                data: text(record)?,
                modified: None,
            }))
        })
        .collect()
}

impl Change {
    /// The id of the record that it concerns.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Upsert(item) => &item.id,
            Self::Delete(id) => id,
        }
    }
}

/// A record's id as vendors write them: a number or a text. Anything else, or nothing, is `Absent`, and prints as the
/// empty text: the host sets such a record aside with the reason instead of failing the page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Id<'a> {
    /// There is none.
    #[default]
    Absent,
    /// A whole number.
    Number(u64),
    /// A text.
    Text(Cow<'a, str>),
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => Ok(()),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(Scalar)? {
            Found::Text(text) => Self::Text(text),
            Found::Number(number) => Self::Number(number),
            Found::Other => Self::Absent,
        })
    }
}

/// A text, or none where the vendor sent something else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text<'a>(pub Option<Cow<'a, str>>);

impl Text<'_> {
    /// The text; empty where there is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// It as an RFC 3339 time.
    #[must_use]
    pub fn timestamp(&self) -> Option<u64> {
        time::parse(self.0.as_deref()?)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(Scalar)? {
            Found::Text(text) => Self(Some(text)),
            Found::Number(_) | Found::Other => Self(None),
        })
    }
}

enum Found<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    Other,
}

/// Takes any JSON value and keeps what can be an id.
struct Scalar;

impl<'de> Visitor<'de> for Scalar {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Found<'de>, E> {
        Ok(Found::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Found<'de>, E> {
        Ok(Found::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Found<'de>, E> {
        Ok(Found::Number(number))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Found<'de>, E> {
        Ok(Found::Other)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Found<'de>, E> {
        Ok(Found::Other)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Found<'de>, E> {
        Ok(Found::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Found<'de>, E> {
        Ok(Found::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Found<'de>, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, serde::Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        id: Id<'a>,
    }

    fn read(page: &str) -> Result<Vec<(String, &str)>, Error> {
        each::<Head<'_>>(page)
            .map(|element| element.map(|(head, text)| (head.id.to_string(), text)))
            .collect()
    }

    fn check(page: &str, expected: &[(&str, &str)]) {
        let expected: Vec<(String, &str)> = expected
            .iter()
            .map(|(id, text)| ((*id).to_owned(), *text))
            .collect();
        assert_eq!(read(page).unwrap(), expected, "{page}");
    }

    #[test]
    fn an_array_is_taken_apart_and_the_text_is_kept() {
        check("[]", &[]);
        check(" [ ] \n", &[]);
        check(r#"[{"id":1}]"#, &[("1", r#"{"id":1}"#)]);
        check(
            "[ {\"x\":[1e400, 9007199254740993], \"id\":\"a\\u0062\"}\n,{\"id\":2} ]",
            &[
                ("ab", "{\"x\":[1e400, 9007199254740993], \"id\":\"a\\u0062\"}"),
                ("2", "{\"id\":2}"),
            ],
        );
    }

    #[test]
    fn a_record_without_a_usable_id_does_not_fail_the_page() {
        let page = r#"[{},{"id":null},{"id":-1},{"id":{"a":[1]}},{"id":[2]},{"id":true},{"id":1.5}]"#;
        assert!(read(page).unwrap().iter().all(|(id, _)| id.is_empty()));
    }

    #[test]
    fn a_page_that_is_not_an_array_is_refused() {
        let bad = [
            "",
            "{}",
            "<html>",
            "[",
            "[{]",
            "[{}",
            "[{},]",
            "[,{}]",
            "[{} {}]",
            "[{}]]",
            "[{}] x",
            "[{\"id\":1,}]",
            "[{\"id\":01}]",
            "[{\"a\":\"\\x\"}]",
            "\u{feff}[]",
            "[{\"id\":1,\"id\":2}]",
        ];
        for page in bad {
            assert!(matches!(read(page), Err(Error::InvalidData(_))), "{page}");
        }
        let deep = format!("[{{\"a\":{}", "[".repeat(100_000));
        assert!(read(&deep).is_err());
    }

    proptest! {
        #[test]
        fn the_texts_are_the_elements(values in proptest::collection::vec("[ -~é\\n]{0,30}", 0..8), space in "[ \\n\\t]{0,3}") {
            let texts: Vec<String> = values.iter().map(|v| serde_json::json!({"id": v, "v": [v]}).to_string()).collect();
            let page = format!("{space}[{space}{}{space}]{space}", texts.join(&format!("{space},{space}")));
            let read = read(&page).unwrap();
            prop_assert_eq!(read.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), values);
            prop_assert_eq!(read.iter().map(|(_, text)| (*text).to_owned()).collect::<Vec<_>>(), texts);
        }

        #[test]
        fn any_text_is_answered_and_what_is_accepted_is_json(page in "[\\[\\]{},:\"a1 .e-]{0,24}") {
            let accepted = read(&page).is_ok();
            if accepted {
                prop_assert!(serde_json::from_str::<Vec<Value>>(&page).is_ok(), "{}", page);
            }
        }
    }
}
