//! Tools that a step needs beside cargo: found, or installed by the ordinary package manager, or named in the error.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::place;
use crate::step;

/// The target that connectors and guests are compiled to.
pub(crate) const WASM: &str = "wasm32-wasip2";

/// The version that deny.toml is written for.
const DENY: &str = "0.20.2";

/// The version of tests/counterparts/README.md.
const WKG: &str = "0.16.1";

/// What the counterparts' own packages ask for.
const NODE: &str =
    "Node.js 20 or newer: `apt-get install nodejs npm` where that is new enough, else https://nodejs.org";

/// Adds the wasm target through rustup when the toolchain lacks it.
pub(crate) fn wasm_target() -> Result<()> {
    let sysroot = step::ask(
        Command::new("rustc")
            .current_dir(place::root())
            .args(["--print", "sysroot"]),
    );
    let installed = sysroot.is_some_and(|dir| {
        PathBuf::from(dir)
            .join("lib/rustlib")
            .join(WASM)
            .join("lib")
            .is_dir()
    });
    if installed {
        return Ok(());
    }
    if step::ask(Command::new("rustup").arg("--version")).is_none() {
        bail!(
            "the target {WASM} is missing and rustup is not there to add it: install Rust from https://rustup.rs"
        );
    }
    step::run(
        Command::new("rustup")
            .current_dir(place::root())
            .args(["target", "add", WASM]),
    )
}

/// The pinned cargo-deny.
pub(crate) fn deny() -> Result<PathBuf> {
    built("cargo-deny", DENY)
}

/// The pinned `wkg`, which reads and writes packages in registries: three minutes of processor time to build.
pub(crate) fn wkg() -> Result<PathBuf> {
    built("wkg", WKG)
}

/// A tool from crates.io, built from its source on first use into the target directory. Without optimization, because building
/// it takes most of the time and what it does takes two seconds either way.
fn built(name: &str, version: &str) -> Result<PathBuf> {
    let tools = place::target().join("tools");
    let path = tools
        .join("bin")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let there = step::ask(Command::new(&path).arg("--version")).is_some_and(|says| says.ends_with(version));
    if !there {
        step::run(
            step::cargo()
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                .args([
                    "install",
                    "--quiet",
                    "--debug",
                    "--locked",
                    "--no-default-features",
                    name,
                    "--version",
                    version,
                ])
                .arg("--root")
                .arg(&tools)
                .arg("--target-dir")
                .arg(tools.join("build")),
        )?;
        // Half a gigabyte of intermediate files for a tool that is built once.
        std::fs::remove_dir_all(tools.join("build"))?;
    }
    Ok(path)
}

/// Whether Node.js and its package manager are there in a version that the counterparts take.
pub(crate) fn has_node() -> bool {
    npm().is_ok()
}

/// Node's package manager, for the counterparts.
pub(crate) fn npm() -> Result<Command> {
    let node = step::ask(Command::new("node").arg("--version"));
    let major = node
        .as_deref()
        .and_then(|v| v.trim_start_matches('v').split('.').next()?.parse::<u32>().ok());
    match (major, node.as_deref()) {
        (Some(20..), _) => {}
        (_, Some(version)) => bail!("node {version} is too old for tests/counterparts: {NODE}"),
        (_, None) => bail!("node is not installed, and tests/counterparts needs it: {NODE}"),
    }
    if step::ask(Command::new("npm").arg("--version")).is_none() {
        bail!("npm is not installed; tests/counterparts needs it: `apt-get install npm`");
    }
    Ok(Command::new("npm"))
}

/// Python with venv, for the counterparts and for the peers that bench/ measures against.
pub(crate) fn python() -> Result<Command> {
    if step::ask(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_none() {
        bail!(
            "python3 with venv is not there; tests/counterparts and bench/peers.sh need it: `apt-get install python3 python3-venv`"
        );
    }
    Ok(Command::new("python3"))
}

/// A C compiler for this machine, with its address checks.
pub(crate) fn c_compiler() -> Result<Command> {
    if step::ask(Command::new("cc").arg("--version")).is_none() {
        bail!("cc is not there; the tests of sdk-guest/c need it: `apt-get install gcc libc6-dev`");
    }
    Ok(Command::new("cc"))
}

/// A Chromium for tests/counterparts/browser, which looks for the same names.
pub(crate) fn chromium() -> Result<()> {
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let named = std::env::var_os("CHROMIUM")
        .filter(|name| !name.is_empty())
        .map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name)));
    if named.map_or_else(|| places.any(|place| place.is_file()), |path| path.is_file()) {
        return Ok(());
    }
    bail!(
        "no Chromium is there; tests/counterparts/browser needs one: `apt-get install chromium`, or set CHROMIUM to its path"
    );
}
