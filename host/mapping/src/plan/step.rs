//! A step, ready.

use super::check::{Check, MAX_FIELDS};
use super::convert;
use super::date::Formats;
use super::hide;
use super::keep::Keep;
use super::lookup::Source;
use super::surroundings::Surroundings;
use crate::error::RuleError;
use crate::jq::Program;
use crate::json::{self, Blocked, Kind, Malformed, Node};
use crate::outcome::{CAST, DATE, PLACE, RECORD, RESULT, Refused, SALT};
use crate::pointer::Pointer;
use crate::rules::{CastTo, OnError, Step, Way};

#[derive(Debug)]
pub(super) enum Action {
    Rename {
        from: Pointer,
        to: Pointer,
    },
    Select(Keep),
    Remove(Vec<Pointer>),
    Constant {
        field: Pointer,
        value: String,
    },
    Default {
        field: Pointer,
        value: String,
    },
    Cast {
        field: Pointer,
        to: CastTo,
        on_error: OnError,
    },
    Date {
        field: Pointer,
        formats: Formats,
        on_error: OnError,
    },
    Enrich(Source),
    Hash(Vec<Pointer>),
    Mask {
        fields: Vec<Pointer>,
        way: Way,
    },
    Program(Program),
}

pub(super) fn compile(step: &Step, at: &str, check: &mut Check<'_>) -> Result<Action, RuleError> {
    match step {
        Step::Rename(rename) => {
            let from = check.removed(&rename.from, &format!("{at}/rename/from"))?;
            let to = check.target(&rename.to, &format!("{at}/rename/to"))?;
            if from != to && from.covers(&to) {
                let reason = "a field cannot become a part of itself".to_owned();
                return Err(RuleError::Step {
                    at: format!("{at}/rename/to"),
                    reason,
                });
            }
            Ok(Action::Rename { from, to })
        }
        Step::Select(fields) => check.keep(fields, &format!("{at}/select")).map(Action::Select),
        Step::Remove(fields) => {
            list(fields, &format!("{at}/remove"), check, Check::removed).map(Action::Remove)
        }
        Step::Constant(constant) => Ok(Action::Constant {
            field: check.target(&constant.field, &format!("{at}/constant/field"))?,
            value: constant.value.text().to_owned(),
        }),
        Step::Default(constant) => Ok(Action::Default {
            field: check.target(&constant.field, &format!("{at}/default/field"))?,
            value: constant.value.text().to_owned(),
        }),
        Step::Cast(cast) => Ok(Action::Cast {
            field: check.field(&cast.field, &format!("{at}/cast/field"))?,
            to: cast.to,
            on_error: cast.on_error,
        }),
        Step::Date(date) => Ok(Action::Date {
            field: check.field(&date.field, &format!("{at}/date/field"))?,
            formats: Formats::compile(date, &format!("{at}/date"))?,
            on_error: date.on_error,
        }),
        Step::Enrich(enrich) => Source::compile(enrich, &format!("{at}/enrich"), check).map(Action::Enrich),
        Step::Hash(fields) => list(fields, &format!("{at}/hash"), check, Check::field).map(Action::Hash),
        Step::Mask(mask) => Ok(Action::Mask {
            fields: list(&mask.fields, &format!("{at}/mask/fields"), check, Check::field)?,
            way: mask.way.clone(),
        }),
        Step::Jq(text) => {
            let program = check.program(text, &format!("{at}/jq"))?;
            check.open();
            Ok(Action::Program(program))
        }
    }
}

type Named<'c> = fn(&mut Check<'c>, &str, &str) -> Result<Pointer, RuleError>;

fn list<'c>(
    fields: &[String],
    at: &str,
    check: &mut Check<'c>,
    named: Named<'c>,
) -> Result<Vec<Pointer>, RuleError> {
    check.count(fields.len(), MAX_FIELDS, at, "fields")?;
    let places = fields.iter().enumerate();
    places
        .map(|(place, field)| named(check, field, &format!("{at}/{place}")))
        .collect()
}

impl Action {
    pub(super) const fn needs_salt(&self) -> bool {
        matches!(self, Self::Hash(_))
    }

