//! A table as a stream: its name, which is both ids, and its schema from the table's fields ("Field types and cell
//! values").
//!
//! A stream's name has lower-case letters only, and the ids have both kinds: a capital is written as `_` and the small
//! letter. What a person reads stands in the schema's `title`.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::{Connection, Error, StreamInfo, log, record};

use crate::{api, bases};

/// What one `discover` can tell.
const MAX_STREAMS: usize = 1_000;

/// A table by its ids.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) base: String,
    pub(crate) table: String,
}

impl Table {
    /// The stream's name.
    fn stream(&self) -> String {
        let mut name = String::with_capacity(64);
        for (at, id) in [&self.base, &self.table].into_iter().enumerate() {
            if at > 0 {
                name.push('-');
            }
            for c in id.chars() {
                if c.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(c.to_ascii_lowercase());
            }
        }
        name
    }

    /// The table of a stream's name.
    pub(crate) fn of(stream: &str) -> Result<Self, Error> {
        let unknown = || Error::unsupported(format!("there is no stream `{}`", record::words(stream, 100)));
        let (base, table) = stream.split_once('-').ok_or_else(unknown)?;
        let read = |text: &str| {
            let mut id = String::with_capacity(17);
            let mut letters = text.chars();
            while let Some(c) = letters.next() {
                match c {
                    '_' => id.push(letters.next()?.to_ascii_uppercase()),
                    c => id.push(c),
                }
            }
            Some(id)
        };
        let table = Self {
            base: read(base).ok_or_else(unknown)?,
            table: read(table).ok_or_else(unknown)?,
        };
        if api::is_id(&table.base, "app") && api::is_id(&table.table, "tbl") {
            return Ok(table);
        }
        Err(unknown())
    }

    /// Where its records are.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.base, self.table)
    }
}

#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    name: String,
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    #[serde(default)]
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    options: Option<Value>,
}

/// Every table of the connection's bases.
pub(crate) fn discover(connection: &Connection) -> Result<Vec<StreamInfo>, Error> {
    let mut streams = Vec::new();
    for base in bases::ids(connection)? {
        for (id, text) in bases::tables(&base)? {
            let table = Table {
                base: base.clone(),
                table: id,
            };
            if !api::is_id(&table.table, "tbl") {
                continue;
            }
            if streams.len() == MAX_STREAMS {
                log::warn("there are more than 1,000 tables: name the bases in the configuration");
                return Ok(streams);
            }
            let described: Described = record::input(&text)?;
            streams.push(StreamInfo {
                name: table.stream(),
                schema: record::text(&schema(&described))?,
                primary_key: vec!["id".to_owned()],
                cursor_version: 1,
            });
        }
    }
    Ok(streams)
}

/// Airtable leaves empty cells out, so no field is required; a field of a kind that is not known here takes anything.
fn schema(table: &Described) -> Value {
    let mut cells = Map::new();
    for field in &table.fields {
        let mut cell = cell(&field.kind, field.options.as_ref());
        if let Some(object) = cell.as_object_mut() {
            object.insert("x-airtable-type".to_owned(), Value::from(field.kind.as_str()));
        }
        cells.insert(field.name.clone(), cell);
    }
    json!({
        "type": "object",
        "title": table.name,
        "required": ["id", "fields"],
        "properties": {
            "id": { "type": "string" },
            "createdTime": { "type": "string", "format": "date-time" },
            "fields": { "type": "object", "properties": cells },
        },
    })
}

