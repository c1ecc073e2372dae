//! What the connector offers: whether schemas say something, records can be told apart, and hooks are verified.

use serde_json::Value;
use sluice_model::manifest::{Dedupe, Stream, Webhook};
use sluice_model::signature::Recipe;
use sluice_service::connection::check_migrations;
use sluice_service::schema::Schema;

use super::Reading;
use crate::finding::{Finding, Severity};

pub(super) fn look(reading: &Reading<'_>, found: &mut Vec<Finding>) {
    let manifest = reading.manifest;
    if manifest.streams.is_empty() && manifest.webhooks.is_empty() && manifest.actions.is_empty() {
        found.push(Finding {
            code: "check.nothing",
            severity: Severity::Warning,
            path: String::new(),
            at: None,
            message: "offers no stream, no webhook and no action".to_owned(),
            hint: "declare what it does: [[streams]], [[webhooks]] or [[actions]]".to_owned(),
        });
    }
    schema(reading, "config", &manifest.config_schema, found);
    if let Err(error) = check_migrations(manifest) {
        found.push(Finding {
            code: "check.migration",
            severity: Severity::Error,
            path: "migrations".to_owned(),
            at: reading.place("rename"),
            message: error.to_string(),
            hint: "correct its steps: docs/operator/mapping.md has them".to_owned(),
        });
    }
    for stream in &manifest.streams {
        let path = format!("streams.{}", stream.name);
        schema(reading, &path, &stream.schema, found);
        members(reading, &path, stream, found);
        key(reading, &path, stream, found);
    }
    for action in &manifest.actions {
        let path = format!("actions.{}", action.name);
        schema(reading, &format!("{path}.input"), &action.input, found);
        schema(reading, &format!("{path}.output"), &action.output, found);
    }
    for webhook in &manifest.webhooks {
        hook(reading, webhook, found);
    }
}

fn schema(reading: &Reading<'_>, path: &str, schema: &Value, found: &mut Vec<Finding>) {
    if let Err(error) = Schema::compile(path, schema) {
        found.push(Finding {
            code: "check.schema",
            severity: Severity::Error,
            path: path.to_owned(),
            at: reading.place(path.split('.').nth(1).unwrap_or(path)),
            message: error.to_string(),
            hint: "correct the schema".to_owned(),
        });
    }
}

/// A schema that names the key alone lets everything through.
fn members(reading: &Reading<'_>, path: &str, stream: &Stream, found: &mut Vec<Finding>) {
    let schema = &stream.schema;
    let refers = ["$ref", "allOf", "anyOf", "oneOf"]
        .iter()
        .any(|word| schema.get(word).is_some());
    let named = schema.get("properties").and_then(Value::as_object);
    let says_more = named.is_some_and(|named| named.keys().any(|name| !stream.primary_key.contains(name)));
    if refers || says_more {
        return;
    }
    found.push(Finding {
        code: "check.schema",
        severity: Severity::Warning,
        path: path.to_owned(),
        at: reading.place(&stream.name),
        message: "its schema names nothing but the key: every record fits it".to_owned(),
        hint: "say which members a record has and of which type: a vendor's change is noticed by that"
            .to_owned(),
    });
}

/// A key that a record need not have is no key.
fn key(reading: &Reading<'_>, path: &str, stream: &Stream, found: &mut Vec<Finding>) {
    let required = stream.schema.get("required").and_then(Value::as_array);
    let is_required = |part: &String| {
        required.is_some_and(|required| required.iter().any(|name| name.as_str() == Some(part)))
    };
    for part in stream.primary_key.iter().filter(|part| !is_required(part)) {
        found.push(Finding {
            code: "check.key",
            severity: Severity::Warning,
            path: path.to_owned(),
            at: reading.place(&stream.name),
            message: format!("its schema does not require `{part}`, which its records are told apart by"),
            hint: format!("add \"{part}\" to `required`"),
        });
    }
}

fn hook(reading: &Reading<'_>, webhook: &Webhook, found: &mut Vec<Finding>) {
    let mut note = |severity, message: &str, hint: &str| {
        found.push(Finding {
            code: "check.hook",
            severity,
            path: format!("webhooks.{}", webhook.name),
            at: reading.place(&webhook.name),
            message: message.to_owned(),
            hint: hint.to_owned(),
        });
    };
    if matches!(webhook.recipe, Recipe::Unsigned { .. }) {
        note(
            Severity::Warning,
            "takes deliveries that nothing verifies: anybody who knows the address can send one",
            "use the vendor's signature if it has one",
        );
    }
    if webhook.events.is_empty() {
        note(
            Severity::Note,
            "names no kind of event",
            "list the kinds that it makes: whoever subscribes chooses among them",
        );
    }
    if webhook.dedupe == Dedupe::Nothing {
        note(
            Severity::Note,
            "takes the same delivery twice if it comes twice",
            "name what makes two deliveries the same, if the vendor says it",
        );
    }
}
