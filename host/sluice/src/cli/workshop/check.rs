//! `sluice connector check`: everything that is found about a connector, each with its place and what to do.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use sluice_harness::{Draft, Finding, Severity, lint};
use sluice_runtime::Inspection;

use super::project::{self, MANIFEST, Project};
use crate::cli::author;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The connector's directory, or a component with its manifest in it
    #[arg(default_value = ".")]
    connector: PathBuf,
    /// A code that is meant to be so, such as check.wide_host; may be given again
    #[arg(long, value_name = "CODE")]
    allow: Vec<String>,
}

/// What belongs beside a manifest, and the names that it goes by.
const BESIDE: [(&str, &[&str]); 2] = [
    ("README.md", &["README.md"]),
    ("LICENSE", &["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE"]),
];

/// The most bytes of a component, as a server has it where nobody set another.
fn most_bytes() -> u64 {
    sluice_runtime::Config::default().max_component_bytes
}

/// What there is of a connector.
struct LookedAt {
    /// Where its manifest is.
    place: String,
    /// The manifest.
    text: String,
    component: Option<Vec<u8>>,
    /// What belongs beside the manifest and is not there.
    missing: Vec<&'static str>,
}

impl Check {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        for code in &self.allow {
            if !Finding::CODES.contains(&code.as_str()) {
                return Err(Failure::usage(format!("`{code}` is no code of a finding"))
                    .hint(format!("one of {}", Finding::CODES.join(", "))));
            }
        }
        let LookedAt {
            place,
            text,
            component,
            missing,
        } = self.subject()?;
        let mut findings = lint(&Draft {
            manifest: &text,
            component: component.as_deref(),
            component_bytes: most_bytes(),
            missing: &missing,
        });
        findings.retain(|finding| !self.allow.iter().any(|code| code == finding.code));
        let counted = |severity| {
            findings
                .iter()
                .filter(|finding| finding.severity == severity)
                .count()
        };
        let (errors, warnings) = (counted(Severity::Error), counted(Severity::Warning));
        let value = json!({
            "manifest": place, "built": component.is_some(), "errors": errors, "warnings": warnings,
            "findings": findings.iter().map(of_finding).collect::<Vec<_>>(),
        });
        output.show(&value, |output| {
            for finding in &findings {
                show(output, &place, finding);
            }
            if component.is_none() {
                output.note("only the manifest was looked at: `sluice connector build` makes the component");
            }
            if errors + warnings == 0 {
                output.done(&format!("{place} asks for what it needs"));
            } else {
                output.note(&format!("{errors} errors, {warnings} warnings"));
            }
        });
        Ok(if errors + warnings == 0 {
            Exit::Ok
        } else {
            Exit::Findings
        })
    }

    /// Whose place, the manifest, the component and what is missing beside it.
    fn subject(&self) -> Result<LookedAt, Failure> {
        if self.connector.is_dir() {
            let text = project::manifest_text(&self.connector)?;
            let built = sluice_model::manifest::Manifest::parse(&text)
                .ok()
                .map(|manifest| project::component(&self.connector, &manifest.id))
                .filter(|path| path.is_file());
            let component = built.as_deref().map(author::read).transpose()?;
            let is_missing =
                |names: &&(&str, &[&str])| !names.1.iter().any(|name| self.connector.join(name).is_file());
            let missing = BESIDE.iter().filter(is_missing).map(|(name, _)| *name).collect();
            let place = self.connector.join(MANIFEST);
            let place = place.strip_prefix("./").unwrap_or(&place).display().to_string();
            return Ok(LookedAt {
                place,
                text,
                component,
                missing,
            });
        }
        let bytes = author::read(&self.connector)?;
        let inspection = Inspection::read(&bytes, most_bytes()).map_err(|error| Failure {
            code: Some(error.code().to_owned()),
            ..Failure::new(Exit::Failed, format!("{}: {error}", self.connector.display()))
        })?;
        let text = inspection
            .manifest
            .ok_or_else(|| without_manifest(&self.connector))?;
        Ok(LookedAt {
            place: self.connector.display().to_string(),
            text,
            component: Some(bytes),
            missing: Vec::new(),
        })
    }
}

/// What is found about a project that was built.
pub(super) fn of(project: &Project, component: &[u8]) -> Vec<Finding> {
    lint(&Draft {
        manifest: &project.manifest_text,
        component: Some(component),
        component_bytes: most_bytes(),
        missing: &[],
    })
}

fn without_manifest(path: &Path) -> Failure {
    Failure::new(Exit::Failed, format!("{} has no manifest in it", path.display()))
        .hint("name the connector's directory, or build it with `sluice connector build`")
}

pub(super) fn of_finding(finding: &Finding) -> Value {
    json!({
        "code": finding.code, "severity": finding.severity.word(), "path": finding.path,
        "line": finding.at.map(|at| at.0), "column": finding.at.map(|at| at.1),
        "message": finding.message, "hint": finding.hint,
    })
}

pub(super) fn show(output: &Output, file: &str, finding: &Finding) {
    let place = match finding.at {
        Some((line, column)) => format!("{file}:{line}:{column}"),
        None => file.to_owned(),
    };
    let about = if finding.path.is_empty() {
        String::new()
    } else {
        format!("{} ", finding.path)
    };
    output.line(&format!(
        "{place}: {}[{}]: {about}{}",
        finding.severity.word(),
        finding.code,
        finding.message
    ));
    output.line(&format!("    {}", finding.hint));
}
