//! A connector's directory: its manifest, its language, and where its component goes.

use std::fs;
use std::path::{Path, PathBuf};

use sluice_model::manifest::Manifest;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::new::Language;

/// A directory with a connector in it.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) dir: PathBuf,
    pub(super) language: Language,
    pub(super) manifest: Manifest,
    pub(super) manifest_text: String,
}

/// The manifest's file.
pub(super) const MANIFEST: &str = "connector.toml";

impl Project {
    /// Reads a connector's directory.
    pub(super) fn open(dir: &Path) -> Result<Self, Failure> {
        let manifest_text = manifest_text(dir)?;
        let manifest = Manifest::parse(&manifest_text).map_err(|error| {
            let place = format!("{}:{}:{}", dir.join(MANIFEST).display(), error.line, error.column);
            Failure {
                code: Some(error.code().to_owned()),
                ..Failure::new(Exit::Failed, error.to_string())
            }
            .fact("at", place)
        })?;
        Ok(Self {
            language: language(dir)?,
            dir: dir.to_owned(),
            manifest,
            manifest_text,
        })
    }

    /// Where its component goes.
    pub(super) fn component(&self) -> PathBuf {
        component(&self.dir, &self.manifest.id)
    }

    /// The directory of the SDK that has this file: beside the author's own in what `connector new` makes, above it in a checkout.
    pub(super) fn sdk(&self, file: &str) -> Result<PathBuf, Failure> {
        let places = ["sluice-sdk", "..", "../.."];
        let found = places
            .iter()
            .map(|place| self.dir.join(place))
            .find(|place| place.join(file).is_file());
        found.ok_or_else(|| {
            Failure::usage(format!("{} has no sluice-sdk/{file}", self.dir.display()))
                .hint("make a connector anew with `sluice connector new`, and take its sluice-sdk")
        })
    }
}

/// Where the component of this connector goes.
pub(super) fn component(dir: &Path, id: &str) -> PathBuf {
    dir.join("dist").join(format!("{id}.wasm"))
}

/// Whether a name is one directory, here.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(parts.next(), Some(std::path::Component::Normal(_))) && parts.next().is_none()
}

/// The text of the manifest.
pub(super) fn manifest_text(dir: &Path) -> Result<String, Failure> {
    let path = dir.join(MANIFEST);
    fs::read_to_string(&path).map_err(|error| {
        Failure::usage(format!("{} cannot be read: {error}", path.display()))
            .hint("name the connector's directory, or make one: sluice connector new NAME")
    })
}

/// The language, by what a template has.
fn language(dir: &Path) -> Result<Language, Failure> {
    let has = |name: &str| dir.join(name).is_file();
    let has_c = |dir: &Path| {
        let mut entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.any(|entry| entry.path().extension().is_some_and(|extension| extension == "c"))
    };
    if has("Cargo.toml") {
        return Ok(Language::Rust);
    }
    if has("src/connector.ts") || has("src/connector.js") {
        return Ok(Language::Js);
    }
    if has("connector.py") {
        return Ok(Language::Python);
    }
    if has_c(dir) || has_c(&dir.join("src")) {
        return Ok(Language::C);
    }
    Err(Failure::usage(format!(
        "{} has neither Cargo.toml, src/connector.ts, src/connector.js, connector.py nor a C file",
        dir.display()
    ))
    .hint("name the connector's directory, or build it with your own tools"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_its_files() {
        let check = |file: &str, expected: Option<Language>| {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("src")).unwrap();
            fs::write(dir.path().join(file), "").unwrap();
            assert_eq!(language(dir.path()).ok(), expected, "{file}");
        };
        check("Cargo.toml", Some(Language::Rust));
        check("src/connector.ts", Some(Language::Js));
        check("src/connector.js", Some(Language::Js));
        check("connector.py", Some(Language::Python));
        check("connector.c", Some(Language::C));
        check("src/any.c", Some(Language::C));
        check("README.md", None);
    }
}
