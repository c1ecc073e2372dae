//! `[auth.oauth1]`.

use super::super::ManifestError;
use super::super::source::Node;
use super::template::{Declared, Place, address, params};
use crate::auth::{OAuth1, OAuth1Method};

/// What the host sets in the authorize address (RFC 5849 §2.2).
const OF_AUTHORIZE: [&str; 2] = ["oauth_token", "oauth_callback"];

pub(super) fn read(node: &Node<'_>, declared: &Declared<'_>) -> Result<OAuth1, ManifestError> {
    let table = node.table(&[
        "request_url",
        "authorize_url",
        "authorize_params",
        "access_url",
        "method",
    ])?;
    let methods = [
        ("HMAC-SHA1", OAuth1Method::HmacSha1),
        ("HMAC-SHA256", OAuth1Method::HmacSha256),
        ("PLAINTEXT", OAuth1Method::Plaintext),
    ];
    Ok(OAuth1 {
        request_url: address(&table.need("request_url")?, declared)?,
        authorize_url: address(&table.need("authorize_url")?, declared)?,
        authorize_params: params(
            &table,
            "authorize_params",
            declared,
            Place::Browser,
            &OF_AUTHORIZE,
        )?,
        access_url: address(&table.need("access_url")?, declared)?,
        method: table
            .get("method")
            .map_or(Ok(OAuth1Method::HmacSha1), |node| node.choice(&methods))?,
    })
}
