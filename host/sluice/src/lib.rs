//! The binary as a library: the configuration, the listener, the API, the command line, and the root where the rooms
//! are put together.

pub mod config;
pub mod key;
pub mod master;

pub mod api;
pub mod listen;
pub mod panics;
pub mod serve;

pub mod codes;
pub mod explain;

pub mod cli;
