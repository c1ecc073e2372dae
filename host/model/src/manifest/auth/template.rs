//! Templates, addresses, parameters and pointers as the manifest writes them, with what each place may take.

use serde_json::Value;
use toml::de::DeValue;

use super::super::source::{Node, Table};
use super::super::{ManifestError, schema, words};
use crate::auth::{Address, Part, Piece, Template};

/// The longest template.
const MAX_TEMPLATE_BYTES: usize = 2000;
/// The most parameters of one table.
const MAX_PARAMS: usize = 30;

/// What templates of a scheme may name.
pub(super) struct Declared<'a> {
    pub(super) config: &'a Value,
    pub(super) parts: Vec<Part>,
    pub(super) app: Vec<Part>,
}

impl<'a> Declared<'a> {
    pub(super) const fn new(config: &'a Value) -> Self {
        Self {
            config,
            parts: Vec::new(),
            app: Vec::new(),
        }
    }
}

/// Where a template stands, which says what it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing but the configuration.
    Configured,
    /// The query that the person's browser is sent to: what may be seen.
    Browser,
    /// A token request's body: everything.
    TokenRequest,
    /// The claims of an assertion.
    Claims,
    /// The query of the exchange request.
    Exchange,
    /// What is signed or put on a request before it is signed.
    Signing,
    /// What is put on a request after it was signed.
    Signed,
}

/// What a signing recipe can take, see [`crate::auth::SignRecipe`].
const OF_SIGNING: [&str; 15] = [
    "key_id",
    "method",
    "host",
    "path",
    "query",
    "form",
    "parameters",
    "body",
    "body_md5",
    "body_sha256",
    "timestamp",
    "timestamp_ms",
    "date",
    "nonce",
    "signature",
];

impl Place {
    /// The values that the place itself knows.
    fn own(self) -> &'static [&'static str] {
        match self {
            Self::Configured | Self::Browser | Self::TokenRequest => &[],
            Self::Claims => &["scopes", "token_url"],
            Self::Exchange => &["token"],
            Self::Signing => OF_SIGNING.split_last().map_or(&[], |(_, before)| before),
            Self::Signed => &OF_SIGNING,
        }
    }

    /// Whether parts of the app may be taken, and secret ones too.
    const fn app(self) -> (bool, bool) {
        match self {
            Self::Configured | Self::Signing | Self::Signed => (false, false),
            Self::Browser => (true, false),
            Self::TokenRequest | Self::Claims | Self::Exchange => (true, true),
        }
    }

    const fn secret(self) -> bool {
        matches!(self, Self::TokenRequest | Self::Claims)
    }
}

pub(super) fn read(
    node: &Node<'_>,
    declared: &Declared<'_>,
    place: Place,
) -> Result<Template, ManifestError> {
    let text = node.raw(MAX_TEMPLATE_BYTES)?;
    let template = Template::parse(text).map_err(|error| node.error(words::shown(&error.to_string())))?;
    for piece in template.pieces() {
        check(piece, declared, place).map_err(|message| node.error(message))?;
    }
    Ok(template)
}

fn check(piece: &Piece, declared: &Declared<'_>, place: Place) -> Result<(), String> {
    let part = |parts: &[Part], key: &str, list: &str| {
        let found = parts.iter().find(|part| part.name == key);
        found
            .map(|part| part.secret)
            .ok_or_else(|| format!("takes `{piece}`, which is none of the scheme's `{list}`"))
    };
    match piece {
        Piece::Text(text) if text.chars().any(|c| words::is_hidden(c) && c != '\n') => {
            Err("has a control or invisible character in it".to_owned())
        }
        Piece::Text(_) => Ok(()),
        Piece::Config(key) => declares(declared.config, key),
        Piece::App(_) if !place.app().0 => Err(format!("takes `{piece}`, which it may not here")),
        Piece::App(key) if part(&declared.app, key, "app")? && !place.app().1 => Err(format!(
            "takes `{piece}`, which is secret, for an address that a browser opens"
        )),
        Piece::App(_) => Ok(()),
        Piece::Secret(..) if !place.secret() => {
            Err(format!("takes `{piece}`, but a secret has no place here"))
        }
        Piece::Secret(key, pointer) => {
            part(&declared.parts, key, "parts")?;
            if pointer.as_deref().is_none_or(words::is_pointer) {
                return Ok(());
            }
            Err(format!("takes `{piece}`, whose pointer is none"))
        }
        Piece::Own(key) if place.own().contains(&key.as_str()) => Ok(()),
        Piece::Own(_) if place.own().is_empty() => Err(format!("takes `{piece}`, which is not known here")),
        Piece::Own(_) => Err(format!(
            "takes `{piece}`, which is not known here; there are {}",
            words::listed(place.own())
        )),
    }
}

