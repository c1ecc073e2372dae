//! Connectors that are not written in Rust: the SDKs of `sdk-guest/{js,python,c}`, their tests, and the components that
//! `tests/it/sdks.rs` installs. Each SDK's own `build` does the work, as an author would call it.
//!
//! What it needs comes from npm and pip in exact versions, into the SDK's `node_modules` and `target/sdks-venv`; node, python3 and cc
//! are named when they are missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::place::{self, shown};
use crate::{step, test, tool};

/// A language's SDK, and how its `build` is started.
struct Sdk {
    name: &'static str,
    build: fn(&Path) -> Result<Command>,
}

const SDKS: [Sdk; 3] = [
    Sdk {
        name: "js",
        build: |sdk| {
            let mut command = Command::new("node");
            command.arg(sdk.join("build.mjs"));
            Ok(command)
        },
    },
    Sdk {
        name: "python",
        build: python_build,
    },
    Sdk {
        name: "c",
        build: python_build,
    },
];

/// Installs the tools, runs the SDKs' own tests, and builds every example, template and fixture.
pub(crate) fn run() -> Result<()> {
    install()?;
    check()?;
    build()
}

fn install() -> Result<()> {
    let js = home("js");
    test::installed(&js.join("package-lock.json"), &js.join("node_modules"), || {
        step::run(
            tool::npm()?
                .current_dir(&js)
                .args(["ci", "--no-progress", "--loglevel=error"]),
        )
    })?;
    let lists = [home("python"), home("c")].map(|sdk| sdk.join("requirements.txt"));
    test::python_packages(
        &lists,
        &place::root().join("target/sdks-venv"),
        "componentize_py, ziglang",
    )
}

fn check() -> Result<()> {
    let (js, python, c) = (home("js"), home("python"), home("c"));
    step::run(Command::new("node").current_dir(&js).args([
        "--test",
        "--test-reporter=dot",
        "test/sdk.test.mjs",
        "test/example.test.mjs",
    ]))?;
    step::run(
        Command::new("node")
            .current_dir(&js)
            .args(["node_modules/typescript/bin/tsc", "-p", "."]),
    )?;
    for tests in [&python.join("test"), &python.join("template")] {
        step::run(
            tool::python()?
                .current_dir(tests)
                .env("PYTHONPATH", &python)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .args(["-m", "unittest", "-q"]),
        )?;
    }
    let made = place::target().join("sdks");
    fs::create_dir_all(&made)?;
    let checked = made.join("c-checked");
    let sources = ["test/sdk.c", "src/text.c", "src/json.c", "src/time.c"];
    let checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    step::run(
        tool::c_compiler()?
            .current_dir(&c)
            .args([
                "-std=gnu11",
                "-g",
                "-O1",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-Iinclude",
            ])
            .args(checks)
            .args(sources)
            .arg("-o")
            .arg(&checked),
    )?;
    // Nothing is freed on purpose: the instance ends with the call.
    step::run(Command::new(&checked).env("ASAN_OPTIONS", "detect_leaks=0"))
}

fn build() -> Result<()> {
    for sdk in &SDKS {
        let own = home(sdk.name);
        let connectors = [
            ("template", own.join("template")),
            ("faulty", place::root().join("fixtures/sdks").join(sdk.name)),
            (
                "garden",
                place::root().join("fixtures/sdks/garden").join(sdk.name),
            ),
            ("github-issues", own.join("examples/github-issues")),
        ];
        for (name, source) in connectors {
            let file = format!("connectors-sdk/{name}-{}.wasm", sdk.name);
            let file = place::target().join(file);
            let inputs = [&source, &own, &place::root().join("wit")];
            if is_newer(&file, &inputs)? {
                println!("   {} is newer than its sources", shown(&file));
                continue;
            }
            step::run(
                (sdk.build)(&own)?
                    .arg(&source)
                    .arg("--out")
                    .arg(&file)
                    .env("PYTHONDONTWRITEBYTECODE", "1")
                    // The C compiler builds its library on first use.
                    .env("ZIG_GLOBAL_CACHE_DIR", place::target().join("sdks/zig")),
            )?;
        }
    }
    Ok(())
}

fn home(name: &str) -> PathBuf {
    place::root().join("sdk-guest").join(name)
}

fn python_build(sdk: &Path) -> Result<Command> {
    let mut command = Command::new(place::root().join("target/sdks-venv/bin/python"));
    command.arg(sdk.join("build.py"));
    Ok(command)
}

/// Whether `file` is there and was written after everything below `inputs`.
fn is_newer(file: &Path, inputs: &[&PathBuf]) -> Result<bool> {
    let Ok(written) = fs::metadata(file).and_then(|found| found.modified()) else {
        return Ok(false);
    };
    for input in inputs {
        if newest(input)? > written {
            return Ok(false);
        }
    }
    Ok(true)
}

fn newest(path: &Path) -> Result<SystemTime> {
    let found = fs::metadata(path).with_context(|| format!("look at {}", shown(path)))?;
    let mut time = found.modified()?;
    if !found.is_dir() {
        return Ok(time);
    }
    time = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let made = ["node_modules", "__pycache__", "dist"];
        if !made.iter().any(|name| entry.file_name() == *name) {
            time = time.max(newest(&entry.path())?);
        }
    }
    Ok(time)
}
