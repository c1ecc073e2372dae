//! Packages in OCI registries: the documents of the CNCF's Wasm OCI artifact, which `wkg` reads and writes, and addresses of
//! what is in a registry (OCI distribution specification 1.1).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;

use crate::error::SourceError;
use crate::{Digest, Package};

/// Media type of the manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the configuration.
pub const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// Media type of the component.
pub const LAYER_TYPE: &str = "application/wasm";
/// A longer manifest is not read, in bytes: the specification asks registries for 4 MiB, of which a component needs nothing.
pub const MAX_MANIFEST_BYTES: u64 = 256 << 10;

/// Something in a registry: `HOST[:PORT]/REPOSITORY` and `:TAG` or `@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host, and port where it is not 443.
    pub registry: String,
    pub repository: String,
    pub which: Which,
}

/// One of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Tag(String),
    Digest(Digest),
}

impl Reference {
    /// The path of its manifest.
    #[must_use]
    pub fn manifest_path(&self) -> String {
        format!("/v2/{}/manifests/{}", self.repository, self.which)
    }

    /// The path of a blob.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> String {
        format!("/v2/{}/blobs/{digest}", self.repository)
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = match self.which {
            Which::Tag(_) => ':',
            Which::Digest(_) => '@',
        };
        write!(
            f,
            "oci://{}/{}{before}{}",
            self.registry, self.repository, self.which
        )
    }
}

/// Reads `oci://HOST/REPOSITORY:TAG` or `oci://HOST/REPOSITORY@sha256:…`. There is no default host, repository or tag: what is
/// left out would be somebody's guess.
impl FromStr for Reference {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let wrong = |reason: &'static str| SourceError::Address {
            address: crate::text::shown(text),
            reason,
        };
        let rest = text
            .strip_prefix("oci://")
            .ok_or_else(|| wrong("it does not begin with oci://"))?;
        let (registry, rest) = rest
            .split_once('/')
            .ok_or_else(|| wrong("it has no repository"))?;
        let host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if registry.is_empty() || registry.len() > 255 || !registry.bytes().all(host) {
            return Err(wrong("its host is none"));
        }
        let (repository, which) = if let Some((repository, digest)) = rest.split_once('@') {
            let digest = digest.parse().map_err(|_| wrong("its digest is none"))?;
            (repository, Which::Digest(digest))
        } else {
            let (repository, tag) = rest
                .split_once(':')
                .ok_or_else(|| wrong("it has neither a tag nor a digest"))?;
            (repository, Which::Tag(tag.to_owned()))
        };
        if let Which::Tag(tag) = &which
            && !is_tag(tag)
        {
            return Err(wrong("its tag is none"));
        }
        if !is_repository(repository) {
            return Err(wrong("its repository is none"));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            which,
        })
    }
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (distribution specification, pulling manifests).
fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&tag.len()) && tag.bytes().all(word) && !tag.starts_with(['.', '-'])
}

/// Lower-case words with single separators within, between slashes.
fn is_repository(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.bytes().all(|byte| word(byte) || b"._-".contains(&byte))
            && !part.contains("..")
    };
    (1..=255).contains(&name.len()) && name.split('/').all(part)
}

/// The tag of a version: tags have no `+`.
#[must_use]
pub fn tag(version: &str) -> String {
    version.replace('+', "_")
}

/// The documents of a package in a registry, ready to be pushed: two blobs and the manifest that names them.
#[derive(Debug, Clone)]
pub struct Layout {
    pub config: Vec<u8>,
    pub config_digest: Digest,
    pub layer_digest: Digest,
    pub manifest: Vec<u8>,
    pub manifest_digest: Digest,
    /// What the version is found by.
    pub tag: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: Digest,
    size: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    created: String,
    author: Option<String>,
    architecture: &'static str,
    os: &'static str,
    layer_digests: Vec<Digest>,
    component: Component,
}

#[derive(Debug, Serialize)]
struct Component {
    exports: Vec<String>,
    imports: Vec<String>,
    target: Option<String>,
}

