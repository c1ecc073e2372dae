//! One package, read: the component, and after it the parts that belong to it, each a custom section of the outermost layer.
//!
//! The parts stand at the end, each at most once, in the order of [`Part`], and written in one way only. Whoever reads a part
//! can therefore not be shown another than whoever verified the signatures. There are two, each of which may be absent: a bundle and
//! one with a key. They are the last, and both are over everything before the first of them.

use std::ops::Range;

use sluice_model::manifest::Manifest;

use crate::error::{FormatError, Untrusted};
use crate::section::{self, COMPONENT, CUSTOM};
use crate::{Bundle, Digest, Signature, icon, sbom, schemas, text};

/// What belongs to a component, in the order in which it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The exact text of `connector.toml`.
    Manifest,
    /// Markdown.
    Readme,
    /// A PNG or an SVG.
    Icon,
    /// The JSON Schemas of the manifest as one JSON document, for tools that do not read TOML.
    Schemas,
    /// The text of the licence.
    Licence,
    /// What it is made of: CycloneDX, JSON.
    Sbom,
    /// What its symbols are found by.
    BuildId,
    /// Whose it is, by an identity: a sigstore bundle, JSON.
    Bundle,
    /// Whose it is, by a key.
    Signature,
}

impl Part {
    /// All, in their order.
    pub const ALL: [Self; 9] = [
        Self::Manifest,
        Self::Readme,
        Self::Icon,
        Self::Schemas,
        Self::Licence,
        Self::Sbom,
        Self::BuildId,
        Self::Bundle,
        Self::Signature,
    ];

    /// The name of its section.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Manifest => "sluice:manifest",
            Self::Readme => "sluice:readme",
            Self::Icon => "sluice:icon",
            Self::Schemas => "sluice:schemas",
            Self::Licence => "sluice:licence",
            Self::Sbom => "sluice:sbom",
            Self::BuildId => "sluice:build-id",
            Self::Bundle => "sluice:bundle",
            Self::Signature => "sluice:signature",
        }
    }

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Readme => "readme",
            Self::Icon => "icon",
            Self::Schemas => "schemas",
            Self::Licence => "licence",
            Self::Sbom => "sbom",
            Self::BuildId => "build id",
            Self::Bundle => "bundle",
            Self::Signature => "signature",
        }
    }

    /// The most bytes that it may have.
    #[must_use]
    pub const fn limit(self) -> usize {
        match self {
            // As the runtime reads it.
            Self::Manifest => 1 << 20,
            Self::Readme => 256 << 10,
            Self::Icon => 64 << 10,
            Self::Schemas => 2 << 20,
            Self::Licence => 128 << 10,
            Self::Sbom => 2 << 20,
            Self::BuildId => BUILD_ID_BYTES,
            // A certificate, an entry of a log with its proof, and perhaps timestamps: about 8 KiB.
            Self::Bundle => 64 << 10,
            Self::Signature => 4 << 10,
        }
    }

    fn of_section(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.section() == name)
    }
}

/// A build id, in bytes.
pub(crate) const BUILD_ID_BYTES: usize = 16;

/// The prefix of sections that are ours.
const OURS: &str = "sluice:";

/// A package whose form is right. Whose it is has been read and not judged.
#[derive(Debug, Clone)]
pub struct Package<'a> {
    bytes: &'a [u8],
    parts: Vec<(Part, &'a [u8])>,
    manifest_text: &'a str,
    manifest: Manifest,
    icon_type: Option<&'static str>,
    content: Range<usize>,
    content_digest: Digest,
    digest: Digest,
    bundle: Option<Bundle>,
    signature: Option<Signature>,
}

