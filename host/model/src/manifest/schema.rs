//! JSON Schemas written as TOML: turned into JSON, bounded, and without references to elsewhere.

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::ManifestError;
use super::source::Node;

/// Deeper schemas are refused: validators recurse.
const MAX_DEPTH: usize = 32;
/// More values than this in one schema are refused.
const MAX_VALUES: usize = 10_000;
/// The longest regular expression (`pattern`, and names of `patternProperties`).
const MAX_PATTERN_BYTES: usize = 256;
/// The longest other text.
const MAX_TEXT_BYTES: usize = 4096;

/// Reads a schema of an object; `type = "object"` is implied.
pub(super) fn object(node: &Node<'_>) -> Result<Value, ManifestError> {
    if node.value().as_table().is_none() {
        return Err(node.error("is not a table with a JSON Schema"));
    }
    let mut left = MAX_VALUES;
    let Value::Object(mut schema) = value(node, 0, &mut left)? else {
        return Err(node.error("is not a table with a JSON Schema"));
    };
    match schema.get("type") {
        None => {
            schema.insert("type".to_owned(), Value::from("object"));
        }
        Some(kind) if kind == "object" => {}
        Some(_) => return Err(node.error("has another `type` than \"object\"")),
    }
    if schema
        .get("properties")
        .is_some_and(|properties| !properties.is_object())
    {
        return Err(node.error("has `properties` that are not a table"));
    }
    let required = schema.get("required");
    if required.is_some_and(|names| {
        !names
            .as_array()
            .is_some_and(|names| names.iter().all(Value::is_string))
    }) {
        return Err(node.error("has `required` that is not a list of names"));
    }
    Ok(Value::Object(schema))
}

/// A value that is no schema, of at most so many values.
pub(super) fn plain(node: &Node<'_>, max: usize) -> Result<Value, ManifestError> {
    let mut left = max;
    value(node, 0, &mut left)
}

/// The schema of anything that is an object.
pub(super) fn empty() -> Value {
    serde_json::json!({ "type": "object" })
}

/// The schema of this property.
pub(super) fn property<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    schema.get("properties")?.get(name)
}

fn value(node: &Node<'_>, depth: usize, left: &mut usize) -> Result<Value, ManifestError> {
    if depth > MAX_DEPTH {
        return Err(node.error("is nested deeper than 32 levels"));
    }
    *left = left
        .checked_sub(1)
        .ok_or_else(|| node.error("has more values than may stand here"))?;
    match node.value() {
        DeValue::String(_) => Ok(Value::from(node.raw(MAX_TEXT_BYTES)?)),
        DeValue::Boolean(flag) => Ok(Value::from(*flag)),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
            number
                .map(Value::from)
                .ok_or_else(|| node.error("is a whole number of more than 64 bits"))
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            number
                .map(Value::Number)
                .ok_or_else(|| node.error("is not a number that JSON has"))
        }
        DeValue::Datetime(_) => Err(node.error("is a date, which JSON does not have: write it as a text")),
        DeValue::Array(_) => {
            let entries = node.list(MAX_VALUES)?;
            Ok(Value::Array(
                entries
                    .iter()
                    .map(|entry| value(entry, depth + 1, left))
                    .collect::<Result<_, _>>()?,
            ))
        }
        DeValue::Table(_) => table(node, depth, left),
    }
}

fn table(node: &Node<'_>, depth: usize, left: &mut usize) -> Result<Value, ManifestError> {
    let mut map = Map::new();
    for (key, at_key, entry) in node.entries().into_iter().flatten() {
        if key.len() > MAX_PATTERN_BYTES {
            return Err(at_key.error("is longer than 256 bytes"));
        }
        let text = entry.value().as_str();
        if key == "pattern" && text.is_some_and(|pattern| pattern.len() > MAX_PATTERN_BYTES) {
            return Err(entry.error("is a regular expression of more than 256 bytes"));
        }
        if matches!(key, "$ref" | "$dynamicRef") && text.is_some_and(|target| !target.starts_with('#')) {
            return Err(
                entry.error("refers to another document: only references that begin with `#` are followed")
            );
        }
        map.insert(key.to_owned(), value(&entry, depth + 1, left)?);
    }
    Ok(Value::Object(map))
}
