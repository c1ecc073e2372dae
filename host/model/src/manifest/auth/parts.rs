//! `parts` and `app`: what the person who connects gives, and what whoever registered at the vendor keeps.

use super::super::ManifestError;
use super::super::source::{Node, Table};
use crate::auth::{Apply, Part, SECRET};

/// The most parts of one scheme.
const MAX_PARTS: usize = 12;

/// Parts whose meaning is known: their titles, and whether they are secret.
const KNOWN: [(&str, &str, bool); 12] = [
    (SECRET, "Secret", true),
    ("user", "User", false),
    ("password", "Password", true),
    ("access_key_id", "Access key ID", false),
    ("secret_access_key", "Secret access key", true),
    ("session_token", "Session token", true),
    ("key_id", "Key ID", false),
    ("key", "Key", true),
    ("certificate", "Certificate (PEM)", false),
    ("private_key", "Private key (PEM)", true),
    ("client_id", "Client ID", false),
    ("client_secret", "Client secret", true),
];

/// A part of a known name.
pub(super) fn known(name: &str, optional: bool) -> Part {
    let found = KNOWN.iter().find(|(known, ..)| *known == name);
    let (title, secret) = found.map_or((name, true), |(_, title, secret)| (title, *secret));
    Part {
        name: name.to_owned(),
        title: title.to_owned(),
        secret,
        optional,
        multiline: matches!(name, "certificate" | "private_key"),
    }
}

/// The list under `key`, if it is there. Those of `needed` have to be in it, and may not be left out.
pub(super) fn listed(
    table: &Table<'_>,
    key: &str,
    needed: &[&str],
) -> Result<Option<Vec<Part>>, ManifestError> {
    let Some(list) = table.get(key) else {
        return Ok(None);
    };
    let mut parts: Vec<Part> = Vec::new();
    for node in list.list(MAX_PARTS)? {
        let part = part(&node)?;
        if parts.iter().any(|other| other.name == part.name) {
            return Err(node.error(format!("is the second with the name `{}`", part.name)));
        }
        if part.optional && needed.contains(&part.name.as_str()) {
            return Err(node.error("is optional, but this scheme does not go without it"));
        }
        parts.push(part);
    }
    let missing = |name: &&&str| !parts.iter().any(|part| part.name == **name);
    match needed.iter().find(missing) {
        Some(name) => Err(list.error(format!("has no part `{name}`, which this scheme takes"))),
        None => Ok(Some(parts)),
    }
}

fn part(node: &Node<'_>) -> Result<Part, ManifestError> {
    let table = node.table(&["name", "title", "secret", "optional", "multiline"])?;
    let name = table.need("name")?.name()?;
    let usual = known(&name, false);
    let secret = table.flag_or("secret", usual.secret)?;
    let is_known = KNOWN.iter().any(|(known, ..)| *known == name);
    if is_known && usual.secret && !secret {
        return Err(table.error("secret", format!("is false, but a `{name}` is secret")));
    }
    Ok(Part {
        title: match table.get("title") {
            Some(title) => title.line(200)?,
            None if is_known => usual.title,
            None => return Err(table.error("title", "is missing")),
        },
        secret,
        optional: table.flag_or("optional", false)?,
        multiline: table.flag_or("multiline", usual.multiline)?,
        name,
    })
}

/// What the person gives for a scheme without a flow.
pub(super) fn given(table: &Table<'_>, apply: &Apply) -> Result<Vec<Part>, ManifestError> {
    let (mut needed, mut may): (Vec<&str>, Vec<&str>) = {
        let (needed, may) = apply.parts();
        (needed.to_vec(), may.to_vec())
    };
    match apply {
        Apply::Basic { username: None } => needed = vec!["user", "password"],
        Apply::Signed(recipe) if recipe.takes_key_id() => {
            needed.insert(0, "key_id");
            may.clear();
        }
        Apply::Signed(_) => may.clear(),
        _ => {}
    }
    let is_alone = |node: &Node<'_>| matches!(apply, Apply::Basic { username: None }) && lists_secret(node);
    if let Some(node) = table.get("parts")
        && is_alone(&node)
    {
        needed = vec![SECRET];
    }
    let Some(parts) = listed(table, "parts", &needed)? else {
        let needed = needed.iter().map(|name| known(name, false));
        return Ok(needed.chain(may.iter().map(|name| known(name, true))).collect());
    };
    let stray = |part: &&Part| !needed.contains(&part.name.as_str()) && !may.contains(&part.name.as_str());
    match parts.iter().find(stray) {
        Some(part) => Err(table.error(
            "parts",
            format!("has a part `{}`, which this scheme does not take", part.name),
        )),
        None => Ok(parts),
    }
}

/// Whether user and password are asked for as one text.
fn lists_secret(node: &Node<'_>) -> bool {
    let tables = node.value().as_array().into_iter().flatten();
    let names = tables.filter_map(|part| part.get_ref().as_table()?.get("name")?.get_ref().as_str());
    names.into_iter().any(|name| name == SECRET)
}

/// The consumer of OAuth 1.0a.
pub(super) fn app_of_oauth1(table: &Table<'_>) -> Result<Vec<Part>, ManifestError> {
    let needed = ["client_id", "client_secret"];
    let listed = listed(table, "app", &needed)?;
    Ok(listed.unwrap_or_else(|| needed.iter().map(|name| known(name, false)).collect()))
}