impl<'a> Package<'a> {
    /// Takes a file apart. It takes time in proportion to the bytes, runs nothing and compiles nothing; that the component
    /// itself is valid is found out by whoever compiles it. Where there is a signature, the bytes are held against it before
    /// any part is looked at.
    ///
    /// # Errors
    ///
    /// [`FormatError`]; a signature over other bytes is one, whose the signature is has not been asked.
    pub fn read(bytes: &'a [u8]) -> Result<Self, FormatError> {
        if !bytes.starts_with(COMPONENT) {
            return Err(FormatError::NotComponent);
        }
        let mut parts: Vec<(Part, &'a [u8])> = Vec::new();
        let mut content = 0..bytes.len();
        for section in section::sections(bytes)? {
            let custom = section.custom();
            if section.id == CUSTOM && custom.is_none() {
                return Err(FormatError::Malformed {
                    reason: "a custom section without a name".to_owned(),
                    offset: section.start,
                });
            }
            let part = custom.and_then(|(name, _)| Part::of_section(name));
            let Some((part, (name, data))) = part.zip(custom) else {
                if let Some((name, _)) = custom
                    && name.starts_with(OURS)
                {
                    return Err(FormatError::UnknownPart(text::shown(name)));
                }
                if !parts.is_empty() {
                    return Err(FormatError::Misplaced(
                        "something of the component after its manifest",
                    ));
                }
                continue;
            };
            if data.len() > part.limit() {
                return Err(FormatError::PartTooLarge {
                    part: part.name(),
                    bytes: data.len(),
                    limit: part.limit(),
                });
            }
            if parts.last().is_some_and(|(before, _)| *before >= part) {
                return Err(FormatError::Misplaced(part.name()));
            }
            if !section::is_canonical(&section, name, data) {
                return Err(FormatError::part(part.name(), "is not written in the one way"));
            }
            if matches!(part, Part::Bundle | Part::Signature) {
                content.end = content.end.min(section.start);
            }
            parts.push((part, data));
        }
        Self::check(bytes, parts, content)
    }

    /// Each part by itself.
    fn check(
        bytes: &'a [u8],
        parts: Vec<(Part, &'a [u8])>,
        content: Range<usize>,
    ) -> Result<Self, FormatError> {
        let get = |part: Part| {
            let found = parts.iter().find(|(found, _)| *found == part);
            found.map(|(_, data)| *data)
        };
        let plain = |part: Part| match get(part) {
            Some(data) => plain(part, data).map(Some),
            None => Ok(None),
        };
        // The content begins the file.
        let (of_content, behind) = bytes.split_at(content.end.min(bytes.len()));
        let (content_digest, digest) = Digest::of_both(of_content, behind);
        let signature = match plain(Part::Signature)? {
            Some(text) => Some(Signature::read(text)?),
            None => None,
        };
        if signature
            .as_ref()
            .is_some_and(|signature| signature.content != content_digest)
        {
            return Err(Untrusted::Content.into());
        }
        let bundle = match plain(Part::Bundle)? {
            Some(text) => Some(Bundle::read(text, content_digest)?),
            None => None,
        };
        let manifest_text = get(Part::Manifest).ok_or(FormatError::NoManifest)?;
        let manifest_text =
            std::str::from_utf8(manifest_text).map_err(|_| FormatError::part("manifest", "is not text"))?;
        let manifest = Manifest::parse(manifest_text)?;
        plain(Part::Readme)?;
        plain(Part::Licence)?;
        let icon_type = get(Part::Icon).map(icon::media_type).transpose()?;
        if let Some(found) = plain(Part::Schemas)? {
            schemas::check(found, &manifest)?;
        }
        if let Some(found) = plain(Part::Sbom)? {
            sbom::check(found)?;
        }
        if get(Part::BuildId).is_some_and(|id| id.len() != BUILD_ID_BYTES) {
            return Err(FormatError::part("build id", "has another length"));
        }
        Ok(Self {
            bytes,
            parts,
            manifest_text,
            manifest,
            icon_type,
            content,
            content_digest,
            digest,
            bundle,
            signature,
        })
    }

    /// The bytes of a part.
    #[must_use]
    pub fn part(&self, part: Part) -> Option<&'a [u8]> {
        let found = self.parts.iter().find(|(found, _)| *found == part);
        found.map(|(_, data)| *data)
    }

    /// A part that is text.
    #[must_use]
    pub fn text(&self, part: Part) -> Option<&'a str> {
        self.part(part).and_then(|data| std::str::from_utf8(data).ok())
    }

    /// Which parts there are, with their bytes.
    pub fn parts(&self) -> impl Iterator<Item = (Part, usize)> + '_ {
        self.parts.iter().map(|(part, data)| (*part, data.len()))
    }

    /// The exact text of `connector.toml`.
    #[must_use]
    pub const fn manifest_text(&self) -> &'a str {
        self.manifest_text
    }

    /// What that says.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// `image/png` or `image/svg+xml`.
    #[must_use]
    pub const fn icon_type(&self) -> Option<&'static str> {
        self.icon_type
    }

    /// What the symbols of this build are found by, in hex.
    #[must_use]
    pub fn build_id(&self) -> Option<String> {
        self.part(Part::BuildId)
            .map(|id| data_encoding::HEXLOWER.encode(id))
    }

    /// Everything but the signatures: what each of them is over, and what does not change when it is signed anew.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.bytes.get(self.content.clone()).unwrap_or_default()
    }

    /// Of [`content`](Self::content).
    #[must_use]
    pub const fn content_digest(&self) -> Digest {
        self.content_digest
    }

    /// Of the whole file.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its bundle, of which nothing is verified but its form.
    #[must_use]
    pub const fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }

    /// Its signature, not verified against anything but itself.
    #[must_use]
    pub const fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }
}

/// A part as text that can be shown.
fn plain(part: Part, data: &[u8]) -> Result<&str, FormatError> {
    let text = std::str::from_utf8(data).map_err(|_| FormatError::part(part.name(), "is not text"))?;
    if !text::is_plain(text) {
        return Err(FormatError::part(
            part.name(),
            "has characters that control or hide what is shown",
        ));
    }
    Ok(text)
}