impl Layout {
    /// The documents of this package. They say nothing that the package does not say, so the same package makes the same ones;
    /// the time in them is when it was signed.
    ///
    /// # Errors
    ///
    /// [`SourceError::Unreadable`] if the component's imports or exports cannot be read.
    pub fn of(package: &Package<'_>, whole: &[u8]) -> Result<Self, SourceError> {
        let (imports, exports) = names(whole).map_err(|reason| SourceError::Unreadable {
            what: "package",
            reason,
        })?;
        let signature = package.signature();
        let created = signature.map_or(Timestamp::default(), |signature| signature.signed);
        let layer_digest = Digest::of(whole);
        let config = Config {
            created: created.to_string(),
            author: signature.map(|signature| signature.publisher.to_string()),
            architecture: "wasm",
            os: "wasip2",
            layer_digests: vec![layer_digest],
            component: Component {
                exports,
                imports,
                target: None,
            },
        };
        let written = |error: serde_json::Error| SourceError::Unreadable {
            what: "package",
            reason: error.to_string(),
        };
        let config = serde_json::to_vec(&config).map_err(written)?;
        let described = package.manifest();
        let mut annotations = BTreeMap::new();
        for (name, value) in [
            ("title", Some(&described.name)),
            ("description", Some(&described.description)),
            ("version", Some(&described.version)),
            ("licenses", Some(&described.licence)),
            ("url", described.links.website.as_ref()),
            ("source", described.links.source.as_ref()),
        ] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                annotations.insert(format!("org.opencontainers.image.{name}"), value.clone());
            }
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            config: Descriptor {
                media_type: CONFIG_TYPE.to_owned(),
                digest: Digest::of(&config),
                size: config.len() as u64,
            },
            layers: vec![Descriptor {
                media_type: LAYER_TYPE.to_owned(),
                digest: layer_digest,
                size: whole.len() as u64,
            }],
            annotations,
        };
        let manifest = serde_json::to_vec(&manifest).map_err(written)?;
        Ok(Self {
            config_digest: Digest::of(&config),
            config,
            layer_digest,
            manifest_digest: Digest::of(&manifest),
            manifest,
            tag: tag(&described.version),
        })
    }
}

/// The blob that a registry's manifest says the component is, with its size.
///
/// # Errors
///
/// [`SourceError::Unreadable`] if this is not the manifest of one component.
pub fn component(manifest: &[u8]) -> Result<(Digest, u64), SourceError> {
    let unreadable = |reason: &str| SourceError::Unreadable {
        what: "registry's manifest",
        reason: reason.to_owned(),
    };
    let manifest: Manifest =
        serde_json::from_slice(manifest).map_err(|_| unreadable("it is not one of an image"))?;
    let kind = manifest.media_type.as_deref().unwrap_or(MANIFEST_TYPE);
    if manifest.schema_version != 2 || kind != MANIFEST_TYPE {
        return Err(unreadable("it is of another kind"));
    }
    if manifest.config.media_type != CONFIG_TYPE {
        return Err(unreadable("it is not one of a component"));
    }
    match manifest.layers.as_slice() {
        [layer] if layer.media_type == LAYER_TYPE => Ok((layer.digest, layer.size)),
        _ => Err(unreadable("it has not exactly one layer, a component")),
    }
}

/// Names of the outermost imports and exports, as `wkg` lists them.
fn names(component: &[u8]) -> Result<(Vec<String>, Vec<String>), String> {
    use wasmparser::{Parser, Payload};
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(component) {
        let shown = |error: wasmparser::BinaryReaderError| crate::text::shown(error.message());
        match payload.map_err(shown)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(shown)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(shown)?.name.name.to_owned());
                }
            }
            _ => {}
        }
        if imports.len().max(exports.len()) > MAX_NAMES {
            return Err(format!("more than {MAX_NAMES} imports or exports"));
        }
    }
    Ok((imports, exports))
}

/// As the runtime reads.
const MAX_NAMES: usize = 1_000;
