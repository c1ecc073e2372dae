//! The runtime: guests, and nothing but guests. It loads, checks and compiles connectors, calls them, and gives them the
//! host functions of the contract. It knows the broker, through which everything goes out, and not the store: what a call
//! wants kept it hands back as [`Effects`], and the caller commits them or does not.
//!
//! What always holds: every call has an instance of its own, which is gone when the call is; memory, tables, time, host
//! calls, log, requests and what crosses the boundary are bounded by the call's limits; a guest that spins gives its
//! thread back every tick and ends at its deadline; a guest's error is a value and never mixed with a crash; machine
//! code is loaded only if this process made it or authenticated it.
//!
//! Deliberately absent: instances that live longer than a call, threads for guests, component-model async, sockets,
//! files, and any policy about where requests may go.

mod config;
mod error;
mod outcome;
mod shelf;
mod snapshot;
mod values;

mod call;
mod runtime;

mod artifact;
mod cache;
mod compile;
mod imports;
mod inspect;
mod load;

mod engine;
mod limiter;
mod slots;
mod state;
mod stop;
mod ticker;
mod trap;

mod bindings;
mod host;
mod journal;
mod keeping;
mod stage;
mod stdio;
mod translate;
mod wasi;

pub use call::Call;
pub use compile::compile_child;
pub use config::{CompileLimits, Compiler, Config, Fixed};
pub use error::{LoadError, StartError};
pub use inspect::Inspection;
pub use keeping::{FileChange, FileWrite, Kept};
pub use load::Connector;
pub use outcome::{CallError, Effects, Level, LogLine, Metrics, Outcome, Source, Used};
pub use runtime::{Ahead, Runtime, Verified};
pub use shelf::{EmptyShelf, FileDraft, FileView, Held, Shelf, Unkept};
pub use snapshot::{EmptySnapshot, Snapshot, StorageWrite};
pub use tokio_util::sync::CancellationToken;
pub use values::{
    Account, ActionInfo, ConnectionView, Event, Handled, Page, PendingWrite, ReadRequest, Receipt, Redirect,
    Registration, Reply, StreamInfo, WriteOp, WriteOutcome,
};
