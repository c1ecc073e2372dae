//! ID tokens (OpenID Connect Core 1.0 §3.1.3.7): signed by the issuer, for this app, for this flow, now.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};
use sluice_model::secret::same;
use sluice_model::{Timestamp, jws};

use super::Error;

/// What an ID token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) nonce: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// What it says about the person.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: String,
}

/// Clocks differ.
const SKEW_S: u64 = 120;

pub(super) fn check(token: &str, keys: &Value, expected: &Expected<'_>) -> Result<Claims, Error> {
    let refuse = |why: &str| Error::IdToken(why.to_owned());
    let claims = jws::verify(token, keys).map_err(|error| Error::IdToken(error.to_string()))?;
    let text = |key: &str| claims.get(key).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(refuse("it is another issuer's"));
    }
    let audience: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !audience.contains(&expected.client) {
        return Err(refuse("it is for another app"));
    }
    let party = text("azp");
    if party.is_some_and(|party| party != expected.client) || (audience.len() > 1 && party.is_none()) {
        return Err(refuse("it was given to another app"));
    }
    let now = expected.now.as_secs();
    let number = |key: &str| claims.get(key).and_then(Value::as_u64);
    if number("exp").is_none_or(|end| end.saturating_add(SKEW_S) <= now) {
        return Err(refuse("it has ended"));
    }
    if number("iat").is_none_or(|made| made > now.saturating_add(SKEW_S)) {
        return Err(refuse("it is from the future"));
    }
    let is_ours = |nonce: &str| text("nonce").is_some_and(|found| same(found.as_bytes(), nonce.as_bytes()));
    if !expected.nonce.is_none_or(is_ours) {
        return Err(refuse("it belongs to another flow"));
    }
    let subject = text("sub").filter(|subject| (1..=255).contains(&subject.len()));
    let subject = subject.ok_or_else(|| refuse("it names nobody"))?.to_owned();
    Ok(Claims { subject })
}

/// The key that a token says it is signed with.
pub(super) fn key_id(token: &str) -> Option<String> {
    let header = BASE64URL_NOPAD.decode(token.split('.').next()?.as_bytes()).ok()?;
    let header: Map<String, Value> = serde_json::from_slice(&header).ok()?;
    Some(header.get("kid")?.as_str()?.to_owned())
}

pub(super) fn has_key(keys: &Value, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    let keys = keys.get("keys").and_then(Value::as_array);
    keys.is_some_and(|keys| {
        keys.iter()
            .any(|key| key.get("kid").and_then(Value::as_str) == Some(wanted))
    })
}
