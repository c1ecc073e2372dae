//! A filter, ready.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::Regex;

use super::check::{Check, MAX_CONDITIONS};
use crate::error::RuleError;
use crate::jq::Program;
use crate::json::{self, Kind, Node};
use crate::outcome::{RECORD, Refused};
use crate::pointer::Pointer;
use crate::rules::{Filter, Json};

/// Values of one `one_of`.
const MAX_VALUES: usize = 10_000;

#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Field(Pointer, Test),
    Program(Program),
}

/// Whether an order is the one that is asked for.
type Holds = fn(Ordering) -> bool;

#[derive(Debug)]
pub(super) enum Test {
    Is(Json),
    IsNot(Json),
    OneOf(Vec<Json>),
    Order(Json, Holds),
    Matches(Regex),
    Exists(bool),
    Contains(Json),
}

pub(super) fn compile(filter: &Filter, check: &mut Check<'_>) -> Result<Condition, RuleError> {
    compile_at(filter, "/filter", check)
}

fn compile_at(filter: &Filter, at: &str, check: &mut Check<'_>) -> Result<Condition, RuleError> {
    check.conditions += 1;
    check.count(check.conditions, MAX_CONDITIONS, at, "conditions")?;
    let wrong = |reason: &str| RuleError::Filter {
        at: at.to_owned(),
        reason: reason.to_owned(),
    };
    let many = |filters: &[Filter], name: &str, check: &mut Check<'_>| {
        let places = filters.iter().enumerate();
        places
            .map(|(place, filter)| compile_at(filter, &format!("{at}/{name}/{place}"), check))
            .collect::<Result<Vec<_>, _>>()
    };
    let mut found = Vec::new();
    if let Some(filters) = &filter.all {
        found.push(Condition::All(many(filters, "all", check)?));
    }
    if let Some(filters) = &filter.any {
        found.push(Condition::Any(many(filters, "any", check)?));
    }
    if let Some(inner) = &filter.not {
        found.push(Condition::Not(Box::new(compile_at(
            inner,
            &format!("{at}/not"),
            check,
        )?)));
    }
    if let Some(program) = &filter.jq {
        found.push(Condition::Program(check.program(program, &format!("{at}/jq"))?));
    }
    let mut tests = tests(filter, at, check)?;
    match (&filter.field, tests.pop()) {
        (Some(field), Some(test)) if tests.is_empty() => {
            found.push(Condition::Field(
                check.field(field, &format!("{at}/field"))?,
                test,
            ));
        }
        (None, None) => {}
        (Some(_), None) => {
            return Err(wrong(
                "say what is tested: is, is_not, one_of, less, at_most, greater, at_least, matches, exists or contains",
            ));
        }
        (Some(_), Some(_)) => return Err(wrong("one test for a field; put several into all")),
        (None, Some(_)) => return Err(wrong("say which field is tested")),
    }
    match (found.pop(), found.is_empty()) {
        (Some(condition), true) => Ok(condition),
        _ => Err(wrong(
            "a condition is one of all, any, not, jq, or a field with a test",
        )),
    }
}

fn tests(filter: &Filter, at: &str, check: &mut Check<'_>) -> Result<Vec<Test>, RuleError> {
    let mut tests = Vec::new();
    tests.extend(filter.is.clone().map(Test::Is));
    tests.extend(filter.is_not.clone().map(Test::IsNot));
    tests.extend(filter.contains.clone().map(Test::Contains));
    tests.extend(filter.exists.map(Test::Exists));
    if let Some(values) = &filter.one_of {
        check.count(values.len(), MAX_VALUES, &format!("{at}/one_of"), "values")?;
        tests.push(Test::OneOf(values.clone()));
    }
    let orders: [(&Option<Json>, Holds, &str); 4] = [
        (&filter.less, Ordering::is_lt, "less"),
        (&filter.at_most, Ordering::is_le, "at_most"),
        (&filter.greater, Ordering::is_gt, "greater"),
        (&filter.at_least, Ordering::is_ge, "at_least"),
    ];
    for (value, holds, name) in orders {
        let Some(value) = value else { continue };
        if !matches!(json::kind(value.text()), Kind::Number | Kind::Text) {
            let reason = "only numbers and texts have an order".to_owned();
            return Err(RuleError::Filter {
                at: format!("{at}/{name}"),
                reason,
            });
        }
        tests.push(Test::Order(value.clone(), holds));
    }
    if let Some(pattern) = &filter.matches {
        tests.push(Test::Matches(check.pattern(pattern, &format!("{at}/matches"))?));
    }
    Ok(tests)
}

impl Condition {
    pub(super) fn holds(&self, node: &Node<'_>) -> Result<bool, Refused> {
        match self {
            Self::All(conditions) => {
                for condition in conditions {
                    if !condition.holds(node)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(conditions) => {
                for condition in conditions {
                    if condition.holds(node)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(condition) => Ok(!condition.holds(node)?),
            Self::Field(field, test) => {
                let value = node
                    .read(field)
                    .map_err(|error| Refused::new(RECORD, error.to_string(), field))?;
                Ok(test.holds(value.as_deref()))
            }
            Self::Program(program) => {
                let result = program
                    .run(&node.write())
                    .map_err(|(code, reason)| Refused::new(code, reason, ""))?;
                Ok(!matches!(result.as_str(), "false" | "null"))
            }
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        let is_there = value.is_some();
        let value = value.unwrap_or("null");
        match self {
            Self::Is(other) => json::same(value, other.text()),
            Self::IsNot(other) => !json::same(value, other.text()),
            Self::OneOf(others) => others.iter().any(|other| json::same(value, other.text())),
            Self::Order(other, holds) => order(value, other.text()).is_some_and(holds),
            Self::Matches(pattern) => text(value).is_some_and(|text| pattern.is_match(&text)),
            Self::Exists(expected) => is_there == *expected,
            Self::Contains(part) => match json::kind(value) {
                Kind::Text => match (text(value), text(part.text())) {
                    (Some(text), Some(part)) => text.contains(part.as_ref()),
                    _ => false,
                },
                Kind::Array => json::elements(value)
                    .is_ok_and(|elements| elements.iter().any(|element| json::same(element, part.text()))),
                _ => false,
            },
        }
    }
}

fn order(left: &str, right: &str) -> Option<Ordering> {
    match (json::kind(left), json::kind(right)) {
        (Kind::Number, Kind::Number) => Some(json::compare_numbers(left, right)),
        (Kind::Text, Kind::Text) => Some(json::decode(left).cmp(&json::decode(right))),
        _ => None,
    }
}

fn text(value: &str) -> Option<Cow<'_, str>> {
    (json::kind(value) == Kind::Text).then(|| json::decode(value))
}
