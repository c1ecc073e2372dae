//! `[auth.oauth2.assertion]`: the JWT that the host signs.

use super::super::ManifestError;
use super::super::source::{Node, Table};
use super::template::{self, Declared, Place};
use crate::auth::{Assertion, AssertionUse, JwtAlgorithm, Piece, Template};

const MAX_CLAIMS: usize = 30;
/// The longest that an assertion may be good for, in seconds: a day.
const MAX_LIFETIME_S: u64 = 86_400;
/// The most that `iat` may lie before now, in seconds.
const MAX_BACKDATE_S: u64 = 600;

/// What is done with it.
pub(super) fn used(node: &Node<'_>) -> Result<AssertionUse, ManifestError> {
    let table = table(node)?;
    table.need("use")?.choice(&[
        ("grant", AssertionUse::Grant),
        ("client", AssertionUse::Client),
        ("bearer", AssertionUse::Bearer),
    ])
}

pub(super) fn read(node: &Node<'_>, declared: &Declared<'_>) -> Result<Assertion, ManifestError> {
    let used = used(node)?;
    let table = table(node)?;
    let algorithms = [
        ("RS256", JwtAlgorithm::Rs256),
        ("ES256", JwtAlgorithm::Es256),
        ("HS256", JwtAlgorithm::Hs256),
    ];
    let key_id = table.get("key_id");
    Ok(Assertion {
        algorithm: table.need("algorithm")?.choice(&algorithms)?,
        key: key(&table.need("key")?, declared)?,
        key_id: key_id
            .map(|node| template::read(&node, declared, Place::TokenRequest))
            .transpose()?,
        claims: claims(&table, declared)?,
        lifetime_s: small(table.whole_or("lifetime_s", 3600, 1..MAX_LIFETIME_S)?),
        backdate_s: small(table.whole_or("backdate_s", 60, 0..MAX_BACKDATE_S)?),
        used,
    })
}

fn table<'a>(node: &Node<'a>) -> Result<Table<'a>, ManifestError> {
    node.table(&[
        "algorithm",
        "key",
        "key_id",
        "claims",
        "lifetime_s",
        "backdate_s",
        "use",
    ])
}

/// One secret part, whole or what stands at a place of its JSON.
fn key(node: &Node<'_>, declared: &Declared<'_>) -> Result<Template, ManifestError> {
    let template = template::read(node, declared, Place::TokenRequest)?;
    let parts = match template.pieces() {
        [Piece::App(_)] => &declared.app,
        [Piece::Secret(..)] => &declared.parts,
        _ => return Err(node.error("is not one `${app.key}` or `${secret.key}`")),
    };
    let named = |name: &str| match template.pieces() {
        [Piece::App(key) | Piece::Secret(key, _)] => key == name,
        _ => false,
    };
    if parts.iter().any(|part| named(&part.name) && !part.secret) {
        return Err(node.error("is a part with `secret = false`, but a key is secret"));
    }
    Ok(template)
}

fn claims(table: &Table<'_>, declared: &Declared<'_>) -> Result<Vec<(String, Template)>, ManifestError> {
    let Some(node) = table.get("claims") else {
        return Ok(Vec::new());
    };
    let Some(entries) = node.entries() else {
        return Err(node.error("is not a table of claims"));
    };
    let mut claims = Vec::new();
    for (name, at_key, value) in entries {
        if claims.len() == MAX_CLAIMS {
            return Err(at_key.error("is one claim too many: 30 are the most"));
        }
        if !(1..=200).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(at_key.error("is not a claim's name"));
        }
        if matches!(name, "iat" | "exp" | "jti") {
            return Err(at_key.error("is a claim that the host itself sets"));
        }
        claims.push((name.to_owned(), template::read(&value, declared, Place::Claims)?));
    }
    Ok(claims)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
