//! The API's OpenAPI document, as the server makes it and as it is checked in.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{place, step};

/// Builds the server and writes the document.
pub(crate) fn write() -> Result<()> {
    step::run(step::cargo().args(["build", "--quiet", "--locked", "-p", "sluice"]))?;
    fs::write(path(), made()?).context("write the document")?;
    println!("   {}", place::shown(&path()));
    Ok(())
}

/// Compares the two, with the server that is built already.
pub(crate) fn check() -> Result<()> {
    let kept = fs::read_to_string(path()).with_context(|| format!("read {}", place::shown(&path())))?;
    if made()? != kept {
        bail!(
            "{} is not what the server says: `cargo xtask openapi`, and look at the difference",
            place::shown(&path())
        );
    }
    Ok(())
}

fn made() -> Result<String> {
    let program = place::binary("sluice", false);
    step::output(Command::new(&program).arg("openapi")).with_context(|| format!("ask {}", program.display()))
}

fn path() -> PathBuf {
    place::root().join("host/sluice/openapi.json")
}
