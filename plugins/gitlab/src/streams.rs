//! The streams: what lists by change, and the projects above them.

pub(crate) mod changed;
pub(crate) mod projects;
