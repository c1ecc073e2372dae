//! `[[webhooks]]`: how what comes in is verified, told apart and recognized when it comes again.

mod challenge;
mod jwt;
mod place;
mod registration;
mod signed;

use std::sync::Arc;

use serde_json::Value;

use super::source::{Node, Table};
use super::{AccountBy, Dedupe, EventKind, ManifestError, Webhook, schema, words};
use crate::grant::Grant;
use crate::signature::{Place, Recipe, Shared, SourceRange};
pub(super) use place::header;
use place::visible;

/// The most kinds of events of one webhook.
const MAX_EVENTS: usize = 500;
/// The most questions of one webhook.
const MAX_CHALLENGES: usize = 8;
/// The most ranges of addresses: vendors publish up to some dozens.
const MAX_SOURCES: usize = 200;
/// The most steps that a person is asked to take.
const MAX_STEPS: usize = 20;

pub(super) fn read(node: &Node<'_>, config: &Value, grant: &Grant) -> Result<Webhook, ManifestError> {
    let table = node.table(&[
        "name",
        "events",
        "event_schema",
        "dedupe",
        "event_header",
        "account",
        "order",
        "reply",
        "signature",
        "reason",
        "challenges",
        "sources",
        "registration",
        "steps",
    ])?;
    let recipe = recipe(&table)?;
    if let Some(reason) = table.get("reason").filter(|_| recipe.is_signed()) {
        return Err(reason.error("belongs to `signature = \"none\"` only"));
    }
    let of_all = table.get("event_schema").map(|node| schema::object(&node));
    let of_all = of_all.transpose()?.map(Arc::new);
    let recipe_says_once = matches!(&recipe, Recipe::Signed(signed) if signed.one_time.is_some());
    Ok(Webhook {
        name: table.need("name")?.name()?,
        recipe,
        challenges: table
            .each("challenges", MAX_CHALLENGES)?
            .iter()
            .map(challenge::read)
            .collect::<Result<_, _>>()?,
        sources: table
            .each("sources", MAX_SOURCES)?
            .iter()
            .map(|node| SourceRange::parse(node.raw(64)?).map_err(|reason| node.error(reason)))
            .collect::<Result<_, _>>()?,
        events: table
            .need("events")?
            .some(MAX_EVENTS)?
            .iter()
            .map(|node| event(node, of_all.as_ref()))
            .collect::<Result<_, _>>()?,
        dedupe: dedupe(&table.need("dedupe")?)?,
        event_header: table.get("event_header").map(|node| header(&node)).transpose()?,
        account: account(&table, recipe_says_once)?,
        order: table.get("order").map(|node| named(&node)).transpose()?,
        reply: table.flag_or("reply", false)?,
        registration: table
            .get("registration")
            .map(|node| registration::read(&node, config, grant))
            .transpose()?,
        steps: table
            .each("steps", MAX_STEPS)?
            .iter()
            .map(|node| node.line(500))
            .collect::<Result<_, _>>()?,
    })
}

/// A place in the query, a header or the body, as a table with one key.
fn named(node: &Node<'_>) -> Result<Place, ManifestError> {
    let place = place::read(node)?;
    if place == Place::Body {
        return Err(node.error("is the whole body, which names nothing"));
    }
    Ok(place)
}

fn account(webhook: &Table<'_>, is_once: bool) -> Result<Option<AccountBy>, ManifestError> {
    let Some(node) = webhook.get("account") else {
        return Ok(None);
    };
    if is_once {
        // The token is seen once at one connection: with another account it would be seen again.
        return Err(node.error("does not go with a token that may be seen once"));
    }
    match node.value().as_str() {
        Some("code") => Ok(Some(AccountBy::Code)),
        Some(_) => Err(node.error("is neither \"code\" nor a table with one place")),
        None => named(&node).map(|place| Some(AccountBy::Place(place))),
    }
}

