//! `[[auth]]`: how credentials are applied, and where they may go.

use serde_json::Value;

use super::capabilities;
use super::source::Node;
use super::{AuthScheme, ManifestError};
use crate::auth::{Apply, Obtain, Part, SECRET};
use crate::grant::Grant;
use crate::signature::is_header_name;

/// The most places one credential is bound to.
const MAX_ORIGINS: usize = 50;

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

pub(super) fn read(node: &Node<'_>, config: &Value, grant: &Grant) -> Result<AuthScheme, ManifestError> {
    let keys = [
        "name",
        "title",
        "scheme",
        "origins",
        "help",
        "header",
        "prefix",
        "parameter",
        "username",
    ];
    let table = node.table(&keys)?;
    let scheme = table.need("scheme")?;
    let (apply, own): (Apply, &[&str]) = match scheme.raw(256)? {
        "bearer" => (Apply::Bearer, &[]),
        "header" => {
            let header = table.need("header")?;
            let name = header.raw(128)?.to_owned();
            if !is_header_name(&name) {
                return Err(header.error("is not a header's name in lower case"));
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(header.error("is a header that the host itself writes"));
            }
            let prefix = table.get("prefix").map_or(Ok(""), |node| {
                let text = node.raw(128)?;
                let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
                if plain {
                    Ok(text)
                } else {
                    Err(node.error("has a character that no header has"))
                }
            })?;
            (
                Apply::Header {
                    name,
                    prefix: prefix.to_owned(),
                },
                &["header", "prefix"],
            )
        }
        "query" => {
            let parameter = table.need("parameter")?;
            let name = parameter.raw(128)?.to_owned();
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_.-[]".contains(&b))
            {
                return Err(parameter.error("is not a parameter's name: letters, digits and `_.-[]`"));
            }
            (Apply::Query { name }, &["parameter"])
        }
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
            (
                Apply::Basic {
                    username: username.transpose()?,
                },
                &["username"],
            )
        }
        other => {
            return Err(scheme.error(format!(
                "has the unsupported scheme `{}`; there are `bearer`, `header`, `query` and `basic`",
                super::words::shown(other)
            )));
        }
    };
    for key in ["header", "prefix", "parameter", "username"] {
        if let Some(node) = table.get(key).filter(|_| !own.contains(&key)) {
            return Err(node.error("does not belong to this scheme"));
        }
    }
    let origins = table.need("origins")?.some(MAX_ORIGINS)?;
    Ok(AuthScheme {
        name: table.need("name")?.name()?,
        title: table.need("title")?.line(200)?,
        apply,
        obtain: Obtain::Given,
        parts: vec![Part {
            name: SECRET.to_owned(),
            title: "Secret".to_owned(),
            secret: true,
            optional: false,
            multiline: false,
        }],
        app: Vec::new(),
        origins: origins
            .iter()
            .map(|node| capabilities::origin(node, config, grant))
            .collect::<Result<_, _>>()?,
        help: table.get("help").map(|node| node.prose(2000)).transpose()?,
    })
}
