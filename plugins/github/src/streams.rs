//! The streams, one file each, named as in `connector.toml`.

pub(crate) mod commits;
pub(crate) mod issues;
pub(crate) mod pull_requests;
pub(crate) mod releases;
pub(crate) mod repositories;
pub(crate) mod workflow_runs;
