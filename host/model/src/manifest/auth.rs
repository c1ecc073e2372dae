//! `[[auth]]`: how credentials are come by and applied, and where they may go.
//!
//! What must always hold: a template takes only what its place may have (an address nothing but the configuration, what a
//! browser is sent to no secret), and only names that the scheme or the config schema declares; every address that
//! the host will ask is known from here.

mod answer;
mod applied;
mod assertion;
mod oauth1;
mod oauth2;
mod parts;
mod sign;
mod template;

use serde_json::Value;

use super::capabilities;
use super::source::Node;
use super::{AuthScheme, ManifestError};
use crate::auth::{Apply, Obtain};
use crate::grant::Grant;
use template::Declared;

/// The most places one credential is bound to.
const MAX_ORIGINS: usize = 50;

/// Every key of `[[auth]]`.
const KEYS: [&str; 18] = [
    "name",
    "title",
    "scheme",
    "origins",
    "help",
    "apply",
    "parts",
    "app",
    "oauth2",
    "oauth1",
    "sign",
    "header",
    "prefix",
    "parameter",
    "username",
    "field",
    "service",
    "region",
];

pub(super) fn read(node: &Node<'_>, config: &Value, grant: &Grant) -> Result<AuthScheme, ManifestError> {
    let table = node.table(&KEYS)?;
    let scheme = table.need("scheme")?;
    let word = scheme.raw(256)?;
    let stray = |own: &[&str]| {
        let common = ["name", "title", "scheme", "origins", "help"];
        let found = KEYS
            .iter()
            .filter(|key| !common.contains(key) && !own.contains(key))
            .find_map(|key| table.get(key));
        found.map_or(Ok(()), |node| Err(node.error("does not belong to this scheme")))
    };
    let mut declared = Declared::new(config);
    let (apply, obtain) = match word {
        "oauth2" => {
            stray(&["apply", "parts", "app", "oauth2"])?;
            let oauth2 = table.need("oauth2")?;
            declared.parts = parts::listed(&table, "parts", &[])?.unwrap_or_default();
            declared.app = oauth2::app(&table, &oauth2)?;
            let apply = match table.get("apply") {
                Some(node) => applied::of_token(&node, config)?,
                None => Apply::Bearer,
            };
            (apply, Obtain::OAuth2(Box::new(oauth2::read(&oauth2, &declared)?)))
        }
        "oauth1" => {
            stray(&["app", "oauth1"])?;
            declared.app = parts::app_of_oauth1(&table)?;
            let oauth1 = oauth1::read(&table.need("oauth1")?, &declared)?;
            let method = oauth1.method;
            (Apply::OAuth1 { method }, Obtain::OAuth1(Box::new(oauth1)))
        }
        "custom" => {
            stray(&["apply", "parts", "app", "sign"])?;
            declared.parts = parts::listed(&table, "parts", &[])?.unwrap_or_default();
            declared.app = parts::listed(&table, "app", &[])?.unwrap_or_default();
            let apply = match table.get("apply") {
                Some(node) => applied::of_custom(&node, &table, config)?,
                None => Apply::Bearer,
            };
            if !matches!(apply, Apply::Signed(_))
                && let Some(node) = table.get("sign")
            {
                return Err(node.error("belongs to `hmac` only"));
            }
            (apply, Obtain::Custom)
        }
        _ => {
            let (apply, own) = applied::given(&scheme, &table, config)?;
            stray(own)?;
            declared.parts = parts::given(&table, &apply)?;
            (apply, Obtain::Given)
        }
    };
    let origins = table.need("origins")?.some(MAX_ORIGINS)?;
    Ok(AuthScheme {
        name: table.need("name")?.name()?,
        title: table.need("title")?.line(200)?,
        apply,
        obtain,
        parts: declared.parts,
        app: declared.app,
        origins: origins
            .iter()
            .map(|node| capabilities::origin(node, config, grant))
            .collect::<Result<_, _>>()?,
        help: table.get("help").map(|node| node.prose(2000)).transpose()?,
    })
}

#[cfg(test)]
mod tests;
