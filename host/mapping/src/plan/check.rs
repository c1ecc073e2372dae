//! What compiling keeps in mind: counts, the primary key, and which fields there can be.

use std::collections::HashSet;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::Warning;
use super::keep::Keep;
use crate::error::RuleError;
use crate::jq::Program;
use crate::pointer::Pointer;

/// Steps of one stream.
pub(super) const MAX_STEPS: usize = 100;

/// Fields that one list names.
pub(super) const MAX_FIELDS: usize = 500;

/// Conditions of one filter.
pub(super) const MAX_CONDITIONS: usize = 500;

/// jq programs of one stream: each has its own budget for each record.
const MAX_PROGRAMS: usize = 8;

/// Regular expressions of one stream.
const MAX_PATTERNS: usize = 50;

/// Bytes of a regular expression.
const MAX_PATTERN_BYTES: usize = 1_024;

/// Bytes of a compiled regular expression; a repetition of a repetition is refused here.
const MAX_COMPILED_BYTES: usize = 1 << 18;

/// Bytes of what a regular expression remembers while it looks.
const MAX_CACHE_BYTES: usize = 1 << 20;

pub(super) struct Check<'a> {
    primary_key: Vec<Pointer>,
    schema: Option<&'a Value>,
    made: HashSet<Pointer>,
    is_open: bool,
    warnings: Vec<Warning>,
    programs: usize,
    patterns: usize,
    pub(super) conditions: usize,
}

impl<'a> Check<'a> {
    pub(super) fn new(primary_key: &[String], schema: Option<&'a Value>) -> Result<Self, RuleError> {
        let primary_key = primary_key
            .iter()
            .map(|field| {
                Pointer::parse(field).map_err(|reason| RuleError::Field {
                    at: String::new(),
                    reason: reason.into(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            primary_key,
            schema,
            made: HashSet::new(),
            is_open: false,
            warnings: Vec::new(),
            programs: 0,
            patterns: 0,
            conditions: 0,
        })
    }

    pub(super) fn warnings(self) -> Vec<Warning> {
        self.warnings
    }

    pub(super) fn count(&self, count: usize, most: usize, at: &str, what: &str) -> Result<(), RuleError> {
        if count > most {
            return Err(RuleError::TooMuch {
                at: at.to_owned(),
                reason: format!("at most {most} {what}"),
            });
        }
        Ok(())
    }

    /// A field that a rule reads: one that the schema does not have is a warning.
    pub(super) fn field(&mut self, text: &str, at: &str) -> Result<Pointer, RuleError> {
        let field = self.place(text, at)?;
        if !self.is_open && !self.is_made(&field) && self.is_unknown(&field) {
            self.warn(at, format!("the stream's schema has no field {field}"));
        }
        Ok(field)
    }

    /// A field that a rule writes.
    pub(super) fn target(&mut self, text: &str, at: &str) -> Result<Pointer, RuleError> {
        let field = self.place(text, at)?;
        self.made.insert(field.clone());
        Ok(field)
    }

    /// A field that a rule takes away.
    pub(super) fn removed(&mut self, text: &str, at: &str) -> Result<Pointer, RuleError> {
        let field = self.field(text, at)?;
        if self.primary_key.iter().any(|key| field.covers(key)) {
            self.warn(at, format!("{field} is of the primary key"));
        }
        Ok(field)
    }

    fn place(&self, text: &str, at: &str) -> Result<Pointer, RuleError> {
        let wrong = |reason: &str| RuleError::Field {
            at: at.to_owned(),
            reason: reason.to_owned(),
        };
        let field = Pointer::parse(text).map_err(wrong)?;
        if field.is_whole() {
            Err(wrong("name a field, not the whole record"))
        } else {
            Ok(field)
        }
    }

    pub(super) fn keep(&mut self, fields: &[String], at: &str) -> Result<Keep, RuleError> {
        self.count(fields.len(), MAX_FIELDS, at, "fields")?;
        let mut keep = Keep::default();
        for (place, field) in fields.iter().enumerate() {
            keep.add(&self.field(field, &format!("{at}/{place}"))?);
        }
        for key in &self.primary_key {
            keep.add(key);
        }
        Ok(keep)
    }

    pub(super) fn program(&mut self, text: &str, at: &str) -> Result<Program, RuleError> {
        self.programs += 1;
        self.count(self.programs, MAX_PROGRAMS, at, "jq programs for a stream")?;
        Program::compile(text).map_err(|reason| RuleError::Program {
            at: at.to_owned(),
            reason,
        })
    }

    /// After a program, any field can be there.
    pub(super) fn open(&mut self) {
        self.is_open = true;
    }

    pub(super) fn pattern(&mut self, text: &str, at: &str) -> Result<Regex, RuleError> {
        self.patterns += 1;
        self.count(
            self.patterns,
            MAX_PATTERNS,
            at,
            "regular expressions for a stream",
        )?;
        let wrong = |reason: String| RuleError::Pattern {
            at: at.to_owned(),
            reason,
        };
        if text.len() > MAX_PATTERN_BYTES {
            return Err(wrong(format!(
                "a regular expression has at most {MAX_PATTERN_BYTES} bytes"
            )));
        }
        let built = RegexBuilder::new(text)
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(MAX_CACHE_BYTES)
            .nest_limit(64)
            .build();
        built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => wrong("the regular expression repeats too much".into()),
            // The first line draws the place, the last one says it.
            error => wrong(error.to_string().lines().last().unwrap_or_default().to_owned()),
        })
    }

    fn warn(&mut self, at: &str, text: String) {
        self.warnings.push(Warning {
            at: at.to_owned(),
            text,
        });
    }

    fn is_made(&self, field: &Pointer) -> bool {
        self.made
            .iter()
            .any(|made| made.covers(field) || field.covers(made))
    }

    /// Whether the schema names the fields at a place and this is none of them.
    fn is_unknown(&self, field: &Pointer) -> bool {
        let mut schema = self.schema;
        for token in field.tokens() {
            let Some(at) = schema else { return false };
            let Some(properties) = at.get("properties").and_then(Value::as_object) else {
                return false;
            };
            if at.get("additionalProperties") == Some(&Value::Bool(true))
                || at.get("patternProperties").is_some()
            {
                return false;
            }
            match properties.get(token) {
                Some(inner) => schema = Some(inner),
                None => return true,
            }
        }
        false
    }
}
