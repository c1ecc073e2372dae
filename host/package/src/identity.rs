//! Who a package can be signed by: a key of the publisher's own, or somebody whom an identity provider vouched for while it was
//! signed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{PublicKey, text};

/// Somebody as an identity provider named him: both texts together, exactly. There are no patterns, since a pattern over other
/// people's names believes whoever registers one that fits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The provider, e.g. `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// Whom it named: an e-mail address, or the URI of a workflow.
    pub subject: String,
}

/// An issuer or a subject has at most so many bytes.
const MAX_BYTES: usize = 1024;

impl Identity {
    /// Whether both texts are there, can be shown as they are on one line, and are no longer than certificates have them.
    pub(crate) fn is_sound(&self) -> bool {
        [&self.issuer, &self.subject].into_iter().all(|part| {
            !part.is_empty()
                && part.len() <= MAX_BYTES
                && text::is_plain(part)
                && !part.contains(['\n', '\t'])
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.subject, self.issuer)
    }
}

/// What signed: a key, or somebody with an identity. As JSON `"key": …` or `"identity": …`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    Key(PublicKey),
    Identity(Identity),
}

impl Who {
    /// The key, if it is one.
    #[must_use]
    pub const fn key(&self) -> Option<PublicKey> {
        match self {
            Self::Key(key) => Some(*key),
            Self::Identity(_) => None,
        }
    }

    /// The identity, if it is one.
    #[must_use]
    pub const fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Key(_) => None,
            Self::Identity(identity) => Some(identity),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "the key {key}"),
            Self::Identity(identity) => write!(f, "the identity {identity}"),
        }
    }
}
