//! Who wins when both sides were changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Known, Pair, Take, Tell, Verdict, clashing, field, fields, merge, object, take, tell};
use crate::jq::Program;
use crate::json::{Kind, Malformed, check, compare_numbers, decode, kind, members};

/// A policy as a person writes it: `{"kind": "last-writer", "skew_s": 5}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Policy {
    SourceWins,
    TargetWins,
    /// The later change by the vendors' own times; a person, where they are no further apart than their clocks may be, or one
    /// of them tells none.
    LastWriter {
        #[serde(default = "skew")]
        skew_s: u32,
    },
    /// The higher number in this member of each side; a person, where they are equal or none.
    Version {
        source: String,
        target: String,
    },
    /// Member by member; a person, for what both changed.
    Merge,
    /// A jq program that is given `{source, target, base: {source, target}}` and gives "source", "target", "manual", or
    /// `{source: {…}, target: {…}}` with what each is told.
    Rule {
        jq: String,
    },
    /// A person.
    Manual,
}

const fn skew() -> u32 {
    5
}

/// Why a policy decided nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("the record cannot be compared: {0}")]
    Record(String),
    #[error("the rule's program {0}")]
    Program(String),
    #[error(
        "the rule gave neither \"source\", \"target\", \"manual\" nor an object with what each side is told"
    )]
    Result,
}

impl From<Malformed> for PolicyError {
    fn from(error: Malformed) -> Self {
        Self::Record(error.to_string())
    }
}

/// A policy that can be used: its program is compiled once.
#[derive(Debug)]
pub struct Judge {
    policy: Policy,
    rule: Option<Program>,
}

impl Policy {
    /// Makes it ready.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Program`] with what is wrong.
    pub fn compile(&self) -> Result<Judge, PolicyError> {
        let rule = match self {
            Self::Rule { jq } => Some(Program::compile(jq).map_err(PolicyError::Program)?),
            _ => None,
        };
        Ok(Judge {
            policy: self.clone(),
            rule,
        })
    }
}

impl Judge {
    /// Whose word counts whole, where the policy says so of everything.
    pub(super) const fn always(&self) -> Option<Take> {
        match self.policy {
            Policy::SourceWins => Some(Take::Source),
            Policy::TargetWins => Some(Take::Target),
            _ => None,
        }
    }

    pub(super) fn judge(&self, pair: &Pair<'_>) -> Result<Verdict, PolicyError> {
        if let Some(program) = &self.rule {
            return by_rule(program, pair);
        }
        let chosen = match &self.policy {
            Policy::SourceWins => Some(Take::Source),
            Policy::TargetWins => Some(Take::Target),
            Policy::LastWriter { skew_s } => later(pair, Duration::from_secs((*skew_s).into())),
            Policy::Version { source, target } => higher(pair, source, target)?,
            Policy::Merge => return merge(pair),
            Policy::Rule { .. } | Policy::Manual => None,
        };
        match chosen {
            Some(side) => tell(pair, side),
            None => Ok(Verdict::Conflict(clashing(pair)?)),
        }
    }
}

fn later(pair: &Pair<'_>, skew: Duration) -> Option<Take> {
    let (source, target) = (pair.source?.modified?, pair.target?.modified?);
    if source.since(target) > skew {
        Some(Take::Source)
    } else if target.since(source) > skew {
        Some(Take::Target)
    } else {
        None
    }
}

fn higher(pair: &Pair<'_>, source: &str, target: &str) -> Result<Option<Take>, PolicyError> {
    let number = |known: &Option<Known<'_>>, name: &str| -> Result<Option<String>, PolicyError> {
        let Some(known) = known else { return Ok(None) };
        let of = fields(known.own)?;
        let found = field(&of, name);
        Ok(found
            .filter(|value| kind(value) == Kind::Number)
            .map(str::to_owned))
    };
    let (Some(source), Some(target)) = (number(&pair.source, source)?, number(&pair.target, target)?) else {
        return Ok(None);
    };
    Ok(match compare_numbers(&source, &target) {
        std::cmp::Ordering::Greater => Some(Take::Source),
        std::cmp::Ordering::Less => Some(Take::Target),
        std::cmp::Ordering::Equal => None,
    })
}

fn by_rule(program: &Program, pair: &Pair<'_>) -> Result<Verdict, PolicyError> {
    let own = |known: &Option<Known<'_>>| known.map_or("null", |known| known.own).to_owned();
    let base = match &pair.base {
        Some((source, target)) => object([("source", source.own), ("target", target.own)].into_iter()),
        None => "null".to_owned(),
    };
    let (source, target) = (own(&pair.source), own(&pair.target));
    let input = object(
        [
            ("source", source.as_str()),
            ("target", target.as_str()),
            ("base", base.as_str()),
        ]
        .into_iter(),
    );
    let input = check(&input)?;
    let given = program
        .run(input)
        .map_err(|(_, reason)| PolicyError::Program(reason))?;
    match kind(&given) {
        Kind::Text => match decode(&given).as_ref() {
            "source" => take(pair, Take::Source),
            "target" => take(pair, Take::Target),
            "manual" => Ok(Verdict::Conflict(clashing(pair)?)),
            _ => Err(PolicyError::Result),
        },
        Kind::Object => {
            let parts = members(&given)?;
            let mut told = (None, None);
            for (name, _, value) in parts {
                let place = match name.as_ref() {
                    "source" => &mut told.0,
                    "target" => &mut told.1,
                    _ => return Err(PolicyError::Result),
                };
                match kind(value) {
                    Kind::Object => *place = Some(Tell::Put(value.to_owned())),
                    Kind::Null => {}
                    _ => return Err(PolicyError::Result),
                }
            }
            match told {
                (None, None) => Ok(Verdict::Agreed),
                (source, target) => Ok(Verdict::Write { source, target }),
            }
        }
        _ => Err(PolicyError::Result),
    }
}
