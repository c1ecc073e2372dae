//! Our connectors, taken apart, so that a measurement can change what its manifest says.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use sluice_model::manifest::Manifest;

/// The name of the manifest's section behind its length, as `cargo xtask build` appends it.
const NAME: &[u8] = b"\x0fsluice:manifest";

/// A component and its manifest.
#[derive(Debug, Clone)]
pub struct Package {
    code: Vec<u8>,
    manifest: String,
}

impl Package {
    /// Our GitHub connector.
    ///
    /// # Errors
    ///
    /// As [`Package::of`].
    pub fn github() -> Result<Self> {
        Self::of("github")
    }

    /// The connector of this id that `cargo xtask build` has made.
    ///
    /// # Errors
    ///
    /// If it is not built, or has no manifest at its end.
    pub fn of(id: &str) -> Result<Self> {
        Self::read(&crate::connector(id)?, "cargo xtask build")
    }

    /// The connector in another language that `cargo xtask sdks` has made.
    ///
    /// # Errors
    ///
    /// As [`Package::of`].
    pub fn in_language(name: &str) -> Result<Self> {
        let file = crate::connector(name)?;
        let place = file
            .parent()
            .and_then(Path::parent)
            .context("the target directory")?;
        Self::read(
            &place.join(format!("connectors-sdk/{name}.wasm")),
            "cargo xtask sdks",
        )
    }

    fn read(file: &Path, made_by: &str) -> Result<Self> {
        let component = std::fs::read(file)
            .with_context(|| format!("read {}; build it with `{made_by}`", file.display()))?;
        let at = component
            .windows(NAME.len())
            .rposition(|window| window == NAME)
            .context("the connector has no manifest")?;
        let (before, section) = component.split_at(at);
        let mut length = Vec::new();
        leb128(section.len(), &mut length);
        let code = before
            .get(..at - length.len() - 1)
            .context("its section has no head")?;
        Ok(Self {
            code: code.to_vec(),
            manifest: String::from_utf8(section.get(NAME.len()..).unwrap_or_default().to_vec())?,
        })
    }

    /// The same with other words in its manifest.
    ///
    /// # Errors
    ///
    /// If the words are not in it.
    pub fn replaced(&self, words: &str, with: &str) -> Result<Self> {
        ensure!(
            self.manifest.contains(words),
            "the manifest does not say `{words}`"
        );
        Ok(Self {
            code: self.code.clone(),
            manifest: self.manifest.replacen(words, with, 1),
        })
    }

    /// The text of its manifest.
    #[must_use]
    pub fn manifest(&self) -> &str {
        &self.manifest
    }

    /// Its version.
    ///
    /// # Errors
    ///
    /// If its manifest is none.
    pub fn version(&self) -> Result<String> {
        Ok(Manifest::parse(&self.manifest)?.version)
    }

    /// What is approved at its install.
    #[must_use]
    pub fn digest(&self) -> String {
        Manifest::digest(&self.manifest)
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.code.clone();
        bytes.push(0);
        leb128(NAME.len() + self.manifest.len(), &mut bytes);
        bytes.extend_from_slice(NAME);
        bytes.extend_from_slice(self.manifest.as_bytes());
        bytes
    }
}

fn leb128(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
