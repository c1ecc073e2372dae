//! The work: installs, connections, syncs, hooks and actions, each a room of its own.
//!
//! A room decides *what happens*; how it is kept is the store's, how a guest is called the runtime's, and every byte
//! that leaves goes through the broker. What must always hold here: a guest call changes nothing durable by itself, its
//! staged effects are committed by the room in one transaction or not at all; background work is a leased row and an
//! idempotent step, so restart is the ordinary path. Absent on purpose: HTTP, the command line and any configuration
//! file, which belong to the binary.

mod service;
pub mod settings;

pub mod metrics;
pub mod page;
pub mod problem;

pub mod catalogue;
pub mod schema;
pub mod vault;

pub mod action;
pub mod approval;
pub mod auth;
pub mod channel;
pub mod connection;
pub mod destination;
pub mod endpoint;
pub mod event;
pub mod file;
pub mod hooks;
pub mod install;
pub mod key;
pub mod link;
mod reach;
pub mod record;
pub mod replay;
pub mod secret;
pub mod source;
pub mod sync;
mod trace;
pub mod trust;
pub mod write;

pub mod call;
pub mod worker;

pub use service::{NotReady, Parts, Service, StartError};
pub use settings::Settings;
pub use sluice_store::run::Caps;
