//! JSON Schemas of a manifest, compiled once, and what a value that breaks one is told.

mod outline;

use serde_json::Value;
use sluice_model::record::MAX_RECORD_BYTES;

use self::outline::Outline;

/// A compiled schema. Remote references are not followed: no schema reaches out.
#[derive(Debug)]
pub struct Schema {
    validator: jsonschema::Validator,
    /// Where there is one, it spares the validator what it accepts.
    outline: Option<Outline>,
}

/// Where and why a value breaks its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", place(pointer))]
pub struct Violation {
    /// RFC 6901, into the value; empty for the value itself.
    pub pointer: String,
    pub reason: String,
}

/// The pointer, for people; the value itself needs none.
fn place(pointer: &str) -> String {
    match pointer.is_empty() {
        true => String::new(),
        false => format!("`{pointer}`: "),
    }
}

/// A manifest's schema that is none.
#[derive(Debug, thiserror::Error)]
#[error("the schema of {place} is not a JSON Schema: {reason}")]
pub struct SchemaError {
    pub place: String,
    pub reason: String,
}

impl SchemaError {
    /// Every code that [`SchemaError::code`] can give.
    pub const CODES: &[&str] = &["manifest.schema"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "manifest.schema"
    }
}

impl Schema {
    /// Compiles the schema that stands at `place` of a manifest.
    ///
    /// # Errors
    ///
    /// If it is not a JSON Schema, or refers to another document.
    pub fn compile(place: &str, schema: &Value) -> Result<Self, SchemaError> {
        jsonschema::options()
            .build(schema)
            .map(|validator| Self {
                validator,
                outline: Outline::of(schema),
            })
            .map_err(|error| SchemaError {
                place: place.to_owned(),
                reason: error.to_string(),
            })
    }

    /// Checks a value.
    ///
    /// # Errors
    ///
    /// The first violation; its text shows at most a short piece of the value.
    pub fn check(&self, value: &Value) -> Result<(), Violation> {
        // The yes-or-no question is much cheaper than the reason, and nearly always enough.
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let Some(error) = self.validator.iter_errors(value).next() else {
            return Ok(());
        };
        let mut reason = error.to_string();
        if reason.len() > MAX_REASON_BYTES {
            let end = reason.floor_char_boundary(MAX_REASON_BYTES);
            reason.truncate(end);
            reason.push('…');
        }
        Err(Violation {
            pointer: error.instance_path().to_string(),
            reason,
        })
    }

    /// Parses a record's JSON text and checks it.
    ///
    /// # Errors
    ///
    /// Text that is not JSON, is too long or too deep, or breaks the schema.
    pub fn check_text(&self, text: &str) -> Result<(), Violation> {
        if text.len() > MAX_RECORD_BYTES {
            return Err(Violation {
                pointer: String::new(),
                reason: format!(
                    "{} bytes are more than the {MAX_RECORD_BYTES} that a record may have",
                    text.len()
                ),
            });
        }
        if self.outline.as_ref().is_some_and(|outline| outline.accepts(text)) {
            return Ok(());
        }
        let value: Value = serde_json::from_str(text).map_err(|error| Violation {
            pointer: String::new(),
            reason: format!("not JSON: {error}"),
        })?;
        self.check(&value)
    }
}

/// A violation may quote the value it is about; the whole of it would fill the quarantine.
const MAX_REASON_BYTES: usize = 300;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issue() -> Schema {
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": {"id": {"type": "integer"}, "title": {"type": "string"}}
        });
        Schema::compile("streams[0]", &schema).unwrap()
    }

    fn check(text: &str, expected: Result<(), &str>) {
        let found = issue()
            .check_text(text)
            .map_err(|violation| violation.to_string());
        match expected {
            Ok(()) => assert_eq!(found, Ok(())),
            Err(part) => assert!(
                found.as_ref().is_err_and(|text| text.contains(part)),
                "{found:?} has no {part}"
            ),
        }
    }

    #[test]
    fn says_where_and_why() {
        check(r#"{"id": 1, "title": "x", "more": null}"#, Ok(()));
        check(r#"{"id": 9007199254740993}"#, Ok(()));
        check(r#"{"title": "x"}"#, Err("id"));
        check(r#"{"id": 1, "title": 2}"#, Err("`/title`"));
        check("{", Err("not JSON"));
        check(
            &format!("{}1{}", "[".repeat(5000), "]".repeat(5000)),
            Err("not JSON"),
        );
    }

    #[test]
    fn another_document_is_not_fetched() {
        let schema = json!({"$ref": "http://127.0.0.1:1/schema.json"});
        assert!(Schema::compile("config", &schema).is_err());
    }
}
