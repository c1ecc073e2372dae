//! Steps: a heading, what is run, how long it took; and a table of them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A row of steps with a known length, so that a person sees how far it is.
pub(crate) struct Steps {
    total: usize,
    done: Vec<(String, Duration)>,
    started: Instant,
}

impl Steps {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total,
            done: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Runs one step under a heading. What it prints goes straight through.
    pub(crate) fn run(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n── {}/{}  {name}", self.done.len() + 1, self.total);
        let started = Instant::now();
        work().with_context(|| format!("step `{name}` failed"))?;
        println!("   {name}: {}", seconds(started.elapsed()));
        self.done.push((name.to_owned(), started.elapsed()));
        Ok(())
    }

    pub(crate) fn summary(&self) {
        println!("\n── passed so far");
        for (name, took) in &self.done {
            println!("   {:>8}  {name}", seconds(*took));
        }
        println!("   {:>8}  together", seconds(self.started.elapsed()));
    }
}

/// Runs `command`, showing it, and fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("   $ {}", line(command));
    let status = command
        .status()
        .with_context(|| format!("start {}", program(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(command));
    }
    Ok(())
}

/// Runs `command` silently and gives what it printed; `None` when it is not there or fails.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs `command` and gives what it printed on standard output, to the byte.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("`{}` ended with {}", line(command), output.status);
    }
    String::from_utf8(output.stdout).context("what it printed is not text")
}

/// `cargo` as it called us, in the checkout.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::place::root());
    command
}

pub(crate) fn seconds(took: Duration) -> String {
    let whole = took.as_secs();
    match whole {
        0..10 => format!("{:.1} s", took.as_secs_f64()),
        10..120 => format!("{whole} s"),
        _ => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

fn program(command: &Command) -> String {
    let path = std::path::Path::new(command.get_program());
    path.file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn line(command: &Command) -> String {
    let root = crate::place::root().display().to_string();
    let mut line = program(command);
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy().replace(&format!("{root}/"), ""));
    }
    line
}
