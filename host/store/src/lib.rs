//! The store: everything Sluice keeps, behind one door that is concrete, async and narrow.
//!
//! Who is involved: the service calls [`Store`]; one writer thread owns every change; readers look at the last commit.
//!
//! What must always hold:
//! - An operation is answered, and shown to readers, only after what it changed is synced: in the redo log or in the database.
//! - One operation is one transaction's worth: all of it is there or none of it. A cursor is never durable without its
//!   records; a receipt is never `handled` without its events and changes.
//! - Every key of an organization's data begins with the organization, and every operation is asked for by it.
//! - A commit that returned an error has an unknown outcome: the store fails once and for all (`store.failed`), and the
//!   process stops; the next start looks at what is there.
//! - Secrets are on disk only sealed, under a version of their organization's key, which is wrapped under a master key.
//!
//! **Cancel-safety**, for all of [`Store`]: dropping the future of a write before it is answered does not undo it; it
//! may or may not be committed. Reads have no effect.
//!
//! Deliberately absent: tables, transactions and iterators (no type of the database leaves this crate, so that
//! another one can stand behind the same door), network, guest code, waiting inside a transaction, and a guard
//! against a disk that is nearly full (the standard library cannot ask; a full disk is a failed commit).

mod error;
mod open;
mod page;
mod queue;
mod store;

pub mod api_key;
pub mod org;

mod keyring;
pub mod master;
pub mod org_key;

pub mod account_streams;
pub mod app_hook;
pub mod approval;
pub mod authorization;
pub mod chore;
pub mod connection;
pub mod credential;
pub mod hook;
pub mod install;
pub mod moved;
pub mod registration;
pub mod rotation;
pub mod trust;
pub mod usage;

pub mod checkpoint;
pub mod cursor;
pub mod destination;
pub mod event;
pub mod file;
pub mod generation;
pub mod history;
pub mod link;
pub mod load;
pub mod receipt;
pub mod record;
pub mod run;
pub mod storage;
pub mod stream_settings;
pub mod trace;
pub mod undo;

pub mod delivery;
pub mod endpoint;
pub mod replay;

pub mod due;
mod restart;
pub mod sweep;

mod batch;
mod durable;
mod frozen;
mod key;
mod pipeline;
mod redo;
mod row;
mod shadow;
mod stream;
mod table;
pub mod turn;
mod writer;

pub use error::{Error, OpenError};
pub use open::{Disk, Options};
pub use page::{Listing, MAX_LIMIT, Page};
pub use store::{MAX_COMMIT_BYTES, Store};
