//! The measurements of `bench/README.md`.

use std::process::Command;

use anyhow::Result;

use crate::stand_in::{REPOSITORY, StandIn, TOKEN};
use crate::{place, step, tool};

/// The issues that our connector and the peers read, and the bytes of one.
const ISSUES: u64 = 5_000;
const ISSUE_BYTES: u64 = 5_000;

/// `peers` measures the software of others too: that installs it, and takes longer.
pub(crate) fn run(peers: bool) -> Result<()> {
    let measure = [
        "run",
        "--quiet",
        "--locked",
        "--release",
        "-p",
        "sluice-bench",
        "--bin",
        "policy",
    ];
    step::run(step::cargo().args(measure))?;
    if peers { run_peers() } else { Ok(()) }
}

fn run_peers() -> Result<()> {
    tool::python()?;
    step::run(step::cargo().args(["build", "--quiet", "--locked", "--release", "-p", "vendor"]))?;
    let vendor = StandIn::start(true, ISSUES, ISSUE_BYTES, None)?;
    let script = place::root().join("bench/peers.sh");
    let mut peers = Command::new("bash");
    peers
        .arg(script)
        .arg(format!("http://{}", vendor.http))
        .arg(REPOSITORY);
    step::run(peers.current_dir(place::root()).env("PEER_TOKEN", TOKEN))
}
