//! Where things stand in answers: the token endpoint's, those that say that a token has ended, and what goes from them
//! into the configuration.

use super::super::source::{Node, Table};
use super::super::{ManifestError, schema};
use super::template::{Declared, pointer, scalar};
use crate::auth::{AnswerRecipe, ExpirySign, Fill, FillFrom, Success, Take};

const MAX_ENDED: usize = 20;
const MAX_SIGNS: usize = 10;
/// The most texts that one sign means.
const MAX_TEXTS: usize = 20;
const MAX_FILLS: usize = 10;
/// The longest lifetime that a manifest can assume: ten years of seconds.
const MAX_LIFETIME_S: u64 = 315_360_000;

pub(super) fn read(node: Option<Node<'_>>) -> Result<AnswerRecipe, ManifestError> {
    let mut answer = AnswerRecipe::default();
    let Some(node) = node else { return Ok(answer) };
    let table = node.table(&[
        "access_token",
        "refresh_token",
        "expires_in",
        "expires_at",
        "default_lifetime_s",
        "scope",
        "id_token",
        "account",
        "error",
        "error_description",
        "success",
        "ended",
    ])?;
    for (key, place) in [
        ("access_token", &mut answer.access_token),
        ("refresh_token", &mut answer.refresh_token),
        ("expires_in", &mut answer.expires_in),
        ("scope", &mut answer.scope),
        ("id_token", &mut answer.id_token),
        ("error", &mut answer.error),
        ("error_description", &mut answer.error_description),
    ] {
        if let Some(node) = table.get(key) {
            *place = pointer(&node)?;
        }
    }
    answer.expires_at = table.get("expires_at").map(|node| pointer(&node)).transpose()?;
    answer.account = table.get("account").map(|node| pointer(&node)).transpose()?;
    if let Some(node) = table.get("default_lifetime_s") {
        answer.default_lifetime_s = u32::try_from(node.whole(1..MAX_LIFETIME_S)?).ok();
    }
    if let Some(node) = table.get("success") {
        answer.success = Some(success(&node)?);
    }
    // What RFC 6749 §5.2 calls it always means it.
    for node in table.each("ended", MAX_ENDED)? {
        let code = node.line(100)?;
        if !answer.ended.contains(&code) {
            answer.ended.push(code);
        }
    }
    Ok(answer)
}

pub(super) fn success(node: &Node<'_>) -> Result<Success, ManifestError> {
    let table = node.table(&["pointer", "equals"])?;
    Ok(Success {
        pointer: pointer(&table.need("pointer")?)?,
        equals: scalar(&table.need("equals")?)?,
    })
}

pub(super) fn expired(table: &Table<'_>) -> Result<Vec<ExpirySign>, ManifestError> {
    let Some(list) = table.get("expired") else {
        return Ok(Vec::new());
    };
    list.some(MAX_SIGNS)?.iter().map(sign).collect()
}

fn sign(node: &Node<'_>) -> Result<ExpirySign, ManifestError> {
    let table = node.table(&["status", "pointer", "equals"])?;
    let status = table.need("status")?.whole(200..599)?;
    let body = match (table.get("pointer"), table.get("equals")) {
        (None, None) => None,
        (Some(at), Some(equals)) => {
            let texts = equals.some(MAX_TEXTS)?;
            let texts = texts
                .iter()
                .map(|text| text.line(200))
                .collect::<Result<_, _>>()?;
            Some((pointer(&at)?, texts))
        }
        _ => return Err(node.error("has only one of `pointer` and `equals`")),
    };
    if body.is_none() && status < 400 {
        return Err(node.error("would take every good answer for an ended token: say what its body has"));
    }
    Ok(ExpirySign {
        status: u16::try_from(status).unwrap_or(401),
        body,
    })
}

pub(super) fn fills(table: &Table<'_>, declared: &Declared<'_>) -> Result<Vec<Fill>, ManifestError> {
    let mut fills: Vec<Fill> = Vec::new();
    for node in table.each("fill", MAX_FILLS)? {
        let table = node.table(&["config", "from", "pointer", "take"])?;
        let at = table.need("config")?;
        let config = at.raw(64)?;
        if schema::property(declared.config, config).is_none() {
            return Err(at.error("is no property of the config schema"));
        }
        if fills.iter().any(|fill| fill.config == config) {
            return Err(at.error("is filled twice"));
        }
        let from = table.need("from")?.choice(&[
            ("token", FillFrom::Token),
            ("metadata", FillFrom::Metadata),
            ("callback", FillFrom::Callback),
        ])?;
        let takes = [("text", Take::Text), ("host", Take::Host)];
        fills.push(Fill {
            config: config.to_owned(),
            from,
            pointer: pointer(&table.need("pointer")?)?,
            take: table
                .get("take")
                .map_or(Ok(Take::Text), |node| node.choice(&takes))?,
        });
    }
    Ok(fills)
}
