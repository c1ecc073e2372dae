//! What the measurements share: a clock around batches, the median of them, and an allocator that counts.
//!
//! A measurement is a binary of `src/bin/`. It prints one line of JSON with its numbers on stdout and says on stderr whether the
//! bar of `bench/README.md` holds; it ends with status 1 when it does not. There is no statistics package here: each number is
//! the median of many batches in one process, and a claim is a ratio of two numbers of the same run.

mod counting;
pub mod hook;
mod host;
pub mod load;
mod median;
mod package;
mod registry;
mod server;
mod usage;

pub use counting::Counting;
pub use host::{Far, Host, connector};
pub use load::delivery;
pub use median::{Spread, per_call};
pub use package::Package;
pub use registry::Registry;
pub use server::Server;
pub use usage::Usage;
