//! An answer of what a document says about it: its example, or the least that fits its schema.

use serde_json::{Map, Value, json};

/// How deep references and schemas lead; a schema that contains itself ends here.
const MAX_DEPTH: usize = 12;

/// What a reference within the document leads to; the value itself where it is none.
pub(super) fn resolve<'a>(whole: &'a Value, value: &'a Value) -> &'a Value {
    let mut found = value;
    for _ in 0..MAX_DEPTH {
        let Some(reference) = found.get("$ref").and_then(Value::as_str) else {
            return found;
        };
        let Some(next) = reference
            .strip_prefix('#')
            .and_then(|pointer| whole.pointer(pointer))
        else {
            return found;
        };
        found = next;
    }
    found
}

/// The body of a response; none where it has none.
pub(super) fn of_response(whole: &Value, response: &Value) -> Option<Value> {
    let content = response.get("content")?.as_object()?;
    let json = content
        .iter()
        .find(|(kind, _)| kind.starts_with("application/json") || kind.contains("+json"));
    let (_, media) = json.or_else(|| content.iter().next())?;
    Some(of_media(whole, media))
}

/// The headers of a response, with their examples.
pub(super) fn headers(whole: &Value, response: &Value) -> Vec<(String, String)> {
    let headers = response.get("headers").and_then(Value::as_object);
    let one = |(name, header): (&String, &Value)| {
        let header = resolve(whole, header);
        let value = of_media(whole, header);
        let text = match value {
            Value::String(text) => text,
            Value::Null => return None,
            other => other.to_string(),
        };
        Some((name.to_lowercase(), text))
    };
    headers.into_iter().flatten().filter_map(one).collect()
}

fn of_media(whole: &Value, media: &Value) -> Value {
    if let Some(example) = media.get("example") {
        return example.clone();
    }
    let examples = media.get("examples").and_then(Value::as_object);
    let first = examples.and_then(|examples| examples.values().next());
    if let Some(value) = first.and_then(|example| resolve(whole, example).get("value")) {
        return value.clone();
    }
    media
        .get("schema")
        .map_or(Value::Null, |schema| of_schema(whole, schema, MAX_DEPTH))
}

fn of_schema(whole: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(whole, schema);
    let Some(left) = depth.checked_sub(1) else {
        return Value::Null;
    };
    for word in ["example", "default", "const"] {
        if let Some(value) = schema.get(word) {
            return value.clone();
        }
    }
    for word in ["examples", "enum"] {
        if let Some(value) = schema.get(word).and_then(|values| values.get(0)) {
            return value.clone();
        }
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(first) = schema.get(word).and_then(|schemas| schemas.get(0)) {
            return of_schema(whole, first, left);
        }
    }
    let mut members = Map::new();
    for part in schema
        .get("allOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Value::Object(more) = of_schema(whole, part, left) {
            members.extend(more);
        }
    }
    let named = schema.get("properties").and_then(Value::as_object);
    for (name, property) in named.into_iter().flatten() {
        members.insert(name.clone(), of_schema(whole, property, left));
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ if schema.get("items").is_some() => "array",
        _ if !members.is_empty() => "object",
        _ => "",
    };
    match kind {
        "object" => Value::Object(members),
        "array" => {
            let item = schema.get("items").map(|items| of_schema(whole, items, left));
            Value::Array(item.into_iter().collect())
        }
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(true),
        "string" => json!(text(schema)),
        _ => Value::Null,
    }
}

fn text(schema: &Value) -> &'static str {
    match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-01-02T03:04:05Z",
        Some("date") => "2026-01-02",
        Some("uuid") => "6f1e3c1e-0000-4000-8000-000000000001",
        Some("uri" | "url") => "https://example.com/",
        Some("email") => "mona@example.com",
        _ => "text",
    }
}
