//! Enriching by a table or by another stream.

use std::collections::HashMap;

use super::check::Check;
use super::step::{malformed, read, set};
use super::surroundings::Surroundings;
use crate::error::RuleError;
use crate::json::{self, Kind, Node};
use crate::outcome::{LOOKUP, Refused};
use crate::pointer::Pointer;
use crate::rules::{Enrich, Json, Missing};

/// Entries of a table in the settings. What is longer is a stream.
const MAX_ENTRIES: usize = 10_000;

/// Fields that are copied.
const MAX_COPIES: usize = 50;

/// Bytes of a value that is looked up: the longest record id.
const MAX_KEY_BYTES: usize = sluice_model::record::MAX_ID_BYTES;

#[derive(Debug)]
pub(super) struct Source {
    by: Pointer,
    place: Place,
    copy: Vec<(Pointer, Pointer)>,
    missing: Missing,
}

#[derive(Debug)]
enum Place {
    Table(HashMap<String, Json>),
    Stream(String),
}

impl Source {
    pub(super) fn compile(enrich: &Enrich, at: &str, check: &mut Check<'_>) -> Result<Self, RuleError> {
        let wrong = |reason: &str| RuleError::Step {
            at: at.to_owned(),
            reason: reason.to_owned(),
        };
        let by = check.field(&enrich.by, &format!("{at}/by"))?;
        let place = match (&enrich.table, &enrich.stream) {
            (Some(table), None) => {
                check.count(table.len(), MAX_ENTRIES, &format!("{at}/table"), "entries")?;
                Place::Table(
                    table
                        .iter()
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect(),
                )
            }
            (None, Some(stream)) if !stream.is_empty() && stream.len() <= 100 => {
                Place::Stream(stream.clone())
            }
            _ => return Err(wrong("either a table or the name of a stream")),
        };
        if enrich.copy.is_empty() {
            return Err(wrong("say what to copy"));
        }
        check.count(enrich.copy.len(), MAX_COPIES, &format!("{at}/copy"), "fields")?;
        let mut copy = Vec::with_capacity(enrich.copy.len());
        for (number, one) in enrich.copy.iter().enumerate() {
            let from = Pointer::parse(&one.from).map_err(|reason| RuleError::Field {
                at: format!("{at}/copy/{number}/from"),
                reason: reason.to_owned(),
            })?;
            copy.push((from, check.target(&one.to, &format!("{at}/copy/{number}/to"))?));
        }
        Ok(Self {
            by,
            place,
            copy,
            missing: enrich.missing,
        })
    }

    pub(super) fn stream(&self) -> Option<&str> {
        match &self.place {
            Place::Stream(stream) => Some(stream),
            Place::Table(_) => None,
        }
    }

    pub(super) fn apply(&self, node: &mut Node<'_>, around: &Surroundings<'_>) -> Result<(), Refused> {
        let found = self.key(node)?.and_then(|key| match &self.place {
            Place::Table(table) => table.get(&key).map(|value| value.text().to_owned()),
            Place::Stream(stream) => around.find.and_then(|find| find(stream, &key)),
        });
        let Some(found) = found else {
            return match self.missing {
                Missing::Keep => Ok(()),
                Missing::Null => self
                    .copy
                    .iter()
                    .try_for_each(|(_, to)| set(node, to, "null".to_owned())),
                Missing::Refuse => Err(Refused::new(LOOKUP, "nothing is found by the value", &self.by)),
            };
        };
        // What is found was a record or a setting; that it is JSON is checked, because a caller's closure gave it.
        let text = json::check(&found).map_err(|error| malformed(error, &self.by))?;
        let found = Node::Raw(text.into());
        for (from, to) in &self.copy {
            match (read(&found, from)?, self.missing) {
                (Some(value), _) => set(node, to, value)?,
                (None, Missing::Null) => set(node, to, "null".to_owned())?,
                (None, Missing::Keep) => {}
                (None, Missing::Refuse) => {
                    return Err(Refused::new(
                        LOOKUP,
                        format!("what is found has no {from}"),
                        &self.by,
                    ));
                }
            }
        }
        Ok(())
    }

    fn key(&self, node: &Node<'_>) -> Result<Option<String>, Refused> {
        let value = read(node, &self.by)?;
        Ok(value
            .and_then(|value| match json::kind(&value) {
                Kind::Text => Some(json::decode(&value).into_owned()),
                Kind::Number | Kind::Boolean => Some(value),
                _ => None,
            })
            .filter(|key| key.len() <= MAX_KEY_BYTES))
    }
}
