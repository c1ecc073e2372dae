//! Columns: what the properties of a record's schema become.
//!
//! A column's name depends on the property's name alone, never on its neighbours, so that it stays when others come and
//! go. A name that cannot stay as it is ends with `_` and a digest of itself, and a name that looks as if it did gets one
//! too: two properties never share a column.

use std::collections::HashSet;

use data_encoding::HEXLOWER;
use ring::digest;
use serde_json::{Map, Value};

/// Bytes of an identifier that PostgreSQL keeps (NAMEDATALEN - 1).
const MAX_IDENTIFIER_BYTES: usize = 63;

/// Columns of one table. A row of 400 values that are stored aside fits PostgreSQL's page of 8 KiB; further properties
/// stand in `_sluice_rest`.
pub(crate) const MAX_COLUMNS: usize = 400;

/// What every name of ours begins with, and no property's column.
pub(crate) const OURS: &str = "_sluice_";

/// The columns that PostgreSQL has in every table.
const SYSTEM: [&str; 7] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "oid"];

/// References that are followed to find a type.
const MAX_REFERENCES: usize = 8;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// 64 bits.
    Int,
    /// Any decimal number.
    Number,
    /// Those decimal numbers that a double is exactly: in files, which have no others.
    Double,
    Bool,
    /// A time with its offset, as the instant that it is.
    Instant,
    Date,
    /// Anything.
    Json,
}

impl Kind {
    /// The kind that holds what either holds: strings stay text, numbers numbers, everything mixed is JSON.
    pub(crate) const fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int, Self::Int) => Self::Int,
            (Self::Int | Self::Number, Self::Int | Self::Number) => Self::Number,
            (Self::Bool, Self::Bool) => Self::Bool,
            (Self::Instant, Self::Instant) => Self::Instant,
            (Self::Date, Self::Date) => Self::Date,
            (Self::Text | Self::Instant | Self::Date, Self::Text | Self::Instant | Self::Date) => Self::Text,
            _ => Self::Json,
        }
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// The property.
    pub(crate) field: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// The columns of a schema, in its order.
pub(crate) fn columns(schema: &Value) -> Vec<Column> {
    let mut taken = HashSet::new();
    let properties = resolve(schema, schema).and_then(|schema| schema.get("properties"));
    let properties = properties.and_then(Value::as_object).into_iter().flatten();
    properties
        .map(|(field, of)| Column {
            field: field.clone(),
            name: identifier(field),
            kind: kind(of, schema, 0),
        })
        .filter(|column| taken.insert(column.name.clone()))
        .take(MAX_COLUMNS)
        .collect()
}

/// An identifier for a name from outside.
pub(crate) fn identifier(name: &str) -> String {
    let looks_made = || {
        let tail = name.len().checked_sub(11).and_then(|at| name.get(at..));
        tail.and_then(|tail| tail.strip_prefix('_'))
            .is_some_and(|hex| hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    };
    let stays = !name.is_empty()
        && name.len() <= MAX_IDENTIFIER_BYTES
        && !name.contains(char::is_control)
        && !name.to_lowercase().starts_with(OURS)
        && !SYSTEM.contains(&name)
        && !looks_made();
    if stays {
        return name.to_owned();
    }
    let digest = digest::digest(&digest::SHA256, name.as_bytes());
    let hex = HEXLOWER.encode(digest.as_ref().get(..5).unwrap_or_default());
    let bare = name.trim_start_matches('_');
    let mut kept: String = bare
        .chars()
        .map(|char| if char.is_control() { '_' } else { char })
        .collect();
    while kept.len() > MAX_IDENTIFIER_BYTES - 11 {
        kept.pop();
    }
    format!("{kept}_{hex}")
}

/// The schema itself, or what it refers to within the document.
fn resolve<'a>(mut schema: &'a Value, root: &'a Value) -> Option<&'a Value> {
    for _ in 0..MAX_REFERENCES {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return Some(schema);
        };
        schema = root.pointer(reference.strip_prefix('#')?)?;
    }
    None
}

fn kind(schema: &Value, root: &Value, depth: usize) -> Kind {
    let Some(schema) = resolve(schema, root).and_then(Value::as_object) else {
        return Kind::Json;
    };
    if depth >= MAX_REFERENCES {
        return Kind::Json;
    }
    let words: Vec<&str> = match schema.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => return kind_of_choices(schema, root, depth),
    };
    let kinds = words.iter().filter(|word| **word != "null");
    let kinds = kinds.map(|word| match *word {
        "string" => kind_of_string(schema),
        "integer" if is_wide(schema) => Kind::Number,
        "integer" => Kind::Int,
        "number" => Kind::Number,
        "boolean" => Kind::Bool,
        _ => Kind::Json,
    });
    kinds.reduce(Kind::join).unwrap_or(Kind::Json)
}