/// Whether the config schema has this property as a text.
fn declares(config: &Value, key: &str) -> Result<(), String> {
    match schema::property(config, key) {
        None => Err(format!(
            "names `{key}`, which is no property of the config schema"
        )),
        Some(property) if property.get("type").is_some_and(|kind| kind == "string") => Ok(()),
        Some(_) => Err(format!(
            "names `{key}`, whose type in the config schema is not \"string\""
        )),
    }
}

/// An address of the host's own.
pub(super) fn address(node: &Node<'_>, declared: &Declared<'_>) -> Result<Address, ManifestError> {
    let address = Address::parse(node.raw(4096)?).map_err(|error| node.error(error.to_string()))?;
    for key in address.config_keys() {
        declares(declared.config, key).map_err(|message| node.error(message))?;
    }
    Ok(address)
}

/// A table of parameters, none of them one of `taken`, which the host sets.
pub(super) fn params(
    table: &Table<'_>,
    key: &str,
    declared: &Declared<'_>,
    place: Place,
    taken: &[&str],
) -> Result<Vec<(String, Template)>, ManifestError> {
    let Some(node) = table.get(key) else {
        return Ok(Vec::new());
    };
    let Some(entries) = node.entries() else {
        return Err(node.error("is not a table of parameters"));
    };
    let mut params = Vec::new();
    for (name, at_key, value) in entries {
        if params.len() == MAX_PARAMS {
            return Err(at_key.error("is one parameter too many: 30 are the most"));
        }
        if !is_parameter(name) {
            return Err(at_key.error("is not a parameter's name: letters, digits and `_.-[]`"));
        }
        if taken.contains(&name) {
            return Err(at_key.error("is a parameter that the host itself sets"));
        }
        params.push((name.to_owned(), read(&value, declared, place)?));
    }
    Ok(params)
}

/// The name of a parameter or a field.
pub(super) fn parameter(node: &Node<'_>) -> Result<String, ManifestError> {
    let name = node.raw(128)?;
    if is_parameter(name) {
        return Ok(name.to_owned());
    }
    Err(node.error("is not a parameter's name: letters, digits and `_.-[]`"))
}

fn is_parameter(name: &str) -> bool {
    let byte = |b: u8| b.is_ascii_alphanumeric() || b"_.-[]".contains(&b);
    (1..=128).contains(&name.len()) && name.bytes().all(byte)
}

/// A JSON pointer (RFC 6901) that points below the whole.
pub(super) fn pointer(node: &Node<'_>) -> Result<String, ManifestError> {
    let text = node.raw(256)?;
    if words::is_pointer(text) && !text.chars().any(words::is_hidden) {
        return Ok(text.to_owned());
    }
    Err(node.error("is not a JSON pointer: it begins with `/`, and `~` is followed by 0 or 1"))
}

/// A text, a whole number, true or false.
pub(super) fn scalar(node: &Node<'_>) -> Result<Value, ManifestError> {
    match node.value() {
        DeValue::String(_) => Ok(Value::from(node.raw(200)?)),
        DeValue::Boolean(flag) => Ok(Value::from(*flag)),
        DeValue::Integer(_) => Ok(Value::from(node.whole(0..u64::from(u32::MAX))?)),
        _ => Err(node.error("is neither a text nor a whole number nor true or false")),
    }
}
