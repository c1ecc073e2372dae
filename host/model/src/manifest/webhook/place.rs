//! Places of a request, and the words that stand there.

use super::super::source::{Node, Table};
use super::super::{ManifestError, words};
use crate::signature::{Place, is_field_name, is_header_name};

/// The keys of a place.
pub(super) const KEYS: [&str; 6] = ["header", "query", "form", "pointer", "element", "body"];

/// The place that a table names, which stands at the node.
pub(super) fn of(table: &Table<'_>, node: &Node<'_>) -> Result<Place, ManifestError> {
    let mut found = KEYS.iter().filter_map(|key| Some((*key, table.get(key)?)));
    let (Some((key, value)), None) = (found.next(), found.next()) else {
        return Err(
            node.error("has to have one of `header`, `query`, `form`, `pointer`, `element` and `body`")
        );
    };
    match key {
        "header" => header(&value).map(Place::Header),
        "query" => field(&value).map(Place::Query),
        "form" => field(&value).map(Place::Form),
        "pointer" => pointer(&value).map(Place::Pointer),
        "element" => field(&value).map(Place::Element),
        _ if value.flag()? => Ok(Place::Body),
        _ => Err(value.error("is not `true`")),
    }
}

/// A table that is a place and nothing else.
pub(super) fn read(node: &Node<'_>) -> Result<Place, ManifestError> {
    of(&node.table(&KEYS)?, node)
}

pub(in crate::manifest) fn header(node: &Node<'_>) -> Result<String, ManifestError> {
    let name = node.raw(128)?;
    if is_header_name(name) {
        Ok(name.to_owned())
    } else {
        Err(node.error("is not a header's name in lower case"))
    }
}

pub(super) fn pointer(node: &Node<'_>) -> Result<String, ManifestError> {
    let text = node.raw(256)?;
    if words::is_pointer(text) {
        Ok(text.to_owned())
    } else {
        Err(node.error("is not a JSON pointer: it begins with `/`, and `~` is followed by 0 or 1"))
    }
}

pub(super) fn field(node: &Node<'_>) -> Result<String, ManifestError> {
    let text = node.raw(64)?;
    if is_field_name(text) {
        Ok(text.to_owned())
    } else {
        Err(node.error("is not a field's name"))
    }
}

pub(super) fn visible(node: &Node<'_>) -> Result<String, ManifestError> {
    let text = node.raw(256)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if plain {
        Ok(text.to_owned())
    } else {
        Err(node.error("has a character that no header has"))
    }
}