fn event(node: &Node<'_>, of_all: Option<&Arc<Value>>) -> Result<EventKind, ManifestError> {
    let table = node.table(&["kind", "description", "schema"])?;
    let kind = table.need("kind")?;
    let text = kind.raw(256)?;
    if !words::is_event_kind(text) {
        return Err(
            kind.error("is not a kind of event: letters, digits and `_.:/-`, with `.*` at most at the end")
        );
    }
    let description = table
        .get("description")
        .map_or(Ok(String::new()), |node| node.line(500))?;
    let own = table
        .get("schema")
        .map(|node| schema::object(&node))
        .transpose()?;
    Ok(EventKind {
        kind: text.to_owned(),
        description,
        schema: own.map(Arc::new).or_else(|| of_all.cloned()),
    })
}

fn dedupe(node: &Node<'_>) -> Result<Dedupe, ManifestError> {
    if let Some(text) = node.value().as_str() {
        return match text {
            "body" => Ok(Dedupe::BodyHash),
            "none" => Ok(Dedupe::Nothing),
            _ => Err(node.error("is neither \"body\" nor \"none\" nor a table with `header` or `pointer`")),
        };
    }
    let table = node.table(&["header", "pointer"])?;
    match (table.get("header"), table.get("pointer")) {
        (Some(name), None) => header(&name).map(Dedupe::Header),
        (None, Some(pointer)) => place::pointer(&pointer).map(Dedupe::JsonPointer),
        _ => Err(node.error("has to have either `header` or `pointer`")),
    }
}

fn recipe(webhook: &Table<'_>) -> Result<Recipe, ManifestError> {
    let Some(node) = webhook.get("signature") else {
        let message = "is missing: say how it is signed, or `signature = \"none\"` and a `reason`";
        return Err(webhook.error("signature", message));
    };
    if let Some(text) = node.value().as_str() {
        if text != "none" {
            return Err(node.error("is neither a table nor \"none\""));
        }
        let Some(reason) = webhook.get("reason") else {
            return Err(webhook.error("reason", "is missing: `signature = \"none\"` needs to say why"));
        };
        return Ok(Recipe::Unsigned {
            reason: reason.line(500)?,
        });
    }
    let table = node.value().as_table();
    let scheme = table.and_then(|table| table.get("scheme"));
    let scheme = scheme.and_then(|scheme| scheme.get_ref().as_str());
    match scheme {
        Some("hmac" | "ed25519" | "ecdsa-p256" | "rsa") => signed::read(&node),
        Some("sns") => node.table(&["scheme"]).map(|_| Recipe::Sns),
        Some("jwt") => jwt::read(&node),
        Some("token") => token(&node),
        Some("basic") => node.table(&["scheme"]).map(|_| Recipe::Basic),
        Some(other) => {
            let table = node.table(&signed::KEYS)?;
            Err(table.need("scheme")?.error(format!(
                "has the unsupported scheme `{}`; there are `hmac`, `ed25519`, `ecdsa-p256`, `rsa`, `sns`, `jwt`, `token` and \
                 `basic`, and `signature = \"none\"` with a `reason`",
                words::shown(other)
            )))
        }
        None => Err(node
            .table(&signed::KEYS)?
            .need("scheme")
            .map_or_else(|missing| missing, |node| node.error("is not a text"))),
    }
}

fn token(node: &Node<'_>) -> Result<Recipe, ManifestError> {
    let mut keys = vec!["scheme", "prefix"];
    keys.extend(place::KEYS);
    let table = node.table(&keys)?;
    let prefix = table.get("prefix").map(|node| visible(&node)).transpose()?;
    let place = place::of(&table, node)?;
    if place == Place::Body {
        return Err(node.error("has a token that is the whole body"));
    }
    Ok(Recipe::Shared(Shared {
        place,
        prefix: prefix.unwrap_or_default(),
    }))
}

#[cfg(test)]
mod tests;
