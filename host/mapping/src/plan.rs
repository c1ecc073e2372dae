//! Rules that were checked, ready for records.

mod check;
mod condition;
mod convert;
mod date;
mod hide;
mod keep;
mod lookup;
pub mod preview;
mod step;
pub mod surroundings;

use std::borrow::Cow;

use serde_json::Value;
use sluice_model::record::MAX_RECORD_BYTES;

use crate::contract::{Contract, Reaction};
use crate::error::RuleError;
use crate::json::Node;
use crate::outcome::{CONTRACT, Frozen, Outcome, RECORD, Refused, TOO_LONG};
use crate::pointer::Pointer;
use crate::rules::StreamRules;
use crate::shape::{Difference, Shape};
use check::Check;
use condition::Condition;
use keep::Keep;
use step::Action;
use surroundings::Surroundings;

/// Something that is allowed and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where in the settings, as a JSON pointer.
    pub at: String,
    /// A sentence.
    pub text: String,
}

/// What to do with each record of a stream.
#[derive(Debug)]
pub struct Plan {
    contract: Contract,
    condition: Option<Condition>,
    keep: Option<Keep>,
    actions: Vec<Action>,
    warnings: Vec<Warning>,
}

impl Plan {
    /// Checks rules and makes them ready. `primary_key` names fields as the manifest does; `schema` is the stream's JSON
    /// Schema, and only serves for warnings.
    ///
    /// # Errors
    ///
    /// What is wrong with the rules, and where.
    pub fn compile(
        rules: &StreamRules,
        primary_key: &[String],
        schema: Option<&Value>,
    ) -> Result<Self, RuleError> {
        let mut check = Check::new(primary_key, schema)?;
        let condition = rules
            .filter
            .as_ref()
            .map(|filter| condition::compile(filter, &mut check))
            .transpose()?;
        let keep = rules
            .select
            .as_ref()
            .map(|fields| check.keep(fields, "/select"))
            .transpose()?;
        check.count(rules.map.len(), check::MAX_STEPS, "/map", "steps")?;
        let mut actions = Vec::with_capacity(rules.map.len());
        for (place, step) in rules.map.iter().enumerate() {
            actions.push(step::compile(step, &format!("/map/{place}"), &mut check)?);
        }
        Ok(Self {
            contract: rules.contract,
            condition,
            keep,
            actions,
            warnings: check.warnings(),
        })
    }

    /// What is allowed and probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether records go through untouched and unread. Such a record is not even known to be JSON.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.condition.is_none() && self.keep.is_none() && self.actions.is_empty() && self.contract.evolves()
    }

    /// Whether a step hashes, for which [`Surroundings::salt`] is needed.
    #[must_use]
    pub fn needs_salt(&self) -> bool {
        self.actions.iter().any(Action::needs_salt)
    }

    /// Streams whose records [`Surroundings::find`] will be asked for.
    pub fn streams(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().filter_map(Action::stream)
    }

    /// What becomes of a record. `known` is the stream's shape so far; an empty one is no contract yet.
    #[must_use]
    pub fn apply<'a>(&self, record: &'a str, known: &Shape, around: &Surroundings<'_>) -> Outcome<'a> {
        if self.is_identity() {
            return Outcome::Kept {
                data: Cow::Borrowed(record),
                discarded: 0,
            };
        }
        match self.run(record, known, around, &mut |_| {}) {
            Ok(outcome) => outcome,
            Err(refused) => Outcome::Refused(refused),
        }
    }

    fn run<'a>(
        &self,
        record: &'a str,
        known: &Shape,
        around: &Surroundings<'_>,
        seen: &mut dyn FnMut(&Node<'_>),
    ) -> Result<Outcome<'a>, Refused> {
        if record.len() > MAX_RECORD_BYTES {
            return Err(Refused::new(TOO_LONG, "the record is longer than 8 MiB", ""));
        }
        let mut node = Node::object(record).map_err(|error| Refused::new(RECORD, error.to_string(), ""))?;
        let mut is_changed = false;
        let mut discarded = 0;
        if !self.contract.evolves() && !known.is_empty() {
            match self.hold(record, known, &mut node)? {
                Ok(count) => discarded = count,
                Err(frozen) => return Ok(Outcome::Frozen(frozen)),
            }
            is_changed = discarded > 0;
        }
        if let Some(condition) = &self.condition
            && !condition.holds(&node)?
        {
            return Ok(Outcome::Dropped);
        }
        if let Some(keep) = &self.keep {
            is_changed |= keep.apply(&mut node)?;
        }
        for action in &self.actions {
            action.apply(&mut node, around)?;
            is_changed = true;
            seen(&node);
        }
        let data = if is_changed {
            Cow::Owned(node.write())
        } else {
            Cow::Borrowed(record)
        };
        if data.len() > MAX_RECORD_BYTES {
            return Err(Refused::new(TOO_LONG, "the record became longer than 8 MiB", ""));
        }
        Ok(Outcome::Kept { data, discarded })
    }

    /// Holds a record against the contract; gives how many values were taken out.
    fn hold(&self, record: &str, known: &Shape, node: &mut Node<'_>) -> Result<Result<u32, Frozen>, Refused> {
        let mut discarded = 0;
        for difference in known.difference(record)? {
            let reaction = match difference {
                Difference::NewField { .. } => self.contract.new_fields,
                Difference::NewType { .. } => self.contract.changed_types,
            };
            let pointer = difference.pointer();
            match reaction {
                Reaction::Evolve => {}
                Reaction::Freeze => {
                    return Ok(Err(Frozen {
                        pointer: pointer.to_owned(),
                        what: difference.what(),
                    }));
                }
                Reaction::DiscardRow => {
                    return Err(Refused::new(CONTRACT, difference.what(), pointer));
                }
                Reaction::DiscardValue => {
                    // A name too long for a pointer is longer than any rule can name, and is a field nonetheless.
                    let place = Pointer::any(pointer);
                    let taken = node.take(place.tokens());
                    taken.map_err(|error| Refused::new(RECORD, error.to_string(), pointer))?;
                    discarded += 1;
                }
            }
        }
        Ok(Ok(discarded))
    }
}

#[cfg(test)]
mod tests;
