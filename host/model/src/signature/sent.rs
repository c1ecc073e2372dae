//! The places with the signatures, taken apart.

use super::place::View;
use super::{Form, SignatureError, Signed, TimestampPlace};

/// Most signatures that are looked at. Vendors send two while a secret is rotated; more is an attempt to keep us busy.
const MAX_SIGNATURES: usize = 16;
/// The same where each costs a hundred times as much.
const MAX_PUBLIC_SIGNATURES: usize = 4;
/// Most fields of a header.
const MAX_FIELDS: usize = 32;
/// The longest signature: RSA with 8192 bits gives 1024 bytes.
const MAX_SIGNATURE_BYTES: usize = 1024;

/// What was sent to be checked.
pub(super) struct Sent {
    /// At least one, decoded; with the id of its key where it is a pair.
    pub(super) signatures: Vec<(Option<String>, Vec<u8>)>,
    /// The timestamp's text.
    pub(super) timestamp: Option<String>,
}

pub(super) fn read(recipe: &Signed, view: &View<'_>) -> Result<Sent, SignatureError> {
    let mut texts: Vec<(Option<String>, String)> = Vec::new();
    let mut inner_time = None;
    let mut found = false;
    for place in &recipe.places {
        let Some(value) = view.only(place) else {
            // What is there twice counts as missing, but then nothing else may stand in for it.
            if view.is_doubled(place) {
                return Err(SignatureError::Missing);
            }
            continue;
        };
        found = true;
        split(recipe, value.trim(), &mut texts, &mut inner_time)?;
    }
    let limit = match recipe.proof.is_public() {
        true => MAX_PUBLIC_SIGNATURES,
        false => MAX_SIGNATURES,
    };
    if !found {
        return Err(SignatureError::Missing);
    }
    if texts.len() > limit {
        return Err(SignatureError::Mismatch);
    }
    let signatures: Vec<_> = texts
        .iter()
        .filter(|(_, text)| !text.is_empty() && text.len() <= 2 * MAX_SIGNATURE_BYTES)
        .filter_map(|(id, text)| Some((id.clone(), recipe.encoding.decode(text)?)))
        .collect();
    if signatures.is_empty() {
        return Err(if texts.iter().all(|(_, text)| text.is_empty()) {
            SignatureError::Missing
        } else {
            SignatureError::Mismatch
        });
    }
    let timestamp = match recipe.timestamp.as_ref().map(|source| &source.place) {
        None => None,
        Some(TimestampPlace::Field(_) | TimestampPlace::First) => {
            Some(inner_time.ok_or(SignatureError::Timestamp)?)
        }
        Some(TimestampPlace::At(place)) => {
            let text = view.only(place).ok_or(SignatureError::Timestamp)?;
            Some(text.trim().to_owned())
        }
    };
    Ok(Sent {
        signatures,
        timestamp,
    })
}

fn split(
    recipe: &Signed,
    value: &str,
    texts: &mut Vec<(Option<String>, String)>,
    time: &mut Option<String>,
) -> Result<(), SignatureError> {
    match &recipe.form {
        Form::Values {
            prefix,
            separator: None,
        } => texts.extend(
            value
                .strip_prefix(prefix.as_str())
                .map(|text| (None, text.to_owned())),
        ),
        Form::Values {
            prefix,
            separator: Some(separator),
        } => {
            let mut values = value.split(*separator).map(str::trim);
            let is_first = |place: &TimestampPlace| *place == TimestampPlace::First;
            if recipe
                .timestamp
                .as_ref()
                .is_some_and(|source| is_first(&source.place))
            {
                *time = values.next().map(str::to_owned);
            }
            let signatures = values.filter_map(|text| text.strip_prefix(prefix.as_str()));
            texts.extend(
                signatures
                    .take(MAX_SIGNATURES + 1)
                    .map(|text| (None, text.to_owned())),
            );
        }
        Form::Fields { separator, signature } => {
            let stamp = recipe.timestamp.as_ref().and_then(|source| match &source.place {
                TimestampPlace::Field(name) => Some(name.as_str()),
                _ => None,
            });
            for (count, field) in value.split(*separator).enumerate() {
                if count >= MAX_FIELDS {
                    return Err(SignatureError::Mismatch);
                }
                let Some((name, text)) = field.trim().split_once('=') else {
                    continue;
                };
                if name == signature {
                    texts.push((None, text.to_owned()));
                } else if Some(name) == stamp && time.replace(text.to_owned()).is_some() {
                    return Err(SignatureError::Timestamp);
                }
            }
        }
        Form::Pairs { separator, between } => {
            let pairs = value.split(*separator).take(MAX_SIGNATURES + 1);
            let pairs = pairs.filter_map(|pair| pair.trim().split_once(*between));
            texts.extend(pairs.map(|(id, text)| (Some(id.to_owned()), text.to_owned())));
        }
    }
    Ok(())
}
