//! Everything CI runs, in one order: cheap judgements first, the tests last, so that the last lines are the test runner's own summary.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::place::{self, shown};
use crate::step::{self, Steps};
use crate::{build, demo, openapi, tool};

/// `fast` leaves out what needs a tool of its own (deny) and the documentation.
pub(crate) fn run(fast: bool) -> Result<()> {
    let mut steps = Steps::new(if fast { 9 } else { 11 });
    let outside = outside()?;

    steps.run("formatting", || {
        step::run(step::cargo().args(["fmt", "--all", "--check"]))?;
        outside
            .iter()
            .try_for_each(|package| step::run(&mut outside_cargo(&["fmt", "--check"], package)))
    })?;
    steps.run("counterparts", counterparts)?;
    if !fast {
        steps.run("walls and licences", || {
            step::run(Command::new(tool::deny()?).current_dir(place::root()).args([
                "--locked",
                "check",
                "--hide-inclusion-graph",
                "--allow",
                "unused-wrapper",
                "bans",
                "licenses",
                "sources",
            ]))
        })?;
    }
    steps.run("lints of the host", || {
        step::run(step::cargo().args([
            "clippy",
            "--quiet",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    steps.run("lints of what runs inside", || {
        tool::wasm_target()?;
        let wasm = ["--target", tool::WASM, "--lib", "--examples"];
        outside
            .iter()
            .try_for_each(|package| lint_outside(package, &wasm))?;
        // Their own tests run on this machine.
        tested_outside()?
            .iter()
            .try_for_each(|package| lint_outside(package, &["--all-targets"]))
    })?;
    if !fast {
        steps.run("documentation", || {
            step::run(step::cargo().env("RUSTDOCFLAGS", "-D warnings").args([
                "doc",
                "--quiet",
                "--locked",
                "--no-deps",
                "--workspace",
            ]))
        })?;
    }
    let mut connectors = Vec::new();
    steps.run("connectors and guests", || {
        connectors = build::connectors()?;
        build::guests()
    })?;
    steps.run("tests of what runs inside, on this machine", || {
        tested_outside()?
            .iter()
            .try_for_each(|package| step::run(&mut outside_cargo(&["test", "--quiet", "--locked"], package)))
    })?;
    steps.run("build and documentation examples", || {
        // The tests boot the binary as a user would. Built together with them, because cargo unites the features of what it builds
        // at once: another choice would compile half of the dependencies a second time.
        step::run(step::cargo().args(["build", "--quiet", "--locked", "--workspace", "--bins", "--tests"]))?;
        step::run(step::cargo().args(["test", "--quiet", "--locked", "--workspace", "--doc"]))
    })?;
    steps.run("generated files", openapi::check)?;
    steps.run("the demo", || {
        let options = demo::Options {
            exit: true,
            release: false,
            issues: demo::ISSUES,
        };
        demo::play(&options, &connectors)
    })?;
    steps.summary();
    workspace_tests()
}

/// The last step: nothing is printed after the runner's summary.
fn workspace_tests() -> Result<()> {
    println!("\n── tests of the workspace");
    if step::ask(step::cargo().args(["nextest", "--version"])).is_some() {
        return step::run(step::cargo().args([
            "nextest",
            "run",
            "--locked",
            "--workspace",
            "--no-fail-fast",
        ]));
    }
    println!(
        "   cargo-nextest is not installed, so cargo's own runner is used: slower, and one summary for each crate"
    );
    step::run(step::cargo().args([
        "test",
        "--locked",
        "--workspace",
        "--no-fail-fast",
        "--lib",
        "--bins",
        "--tests",
    ]))
}

/// GitHub's own libraries and payloads, as the committed lock file names them.
pub(crate) fn counterparts() -> Result<()> {
    step::run(
        tool::npm()?
            .current_dir(place::root().join("tests/counterparts"))
            .args(["ci", "--no-progress", "--loglevel=error"]),
    )
}

/// Packages that are compiled for wasm and stand outside the workspace.
fn outside() -> Result<Vec<PathBuf>> {
    let mut packages = tested_outside()?;
    let guests = ["fixtures/guests", "host/runtime/tests/guest"];
    packages.extend(guests.map(|guest| place::root().join(guest)));
    Ok(packages)
}

/// Those of them that have tests which run on this machine.
fn tested_outside() -> Result<Vec<PathBuf>> {
    let mut packages = Vec::new();
    for sdk in place::packages("sdk-guest")? {
        let template = sdk.join("template");
        packages.push(sdk);
        packages.extend(Some(template).filter(|p| p.join("Cargo.toml").is_file()));
    }
    packages.extend(place::packages("plugins")?);
    Ok(packages)
}

fn lint_outside(package: &Path, targets: &[&str]) -> Result<()> {
    let mut command = outside_cargo(&["clippy", "--quiet", "--locked"], package);
    step::run(command.args(targets).args(["--", "-D", "warnings"]))
}

/// `cargo WORDS` for a package outside the workspace, with results that the other such packages share.
fn outside_cargo(words: &[&str], package: &Path) -> Command {
    let mut command = step::cargo();
    command
        .args(words)
        .arg("--manifest-path")
        .arg(place::root().join(shown(package)).join("Cargo.toml"));
    if words.first() != Some(&"fmt") {
        command.arg("--target-dir").arg(place::target().join("wasm"));
    }
    command
}
