//! How a credential goes on a request, from a scheme's own keys or its `apply` table.

use serde_json::Value;

use super::super::source::{Node, Table};
use super::super::{ManifestError, words};
use super::template::{Declared, Place};
use super::{sign, template};
use crate::auth::{Apply, is_region};
use crate::signature::is_header_name;

/// Headers that frame the request or name its peer; a credential there would change where or what is sent.
const RESERVED: [&str; 13] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "keep-alive",
    "proxy-connection",
    "forwarded",
];

const KEYS: [&str; 8] = [
    "scheme",
    "header",
    "prefix",
    "parameter",
    "username",
    "field",
    "service",
    "region",
];

/// A scheme whose parts a person gives, and the keys that belong to it.
pub(super) fn given(
    scheme: &Node<'_>,
    table: &Table<'_>,
    config: &Value,
) -> Result<(Apply, &'static [&'static str]), ManifestError> {
    Ok(match scheme.raw(256)? {
        "bearer" => (Apply::Bearer, &["parts"]),
        "header" => (header(table)?, &["parts", "header", "prefix"]),
        "query" => (
            Apply::Query {
                name: template::parameter(&table.need("parameter")?)?,
            },
            &["parts", "parameter"],
        ),
        "basic" => {
            let username = table.get("username").map(|node| {
                let name = node.line(256)?;
                // RFC 7617 §2: the first colon ends the user's name.
                if name.contains(':') {
                    Err(node.error("has a colon in it"))
                } else {
                    Ok(name)
                }
            });
            let username = username.transpose()?;
            (Apply::Basic { username }, &["parts", "username"])
        }
        "body" => (
            Apply::Body {
                name: template::parameter(&table.need("field")?)?,
            },
            &["parts", "field"],
        ),
        "aws-sigv4" => (sigv4(table, config)?, &["parts", "service", "region"]),
        "hmac" => (
            Apply::Signed(Box::new(sign::read(&table.need("sign")?, config)?)),
            &["parts", "sign"],
        ),
        "client-certificate" => (Apply::ClientCertificate, &["parts"]),
        other => {
            return Err(scheme.error(format!(
                "has the unsupported scheme `{}`; there are `bearer`, `header`, `query`, `basic`, `body`, `aws-sigv4`, `hmac`, \
                 `client-certificate`, `oauth2`, `oauth1` and `custom`",
                words::shown(other)
            )));
        }
    })
}

/// How a token goes on a request: a token is one value.
pub(super) fn of_token(node: &Node<'_>, config: &Value) -> Result<Apply, ManifestError> {
    let table = node.table(&KEYS)?;
    let scheme = table.need("scheme")?;
    let apply = alone(&scheme, &table, &table, config)?;
    match apply {
        Apply::Bearer
        | Apply::Header { .. }
        | Apply::Query { .. }
        | Apply::Basic { .. }
        | Apply::Body { .. } => Ok(apply),
        Apply::SigV4 { .. } | Apply::OAuth1 { .. } | Apply::Signed(_) | Apply::ClientCertificate => {
            Err(scheme.error("takes several parts, but a token is one"))
        }
    }
}

/// How what a connector's code obtained goes on a request; `hmac` has its recipe in the scheme's `sign`.
pub(super) fn of_custom(node: &Node<'_>, outer: &Table<'_>, config: &Value) -> Result<Apply, ManifestError> {
    let table = node.table(&KEYS)?;
    alone(&table.need("scheme")?, &table, outer, config)
}

fn alone(
    scheme: &Node<'_>,
    table: &Table<'_>,
    outer: &Table<'_>,
    config: &Value,
) -> Result<Apply, ManifestError> {
    let signed = scheme.raw(256)? == "hmac";
    let (apply, own) = given(scheme, if signed { outer } else { table }, config)?;
    let stray = KEYS
        .iter()
        .filter(|key| **key != "scheme" && (signed || !own.contains(key)))
        .find_map(|key| table.get(key));
    stray.map_or(
        Ok(apply),
        |node| Err(node.error("does not belong to this scheme")),
    )
}

fn header(table: &Table<'_>) -> Result<Apply, ManifestError> {
    Ok(Apply::Header {
        name: header_name(&table.need("header")?)?,
        prefix: table
            .get("prefix")
            .map_or(Ok(String::new()), |node| header_text(&node))?,
    })
}

/// A header that a credential may stand in.
pub(super) fn header_name(node: &Node<'_>) -> Result<String, ManifestError> {
    let name = node.raw(128)?;
    if !is_header_name(name) {
        return Err(node.error("is not a header's name in lower case"));
    }
    if RESERVED.contains(&name) {
        return Err(node.error("is a header that the host itself writes"));
    }
    Ok(name.to_owned())
}

/// Text that stands in a header before a secret.
pub(super) fn header_text(node: &Node<'_>) -> Result<String, ManifestError> {
    let text = node.raw(128)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Ok(text.to_owned());
    }
    Err(node.error("has a character that no header has"))
}

fn sigv4(table: &Table<'_>, config: &Value) -> Result<Apply, ManifestError> {
    let service = table.need("service")?;
    let name = service.raw(64)?;
    if !is_region(name) {
        return Err(service.error("is not a service's name such as `s3`: lower-case letters, digits and `-`"));
    }
    let at = table.need("region")?;
    let region = template::read(&at, &Declared::new(config), Place::Configured)?;
    let whole = match region.pieces() {
        [crate::auth::Piece::Text(text)] => is_region(text),
        [crate::auth::Piece::Config(_)] => true,
        _ => false,
    };
    if !whole {
        return Err(at.error("is neither a region such as `eu-central-1` nor `${config.key}`"));
    }
    Ok(Apply::SigV4 {
        service: name.to_owned(),
        region,
    })
}