    pub(super) fn stream(&self) -> Option<&str> {
        match self {
            Self::Enrich(source) => source.stream(),
            _ => None,
        }
    }

    pub(super) fn apply(&self, node: &mut Node<'_>, around: &Surroundings<'_>) -> Result<(), Refused> {
        match self {
            Self::Rename { from, to } => node.rename(from, to).map_err(|error| blocked(error, to)),
            Self::Select(keep) => keep.apply(node).map(|_| ()),
            Self::Remove(fields) => fields.iter().try_for_each(|field| {
                node.take(field.tokens())
                    .map_err(|error| malformed(error, field))?;
                Ok(())
            }),
            Self::Constant { field, value } => set(node, field, value.clone()),
            Self::Default { field, value } => match read(node, field)?.as_deref() {
                None | Some("null") => set(node, field, value.clone()),
                Some(_) => Ok(()),
            },
            Self::Cast { field, to, on_error } => {
                change(node, field, *on_error, CAST, |value| convert::cast(value, *to))
            }
            Self::Date {
                field,
                formats,
                on_error,
            } => change(node, field, *on_error, DATE, |value| formats.read(value)),
            Self::Enrich(source) => source.apply(node, around),
            Self::Hash(fields) => {
                let Some(salt) = around.salt else {
                    return Err(Refused::new(SALT, "there is no salt to hash with", ""));
                };
                fields.iter().try_for_each(|field| {
                    let hide = |value: &str| match json::kind(value) {
                        Kind::Text => salt.hash(json::decode(value).as_bytes()),
                        _ => salt.hash(value.as_bytes()),
                    };
                    replace(node, field, hide)
                })
            }
            Self::Mask { fields, way } => fields
                .iter()
                .try_for_each(|field| replace(node, field, |value| hide::mask(value, way))),
            Self::Program(program) => {
                let result = program
                    .run(&node.write())
                    .map_err(|(code, reason)| Refused::new(code, reason, ""))?;
                if json::kind(&result) != Kind::Object {
                    return Err(Refused::new(RESULT, "the program's result is not an object", ""));
                }
                *node = Node::Raw(result.into());
                node.open()
                    .map_err(|error| Refused::new(RESULT, error.to_string(), ""))
            }
        }
    }
}

pub(super) fn read(node: &Node<'_>, field: &Pointer) -> Result<Option<String>, Refused> {
    let value = node.read(field).map_err(|error| malformed(error, field))?;
    Ok(value.map(std::borrow::Cow::into_owned))
}

pub(super) fn set(node: &mut Node<'_>, field: &Pointer, value: String) -> Result<(), Refused> {
    node.set(field, value).map_err(|error| blocked(error, field))
}

/// Replaces a value that is there and not null by a text.
fn replace(node: &mut Node<'_>, field: &Pointer, by: impl FnOnce(&str) -> String) -> Result<(), Refused> {
    match read(node, field)?.as_deref() {
        None | Some("null") => Ok(()),
        Some(value) => {
            let text = json::encode(&by(value));
            set(node, field, text)
        }
    }
}

/// Replaces a value that is there and not null by what it is read as.
fn change(
    node: &mut Node<'_>,
    field: &Pointer,
    on_error: OnError,
    code: &'static str,
    by: impl FnOnce(&str) -> Result<String, &'static str>,
) -> Result<(), Refused> {
    let Some(value) = read(node, field)?.filter(|value| value != "null") else {
        return Ok(());
    };
    match (by(&value), on_error) {
        (Ok(same), _) if same == value => Ok(()),
        (Ok(changed), _) => set(node, field, changed),
        (Err(reason), OnError::Refuse) => Err(Refused::new(code, reason, field)),
        (Err(_), OnError::Null) => set(node, field, "null".to_owned()),
        (Err(_), OnError::Keep) => Ok(()),
    }
}

fn blocked(error: Blocked, field: &Pointer) -> Refused {
    match error {
        Blocked::Malformed(error) => malformed(error, field),
        error => Refused::new(PLACE, error.to_string(), field),
    }
}

pub(super) fn malformed(error: Malformed, field: &Pointer) -> Refused {
    Refused::new(RECORD, error.to_string(), field)
}
