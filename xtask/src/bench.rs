//! The measurements of `bench/README.md`.

use anyhow::Result;

use crate::{build, place, step, tool};

/// `peers` measures the software of others too: that installs it, and takes longer.
pub(crate) fn run(peers: bool) -> Result<()> {
    build::connectors()?;
    step::run(step::cargo().args(["build", "--quiet", "--locked", "--release", "-p", "sluice"]))?;
    step::run(step::cargo().args([
        "run",
        "--quiet",
        "--locked",
        "--release",
        "-p",
        "sluice-bench",
        "--bin",
        "policy",
    ]))?;
    if peers {
        tool::python()?;
        let script = place::root().join("bench/peers.sh");
        step::run(
            std::process::Command::new("bash")
                .current_dir(place::root())
                .arg(script),
        )?;
    }
    Ok(())
}
