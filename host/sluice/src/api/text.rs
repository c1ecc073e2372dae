//! Texts of requests and answers that serde's own types do not fit: secrets that only come in, and JSON that goes out
//! to the byte.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sluice_model::auth::SECRET;
use sluice_model::secret::Secret;
use sluice_service::connection::Given;

/// A secret in a request. It is never an answer, and never printed.
#[derive(Debug, Clone)]
pub(super) struct SecretText(pub(super) Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Serde's own refusals repeat what they refuse, and a secret in the wrong shape is a secret still.
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(Secret::new(text.into_bytes()))),
            _ => Err(D::Error::custom("a secret is a text")),
        }
    }
}

/// Secrets by name.
#[derive(Debug, Clone, Default)]
pub(super) struct SecretTexts(pub(super) BTreeMap<String, Secret>);

impl<'de> Deserialize<'de> for SecretTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Object(parts) = Value::deserialize(deserializer)? else {
            return Err(D::Error::custom("parts are texts by name"));
        };
        let parts = parts.into_iter().map(|(name, part)| match part {
            Value::String(text) => Ok((name, Secret::new(text.into_bytes()))),
            _ => Err(D::Error::custom("a part is a text")),
        });
        parts.collect::<Result<_, _>>().map(Self)
    }
}

/// A secret of one part as a text, or its parts by name.
#[derive(Debug, Clone)]
pub(super) struct SecretParts(pub(super) Given);

impl<'de> Deserialize<'de> for SecretParts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a secret is a text, or an object of its parts")]
        enum Either {
            One(SecretText),
            Parts(BTreeMap<String, SecretText>),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::One(text) => Given::from([(SECRET.to_owned(), text.0)]),
            Either::Parts(parts) => parts.into_iter().map(|(name, text)| (name, text.0)).collect(),
        }))
    }
}

/// JSON text as it was stored: numbers keep every digit.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Raw(Box<RawValue>);

impl Raw {
    /// Text that is no JSON after all is answered as a string, so that it can still be seen.
    pub(super) fn new(text: String) -> Self {
        Self(RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}
