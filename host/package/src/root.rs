//! The trusted root: the certificate authorities and log keys against which bundles are verified. It is the operator's, a file as
//! sigstore writes it (`trusted_root.json`), and nothing of it is fetched.

use std::fmt;

use sigstore_verify::trust_root::TrustedRoot as Parsed;
use sigstore_verify::{VerificationPolicy, Verifier};
use sluice_model::Timestamp;

use crate::bundle::{Bundle, unreadable};
use crate::error::Untrusted;
use crate::{Identity, Package};

/// Who vouches for identities.
pub struct TrustedRoot(Verifier);

/// Why a file is not a trusted root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a trusted root: {0}")]
pub struct RootError(String);

/// Of a bundle that was verified: who signed, and when that was so at the latest.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) identity: Identity,
    pub(crate) signed: Timestamp,
}

impl TrustedRoot {
    /// No root is larger.
    pub const MAX_BYTES: u64 = 1 << 20;

    /// Reads a root and every certificate and key in it.
    ///
    /// # Errors
    ///
    /// [`RootError`]; also for a root that no bundle could ever be verified against.
    pub fn read(text: &str) -> Result<Self, RootError> {
        let wrong = |error: &dyn fmt::Display| RootError(crate::text::shown_long(&error.to_string()));
        let parsed = Parsed::from_json(text).map_err(|error| wrong(&error))?;
        for (missing, what) in [
            (
                parsed.certificate_authorities.is_empty(),
                "it has no certificate authority",
            ),
            (parsed.tlogs.is_empty(), "it has no transparency log"),
            (parsed.ctlogs.is_empty(), "it has no certificate transparency log"),
        ] {
            if missing {
                return Err(wrong(&what));
            }
        }
        let verifier = Verifier::new(&parsed).map_err(|error| wrong(&error))?;
        Ok(Self(verifier))
    }

    /// Verifies a bundle against everything: the certificate's chain at the time that the log attests, its signed certificate
    /// timestamp, the inclusion proof and its checkpoint, the inclusion promise, the signature over the content, and that the log's
    /// entry is about this signature. Nothing is asked of a network; of the machine's clock only that no log time is ahead of it.
    pub(crate) fn verify(&self, package: &Package<'_>, bundle: &Bundle) -> Result<Verified, Untrusted> {
        // Whom it is from is the policy's to judge, with what comes out of here and nothing else.
        let found = self
            .0
            .verify(
                package.content(),
                bundle.parsed(),
                &VerificationPolicy::any_identity(),
            )
            .map_err(|error| unreadable(&error.to_string()))?;
        // It answers only when all of it holds. That is said once more here, since everything hangs on it.
        if !(found.certificate_verified() && found.sct_verified() && found.tlog_verified()) {
            return Err(unreadable("not all of it was verified"));
        }
        let times = found.verified_timestamps().iter();
        let first = times.map(|time| time.as_millisecond()).min();
        let signed = first
            .and_then(|time| u64::try_from(time).ok())
            .ok_or_else(|| unreadable("nobody attests when it was made"))?;
        let (Some(subject), Some(issuer)) = (found.identity(), found.issuer()) else {
            return Err(unreadable("its certificate names nobody"));
        };
        Ok(Verified {
            identity: Identity {
                issuer: issuer.to_owned(),
                subject: subject.as_str().to_owned(),
            },
            signed: Timestamp::from_millis(signed),
        })
    }
}

impl fmt::Debug for TrustedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedRoot").finish_non_exhaustive()
    }
}
