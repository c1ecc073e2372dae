//! What records of a stream look like: which fields, and of which types.
//!
//! What must always hold: a shape is bounded ([`MAX_FIELDS`], [`MAX_DEPTH`]), so that a vendor who invents field names (maps
//! with ids as names) cannot make it grow for ever. What is deeper is not looked at; past the count, fields are not learnt.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::json::{self, Kind, Malformed};
use crate::outcome::{RECORD, Refused};

/// Fields of one shape; more is a map, not a record.
pub const MAX_FIELDS: usize = 2_000;

/// Objects inside each other that are told apart.
pub const MAX_DEPTH: usize = 6;

/// Bytes of one field's pointer that is learnt.
const MAX_POINTER_BYTES: usize = 512;

/// A type of values. Null is none: any field can be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// A string.
    Text,
    /// A number written without a point or an exponent.
    Integer,
    /// Any other number.
    Number,
    /// True or false.
    Boolean,
    /// An array, whatever is in it.
    Array,
    /// An object.
    Object,
}

impl Type {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Known fields by their JSON pointer, each with the types it has had.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape {
    fields: BTreeMap<String, BTreeSet<Type>>,
}

/// How a record differs from what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A field that is not known.
    NewField {
        /// The field, as a JSON pointer.
        pointer: String,
    },
    /// A type that the field never had.
    NewType {
        /// The field, as a JSON pointer.
        pointer: String,
        /// The type it has now.
        is: Type,
    },
}

impl Difference {
    /// The field, as a JSON pointer.
    #[must_use]
    pub fn pointer(&self) -> &str {
        match self {
            Self::NewField { pointer } | Self::NewType { pointer, .. } => pointer,
        }
    }

    /// What is other, to be read after the field's name.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::NewField { .. } => "is a new field".to_owned(),
            Self::NewType { is, .. } => format!("is {}, which it never was", is.name()),
        }
    }
}

impl Shape {
    /// The shape of one record.
    ///
    /// # Errors
    ///
    /// When the text is not a JSON object, or names a field twice.
    pub fn of(record: &str) -> Result<Self, Refused> {
        let mut shape = Self::default();
        let mut learn = |pointer: &str, is: Option<Type>| {
            if shape.fields.len() < MAX_FIELDS && pointer.len() <= MAX_POINTER_BYTES {
                shape.fields.entry(pointer.to_owned()).or_default().extend(is);
            }
            true
        };
        visit(record, "", 0, &mut learn).map_err(|error| Refused::new(RECORD, error.to_string(), ""))?;
        Ok(shape)
    }

    /// Takes what another shape knows into this one.
    pub fn merge(&mut self, other: &Self) {
        for (pointer, types) in &other.fields {
            if let Some(known) = self.fields.get_mut(pointer) {
                known.extend(types);
            } else if self.fields.len() < MAX_FIELDS {
                self.fields.insert(pointer.clone(), types.clone());
            }
        }
    }

    /// How a record differs. A new object is one difference, not one for each field inside it.
    ///
    /// # Errors
    ///
    /// When the text is not a JSON object, or names a field twice.
    pub fn difference(&self, record: &str) -> Result<Vec<Difference>, Refused> {
        let mut found = Vec::new();
        let mut compare = |pointer: &str, is: Option<Type>| {
            let Some(known) = self.fields.get(pointer) else {
                found.push(Difference::NewField {
                    pointer: pointer.to_owned(),
                });
                return false;
            };
            match is {
                // A field that was only ever null has no type yet: its first one is no change.
                Some(is) if !known.is_empty() && !fits(known, is) => {
                    found.push(Difference::NewType {
                        pointer: pointer.to_owned(),
                        is,
                    });
                    false
                }
                _ => true,
            }
        };
        visit(record, "", 0, &mut compare).map_err(|error| Refused::new(RECORD, error.to_string(), ""))?;
        Ok(found)
    }

    /// Known fields with their types.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &BTreeSet<Type>)> {
        self.fields
            .iter()
            .map(|(pointer, types)| (pointer.as_str(), types))
    }

    /// Whether nothing is known yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

fn fits(known: &BTreeSet<Type>, is: Type) -> bool {
    known.contains(&is) || (is == Type::Integer && known.contains(&Type::Number))
}

/// Shows each field of an object; `look` says whether to go inside.
fn visit(
    text: &str,
    at: &str,
    depth: usize,
    look: &mut impl FnMut(&str, Option<Type>) -> bool,
) -> Result<(), Malformed> {
    for (name, _, value) in json::members(text)? {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        let is = match json::kind(value) {
            Kind::Null => None,
            Kind::Boolean => Some(Type::Boolean),
            Kind::Text => Some(Type::Text),
            Kind::Array => Some(Type::Array),
            Kind::Object => Some(Type::Object),
            Kind::Number if json::is_integer(value) => Some(Type::Integer),
            Kind::Number => Some(Type::Number),
        };
        if look(&pointer, is) && is == Some(Type::Object) && depth + 1 < MAX_DEPTH {
            visit(value, &pointer, depth + 1, look)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(known: &str, record: &str) -> Vec<String> {
        let found = Shape::of(known).unwrap().difference(record).unwrap();
        found
            .iter()
            .map(|one| format!("{} {}", one.pointer(), one.what()))
            .collect()
    }

    #[test]
    fn differences_are_told() {
        let known = r#"{"id":1,"price":1.5,"address":{"city":"x"},"note":null,"tags":[]}"#;
        assert!(difference(known, known).is_empty());
        assert!(difference(known, r#"{"price":2,"note":"now","id":null}"#).is_empty());
        assert_eq!(
            difference(known, r#"{"id":1.5}"#),
            ["/id is a number, which it never was"]
        );
        assert_eq!(
            difference(known, r#"{"address":{"zip":{"a":1}}}"#),
            ["/address/zip is a new field"]
        );
        assert_eq!(
            difference(known, r#"{"address":"x"}"#),
            ["/address is text, which it never was"]
        );
    }

    #[test]
    fn shapes_are_bounded() {
        let many: Vec<String> = (0..MAX_FIELDS + 10).map(|n| format!("\"k{n}\":1")).collect();
        let mut shape = Shape::of(&format!("{{{}}}", many.join(","))).unwrap();
        shape.merge(&Shape::of(r#"{"other":1}"#).unwrap());
        assert_eq!(shape.fields().count(), MAX_FIELDS);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
        assert_eq!(Shape::of(&deep).unwrap().fields().count(), MAX_DEPTH);
    }

    #[test]
    fn a_shape_is_stored_and_comes_back() {
        let shape = Shape::of(r#"{"a":{"b":[1]},"c":null}"#).unwrap();
        let text = serde_json::to_string(&shape).unwrap();
        assert_eq!(text, r#"{"/a":["object"],"/a/b":["array"],"/c":[]}"#);
        assert_eq!(serde_json::from_str::<Shape>(&text).unwrap(), shape);
    }
}
