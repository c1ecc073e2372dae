//! Pairs as queries and forms carry them.

use crate::place::percent;

/// The pairs of a query or a form, decoded; a plus is a space (URL Standard, `application/x-www-form-urlencoded`).
pub(super) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

/// Percent-encoded by RFC 3986 §2.3, in the order of the encoded names, then values, with `=` and `&` between.
pub(super) fn sorted(pairs: &[(String, String)]) -> String {
    let mut encoded: Vec<(String, String)> = pairs
        .iter()
        .map(|(name, value)| (percent(name), percent(value)))
        .collect();
    encoded.sort();
    let joined: Vec<String> = encoded
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    joined.join("&")
}
