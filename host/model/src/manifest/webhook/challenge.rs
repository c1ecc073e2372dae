//! `[[webhooks.challenges]]`: what a vendor asks before it sends webhooks, and what it is answered.

use super::super::ManifestError;
use super::super::source::{Node, Table};
use super::place::{self, header, visible};
use super::signed::{ENCODINGS, HASHES, patterns};
use crate::signature::{Challenge, ChallengeSign, Place, Reply, ReplyValue};

/// The most conditions and fields.
const MAX_FIELDS: usize = 8;

pub(super) fn read(node: &Node<'_>) -> Result<Challenge, ManifestError> {
    let table = node.table(&[
        "method", "when", "verified", "token", "value", "sign", "text", "json", "echo", "keep", "visit",
    ])?;
    let methods = ["GET", "HEAD", "POST"].map(|name| (name, name));
    let method = table
        .get("method")
        .map(|node| node.choice(&methods))
        .transpose()?;
    let when = table.each("when", MAX_FIELDS)?;
    if when.is_empty() && (method.is_none() || method == Some("POST")) {
        return Err(table.error("when", "is missing: every webhook would be this question"));
    }
    let at = |key: &str| table.get(key).map(|node| place::read(&node)).transpose();
    let challenge = Challenge {
        method: method.map(str::to_owned),
        when: when.iter().map(condition).collect::<Result<_, _>>()?,
        verified: table.need("verified")?.flag()?,
        token: at("token")?,
        value: at("value")?,
        sign: table.get("sign").map(|node| sign(&node)).transpose()?,
        reply: reply(&table)?,
        echo: table.get("echo").map(|node| header(&node)).transpose()?,
        keep: table.flag_or("keep", false)?,
        visit: table
            .get("visit")
            .map_or(Ok(Vec::new()), |node| patterns(&node))?,
    };
    let uses_value = challenge.sign.is_some()
        || challenge.keep
        || challenge.echo.is_some()
        || !challenge.visit.is_empty()
        || challenge.reply.takes("{value}");
    if uses_value && challenge.value.is_none() {
        return Err(table.error("value", "is missing: the answer is made of it"));
    }
    if challenge.reply.takes("{signature}") != challenge.sign.is_some() {
        return Err(table.error("sign", "and `{signature}` in the answer belong together"));
    }
    if !challenge.visit.is_empty() && !challenge.verified {
        return Err(table.error(
            "visit",
            "needs `verified = true`: a sender would choose what is visited",
        ));
    }
    if challenge.keep && challenge.verified {
        return Err(table.error(
            "keep",
            "does not go with `verified = true`: there is no secret yet",
        ));
    }
    if let Some(name) = challenge.echo.as_ref().filter(|name| !name.starts_with("x-")) {
        return Err(table.error(
            "echo",
            format!("is `{name}`, but can only be a header that begins with `x-`"),
        ));
    }
    Ok(challenge)
}

fn condition(node: &Node<'_>) -> Result<(Place, Option<String>), ManifestError> {
    let mut keys = vec!["is"];
    keys.extend(place::KEYS);
    let table = node.table(&keys)?;
    let wanted = table.get("is").map(|node| visible(&node)).transpose()?;
    Ok((place::of(&table, node)?, wanted))
}

fn sign(node: &Node<'_>) -> Result<ChallengeSign, ManifestError> {
    let table = node.table(&["algorithm", "encoding"])?;
    Ok(ChallengeSign {
        algorithm: table.need("algorithm")?.choice(&HASHES)?,
        encoding: table.need("encoding")?.choice(&ENCODINGS)?,
    })
}

fn reply(table: &Table<'_>) -> Result<Reply, ManifestError> {
    match (table.get("text"), table.get("json")) {
        (None, None) => Ok(Reply::Empty),
        (Some(text), None) => visible(&text).map(Reply::Text),
        (Some(text), Some(_)) => Err(text.error("does not go with `json`")),
        (None, Some(json)) => {
            let Some(entries) = json.entries() else {
                return Err(json.error("is not a table"));
            };
            let mut fields = Vec::new();
            for (name, at_key, value) in entries {
                if fields.len() >= MAX_FIELDS {
                    return Err(at_key.error("is one field too many; 8 are the most"));
                }
                let field = match value.value().as_integer() {
                    Some(_) => ReplyValue::Number(value.whole(0..u64::from(u32::MAX))?),
                    None => ReplyValue::Text(visible(&value)?),
                };
                fields.push((name.to_owned(), field));
            }
            Ok(Reply::Json(fields))
        }
    }
}

impl Reply {
    fn takes(&self, placeholder: &str) -> bool {
        match self {
            Self::Empty => false,
            Self::Text(text) => text.contains(placeholder),
            Self::Json(fields) => fields.iter().any(|(_, field)| match field {
                ReplyValue::Text(text) => text.contains(placeholder),
                ReplyValue::Number(_) => false,
            }),
        }
    }
}
