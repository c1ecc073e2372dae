//! What can be wrong with a package, with where it comes from, and with whose it is.

use crate::{Digest, Identity, Name, PublicKey, Who};

/// Why bytes are not a package, or inputs do not make one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("the file is not a WebAssembly component")]
    NotComponent,
    #[error("the component is damaged at byte {offset}: {reason}")]
    Malformed { reason: String, offset: usize },
    #[error("the component has no manifest in it")]
    NoManifest,
    #[error("the package's {part} has {bytes} bytes; {limit} are allowed")]
    PartTooLarge {
        part: &'static str,
        bytes: usize,
        limit: usize,
    },
    #[error("the package's {part} {reason}")]
    Part { part: &'static str, reason: String },
    #[error("the package has an unknown part `{0}`")]
    UnknownPart(String),
    #[error("the package has {0} where it does not belong")]
    Misplaced(&'static str),
    #[error("the component is a package already")]
    Packed,
    #[error("the component is nested deeper than {0} levels")]
    TooDeep(usize),
    #[error(transparent)]
    Manifest(#[from] sluice_model::manifest::ManifestError),
    #[error(transparent)]
    Signature(#[from] Untrusted),
}

impl FormatError {
    /// Every code of this enum itself; a manifest's error and a signature's have their own.
    pub const CODES: &[&str] = &[
        "package.not_component",
        "package.malformed",
        "package.no_manifest",
        "package.invalid",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotComponent => "package.not_component",
            Self::Malformed { .. } | Self::TooDeep(_) => "package.malformed",
            Self::NoManifest => "package.no_manifest",
            Self::PartTooLarge { .. }
            | Self::Part { .. }
            | Self::UnknownPart(_)
            | Self::Misplaced(_)
            | Self::Packed => "package.invalid",
            Self::Manifest(error) => error.code(),
            Self::Signature(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Packed => Some("pack the component as the compiler made it".to_owned()),
            Self::UnknownPart(_) | Self::Part { .. } | Self::PartTooLarge { .. } | Self::Misplaced(_) => {
                Some("pack it again with `sluice connector pack`".to_owned())
            }
            Self::Manifest(error) => error.hint(),
            Self::Signature(error) => error.hint(),
            Self::NotComponent | Self::Malformed { .. } | Self::NoManifest | Self::TooDeep(_) => None,
        }
    }

    pub(crate) fn part(part: &'static str, reason: impl Into<String>) -> Self {
        Self::Part {
            part,
            reason: reason.into(),
        }
    }
}

/// Why a package is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    #[error("the signature cannot be read: {0}")]
    Unreadable(String),
    #[error("the signature does not fit its key {0}")]
    Forged(PublicKey),
    #[error("the signature is over other bytes: the package was changed after it was signed")]
    Content,
    #[error("the signature is for `{signed}`, and the manifest says `{found}`")]
    Other { signed: String, found: String },
    #[error("the signature is from the future, {0} seconds ahead")]
    Future(u64),
    #[error("the signature ended at {0}")]
    Expired(sluice_model::Timestamp),
    #[error("the bundle cannot be believed: {0}")]
    Bundle(String),
    #[error(
        "the package says it is signed by {0}, and this server has no trusted root to verify that against"
    )]
    NoRoot(Identity),
    #[error("{0} is not listed for any publisher")]
    UnknownIdentity(Identity),
    #[error("{identity} is not one of {publisher}'s identities")]
    WrongIdentity { identity: Identity, publisher: Name },
    #[error("{who} was revoked: {reason}")]
    Revoked { who: Who, reason: String },
    #[error("`{0}` is not signed, and this organization installs signed packages only")]
    SignatureRequired(Name),
    #[error("`{name}` is not signed, and {publisher} signs it")]
    Stripped { name: Name, publisher: Name },
    #[error("`{name}` is signed by {found}, and only {expected} may publish it")]
    WrongPublisher { name: Name, expected: Name, found: Name },
    #[error("the key {key} is not one of {publisher}'s")]
    WrongKey { key: PublicKey, publisher: Name },
    #[error("the publisher {publisher} may not publish `{name}`")]
    NotAllowed { publisher: Name, name: Name },
    #[error("the key {0} is not known, and this organization takes no new ones")]
    UnknownKey(PublicKey),
    #[error("`{name}` looks like `{other}`, which is another publisher's")]
    LooksAlike { name: Name, other: Name },
    #[error("`{0}` is not a name that can be signed")]
    Name(String),
    #[error("`{0}` is not a version that a product has")]
    Version(String),
    #[error("`{name}` {version} is older than {newest}, which was here before")]
    Rollback {
        name: Name,
        version: String,
        newest: String,
    },
    #[error("`{name}` {version} was here before with other contents, {before}")]
    Changed {
        name: Name,
        version: String,
        before: Digest,
    },
    #[error("`{name}` {version} is below the least version {least} that is allowed")]
    BelowMinimum {
        name: Name,
        version: String,
        least: String,
    },
    #[error("the index was signed {0} seconds before the one that was here before")]
    OldIndex(u64),
    #[error("the index is not signed, and it was signed with {0} before")]
    UnsignedIndex(PublicKey),
    #[error("the index is signed with {key}, and it was signed with {before} before")]
    OtherIndexKey { key: PublicKey, before: PublicKey },
}

