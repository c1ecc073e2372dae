//! Everything CI runs, in one order: cheap judgements first, the tests last, so that the last lines are the test runner's own summary.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::place::{self, shown};
use crate::step::{self, Steps};
use crate::{build, demo, openapi, sdks, tool};

/// `fast` leaves out what needs a tool of its own (deny) and the documentation.
pub(crate) fn run(fast: bool) -> Result<()> {
    let mut steps = Steps::new(if fast { 10 } else { 12 });
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
        connectors.extend(build::fixtures()?);
        build::guests()
    })?;
    steps.run("connectors in other languages", sdks::run)?;
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

/// The simulation of `host/store/tests/it/simulation.rs` with more seeds than an ordinary test has time for.
pub(crate) fn simulate(seeds: u64) -> Result<()> {
    let test = [
        "test",
        "--quiet",
        "--locked",
        "-p",
        "sluice-store",
        "--test",
        "it",
        "simulation::whatever",
    ];
    step::run(step::cargo().args(test).env("SLUICE_SEEDS", seeds.to_string()))
}

/// Software we did not write, as tests/counterparts names it to the last version: installed when that list has changed since.
pub(crate) fn counterparts() -> Result<()> {
    tool::chromium()?;
    tool::wkg()?;
    provider()?;
    // Beside node_modules it stands where the tests find it wherever cargo builds.
    python_packages(
        &[place::root().join("tests/counterparts/requirements.txt")],
        &place::root().join("target/counterparts-venv"),
        "moto",
    )
}

/// What `lists` name, without what they do not name, in a virtual environment of its own; `modules` are imported to see that it works.
pub(crate) fn python_packages(lists: &[PathBuf], venv: &Path, modules: &str) -> Result<()> {
    let import = format!("import {modules}");
    let works = step::ask(Command::new(venv.join("bin/python")).args(["-c", &import])).is_some();
    if !works && venv.exists() {
        // Another Python than the one it was made with, or half of an install.
        std::fs::remove_dir_all(venv).with_context(|| format!("remove {}", shown(venv)))?;
    }
    let wanted = lists
        .iter()
        .map(|list| std::fs::read(list).with_context(|| format!("read {}", shown(list))))
        .collect::<Result<Vec<_>>>()?
        .concat();
    let named: Vec<String> = lists.iter().map(|list| shown(list)).collect();
    installed_as(&wanted, &named.join(" and "), venv, || {
        let mut python = tool::python()?;
        step::run(python.args(["-m", "venv", "--clear"]).arg(venv))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        let mut command = Command::new(venv.join("bin/python"));
        command.args(pip).args(["--no-deps", "--only-binary", ":all:"]);
        for list in lists {
            command.arg("-r").arg(list);
        }
        step::run(&mut command)
    })
}

/// Those of them that are Node's: the demo needs one.
pub(crate) fn provider() -> Result<()> {
    let home = place::root().join("tests/counterparts");
    installed(
        &home.join("package-lock.json"),
        &home.join("node_modules"),
        || {
            step::run(
                tool::npm()?
                    .current_dir(&home)
                    .args(["ci", "--no-progress", "--loglevel=error"]),
            )
        },
    )
}

/// Runs `install` unless what `list` says is in `place` already, which a copy of the list there tells.
pub(crate) fn installed(list: &Path, place: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = std::fs::read(list).with_context(|| format!("read {}", shown(list)))?;
    installed_as(&wanted, &shown(list), place, install)
}

fn installed_as(
    wanted: &[u8],
    named: &str,
    place: &Path,
    install: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let stamp = place.join(".installed");
    if std::fs::read(&stamp).is_ok_and(|there| there == wanted) {
        println!("   {} is as {named} has it", shown(place));
        return Ok(());
    }
    install()?;
    std::fs::write(&stamp, wanted).with_context(|| format!("write {}", shown(&stamp)))
}

/// Packages that are compiled for wasm and stand outside the workspace.
fn outside() -> Result<Vec<PathBuf>> {
    let mut packages = tested_outside()?;
    let guests = ["fixtures/guests", "host/runtime/tests/guest"];
    packages.extend(guests.map(|guest| place::root().join(guest)));
    packages.extend(place::packages("fixtures/connectors")?);
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
