//! A record's text, taken apart one level deep. Values stay the text that they are, so that numbers stay exact.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Error;

/// One record.
#[derive(Debug)]
pub(crate) enum Document<'a> {
    Object(Vec<Member<'a>>),
    /// Anything else.
    Other(&'a str),
}

/// A member of the record, the last of its name.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    /// `None` for a name that is no text: it has half of a surrogate pair.
    pub(crate) name: Option<String>,
    /// The name as it stands there, in quotation marks.
    pub(crate) raw_name: &'a str,
    pub(crate) value: &'a str,
}

impl<'a> Document<'a> {
    /// Reads a JSON text.
    pub(crate) fn read(text: &'a str) -> Result<Self, Error> {
        let bad = |error: serde_json::Error| Error::Batch(format!("a record is not JSON: {error}"));
        if !text.trim_start().starts_with('{') {
            let value: &RawValue = serde_json::from_str(text).map_err(bad)?;
            return Ok(Self::Other(value.get()));
        }
        let Members(mut members) = serde_json::from_str(text).map_err(bad)?;
        keep_last(&mut members);
        Ok(Self::Object(members))
    }
}

/// Leaves the last of each name, as `jsonb` does.
fn keep_last(members: &mut Vec<Member<'_>>) {
    let mut last = HashMap::with_capacity(members.len());
    for (at, member) in members.iter().enumerate() {
        last.insert(member.name.as_deref().unwrap_or(member.raw_name), at);
    }
    if last.len() == members.len() {
        return;
    }
    let mut kept: Vec<usize> = last.into_values().collect();
    kept.sort_unstable();
    let mut at = 0;
    members.retain(|_| {
        let keep = kept.binary_search(&at).is_ok();
        at += 1;
        keep
    });
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    members.push(Member {
                        name: serde_json::from_str(name.get()).ok(),
                        raw_name: name.get(),
                        value: value.get(),
                    });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let Document::Object(members) = Document::read(text).unwrap() else {
            panic!("{text} is an object");
        };
        let members: Vec<_> = members
            .iter()
            .map(|member| (member.name.as_deref().unwrap_or("?"), member.value))
            .collect();
        assert_eq!(members, expected, "{text}");
    }

    #[test]
    fn members_stay_their_text() {
        check(
            r#" {"a": 1.10, "b":{"c" : 1e400}, "d\n":"x"} "#,
            &[("a", "1.10"), ("b", r#"{"c" : 1e400}"#), ("d\n", r#""x""#)],
        );
        check(r#"{"a":1,"b":2,"\u0061":3}"#, &[("b", "2"), ("a", "3")]);
        check(
            r#"{"\ud800":1,"\u0000":"\ud800"}"#,
            &[("?", "1"), ("\0", r#""\ud800""#)],
        );
        check("{}", &[]);
    }

    #[test]
    fn what_is_no_object_stays_whole() {
        for text in ["[1,2]", "null", "\"x\"", "1e400"] {
            assert!(matches!(Document::read(text), Ok(Document::Other(whole)) if whole == text));
        }
        for bad in ["", "{", "{\"a\":}", "[1", "{} {}", "{\"a\":\"\n\"}"] {
            assert!(Document::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert!(Document::read(&deep).is_ok());
    }
}
