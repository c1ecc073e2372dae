//! What became of one record.

use std::borrow::Cow;

/// One record's end. A run's counts add up over these: in = kept + dropped + refused, and a frozen one ends the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The record goes on.
    Kept {
        /// JSON text; the text that came in, where no rule changed it.
        data: Cow<'a, str>,
        /// Values that the contract took out of it.
        discarded: u32,
    },
    /// The filter does not want it. If it was there before, it becomes a delete.
    Dropped,
    /// It is set aside with a reason.
    Refused(Refused),
    /// The contract is frozen and the record is not of it: the run stops.
    Frozen(Frozen),
}

/// Why a record is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// One of [`Refused::CODES`].
    pub code: &'static str,
    /// A sentence without anything of the record's content but names of fields.
    pub reason: String,
    /// The field, as a JSON pointer; empty where it is the whole record.
    pub pointer: String,
}

impl Refused {
    /// All codes that a refused record can have.
    pub const CODES: &'static [&'static str] = &[
        RECORD, TOO_LONG, PLACE, CAST, DATE, LOOKUP, SALT, PROGRAM, BUDGET, RESULT, CONTRACT,
    ];

    pub(crate) fn new(code: &'static str, reason: impl Into<String>, pointer: impl ToString) -> Self {
        Self {
            code,
            reason: reason.into(),
            pointer: pointer.to_string(),
        }
    }
}

pub(crate) const RECORD: &str = "mapping.record";
pub(crate) const TOO_LONG: &str = "mapping.record_too_long";
pub(crate) const PLACE: &str = "mapping.place";
pub(crate) const CAST: &str = "mapping.cast";
pub(crate) const DATE: &str = "mapping.date";
pub(crate) const LOOKUP: &str = "mapping.lookup";
pub(crate) const SALT: &str = "mapping.salt";
pub(crate) const PROGRAM: &str = "mapping.program_failed";
pub(crate) const BUDGET: &str = "mapping.program_budget";
pub(crate) const RESULT: &str = "mapping.program_result";
pub(crate) const CONTRACT: &str = "mapping.contract";

/// What a frozen contract met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the contract is frozen and {pointer} {what}")]
pub struct Frozen {
    /// The field, as a JSON pointer.
    pub pointer: String,
    /// What is other than known, to be read after the field's name.
    pub what: String,
}

impl Frozen {
    /// All codes of this family.
    pub const CODES: &'static [&'static str] = &["mapping.frozen"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "mapping.frozen"
    }

    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        "look at the field, then take it into the known shape or let the contract evolve"
    }
}
