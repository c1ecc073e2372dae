//! A key or an identity that is not believed any more.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Identity, PublicKey, Who};

/// Who is not believed any more, and why. As JSON a `key` or an `identity`, and a `reason`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Revocation {
    pub who: Who,
    pub reason: String,
}

/// A revocation as it is written. Serde does not promise that unknown members are refused beside a flattened [`Who`]; here every
/// member is named.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    key: Option<PublicKey>,
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    reason: String,
}

/// What is written is there: null is neither a key nor an identity.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl TryFrom<Written> for Revocation {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let who = match (written.key, written.identity) {
            (Some(key), None) => Who::Key(key),
            (None, Some(identity)) => Who::Identity(identity),
            (Some(_), Some(_)) => return Err("a revocation has a key or an identity, and not both"),
            (None, None) => return Err("a revocation has a key or an identity"),
        };
        Ok(Self {
            who,
            reason: written.reason,
        })
    }
}

impl From<Revocation> for Written {
    fn from(revocation: Revocation) -> Self {
        Self {
            key: revocation.who.key(),
            identity: revocation.who.identity().cloned(),
            reason: revocation.reason,
        }
    }
}
