//! What an author is told about a connector without running it: that which no server would take, that which whoever installs it
//! will ask about, and that which is missing.

mod component;
mod power;
mod shape;

use sluice_model::manifest::Manifest;

use crate::finding::{Finding, Severity};

/// A connector as it lies in its author's directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Draft<'a> {
    /// The text of `connector.toml`.
    pub manifest: &'a str,
    /// What was built of it, where it was built.
    pub component: Option<&'a [u8]>,
    /// The most bytes that a component may have.
    pub component_bytes: u64,
    /// Names of the files that belong into a package and are not there.
    pub missing: &'a [&'a str],
}

/// Everything that is found, the gravest first.
#[must_use]
pub fn lint(subject: &Draft<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    match Manifest::parse(subject.manifest) {
        Ok(manifest) => {
            let reading = Reading {
                text: subject.manifest,
                manifest: &manifest,
            };
            component::contract(&reading, &mut found);
            power::look(&reading, &mut found);
            shape::look(&reading, &mut found);
        }
        Err(error) => found.push(Finding {
            code: "check.manifest",
            severity: Severity::Error,
            path: error.path.clone(),
            at: Some((error.line, error.column)),
            message: error.message,
            hint: "correct it: nothing else of the manifest was looked at".to_owned(),
        }),
    }
    component::look(subject, &mut found);
    found.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.at));
    found
}

/// A manifest and the text that it was read from.
struct Reading<'a> {
    text: &'a str,
    manifest: &'a Manifest,
}

impl Reading<'_> {
    /// Where this text stands between quotes first.
    fn place(&self, quoted: &str) -> Option<(u32, u32)> {
        let wanted = format!("\"{quoted}\"");
        let found = self.text.lines().zip(1_u32..).find_map(|(line, number)| {
            let before = line.split_once(&wanted)?.0;
            Some((number, before.chars().count()))
        });
        let (line, before) = found?;
        Some((line, u32::try_from(before + 1).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests;
