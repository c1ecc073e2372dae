//! The API: one table of routes, one door in front of it, one noun a file.
//!
//! What must always hold: every route but the public ones of the table needs a key, and a path that is in no table needs
//! one too; whatever goes wrong is answered as problem+json (RFC 9457) with a stable code; nothing a stranger sends is
//! kept in memory beyond its cap. Absent on purpose: decisions about the work, which are the service's.

mod app;
mod body;
mod document;
mod front;
mod guard;
mod page;
pub mod problem;
pub mod routes;

mod actions;
mod approvals;
mod apps;
mod authorizations;
mod connect;
mod connections;
mod connectors;
mod destinations;
mod endpoints;
mod events;
mod files;
mod grants;
mod health;
mod hooks;
mod inbound;
mod installs;
mod keys;
mod links;
mod metrics;
mod receipts;
mod records;
mod replays;
mod runs;
mod secrets;
mod source;
mod spool;
mod streams;
mod tail;
mod text;
mod traces;
mod trust;
mod upgrades;
mod writes;

pub use app::{App, Parts};
pub use document::document;
pub(crate) use front::hosts;
pub use routes::router;

#[cfg(test)]
mod tests;