impl Untrusted {
    /// Every code that [`Untrusted::code`] can give.
    pub const CODES: &[&str] = &["package.untrusted", "package.rollback", "package.no_trusted_root"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Rollback { .. }
            | Self::Changed { .. }
            | Self::BelowMinimum { .. }
            | Self::Version(_)
            | Self::OldIndex(_) => "package.rollback",
            Self::NoRoot(_) => "package.no_trusted_root",
            _ => "package.untrusted",
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Expired(_) => "ask the publisher for a package that was signed anew",
            Self::WrongKey { .. } | Self::UnknownKey(_) => {
                "if the publisher says by another way that the key is his: sluice connector trust allow PUBLISHER --key KEY --name NAME"
            }
            Self::UnknownIdentity(_) | Self::WrongIdentity { .. } => {
                "if this is who publishes it: sluice connector trust allow PUBLISHER --identity ISSUER SUBJECT --name NAME"
            }
            Self::NoRoot(_) => {
                "the operator names one in the server's configuration: trust.sigstore_root_file; or get the package without its bundle"
            }
            Self::SignatureRequired(_) | Self::Stripped { .. } => {
                "get the signed package, or have its publisher sign it"
            }
            Self::Rollback { .. } | Self::Changed { .. } => {
                "if this is meant, forget what was here before: sluice connector trust forget NAME"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why a place does not give a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("`{address}` is not an address of a package: {reason}")]
    Address { address: String, reason: &'static str },
    #[error("the {what} cannot be read: {reason}")]
    Unreadable { what: &'static str, reason: String },
    #[error("the bytes that came have not the digest {0}")]
    OtherDigest(Digest),
    #[error("the {what} has {bytes} bytes; {limit} are allowed")]
    TooLarge {
        what: &'static str,
        bytes: u64,
        limit: u64,
    },
    #[error("the index has no `{0}`")]
    Missing(String),
}

impl SourceError {
    /// Every code that [`SourceError::code`] can give.
    pub const CODES: &[&str] = &[
        "package.source",
        "package.digest_mismatch",
        "package.too_large",
        "package.not_found",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Address { .. } | Self::Unreadable { .. } => "package.source",
            Self::OtherDigest(_) => "package.digest_mismatch",
            Self::TooLarge { .. } => "package.too_large",
            Self::Missing(_) => "package.not_found",
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Address { .. } => {
                Some("a file, an https address, oci://HOST/REPOSITORY:TAG, or a name with --from".to_owned())
            }
            _ => None,
        }
    }
}
