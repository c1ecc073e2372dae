//! A sigstore bundle (version 0.3, JSON): a signature over a package's content, the certificate of whoever made it, and the entry
//! of a public log. Here its form is judged; whether any of it is true is [`TrustedRoot`](crate::TrustedRoot)'s to say.
//!
//! In a package it is written in one way: without spaces, its names sorted, none that the form does not have. So nobody can hide
//! anything in it, and what one library passes over is not there for another to read.

use serde_json::Value;
use sigstore_verify::crypto::parse_certificate_info;
use sigstore_verify::types::{Bundle as Parsed, HashAlgorithm, MediaType, SignatureContent};

use crate::error::Untrusted;
use crate::{Digest, Identity};

/// A bundle whose form is right and that says it is over this content.
#[derive(Debug, Clone)]
pub struct Bundle {
    parsed: Parsed,
    claims: Identity,
}

/// Every name that a bundle of one message signature has, on any level.
const NAMES: [&str; 29] = [
    "algorithm",
    "canonicalizedBody",
    "certificate",
    "checkpoint",
    "digest",
    "envelope",
    "hashes",
    "inclusionPromise",
    "inclusionProof",
    "integratedTime",
    "keyId",
    "kind",
    "kindVersion",
    "logId",
    "logIndex",
    "mediaType",
    "messageDigest",
    "messageSignature",
    "rawBytes",
    "rfc3161Timestamps",
    "rootHash",
    "signature",
    "signedEntryTimestamp",
    "signedTimestamp",
    "timestampVerificationData",
    "tlogEntries",
    "treeSize",
    "verificationMaterial",
    "version",
];

impl Bundle {
    /// Reads a bundle over this content, as packages have it.
    pub(crate) fn read(text: &str, content: Digest) -> Result<Self, Untrusted> {
        if canonical(text)? != text {
            return Err(unreadable("it is not written in the one way"));
        }
        let parsed = Parsed::from_json(text).map_err(|error| unreadable(&error.to_string()))?;
        if parsed.media_type() != MediaType::Bundle0_3 {
            return Err(unreadable("it is of another version than 0.3"));
        }
        let SignatureContent::MessageSignature(signature) = &parsed.content else {
            return Err(unreadable("it is not a signature over a file"));
        };
        // Only a hint to whoever verifies, but one that tells a bundle of another package from a forged one.
        let digest = signature
            .message_digest
            .as_ref()
            // The library reads other spellings of it too.
            .filter(|digest| {
                digest.algorithm == HashAlgorithm::Sha2256 && text.contains("\"algorithm\":\"SHA2_256\"")
            })
            .ok_or_else(|| unreadable("it has no SHA-256 of what it is over"))?;
        if digest.digest.as_bytes() != content.as_bytes() {
            return Err(Untrusted::Content);
        }
        let certificate = parsed
            .signing_certificate()
            .ok_or_else(|| unreadable("it has no certificate"))?;
        let claimed = parse_certificate_info(certificate).map_err(|error| unreadable(&error.to_string()))?;
        let (Some(subject), Some(issuer)) = (&claimed.identity, claimed.issuer) else {
            return Err(unreadable("its certificate names nobody"));
        };
        let claims = Identity {
            issuer,
            subject: subject.as_str().to_owned(),
        };
        if !claims.is_sound() {
            return Err(unreadable("its certificate names somebody who cannot be shown"));
        }
        Ok(Self { parsed, claims })
    }

    /// Who it says has signed. Nobody has judged that.
    #[must_use]
    pub const fn claims(&self) -> &Identity {
        &self.claims
    }

    pub(crate) const fn parsed(&self) -> &Parsed {
        &self.parsed
    }
}

/// A bundle as packages have it.
///
/// # Errors
///
/// [`Untrusted::Bundle`] if it is no JSON or has a name that a bundle has not.
pub(crate) fn canonical(text: &str) -> Result<String, Untrusted> {
    // What is nested deeper than 128 levels is refused while it is read.
    let value: Value = serde_json::from_str(text).map_err(|error| unreadable(&error.to_string()))?;
    let mut out = String::with_capacity(text.len());
    write(&value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut String) -> Result<(), Untrusted> {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (at, (name, value)) in entries.into_iter().enumerate() {
                if !NAMES.contains(&name.as_str()) {
                    let shown = crate::text::shown(name);
                    return Err(unreadable(&format!(
                        "it has `{shown}`, which is none of its parts"
                    )));
                }
                out.push_str(if at == 0 { "\"" } else { ",\"" });
                out.push_str(name);
                out.push_str("\":");
                write(value, out)?;
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(value, out)?;
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
    Ok(())
}

pub(crate) fn unreadable(reason: &str) -> Untrusted {
    Untrusted::Bundle(crate::text::shown_long(reason))
}
