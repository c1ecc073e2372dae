//! The loop of a connector's author: build, check, and what else needs no server. Thin: what is found is found by `sluice-harness`.

mod build;
mod check;
mod dev;
mod manifest;
mod mock;
mod project;
mod test;

use clap::Subcommand;

use super::Global;
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
    /// Play its cases without a network: its own, and the tests that every connector gets
    Test(test::Test),
    /// Build, check and test whenever something is saved, with a trace of what was asked
    Dev(dev::Dev),
    /// Play a vendor on this machine, by its OpenAPI document or a cassette, with faults on demand
    Mock(mock::MockVendor),
    /// Print what may stand in connector.toml
    Manifest(manifest::Reference),
}

impl Workshop {
    pub(super) async fn run(self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Build(build) => build.run(output).await,
            Self::Check(check) => check.run(output),
            Self::Test(test) => test.run(output).await,
            Self::Dev(dev) => dev.run(global, output).await,
            Self::Manifest(reference) => Ok(reference.run(output)),
            Self::Mock(mock) => mock.run(output).await,
        }
    }
}