/// Of a schema without a type: what its alternatives have in common, or its constants.
fn kind_of_choices(schema: &Map<String, Value>, root: &Value, depth: usize) -> Kind {
    let choices = schema.get("anyOf").or_else(|| schema.get("oneOf"));
    if let Some(choices) = choices.and_then(Value::as_array) {
        let is_null = |choice: &&Value| choice.get("type").and_then(Value::as_str) == Some("null");
        let kinds = choices.iter().filter(|choice| !is_null(choice));
        let kinds = kinds.map(|choice| kind(choice, root, depth + 1));
        return kinds.reduce(Kind::join).unwrap_or(Kind::Json);
    }
    let constants = match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(all)), _) => all.as_slice(),
        (_, Some(one)) => std::slice::from_ref(one),
        _ => return Kind::Json,
    };
    let kinds = constants.iter().filter(|constant| !constant.is_null());
    let kinds = kinds.map(|constant| match constant {
        Value::String(_) => Kind::Text,
        Value::Bool(_) => Kind::Bool,
        Value::Number(number) if number.is_i64() => Kind::Int,
        Value::Number(_) => Kind::Number,
        _ => Kind::Json,
    });
    kinds.reduce(Kind::join).unwrap_or(Kind::Json)
}

fn kind_of_string(schema: &Map<String, Value>) -> Kind {
    match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => Kind::Instant,
        Some("date") => Kind::Date,
        _ => Kind::Text,
    }
}

/// Whether an integer is said to go beyond 64 bits.
fn is_wide(schema: &Map<String, Value>) -> bool {
    let beyond = |word: &str| {
        let bound = schema.get(word).filter(|bound| bound.is_number());
        bound.is_some_and(|bound| !bound.is_i64())
    };
    ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]
        .into_iter()
        .any(beyond)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(schema: Value, expected: Kind) {
        assert_eq!(kind(&schema, &schema, 0), expected, "{schema}");
    }

    #[test]
    fn kinds() {
        check(json!({"type": "string"}), Kind::Text);
        check(
            json!({"type": ["string", "null"], "format": "date-time"}),
            Kind::Instant,
        );
        check(json!({"type": "string", "format": "date"}), Kind::Date);
        check(json!({"type": "integer"}), Kind::Int);
        check(
            json!({"type": "integer", "maximum": 18_446_744_073_709_551_615_u64}),
            Kind::Number,
        );
        check(json!({"type": "number"}), Kind::Number);
        check(json!({"type": ["integer", "number", "null"]}), Kind::Number);
        check(json!({"type": ["integer", "string"]}), Kind::Json);
        check(json!({"type": "object"}), Kind::Json);
        check(
            json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}),
            Kind::Int,
        );
        check(json!({"enum": ["a", "b", null]}), Kind::Text);
        check(json!({"const": 5}), Kind::Int);
        check(
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}),
            Kind::Bool,
        );
        check(json!({"$ref": "#"}), Kind::Json);
        check(json!({"$ref": "https://example.com/x"}), Kind::Json);
        check(json!(true), Kind::Json);
        check(json!({}), Kind::Json);
    }

    #[test]
    fn names() {
        for stays in [
            "id",
            "Id",
            "with space",
            "q\"uo'te",
            "ü",
            "select",
            "__x",
            &"a".repeat(63),
        ] {
            assert_eq!(identifier(stays), stays);
        }
        for made in [
            "",
            "ctid",
            "_sluice_id",
            "_SLUICE_seq",
            "a\0b",
            "a\nb",
            "x_0123456789",
            &"a".repeat(64),
            &"ü".repeat(32),
        ] {
            let name = identifier(made);
            assert!(
                name != made && name.len() <= 63 && !name.starts_with(OURS),
                "{made}: {name}"
            );
        }
    }

    #[test]
    fn columns_are_bounded_and_in_order() {
        let many: Map<String, Value> = (0..1000)
            .map(|number| (format!("f{number:04}"), json!({})))
            .collect();
        let all = columns(&json!({"properties": many}));
        assert_eq!(all.len(), MAX_COLUMNS);
        assert!(columns(&json!(false)).is_empty());
    }

    proptest! {
        #[test]
        fn two_names_never_meet(one in "\\PC{0,80}", other in "\\PC{0,80}") {
            let (first, second) = (identifier(&one), identifier(&other));
            prop_assert!(first.len() <= 63 && !first.contains('\0') && !first.is_empty());
            prop_assert_eq!(one == other, first == second);
            // A made name is not the name of a property that stays.
            prop_assert!(one == first || identifier(&first) != first);
        }
    }
}
