//! Making a package: the component without what only a debugger reads, and its parts after it.

use wasmparser::{Validator, WasmFeatures};

use crate::error::FormatError;
use crate::package::BUILD_ID_BYTES;
use crate::section::{self, COMPONENT};
use crate::strip::{self, What};
use crate::{Digest, Package, Part, schemas};

/// What goes into a package. Everything but component and manifest may be missing.
#[derive(Debug, Clone, Default)]
pub struct Pack<'a> {
    /// As the compiler made it. A manifest that is in it already must be the one given.
    pub component: &'a [u8],
    /// The text of `connector.toml`.
    pub manifest: &'a str,
    /// Markdown. Line ends become line feeds.
    pub readme: Option<&'a str>,
    /// A PNG or an SVG.
    pub icon: Option<&'a [u8]>,
    /// The text of the licence. Line ends become line feeds.
    pub licence: Option<&'a str>,
    /// CycloneDX, JSON; [`crate::of_cargo_lock`] makes one.
    pub sbom: Option<&'a str>,
    /// Whether names of functions go too. With them a trap is told in words, without them the package is smaller.
    pub strip_names: bool,
}

/// A package, and what was taken out of the component.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The file.
    pub bytes: Vec<u8>,
    /// The component with everything that was in it, under the package's build id; only where something was taken out.
    pub symbols: Option<Vec<u8>>,
    /// In hex: what both have in them.
    pub build_id: String,
    /// Of the file.
    pub digest: Digest,
}

impl Pack<'_> {
    /// Makes the package. The same inputs make the same bytes, on every machine and at any time.
    ///
    /// # Errors
    ///
    /// Whatever [`Package::read`] would say of the result, and components that are not valid.
    pub fn make(&self) -> Result<Packed, FormatError> {
        let component = self.bare()?;
        validate(&component)?;
        let what = if self.strip_names { What::All } else { What::Debug };
        let stripped = strip::strip(&component, what)?;
        let (lean, symbols) = match stripped {
            Some(lean) => (lean, Some(component)),
            None => (component, None),
        };
        let digest = Digest::of(&lean);
        let build_id = digest.as_bytes().get(..BUILD_ID_BYTES).unwrap_or_default();
        let manifest = sluice_model::manifest::Manifest::parse(self.manifest)?;
        let schemas = schemas::of(&manifest);
        let readme = self.readme.map(line_feeds);
        let licence = self.licence.map(line_feeds);
        let parts = [
            (Part::Manifest, Some(self.manifest.as_bytes())),
            (Part::Readme, readme.as_deref().map(str::as_bytes)),
            (Part::Icon, self.icon),
            (Part::Schemas, Some(schemas.as_bytes())),
            (Part::Licence, licence.as_deref().map(str::as_bytes)),
            (Part::Sbom, self.sbom.map(str::as_bytes)),
            (Part::BuildId, Some(build_id)),
        ];
        let mut bytes = lean;
        for (part, data) in parts {
            if let Some(data) = data {
                section::write_custom(part.section(), data, &mut bytes);
            }
        }
        // What comes out is what a stranger will read: held against the same rules.
        let package = Package::read(&bytes)?;
        let hex = package.build_id().unwrap_or_default();
        let symbols = symbols.map(|mut whole| {
            section::write_custom(Part::BuildId.section(), build_id, &mut whole);
            whole
        });
        Ok(Packed {
            digest: Digest::of(&bytes),
            bytes,
            symbols,
            build_id: hex,
        })
    }

    /// The component without parts. Build scripts embed the manifest; everything else would be somebody's package.
    fn bare(&self) -> Result<Vec<u8>, FormatError> {
        if !self.component.starts_with(COMPONENT) {
            return Err(FormatError::NotComponent);
        }
        let mut bare = COMPONENT.to_vec();
        for section in section::sections(self.component)? {
            match section.custom() {
                Some((name, data)) if name == Part::Manifest.section() => {
                    if data != self.manifest.as_bytes() {
                        return Err(FormatError::part(
                            "manifest",
                            "in the component is another than the one given",
                        ));
                    }
                }
                Some((name, _)) if name.starts_with("sluice:") => return Err(FormatError::Packed),
                _ => bare.extend_from_slice(section.whole),
            }
        }
        Ok(bare)
    }
}

/// The component with this manifest in it and no other: what build scripts make, and [`Pack`] takes.
///
/// # Errors
///
/// Bytes that are no component, or a package already.
pub fn embed(component: &[u8], manifest: &str) -> Result<Vec<u8>, FormatError> {
    if !component.starts_with(COMPONENT) {
        return Err(FormatError::NotComponent);
    }
    let mut made = COMPONENT.to_vec();
    for section in section::sections(component)? {
        match section.custom() {
            Some((name, _)) if name == Part::Manifest.section() => {}
            Some((name, _)) if name.starts_with("sluice:") => return Err(FormatError::Packed),
            _ => made.extend_from_slice(section.whole),
        }
    }
    section::write_custom(Part::Manifest.section(), manifest.as_bytes(), &mut made);
    Ok(made)
}

/// Whether an engine would take it, as far as the standard goes; what the host does not offer is the host's to say.
fn validate(component: &[u8]) -> Result<(), FormatError> {
    let checked = Validator::new_with_features(WasmFeatures::default()).validate_all(component);
    checked.map(drop).map_err(|error| FormatError::Malformed {
        reason: crate::text::shown(error.message()),
        offset: error.offset(),
    })
}

fn line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n")
}
