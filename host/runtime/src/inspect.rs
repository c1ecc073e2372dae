//! Reading a component without compiling or running it: its outermost imports, exports and manifest.

use wasmparser::{Encoding, Parser, Payload};

use crate::error::LoadError;
use crate::imports;

/// The custom section that packaging puts `connector.toml` into.
const MANIFEST_SECTION: &str = "sluice:manifest";

/// A longer manifest is not read, in bytes.
const MANIFEST_BYTES: usize = 1 << 20;

/// Imports or exports of one component; more than any toolchain makes.
const NAMES: usize = 1_000;

/// How deep components may be nested in components.
const DEPTH: usize = 32;

/// What a component says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Names of the outermost imports, in their order, e.g. `wasi:io/poll@0.2.6`.
    pub imports: Vec<String>,
    /// Names of the outermost exports.
    pub exports: Vec<String>,
    /// The text of `connector.toml`, where the component carries it.
    pub manifest: Option<String>,
    /// In bytes.
    pub size: u64,
}

impl Inspection {
    /// Reads `bytes`, of which there may be `limit`. The time it takes grows with the bytes and nothing else.
    ///
    /// # Errors
    /// [`LoadError`] when it is too large, a core module, or not wasm.
    pub fn read(bytes: &[u8], limit: u64) -> Result<Self, LoadError> {
        inspect(bytes, limit)
    }

    /// Whether this is a connector that this host can serve, as far as names tell.
    ///
    /// # Errors
    /// [`LoadError::ImportsRefused`] and [`LoadError::ExportsMissing`], each with every name.
    pub fn check(&self) -> Result<(), LoadError> {
        let names = imports::unknown(&self.imports);
        if !names.is_empty() {
            return Err(LoadError::ImportsRefused { names });
        }
        let names = imports::missing(&self.exports);
        if !names.is_empty() {
            return Err(LoadError::ExportsMissing { names });
        }
        Ok(())
    }
}

/// Reads `bytes`, of which there may be `limit`. The time it takes grows with the bytes and nothing else.
pub(crate) fn inspect(bytes: &[u8], limit: u64) -> Result<Inspection, LoadError> {
    let size = bytes.len() as u64;
    if size > limit {
        return Err(LoadError::TooLarge { size, limit });
    }
    let mut found = Inspection {
        imports: Vec::new(),
        exports: Vec::new(),
        manifest: None,
        size,
    };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => return Err(LoadError::NotComponent),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                if depth > DEPTH {
                    return Err(LoadError::Malformed {
                        reason: "it is nested too deep".into(),
                        offset: 0,
                    });
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    push(&mut found.imports, import.map_err(malformed)?.name.name)?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    push(&mut found.exports, export.map_err(malformed)?.name.name)?;
                }
            }
            Payload::CustomSection(section)
                if depth == 0
                    && section.name() == MANIFEST_SECTION
                    && section.data().len() <= MANIFEST_BYTES =>
            {
                found.manifest = std::str::from_utf8(section.data()).ok().map(str::to_owned);
            }
            _ => {}
        }
    }
    Ok(found)
}

fn push(names: &mut Vec<String>, name: &str) -> Result<(), LoadError> {
    if names.len() >= NAMES {
        return Err(LoadError::Malformed {
            reason: format!("more than {NAMES} imports or exports"),
            offset: 0,
        });
    }
    names.push(name.to_owned());
    Ok(())
}

/// The parser quotes the file: what cannot be shown becomes a dot, and the rest is short.
fn printable(message: &str) -> String {
    let shown = |character: char| match character {
        char::REPLACEMENT_CHARACTER => '.',
        character if character.is_control() => '.',
        character => character,
    };
    message.chars().take(REASON_CHARS).map(shown).collect()
}

/// A reason is one line of a terminal or two.
const REASON_CHARS: usize = 200;

fn malformed(error: wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Malformed {
        reason: printable(error.message()),
        offset: error.offset() as u64,
    }
}
