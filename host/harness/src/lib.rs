//! The workshop's side of a connector: what its author is told before anybody installs it.
//!
//! Involved are a connector's manifest and component, as they lie in the author's directory, and nobody else: no server, no
//! database, no organization.
//!
//! What must always hold: what is said here is said by the same code that a server judges and runs a connector with; a finding
//! names its place and one next step.
//!
//! Deliberately absent: compiling an author's code, printing, asking.

mod finding;
mod lint;

pub use finding::{Finding, Severity};
pub use lint::{Subject, lint};
