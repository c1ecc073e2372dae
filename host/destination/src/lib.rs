//! Destinations: where records go besides the record store.
//!
//! Involved are the service, which reads batches from a connection's change feed and keeps the position of each
//! destination; a [`Destination`], which makes one batch durable somewhere else; and a server or a disk that somebody of
//! the organization named and that may be slow, full, dead or hostile.
//!
//! What must always hold:
//! - [`Destination::load`] returns only when the batch is durable, and whoever repeats it, whole or overlapping, changes
//!   nothing. So the service commits its position after the acknowledgement, and a crash between the two costs a repeat.
//! - Nothing of a record is lost: a value that does not fit its column stands in `_sluice_rest`, to the byte where the
//!   database cannot hold it otherwise.
//! - Names and values from outside are never statements, paths or formulas: they are quoted, parameters, or refused.
//! - Every byte to a network goes through the broker; every wait has a deadline and every batch a cap.
//!
//! Deliberately absent: reading records back, positions of our own (those are in our store; a database keeps its side in
//! the transaction that has the rows), retries beyond one, and transformation: records come as they are to be written.

// Words.
pub mod batch;
pub mod error;
pub mod settings;

// What a record becomes: columns from its schema, cells from its text.
mod cell;
mod column;
mod decimal;
mod document;
mod instant;
mod shape;

// Where it goes.
mod destination;
mod file;
mod postgres;

pub use batch::{Batch, Loaded, MAX_BATCH_BYTES, MAX_BATCH_ROWS, Op, Row, Table};
pub use destination::{Access, Check, Destination};
pub use error::Error;
pub use settings::{DestinationSettings, SettingsError};
