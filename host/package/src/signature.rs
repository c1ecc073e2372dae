//! The signature of a package: who says what about which bytes, since when and until when.

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::manifest::Manifest;

use crate::error::{FormatError, Untrusted};
use crate::{Digest, Name, Package, Part, PublicKey, SigningKey, Version, bundle, envelope, section};

const TITLE: &str = "sluice package signature 1";
const NAMES: [&str; 7] = [
    "publisher",
    "name",
    "version",
    "content",
    "manifest",
    "signed",
    "expires",
];

/// A signature whose text is right and fits the key in it. Whether that key is anybody's, and whether the bytes are those it is
/// over, is [`Signature::covers`]'s and the policy's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who publishes it.
    pub publisher: Name,
    /// The connector's id.
    pub name: Name,
    /// The connector's version.
    pub version: Version,
    /// Of everything before the signature.
    pub content: Digest,
    /// Of the manifest's text.
    pub manifest: Digest,
    /// When it was signed, in whole seconds.
    pub signed: Timestamp,
    /// From when on it is no longer taken, in whole seconds.
    pub expires: Timestamp,
    /// What it was signed with.
    pub key: PublicKey,
}

/// What a signer says.
#[derive(Debug, Clone)]
pub struct Terms {
    pub publisher: Name,
    /// Now.
    pub signed: Timestamp,
    /// How long the package may be installed.
    pub lifetime: Duration,
}

/// Clocks differ by less.
const SKEW: Duration = Duration::from_secs(300);

impl Signature {
    /// Reads the text and verifies it against the key in it.
    pub(crate) fn read(text: &str) -> Result<Self, Untrusted> {
        let ([publisher, name, version, content, manifest, signed, expires], key) =
            envelope::read(TITLE, NAMES, text)?;
        let unreadable = |what: &str| Untrusted::Unreadable(format!("its `{what}` is none"));
        let read = Self {
            publisher: publisher.parse().map_err(|_| unreadable("publisher"))?,
            name: name.parse().map_err(|_| unreadable("name"))?,
            version: version.parse().map_err(|_| unreadable("version"))?,
            content: content.parse().map_err(|_| unreadable("content"))?,
            manifest: manifest.parse().map_err(|_| unreadable("manifest"))?,
            signed: envelope::seconds("signed", signed)?,
            expires: envelope::seconds("expires", expires)?,
            key,
        };
        if read.expires <= read.signed {
            return Err(unreadable("expires"));
        }
        Ok(read)
    }

    /// Whether this is a signature of this package: publisher, name, version, bytes and manifest belong together.
    ///
    /// # Errors
    ///
    /// [`Untrusted::Content`], [`Untrusted::Other`].
    pub fn covers(&self, package: &Package<'_>) -> Result<(), Untrusted> {
        if self.content != package.content_digest()
            || self.manifest != Digest::of(package.manifest_text().as_bytes())
        {
            return Err(Untrusted::Content);
        }
        let manifest = package.manifest();
        for (signed, found) in [
            (self.name.as_str(), &manifest.id),
            (self.version.as_str(), &manifest.version),
        ] {
            if signed != found {
                return Err(Untrusted::Other {
                    signed: signed.to_owned(),
                    found: found.clone(),
                });
            }
        }
        Ok(())
    }

    /// Whether it may be used at this time.
    ///
    /// # Errors
    ///
    /// [`Untrusted::Future`], [`Untrusted::Expired`].
    pub fn is_fresh(&self, now: Timestamp) -> Result<(), Untrusted> {
        fresh(self.signed, self.expires, now)
    }
}

/// Neither from the future nor ended. A signing time that cannot lie ahead is also what keeps anybody from making everything
/// after it look old.
pub(crate) fn fresh(signed: Timestamp, expires: Timestamp, now: Timestamp) -> Result<(), Untrusted> {
    if signed > now.after(SKEW) {
        return Err(Untrusted::Future(signed.since(now).as_secs()));
    }
    if expires <= now {
        return Err(Untrusted::Expired(expires));
    }
    Ok(())
}

/// Signs a package: the text of the signature, for [`attach`] or a file beside the package. A signature or bundle that the package
/// has already is not looked at and not covered.
///
/// # Errors
///
/// [`FormatError`] if the bytes are not a package, or its id or version cannot be signed.
pub fn sign(package: &[u8], key: &SigningKey, terms: &Terms) -> Result<String, FormatError> {
    let package = Package::read(package)?;
    let manifest: &Manifest = package.manifest();
    let wrong = |what: &str| FormatError::part("manifest", format!("has {what} that cannot be signed"));
    let name: Name = manifest.id.parse().map_err(|_| wrong("an id"))?;
    let version: Version = manifest.version.parse().map_err(|_| wrong("a version"))?;
    if !version.is_plausible() {
        return Err(wrong("a version"));
    }
    let signed = terms.signed.as_secs();
    let expires = signed.saturating_add(terms.lifetime.as_secs().max(1));
    let values = [
        terms.publisher.to_string(),
        name.to_string(),
        version.to_string(),
        package.content_digest().to_string(),
        Digest::of(package.manifest_text().as_bytes()).to_string(),
        signed.to_string(),
        expires.to_string(),
    ];
    let fields: Vec<_> = NAMES.into_iter().zip(values).collect();
    Ok(envelope::write(TITLE, &fields, key))
}

/// The package with this signature in the place of any other; its bundle stays.
///
/// # Errors
///
/// [`FormatError`] if the bytes are not a package, or the text is no signature.
pub fn attach(package: &[u8], signature: &str) -> Result<Vec<u8>, FormatError> {
    let read = Package::read(package)?;
    with(read.content(), read.text(Part::Bundle), Some(signature))
}

/// The package with this sigstore bundle in the place of any other; its signature stays. Whoever made the bundle has not been
/// judged.
///
/// # Errors
///
/// [`FormatError`] if the bytes are not a package, or the text is not a bundle over its content.
pub fn attach_bundle(package: &[u8], bundle: &str) -> Result<Vec<u8>, FormatError> {
    let limit = Part::Bundle.limit();
    if bundle.len() > limit {
        return Err(FormatError::PartTooLarge {
            part: Part::Bundle.name(),
            bytes: bundle.len(),
            limit,
        });
    }
    let read = Package::read(package)?;
    let bundle = bundle::canonical(bundle)?;
    with(read.content(), Some(&bundle), read.text(Part::Signature))
}

fn with(content: &[u8], bundle: Option<&str>, signature: Option<&str>) -> Result<Vec<u8>, FormatError> {
    let mut bytes = content.to_vec();
    for (part, text) in [(Part::Bundle, bundle), (Part::Signature, signature)] {
        if let Some(text) = text {
            section::write_custom(part.section(), text.as_bytes(), &mut bytes);
        }
    }
    Package::read(&bytes)?;
    Ok(bytes)
}

/// The package without a signature and without a bundle.
///
/// # Errors
///
/// [`FormatError`] if the bytes are not a package.
pub fn detach(package: &[u8]) -> Result<Vec<u8>, FormatError> {
    Ok(Package::read(package)?.content().to_vec())
}
