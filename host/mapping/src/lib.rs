//! What becomes of a record between the vendor and the record store: the contract, the filter and the steps that the
//! person who connected an account chose for one stream. The same rules serve the transformation of events.
//!
//! Who is involved: the service, which keeps the settings ([`StreamRules`]), compiles them when they are saved ([`Plan`]),
//! and gives every record to [`Plan::apply`] before it is committed; the API, which shows [`Plan::preview`].
//!
//! What must always hold: numbers stay what the vendor wrote, to the digit; fields that no rule touches keep their bytes;
//! every record ends kept, dropped, refused with a reason, or stops the run; whatever the settings and the vendor say, time,
//! memory and stack are bounded, and nothing panics; personal data and the salt never reach an error's text.
//!
//! Deliberately absent: I/O, a clock, randomness, and waiting. What a rule needs from outside ([`Surroundings`]) is given.

pub mod rules;

pub mod contract;
pub mod pointer;
pub mod shape;

pub mod error;
pub mod outcome;
pub mod plan;

pub mod reconcile;

mod jq;
mod json;

pub use contract::{Contract, Reaction};
pub use error::RuleError;
pub use outcome::{Frozen, Outcome, Refused};
pub use plan::preview::Preview;
pub use plan::surroundings::{Salt, Surroundings};
pub use plan::{Plan, Warning};
pub use pointer::Pointer;
pub use rules::StreamRules;
pub use shape::{Shape, Type};
