//! An index: a directory with packages and a list of them, `index.json`, which may be signed by `index.sig`. What an air-gapped
//! network is given, and what a plain web server can serve.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;

use crate::error::{SourceError, Untrusted};
use crate::{Digest, Name, Package, PublicKey, SigningKey, Version, envelope, signature};

/// The list's file name.
pub const FILE: &str = "index.json";

/// The file name of its signature.
pub const SIGNATURE_FILE: &str = "index.sig";

/// A longer list is not read, in bytes.
pub const MAX_BYTES: u64 = 8 << 20;

/// A longer signature is not read, in bytes.
pub const MAX_SIGNATURE_BYTES: u64 = 4 << 10;

const FORMAT: &str = "sluice-index-1";
const TITLE: &str = "sluice index signature 1";

/// More packages are not listed.
const MAX_PACKAGES: usize = 20_000;

/// A list of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    format: String,
    packages: Vec<Listed>,
}

/// One package of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    pub name: Name,
    pub version: Version,
    /// A file name beside the list: no directories.
    pub file: String,
    /// Of the whole file.
    pub digest: Digest,
    pub bytes: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            packages: Vec::new(),
        }
    }
}

impl Index {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// [`SourceError`].
    pub fn read(bytes: &[u8]) -> Result<Self, SourceError> {
        let unreadable = |reason: String| SourceError::Unreadable {
            what: "index",
            reason,
        };
        let size = bytes.len() as u64;
        if size > MAX_BYTES {
            return Err(SourceError::TooLarge {
                what: "index",
                bytes: size,
                limit: MAX_BYTES,
            });
        }
        let index: Self = serde_json::from_slice(bytes)
            .map_err(|error| unreadable(format!("line {}, column {}", error.line(), error.column())))?;
        if index.format != FORMAT {
            return Err(unreadable("it is of another format".to_owned()));
        }
        if index.packages.len() > MAX_PACKAGES {
            return Err(unreadable(format!("it lists more than {MAX_PACKAGES} packages")));
        }
        if let Some(listed) = index.packages.iter().find(|listed| !is_file_name(&listed.file)) {
            return Err(unreadable(format!(
                "`{}` is not a file beside it",
                crate::text::shown(&listed.file)
            )));
        }
        Ok(index)
    }

    /// Its text.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The packages, by name and then from the oldest to the newest.
    #[must_use]
    pub fn packages(&self) -> &[Listed] {
        &self.packages
    }

    /// The package of this name: of this version, or the newest that is no pre-release, or else the newest.
    ///
    /// # Errors
    ///
    /// [`SourceError::Missing`].
    pub fn find(&self, name: &Name, version: Option<&Version>) -> Result<&Listed, SourceError> {
        let of_name = self.packages.iter().filter(|listed| listed.name == *name);
        let found = match version {
            Some(version) => of_name.clone().find(|listed| listed.version == *version),
            None => of_name.clone().max_by(|one, other| {
                let released = |listed: &Listed| !listed.version.as_str().contains('-');
                released(one)
                    .cmp(&released(other))
                    .then_with(|| one.version.precedence(&other.version))
            }),
        };
        found.ok_or_else(|| {
            let version = version.map(|version| format!("@{version}")).unwrap_or_default();
            SourceError::Missing(format!("{name}{version}"))
        })
    }

    /// Adds a package and answers what it is called there. The same package again changes nothing.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if the version is listed with other bytes, or the list is full.
    pub fn add(&mut self, package: &Package<'_>, whole: &[u8]) -> Result<Listed, SourceError> {
        let unreadable = |reason: &str| SourceError::Unreadable {
            what: "package",
            reason: reason.to_owned(),
        };
        let manifest = package.manifest();
        let name: Name = manifest
            .id
            .parse()
            .map_err(|_| unreadable("its id cannot be listed"))?;
        let version: Version = manifest
            .version
            .parse()
            .map_err(|_| unreadable("its version cannot be listed"))?;
        let listed = Listed {
            file: format!("{name}-{version}.wasm"),
            digest: Digest::of(whole),
            bytes: whole.len() as u64,
            name,
            version,
        };
        let same = |found: &Listed| found.name == listed.name && found.version == listed.version;
        if let Some(found) = self.packages.iter().find(|found| same(found)) {
            if found.digest == listed.digest {
                return Ok(listed);
            }
            return Err(unreadable("this version is listed already, with other contents"));
        }
        if self.packages.len() >= MAX_PACKAGES {
            return Err(unreadable("the index is full"));
        }
        self.packages.push(listed.clone());
        self.packages.sort_by(|one, other| {
            (one.name.cmp(&other.name))
                .then_with(|| one.version.precedence(&other.version))
                .then_with(|| one.version.as_str().cmp(other.version.as_str()))
        });
        Ok(listed)
    }
}

/// A signature over a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSignature {
    /// Of the list's exact bytes.
    pub index: Digest,
    pub signed: Timestamp,
    pub expires: Timestamp,
    pub key: PublicKey,
}

/// Signs a list.
#[must_use]
pub fn sign(index: &[u8], key: &SigningKey, signed: Timestamp, lifetime: Duration) -> String {
    let at = signed.as_secs();
    let fields = [
        ("index", Digest::of(index).to_string()),
        ("signed", at.to_string()),
        (
            "expires",
            at.saturating_add(lifetime.as_secs().max(1)).to_string(),
        ),
    ];
    envelope::write(TITLE, &fields, key)
}

/// Verifies a list against its signature, the time, and the time of the list that this key signed and that was here before.
/// A list that ended is one that somebody holds back newer ones with; one that is older than the last is the same.
///
/// # Errors
///
/// [`Untrusted`].
pub fn verify(
    index: &[u8],
    signature_text: &str,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Result<IndexSignature, Untrusted> {
    let ([digest, signed, expires], key) =
        envelope::read(TITLE, ["index", "signed", "expires"], signature_text)?;
    let found = IndexSignature {
        index: digest
            .parse()
            .map_err(|_| Untrusted::Unreadable("its `index` is none".to_owned()))?,
        signed: envelope::seconds("signed", signed)?,
        expires: envelope::seconds("expires", expires)?,
        key,
    };
    if found.index != Digest::of(index) {
        return Err(Untrusted::Content);
    }
    signature::fresh(found.signed, found.expires, now)?;
    match last {
        Some(last) if found.signed < last => Err(Untrusted::OldIndex(last.since(found.signed).as_secs())),
        _ => Ok(found),
    }
}

/// A name that stays in the directory on every system.
fn is_file_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
    (1..=200).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('.')
        && !name.contains("..")
        && name.ends_with(".wasm")
}
