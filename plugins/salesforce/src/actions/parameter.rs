//! What goes into an action and comes out of it, as JSON Schemas: made of Salesforce's description of the action.
//!
//! What goes in is held to the description. What comes out is held to as little as anybody can rely on: the action has been done when
//! it is looked at, and an answer that is refused then would look as if it had not.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::record::{self, Text};

/// Letters of a description.
const MAX_WORDS: usize = 500;

/// Values of a picklist that are shown.
const MAX_VALUES: usize = 50;

/// An input or an output.
#[derive(Deserialize)]
pub(super) struct Parameter<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    label: Text<'a>,
    #[serde(borrow, default)]
    description: Text<'a>,
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(default)]
    required: Option<bool>,
    /// One, or the most that a list may have.
    #[serde(rename = "maxOccurs", default)]
    max_occurs: Option<u64>,
    /// Whose records they are.
    #[serde(rename = "sobjectType", borrow, default)]
    object: Text<'a>,
    #[serde(rename = "picklistValues", borrow, default)]
    values: Option<Vec<Choice<'a>>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    value: Text<'a>,
}

/// The schema of what an action takes; `words` say what it does.
pub(super) fn input(parameters: &[Parameter<'_>], words: &str) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for parameter in named(parameters) {
        let one = match parameter.kind().as_str() {
            "INTEGER" | "INT" | "LONG" => json!({"type": "integer"}),
            "DATE" => json!({"type": "string", "format": "date"}),
            "DATETIME" => json!({"type": "string", "format": "date-time"}),
            _ => parameter
                .json_type()
                .map_or(json!({}), |name| json!({ "type": name })),
        };
        let schema = match parameter.list() {
            None => one,
            Some(most) => json!({"type": "array", "items": one, "maxItems": most}),
        };
        properties.insert(parameter.name.as_str().to_owned(), parameter.described(schema));
        if parameter.required == Some(true) {
            required.push(parameter.name.as_str());
        }
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    if !words.is_empty() {
        schema.insert("description".to_owned(), record::words(words, MAX_WORDS).into());
    }
    schema.insert("properties".to_owned(), properties.into());
    schema.insert("required".to_owned(), required.into());
    schema.insert("additionalProperties".to_owned(), false.into());
    Value::Object(schema)
}

/// The schema of what an action gives.
pub(super) fn output(parameters: &[Parameter<'_>]) -> Value {
    let mut properties = Map::new();
    for parameter in named(parameters) {
        let one = parameter
            .json_type()
            .map_or(json!({}), |name| json!({"type": [name, "null"]}));
        let schema = match parameter.list() {
            None => one,
            Some(_) => json!({"type": ["array", "null"], "items": one}),
        };
        properties.insert(parameter.name.as_str().to_owned(), parameter.described(schema));
    }
    json!({"type": "object", "properties": properties})
}

fn named<'p, 'a>(parameters: &'p [Parameter<'a>]) -> impl Iterator<Item = &'p Parameter<'a>> {
    parameters
        .iter()
        .filter(|parameter| !parameter.name.as_str().is_empty())
}

impl Parameter<'_> {
    fn kind(&self) -> String {
        self.kind.as_str().to_ascii_uppercase()
    }

    /// What JSON calls it; none of a type that is not known here, as of Apex's own classes.
    fn json_type(&self) -> Option<&'static str> {
        Some(match self.kind().as_str() {
            "BOOLEAN" => "boolean",
            "CURRENCY" | "DECIMAL" | "DOUBLE" | "INT" | "INTEGER" | "LONG" | "NUMBER" | "PERCENT" => "number",
            "BASE64" | "BLOB" | "DATE" | "DATETIME" | "EMAIL" | "ENCRYPTEDSTRING" | "ID"
            | "MULTIPICKLIST" | "PHONE" | "PICKLIST" | "REFERENCE" | "STRING" | "TEXTAREA" | "TIME"
            | "URL" => "string",
            "SOBJECT" => "object",
            _ => return None,
        })
    }

    /// The most of them, where there may be several.
    fn list(&self) -> Option<u64> {
        self.max_occurs.filter(|most| *most > 1)
    }

    fn described(&self, schema: Value) -> Value {
        let Value::Object(mut schema) = schema else {
            return schema;
        };
        let label = self.label.as_str();
        if !label.is_empty() && label != self.name.as_str() {
            schema.insert("title".to_owned(), record::words(label, MAX_WORDS).into());
        }
        let mut words = record::words(self.description.as_str(), MAX_WORDS);
        let object = self.object.as_str();
        if !object.is_empty() {
            let object = record::words(object, 80);
            let between = if words.is_empty() { "" } else { " " };
            words.push_str(&format!(
                "{between}(records of {object}, each with its `attributes.type`)"
            ));
        }
        if !words.is_empty() {
            schema.insert("description".to_owned(), words.into());
        }
        // Shown and not demanded: a picklist may take what is not on its list.
        let values = self.values.iter().flatten().map(|choice| choice.value.as_str());
        let values: Vec<_> = values
            .filter(|value| !value.is_empty())
            .take(MAX_VALUES)
            .collect();
        if !values.is_empty() {
            schema.insert("examples".to_owned(), values.into());
        }
        Value::Object(schema)
    }
}
