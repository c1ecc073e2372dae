//! The loop of a connector's author: build, check, and what else needs no server. Thin: what is found is found by `sluice-harness`.

mod build;
mod check;
mod project;

use clap::Subcommand;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

/// Build and check a connector
#[derive(Debug, Subcommand)]
pub(super) enum Workshop {
    /// Make the component, with the language's own tools
    Build(build::Build),
    /// Look for what no server would take and what whoever installs it will ask about
    Check(check::Check),
}

impl Workshop {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Build(build) => build.run(output).await,
            Self::Check(check) => check.run(output),
        }
    }
}