/// A cell's schema by its field's type.
fn cell(kind: &str, options: Option<&Value>) -> Value {
    match kind {
        "singleLineText" | "email" | "url" | "multilineText" | "richText" | "phoneNumber"
        | "singleSelect" | "date" | "dateTime" | "createdTime" | "lastModifiedTime"
        | "externalSyncSource" => {
            json!({ "type": ["string", "null"] })
        }
        "number" | "percent" | "currency" | "duration" => json!({ "type": ["number", "null"] }),
        "rating" | "count" | "autoNumber" => json!({ "type": ["integer", "null"] }),
        "checkbox" => json!({ "type": ["boolean", "null"] }),
        "multipleSelects" | "multipleRecordLinks" => {
            json!({ "type": ["array", "null"], "items": { "type": "string" } })
        }
        "multipleAttachments" | "multipleCollaborators" => {
            json!({ "type": ["array", "null"], "items": { "type": "object" } })
        }
        "singleCollaborator" | "createdBy" | "lastModifiedBy" | "barcode" | "button" | "aiText" => {
            json!({ "type": ["object", "null"] })
        }
        // What is computed may be an error instead, `{"error": "#ERROR!"}`, or `{"specialValue": "NaN"}`.
        "formula" | "rollup" => {
            let result = options.and_then(|options| options.get("result"));
            let inner = result
                .and_then(|result| result.get("type"))
                .and_then(Value::as_str);
            match inner {
                Some(inner) if !matches!(inner, "formula" | "rollup") => {
                    let options = result.and_then(|result| result.get("options"));
                    json!({ "anyOf": [cell(inner, options), { "type": "object" }, { "type": "array" }] })
                }
                _ => json!({}),
            }
        }
        "multipleLookupValues" | "lookup" => json!({ "type": ["array", "object", "null"] }),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_name_is_both_ids_and_leads_back() {
        let table = Table {
            base: "appABCdefGHI01234".to_owned(),
            table: "tblZZZZZZZZZZZZZZ".to_owned(),
        };
        let name = table.stream();
        assert_eq!(name, "app_a_b_cdef_g_h_i01234-tbl_z_z_z_z_z_z_z_z_z_z_z_z_z_z");
        assert_eq!(Table::of(&name), Ok(table));
        let longest = Table {
            base: format!("app{}", "Z".repeat(14)),
            table: format!("tbl{}", "Z".repeat(14)),
        };
        assert_eq!(longest.stream().len(), 63);
        for bad in [
            "",
            "bases",
            "app_a-tbl_b",
            "appdoorsdoors0001-tbldoorsdoors000_",
            "appdoorsdoors0001-../0001",
        ] {
            assert!(matches!(Table::of(bad), Err(Error::Unsupported(_))), "{bad}");
        }
    }

    #[test]
    fn every_table_is_a_stream_with_its_fields() {
        testing::serve(|request| {
            let body = match request.url().ends_with("/tables") {
                true => include_str!("../fixtures/tables.json"),
                false => r#"{"bases":[{"id":"appDoorsDoors0001","name":"Doors"}]}"#,
            };
            testing::answer(200, &[], body)
        });
        let streams = discover(&testing::connection("{}")).unwrap();
        assert_eq!(streams[0].name, "app_doors_doors0001-tbl_doors_doors0001");
        let schema: Value = serde_json::from_str(&streams[0].schema).unwrap();
        assert_eq!(schema["title"], "Doors");
        let fields = &schema["properties"]["fields"]["properties"];
        let kind = |name: &str| fields[name]["type"][0].clone();
        assert_eq!(kind("Name"), "string");
        assert_eq!(kind("Price"), "number");
        assert_eq!(kind("Stars"), "integer");
        assert_eq!(kind("Open"), "boolean");
        assert_eq!(kind("Hinges"), "array");
        assert_eq!(kind("Keeper"), "object");
        assert_eq!(fields["Total"]["anyOf"][0]["type"][0], "number");
        assert_eq!(fields["Of the future"], json!({"x-airtable-type": "hologram"}));
    }

    /// Every type that Airtable documents has a schema of its own here.
    #[test]
    fn every_type_is_known() {
        for kind in [
            "aiText",
            "autoNumber",
            "barcode",
            "button",
            "checkbox",
            "count",
            "createdBy",
            "createdTime",
            "currency",
            "date",
            "dateTime",
            "duration",
            "email",
            "externalSyncSource",
            "lastModifiedBy",
            "lastModifiedTime",
            "lookup",
            "multilineText",
            "multipleAttachments",
            "multipleCollaborators",
            "multipleLookupValues",
            "multipleRecordLinks",
            "multipleSelects",
            "number",
            "percent",
            "phoneNumber",
            "rating",
            "richText",
            "singleCollaborator",
            "singleLineText",
            "singleSelect",
            "url",
        ] {
            assert!(cell(kind, None).get("type").is_some(), "{kind}");
        }
        let computed = json!({"result": {"type": "date"}});
        for kind in ["formula", "rollup"] {
            assert!(cell(kind, Some(&computed)).get("anyOf").is_some(), "{kind}");
            assert_eq!(cell(kind, None), json!({}));
            // A formula of a formula does not exist; a vendor that says so must not make this recurse for ever.
            assert_eq!(
                cell(kind, Some(&json!({"result": {"type": "formula"}}))),
                json!({})
            );
        }
    }
}
