//! The settings of one stream of one connection, as a person writes them.
//!
//! Values in settings ([`Json`]) stay text, so that a number is what was written. The forms are checked when they are read;
//! what they mean is checked by [`crate::Plan::compile`].

mod filter;
mod json;
mod step;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use filter::Filter;
pub use json::Json;
pub use step::{
    Cast, CastTo, Constant, CopyField, DateParse, Enrich, Mask, Missing, OnError, Rename, Step, Way,
};

use crate::contract::Contract;
use crate::error::RuleError;

/// Bytes of all settings of one stream, tables included.
pub const MAX_RULES_BYTES: usize = 1 << 20;

/// What to do with the records of a stream. Applied in the order of the fields: contract, filter, selection, steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamRules {
    /// What happens when the vendor changes what records look like.
    pub contract: Contract,
    /// Which records are wanted; all, without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Fields to keep, by name or JSON pointer; all, without it. The primary key is always kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Vec<String>>,
    /// Changes, one after the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<Step>,
}

/// The same in parts, so that an error can say in which one it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Parts<'a> {
    #[serde(borrow)]
    contract: Option<&'a RawValue>,
    #[serde(borrow)]
    filter: Option<&'a RawValue>,
    #[serde(borrow)]
    select: Option<&'a RawValue>,
    #[serde(borrow)]
    map: Vec<&'a RawValue>,
}

impl StreamRules {
    /// Reads settings.
    ///
    /// # Errors
    ///
    /// When they are too long or not of the form that rules have; the error points at the part.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        if text.len() > MAX_RULES_BYTES {
            return Err(RuleError::TooMuch {
                at: String::new(),
                reason: "rules have at most 1 MiB".into(),
            });
        }
        // serde would take an array for a structure, in the order of its fields.
        if !text.trim_start().starts_with('{') {
            return Err(RuleError::Settings {
                at: String::new(),
                reason: "rules are an object".into(),
            });
        }
        let parts: Parts<'_> = read(text, "")?;
        let mut rules = Self::default();
        if let Some(contract) = parts.contract {
            rules.contract = read(contract.get(), "/contract")?;
        }
        if let Some(filter) = parts.filter {
            rules.filter = read(filter.get(), "/filter")?;
        }
        if let Some(select) = parts.select {
            rules.select = read(select.get(), "/select")?;
        }
        for (place, step) in parts.map.iter().enumerate() {
            rules.map.push(read(step.get(), &format!("/map/{place}"))?);
        }
        Ok(rules)
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str, at: &str) -> Result<T, RuleError> {
    serde_json::from_str(text).map_err(|error| RuleError::Settings {
        at: at.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_point_into_the_settings() {
        for (text, at) in [
            ("[]", ""),
            ("{\"selct\":[]}", ""),
            ("{\"select\":[1]}", "/select"),
            ("{\"filter\":{\"field\":\"a\",\"isnt\":1}}", "/filter"),
            ("{\"contract\":{\"new_fields\":\"melt\"}}", "/contract"),
            (
                "{\"map\":[{\"remove\":[\"a\"]},{\"rename\":{\"from\":\"a\"}}]}",
                "/map/1",
            ),
            ("{\"map\":[{\"explode\":{}}]}", "/map/0"),
        ] {
            let error = StreamRules::parse(text).unwrap_err();
            assert_eq!(
                (error.code(), error.at()),
                ("mapping.settings", at),
                "{text}: {error}"
            );
        }
        let deep = format!(
            "{{\"filter\":{}{}}}",
            "{\"not\":".repeat(5_000),
            "}".repeat(5_000)
        );
        assert!(StreamRules::parse(&deep).is_err());
    }

    #[test]
    fn rules_are_stored_and_come_back() {
        let text = r#"{"contract":{"new_fields":"evolve","changed_types":"freeze"},"filter":{"field":"a","is":null},"select":["a"],"map":[{"constant":{"field":"n","value":9007199254740993.10}}]}"#;
        let rules = StreamRules::parse(text).unwrap();
        assert_eq!(serde_json::to_string(&rules).unwrap(), text);
    }
}
