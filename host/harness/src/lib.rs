//! The workshop's side of a connector: what its author is told before anybody installs it.
//!
//! Involved are a connector's manifest and component, as they lie in the author's directory; cassettes of what its vendor said; and,
//! while one is recorded, the vendor itself. No server, no database, no organization.
//!
//! What must always hold: what is said here is said by the same code that a server judges and runs a connector with: the runtime with
//! its limits, the broker with its policy, its credentials and its redaction. What is replaced is the network (by a cassette), the
//! clock and the random numbers (by ones that stand) and the store (by memory). A credential enters no cassette: requests are kept as the
//! connector said them, before it was on them, answers as the connector was given them, after it was taken out, and a file that shows
//! it in any form is not written. A case that is played twice gives the same, and reaches nobody.
//!
//! Deliberately absent: compiling an author's code, printing, asking.

// What is found.
mod error;
mod finding;
mod report;

// By looking.
mod lint;

// By playing.
mod case;
mod cassette;
mod contract;
mod deed;
mod hook;
mod play;
mod rehearsal;

// What a connector meets.
mod drawer;
mod memory;
mod recorder;
mod tape;
mod vault;

// For others.
mod mock;
mod reference;

pub use case::{Act, Case, Hook, Place, TESTS, Write};
pub use cassette::{Body, Cassette, Exchange, Request, Response};
pub use contract::{CHECKS, Found, Verdict};
pub use error::Error;
pub use finding::{Finding, Severity};
pub use lint::{Draft, lint};
pub use mock::{Asked, Document, DocumentError, Fault, FaultError, Kind, Mock, Played};
pub use recorder::Stage;
pub use reference::reference;
pub use rehearsal::{Problem, Subject};
pub use report::{Golden, Recording, Report, play, record};
pub use tape::Miss;
pub use vault::Given;
