//! An object's properties (HubSpot docs, "Properties"): the account's own, so they are asked for. Their values come as
//! texts, whatever their type; the schema says the type beside.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::record::Text;
use sluice_sdk::{Connection, Error, StreamInfo, record, storage};

use crate::streams::{STREAMS, Stream};
use crate::{api, config};

/// More properties than this are not asked for: HubSpot allows an account a thousand of its own for an object.
const MAX_PROPERTIES: usize = 2_000;

struct Property {
    name: String,
    label: String,
    kind: String,
}

fn list(stream: &Stream) -> Result<Vec<Property>, Error> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        results: Vec<Entry<'a>>,
    }
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow, default)]
        name: Text<'a>,
        #[serde(borrow, default)]
        label: Text<'a>,
        #[serde(rename = "type", borrow, default)]
        kind: Text<'a>,
    }
    let response = api::ok(api::get(&format!("/crm/v3/properties/{}", stream.name)).send()?)?;
    let list: List<'_> = response.json()?;
    Ok(list
        .results
        .into_iter()
        .filter(|entry| !entry.name.as_str().is_empty())
        .take(MAX_PROPERTIES)
        .map(|entry| Property {
            name: entry.name.as_str().to_owned(),
            label: record::words(entry.label.as_str(), 200),
            kind: record::words(entry.kind.as_str(), 50),
        })
        .collect())
}

/// The names to ask for: those of the configuration, or all. A pass asks HubSpot once, at its beginning, and keeps them.
pub(crate) fn names(stream: &Stream, connection: &Connection, is_first: bool) -> Result<Vec<String>, Error> {
    let configured = config::read(connection)?.properties(stream)?;
    if !configured.is_empty() {
        return Ok(with_modified(configured, stream));
    }
    let key = format!("properties/{}", stream.name);
    if !is_first && let Some(known) = storage::get_json::<Vec<String>>(&key)? {
        return Ok(known);
    }
    let names: Vec<String> = list(stream)?.into_iter().map(|property| property.name).collect();
    let names = with_modified(names, stream);
    storage::set_json(&key, &names)?;
    Ok(names)
}

fn with_modified(mut names: Vec<String>, stream: &Stream) -> Vec<String> {
    if !names.iter().any(|name| name == stream.modified) {
        names.push(stream.modified.to_owned());
    }
    names
}

/// The streams with the account's properties in their schemas.
pub(crate) fn discover(connection: &Connection) -> Result<Vec<StreamInfo>, Error> {
    let config = config::read(connection)?;
    STREAMS
        .iter()
        .map(|stream| {
            let wanted = config.properties(stream)?;
            let mut properties = Map::new();
            for property in list(stream)? {
                if wanted.is_empty() || wanted.contains(&property.name) || property.name == stream.modified {
                    let schema =
                        json!({ "type": ["string", "null"], "title": property.label, "x-hubspot-type": property.kind });
                    properties.insert(property.name, schema);
                }
            }
            Ok(StreamInfo {
                name: stream.name.to_owned(),
                schema: record::text(&schema(properties))?,
                primary_key: vec!["id".to_owned()],
                cursor_version: 1,
            })
        })
        .collect()
}

fn schema(properties: Map<String, Value>) -> Value {
    let other = json!({ "type": ["string", "null"] });
    json!({
        "type": "object",
        "required": ["id", "properties"],
        "properties": {
            "id": { "type": "string" },
            "properties": { "type": "object", "properties": properties, "additionalProperties": other },
            "createdAt": { "type": "string", "format": "date-time" },
            "updatedAt": { "type": "string", "format": "date-time" },
            "archived": { "type": "boolean" },
            "associations": { "type": "object", "additionalProperties": { "type": "array", "items": { "type": "object" } } },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use sluice_sdk::testing;

    #[test]
    fn the_accounts_own_properties_are_in_the_schema() {
        testing::serve(|request| {
            let body = match request.url().ends_with("/contacts") {
                true => include_str!("../fixtures/properties.json"),
                false => r#"{"results":[]}"#,
            };
            testing::answer(200, &[], body)
        });
        let streams = discover(&testing::connection("{}")).unwrap();
        assert_eq!(streams.len(), 3);
        let schema: Value = serde_json::from_str(&streams[0].schema).unwrap();
        let score = &schema["properties"]["properties"]["properties"]["door_score"];
        assert_eq!(
            (&score["title"], &score["x-hubspot-type"]),
            (&json!("Door score"), &json!("number"))
        );
        let named = testing::connection(r#"{"contact_properties":["email"]}"#);
        let streams = discover(&named).unwrap();
        assert!(!streams[0].schema.contains("door_score") && streams[0].schema.contains("lastmodifieddate"));
    }

    #[test]
    fn a_pass_asks_for_the_names_once() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/properties.json")));
        let contacts = streams::named("contacts").unwrap();
        let all = testing::connection("{}");
        let first = names(contacts, &all, true).unwrap();
        assert_eq!(first, ["email", "door_score", "lastmodifieddate"]);
        assert_eq!(names(contacts, &all, false).unwrap(), first);
        assert_eq!(testing::requests().len(), 1);
        let named = testing::connection(r#"{"contact_properties":["email"]}"#);
        assert_eq!(
            names(contacts, &named, true).unwrap(),
            ["email", "lastmodifieddate"]
        );
        assert_eq!(testing::requests().len(), 1);
    }
}
