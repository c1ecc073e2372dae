//! The main job, in front of a person's eyes.

use anyhow::{Result, bail};

/// How many issues the demo syncs when nobody says.
pub(crate) const ISSUES: u64 = 10_000;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) exit: bool,
    pub(crate) release: bool,
    pub(crate) issues: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    bail!("the server is not built yet: {options:?}")
}
