//! The header with the signatures, taken apart.

use super::{Encoding, Form, Hmac, SignatureError, TimestampPlace};

/// Most signatures that are looked at. Vendors send two while a secret is rotated; more is an attempt to keep us busy.
const MAX_SIGNATURES: usize = 16;
/// Most fields of a header.
const MAX_FIELDS: usize = 32;
/// Longest header value that is looked at.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// The longest signature: SHA-512 gives 64 bytes.
const MAX_SIGNATURE_BYTES: usize = 64;

/// What was sent to be checked.
pub(super) struct Sent<'a> {
    /// At least one, decoded.
    pub(super) signatures: Vec<Vec<u8>>,
    /// The timestamp's text.
    pub(super) timestamp: Option<&'a str>,
}

/// The one value of a header; a header that is there twice is as good as none, since others may read the other one.
pub(super) fn only<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let mut values = headers
        .iter()
        .filter(|(other, _)| other == name)
        .map(|(_, value)| value.as_str());
    let value = values.next()?;
    (values.next().is_none() && value.len() <= MAX_HEADER_BYTES).then_some(value)
}

pub(super) fn read<'h>(recipe: &Hmac, headers: &'h [(String, String)]) -> Result<Sent<'h>, SignatureError> {
    let value = only(headers, &recipe.header)
        .ok_or(SignatureError::Missing)?
        .trim();
    let mut texts = Vec::new();
    let mut field_time = None;
    match &recipe.form {
        Form::Values {
            prefix,
            separator: None,
        } => texts.extend(value.strip_prefix(prefix.as_str())),
        Form::Values {
            prefix,
            separator: Some(separator),
        } => {
            let values = value.split(*separator).map(str::trim);
            texts.extend(
                values
                    .filter_map(|text| text.strip_prefix(prefix.as_str()))
                    .take(MAX_SIGNATURES + 1),
            );
        }
        Form::Fields { separator, signature } => {
            let stamp = recipe.timestamp.as_ref().and_then(|source| match &source.place {
                TimestampPlace::Field(name) => Some(name.as_str()),
                TimestampPlace::Header(_) => None,
            });
            for (count, field) in value.split(*separator).enumerate() {
                if count >= MAX_FIELDS {
                    return Err(SignatureError::Mismatch);
                }
                let Some((name, text)) = field.trim().split_once('=') else {
                    continue;
                };
                if name == signature {
                    texts.push(text);
                } else if Some(name) == stamp && field_time.replace(text).is_some() {
                    return Err(SignatureError::Timestamp);
                }
            }
        }
    }
    if texts.len() > MAX_SIGNATURES {
        return Err(SignatureError::Mismatch);
    }
    let signatures: Vec<_> = texts
        .iter()
        .filter_map(|text| decode(recipe.encoding, text))
        .collect();
    if signatures.is_empty() {
        return Err(if texts.iter().all(|text| text.is_empty()) {
            SignatureError::Missing
        } else {
            SignatureError::Mismatch
        });
    }
    let timestamp = match recipe.timestamp.as_ref().map(|source| &source.place) {
        None => None,
        Some(TimestampPlace::Field(_)) => Some(field_time.ok_or(SignatureError::Timestamp)?),
        Some(TimestampPlace::Header(name)) => {
            Some(only(headers, name).ok_or(SignatureError::Timestamp)?.trim())
        }
    };
    Ok(Sent {
        signatures,
        timestamp,
    })
}

/// The bytes of a signature; nothing if it is not written in this encoding or too long for any hash.
fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() > 2 * MAX_SIGNATURE_BYTES {
        return None;
    }
    encoding.decode(text)
}
