//! `sluice connector manifest`: the reference of `connector.toml`, as it is written down beside the code that reads it.

use clap::Args;
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::output::Output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Reference {}

impl Reference {
    pub(super) fn run(self, output: &Output) -> Exit {
        let Self {} = self;
        let page = sluice_harness::reference();
        output.show(&json!({"markdown": page}), |output| output.data(&page));
        Exit::Ok
    }
}
