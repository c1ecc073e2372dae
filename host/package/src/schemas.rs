//! The JSON Schemas of a manifest as one document, with keys in order, so that the same manifest gives the same bytes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice_model::manifest::Manifest;

use crate::error::FormatError;

/// The document.
pub(crate) fn of(manifest: &Manifest) -> String {
    let streams = manifest
        .streams
        .iter()
        .map(|stream| (stream.name.clone(), stream.schema.clone()));
    let actions = manifest.actions.iter().map(|action| {
        let both = [("input", &action.input), ("output", &action.output)];
        (
            action.name.clone(),
            object(both.map(|(name, schema)| (name.to_owned(), schema.clone()))),
        )
    });
    let events = manifest.webhooks.iter().filter_map(|webhook| {
        let told = webhook.events.iter().filter_map(|event| {
            let schema = event.schema.as_deref()?;
            Some((event.kind.clone(), schema.clone()))
        });
        let told = object(told);
        (told != Value::Object(Map::new())).then(|| (webhook.name.clone(), told))
    });
    let mut whole = Map::from_iter([
        ("actions".to_owned(), object(actions)),
        ("config".to_owned(), manifest.config_schema.clone()),
        ("streams".to_owned(), object(streams)),
    ]);
    let events: Map<_, _> = events.collect();
    if !events.is_empty() {
        whole.insert("events".to_owned(), Value::Object(events));
    }
    ordered(&Value::Object(whole)).to_string()
}

/// Whether the part says what the manifest says: two answers to one question are one too many.
pub(crate) fn check(part: &str, manifest: &Manifest) -> Result<(), FormatError> {
    if part == of(manifest) {
        Ok(())
    } else {
        Err(FormatError::part(
            "schemas",
            "say something else than the manifest",
        ))
    }
}

fn object(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(entries.into_iter().collect())
}

/// The same value with the keys of every object in order, whatever features serde_json was built with.
fn ordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(ordered).collect()),
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let entries = sorted
                .into_iter()
                .map(|(key, value)| (key.clone(), ordered(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}
