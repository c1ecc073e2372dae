//! Streams that no manifest can list, because they are the vendor's user's own: tables, object types, custom fields.
//!
//! The manifest says what all of them are like; the connector names each when it is asked to discover, and may tell more of
//! those that the manifest lists. What it says is a guest's word: it is checked here before anything believes it.

use serde_json::Value;

use super::read::MAX_KEY_PARTS;
use super::{CursorKind, Manifest, Stream, WriteKind, words};
use crate::run::Mode;

/// What the streams are like that the account has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// How each can be read; never empty.
    pub modes: Vec<Mode>,
    /// What can be written to each.
    pub writes: Vec<WriteKind>,
}

/// A stream as the connector told of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ToldStream {
    /// Its name in code, as a manifest's.
    pub name: String,
    /// JSON Schema of a record, as text.
    pub schema: String,
    /// The properties that make a record's id.
    pub primary_key: Vec<String>,
    /// The version of the cursor's format.
    pub cursor_version: u32,
}

/// Bytes of one schema that is told.
const MAX_SCHEMA_BYTES: usize = 256 << 10;

impl Manifest {
    /// The stream as everything else knows streams: as the manifest lists it, with the schema that was told; or as all
    /// are that it does not list.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn told(&self, told: &ToldStream) -> Result<Stream, String> {
        let name = words::shown(&told.name);
        if !words::is_name(&told.name) {
            return Err(format!(
                "`{name}` is not a name: a lower-case letter, then at most 63 lower-case letters, digits, `_` or `-`"
            ));
        }
        if told.schema.len() > MAX_SCHEMA_BYTES {
            return Err(format!(
                "the schema of `{name}` has {} bytes; {MAX_SCHEMA_BYTES} are allowed",
                told.schema.len()
            ));
        }
        let schema: Value = serde_json::from_str(&told.schema)
            .map_err(|error| format!("the schema of `{name}` is not JSON: {error}"))?;
        if !schema.is_object() {
            return Err(format!("the schema of `{name}` is no object"));
        }
        if let Some(listed) = self.stream(&told.name) {
            return Ok(Stream {
                schema,
                ..listed.clone()
            });
        }
        let Some(like) = &self.discovered else {
            return Err(format!(
                "the manifest has no `[discovered]` and no stream `{name}`"
            ));
        };
        let keys = &told.primary_key;
        if keys.is_empty()
            || keys.len() > MAX_KEY_PARTS
            || keys.iter().any(|key| !(1..=128).contains(&key.len()))
        {
            return Err(format!(
                "the primary key of `{name}` has to be 1 to {MAX_KEY_PARTS} properties of 1 to 128 bytes"
            ));
        }
        if told.cursor_version == 0 {
            return Err(format!("the cursor's version of `{name}` is 0: the first is 1"));
        }
        Ok(Stream {
            name: told.name.clone(),
            title: schema
                .get("title")
                .and_then(Value::as_str)
                .map_or_else(|| told.name.clone(), |title| title.chars().take(200).collect()),
            description: None,
            primary_key: told.primary_key.clone(),
            cursor: CursorKind::Opaque,
            cursor_version: told.cursor_version,
            modes: like.modes.clone(),
            partitioned: false,
            windows: false,
            lookback: std::time::Duration::ZERO,
            writes: like.writes.clone(),
            schema,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &str) -> Result<Manifest, crate::manifest::ManifestError> {
        let text = format!(
            r#"
manifest = 1
id = "tables"
version = "1.0.0"
contract = "0.1"
name = "Tables"
description = "Tables."
category = "data"
licence = "MIT"
[capabilities]
[capabilities.limits]
[config]
[[streams]]
name = "bases"
title = "Bases"
primary_key = ["id"]
modes = ["full"]
[streams.schema]
type = "object"
{more}"#
        );
        Manifest::parse(&text)
    }

    fn manifest(more: &str) -> Manifest {
        parse(more).unwrap()
    }

    fn told(name: &str, schema: &str) -> ToldStream {
        ToldStream {
            name: name.to_owned(),
            schema: schema.to_owned(),
            primary_key: vec!["id".to_owned()],
            cursor_version: 2,
        }
    }

    #[test]
    fn what_is_told_is_a_stream_or_refused_with_the_reason() {
        let some = manifest("[discovered]\nmodes = [\"full\", \"incremental\"]\nwrite = [\"update\"]\n");
        let found = some.told(&told("orders", r#"{"title":"Orders"}"#)).unwrap();
        assert_eq!((found.title.as_str(), found.cursor_version), ("Orders", 2));
        assert_eq!(found.writes, [WriteKind::Update]);
        // What the manifest lists stays as it is, but for what its records look like.
        let listed = some.told(&told("bases", r#"{"required":["id"]}"#)).unwrap();
        assert_eq!(
            (listed.title.as_str(), listed.modes.as_slice()),
            ("Bases", [Mode::Full].as_slice())
        );
        assert_eq!(listed.schema["required"][0], "id");
        for (name, schema) in [
            ("Orders", "{}"),
            ("", "{}"),
            ("a/b", "{}"),
            ("a", "[]"),
            ("a", "{"),
        ] {
            some.told(&told(name, schema)).unwrap_err();
        }
        let no_key = ToldStream {
            primary_key: Vec::new(),
            ..told("orders", "{}")
        };
        assert!(some.told(&no_key).unwrap_err().contains("primary key"));
        let none = manifest("");
        assert!(
            none.told(&told("orders", "{}"))
                .unwrap_err()
                .contains("[discovered]")
        );
    }

    #[test]
    fn actions_of_the_account_need_no_streams() {
        let only = manifest("[discovered]\nactions = true\n");
        assert!(only.discovered.is_none() && only.discovered_actions);
        let both = manifest("[discovered]\nmodes = [\"full\"]\nactions = true\n");
        assert!(both.discovered.is_some() && both.discovered_actions);
        assert!(!manifest("").discovered_actions);
    }

    #[test]
    fn the_manifest_says_how_they_are_read() {
        for (more, place) in [
            ("", "discovered.modes"),
            ("actions = false", "discovered.modes"),
            ("actions = true\nwrite = [\"update\"]", "discovered.modes"),
            ("actions = 1", "discovered.actions"),
            ("modes = [\"sometimes\"]", "discovered.modes[0]"),
            ("modes = [\"full\"]\nname = \"x\"", "discovered.name"),
        ] {
            assert_eq!(parse(&format!("[discovered]\n{more}")).unwrap_err().path, place);
        }
    }
}
