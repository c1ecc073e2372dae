//! `sluice connector dev`: what the author saves is built, checked and tested at once, and what is said of it stands under what was said
//! before; with `--into` a good build is used by a connection of a running server at once, and what that server does with it is told. It
//! ends with Ctrl-C.

mod follow;
mod swap;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use serde_json::{Value, json};
use sluice_harness::{Golden, Place, Severity, play};

use self::follow::Follow;
use self::swap::Swap;
use super::project::{self, Project};
use super::test::setting::{Compiled, failed};
use super::test::told;
use super::{build, check};
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Dev {
    /// The connector's directory
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Install the SDK's packages first where they are missing
    #[arg(long)]
    install: bool,
    /// A connection of the server whose calls are made with each good build; its requests, logs and failures are shown
    #[arg(long, value_name = "CONNECTION")]
    into: Option<String>,
    /// Rounds after which it ends; without it goes on
    #[arg(long, value_name = "NUMBER")]
    rounds: Option<u32>,
}

/// Between two looks at the directory. Editors write a file in several steps; one look later it is whole.
const LOOK: Duration = Duration::from_millis(250);
/// Files of a connector that are looked at.
const MAX_FILES: usize = 5_000;
/// Directories that tools fill.
const NOT_SOURCES: [&str; 7] = [
    "dist",
    "target",
    "node_modules",
    ".venv",
    "__pycache__",
    ".git",
    "sluice-sdk",
];

/// When each file was written, and how long it is.
type Sources = BTreeMap<PathBuf, (SystemTime, u64)>;

impl Dev {
    pub(super) async fn run(self, global: &Global, output: &Output) -> Result<Exit, Failure> {
        // A directory without a connector is refused at once; later its files may be broken for a while.
        project::manifest_text(&self.dir)?;
        let (mut swap, mut follow) = (None, None);
        if let Some(connection) = &self.into {
            let client = Client::new(global)?;
            let made = Swap::new(client.clone(), connection).await?;
            follow = Some(Follow::new(client, made.connection().to_owned()));
            swap = Some(made);
        }
        let following = async {
            match follow {
                Some(follow) => follow.go_on(output).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = self.rounds(swap.as_mut(), output) => Ok(exit),
            () = following => Ok(Exit::Ok),
            _ = tokio::signal::ctrl_c() => Ok(Exit::Ok),
        }
    }

    async fn rounds(&self, mut swap: Option<&mut Swap>, output: &Output) -> Exit {
        let mut number = 0;
        loop {
            number += 1;
            // What is saved while a round goes on begins the next one.
            let seen = sources(&self.dir);
            let began = Instant::now();
            let mut event = match self.round(swap.as_deref_mut(), output).await {
                Ok(event) => event,
                Err(failure) => {
                    output.failure(&failure);
                    json!({"ok": false, "failed": failure.message})
                }
            };
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            if let Some(members) = event.as_object_mut() {
                members.insert("round".to_owned(), json!(number));
                members.insert("took_ms".to_owned(), json!(took_ms));
            }
            let is_good = event.get("ok") == Some(&Value::Bool(true));
            output.show(&event, |output| {
                let word = if is_good {
                    "all is well"
                } else {
                    "there is something to do"
                };
                output.note(&format!(
                    "{word}, after {took_ms} ms; waiting for the next change"
                ));
            });
            if self.rounds.is_some_and(|rounds| number >= rounds) {
                return if is_good { Exit::Ok } else { Exit::Failed };
            }
            while sources(&self.dir) == seen {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Builds, checks and tests once.
    async fn round(&self, swap: Option<&mut Swap>, output: &Output) -> Result<Value, Failure> {
        let project = Project::open(&self.dir)?;
        let (_, component) = build::make(&project, self.install, output).await?;
        let findings = check::of(&project, &component);
        let is_wrong = findings.iter().any(|finding| finding.severity > Severity::Note);
        if !output.json {
            let place = self.dir.join(project::MANIFEST).display().to_string();
            for finding in findings
                .iter()
                .filter(|finding| finding.severity > Severity::Note)
            {
                check::show(output, &place, finding);
            }
        }
        let compiled = Compiled::read(&project, None)?;
        let mut cases = Vec::new();
        for place in Place::all(&self.dir) {
            let subject = compiled.subject(sluice_broker::Config::default());
            let report = play(subject, &place, Golden::Compare)
                .await
                .map_err(|error| failed(&error))?;
            if !output.json {
                told::show(output, &report);
                for exchange in &report.exchanges {
                    output.note(&told::exchange(exchange));
                }
            }
            cases.push(report);
        }
        let is_good = !is_wrong && cases.iter().all(sluice_harness::Report::is_good);
        let mut used = Value::Null;
        if let Some(swap) = swap.filter(|_| is_good) {
            let swapped = swap.put(&project, &component, output).await?;
            if !output.json {
                output.done(&format!("the connection uses {}", swapped.version));
            }
            used = json!({"version": swapped.version, "install": swapped.install});
        }
        Ok(json!({
            "ok": is_good, "used": used, "bytes": component.len(),
            "findings": findings.iter().map(check::of_finding).collect::<Vec<_>>(),
            "cases": cases.iter().map(told::value).collect::<Vec<_>>(),
        }))
    }
}

/// The files that a connector is made of.
fn sources(dir: &Path) -> Sources {
    let (mut found, mut left) = (Sources::new(), vec![dir.to_owned()]);
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                if !NOT_SOURCES.iter().any(|other| name == *other) {
                    left.push(path);
                }
                continue;
            }
            if found.len() >= MAX_FILES {
                return found;
            }
            let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.insert(path, (written, metadata.len()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_make_is_no_source() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "connector.toml",
            "src/lib.rs",
            "target/x",
            "dist/y.wasm",
            "sluice-sdk/z",
        ] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let before = sources(dir.path());
        let names: Vec<_> = before
            .keys()
            .map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["connector.toml", "src/lib.rs"]);
        fs::write(dir.path().join("dist/y.wasm"), "more").unwrap();
        assert_eq!(sources(dir.path()), before);
        fs::write(dir.path().join("src/lib.rs"), "more").unwrap();
        assert_ne!(sources(dir.path()), before);
    }
}
