//! `[[webhooks]]`: how what comes in is verified, told apart and recognized when it comes again.

use std::time::Duration;

use super::source::{Node, Table};
use super::{Dedupe, EventKind, ManifestError, Webhook, words};
use crate::signature::{
    Algorithm, Encoding, Form, Hmac, Recipe, SecretForm, Template, TimestampPlace, TimestampSource,
    TimestampUnit, is_header_name,
};

/// The most kinds of events of one webhook.
const MAX_EVENTS: usize = 500;
/// The longest tolerance: what is older has to be told from a replay by its delivery id alone.
const MAX_TOLERANCE_S: u64 = 3600;

pub(super) fn read(node: &Node<'_>) -> Result<Webhook, ManifestError> {
    let table = node.table(&[
        "name",
        "events",
        "dedupe",
        "event_header",
        "reply",
        "signature",
        "reason",
    ])?;
    let recipe = recipe(&table)?;
    if let Some(reason) = table.get("reason").filter(|_| recipe.is_signed()) {
        return Err(reason.error("belongs to `signature = \"none\"` only"));
    }
    Ok(Webhook {
        name: table.need("name")?.name()?,
        recipe,
        events: table
            .need("events")?
            .some(MAX_EVENTS)?
            .iter()
            .map(event)
            .collect::<Result<_, _>>()?,
        dedupe: dedupe(&table.need("dedupe")?)?,
        event_header: table.get("event_header").map(|node| header(&node)).transpose()?,
        reply: table.flag_or("reply", false)?,
    })
}

fn event(node: &Node<'_>) -> Result<EventKind, ManifestError> {
    let table = node.table(&["kind", "description"])?;
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
    Ok(EventKind {
        kind: text.to_owned(),
        description,
    })
}

fn dedupe(node: &Node<'_>) -> Result<Dedupe, ManifestError> {
    if let Some(text) = node.value().as_str() {
        if text == "body" {
            return Ok(Dedupe::BodyHash);
        }
        return Err(node.error("is neither \"body\" nor a table with `header` or `pointer`"));
    }
    let table = node.table(&["header", "pointer"])?;
    match (table.get("header"), table.get("pointer")) {
        (Some(name), None) => header(&name).map(Dedupe::Header),
        (None, Some(pointer)) => {
            let text = pointer.raw(256)?;
            if !words::is_pointer(text) {
                return Err(
                    pointer.error("is not a JSON pointer: it begins with `/`, and `~` is followed by 0 or 1")
                );
            }
            Ok(Dedupe::JsonPointer(text.to_owned()))
        }
        _ => Err(node.error("has to have either `header` or `pointer`")),
    }
}

fn header(node: &Node<'_>) -> Result<String, ManifestError> {
    let name = node.raw(128)?;
    if is_header_name(name) {
        Ok(name.to_owned())
    } else {
        Err(node.error("is not a header's name in lower case"))
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
    let table = node.table(&[
        "scheme",
        "algorithm",
        "encoding",
        "header",
        "prefix",
        "signed",
        "timestamp",
        "signature_field",
        "separator",
        "list_separator",
        "tolerance_s",
        "secret_prefix",
        "secret_encoding",
    ])?;
    let scheme = table.need("scheme")?;
    match scheme.raw(256)? {
        "hmac" => hmac(&table).map(Recipe::Hmac),
        other => Err(scheme.error(format!(
            "has the unsupported scheme `{}`; there is `hmac` (over the body, or over a text with the timestamp and the \
             body in it), and `signature = \"none\"` with a `reason`",
            words::shown(other)
        ))),
    }
}

fn hmac(table: &Table<'_>) -> Result<Hmac, ManifestError> {
    let algorithms = [
        ("sha256", Algorithm::HmacSha256),
        ("sha512", Algorithm::HmacSha512),
        ("sha1", Algorithm::HmacSha1),
    ];
    let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
    let signed = match table.get("signed") {
        None => Template::body(),
        Some(node) => Template::parse(node.raw(1024)?).map_err(|error| node.error(error.to_string()))?,
    };
    let timestamp = table.get("timestamp").map(|node| timestamp(&node)).transpose()?;
    match (&timestamp, signed.has_timestamp()) {
        (Some(_), false) => {
            return Err(table.error(
                "signed",
                "has no `{timestamp}` in it: an unsigned time proves nothing",
            ));
        }
        (None, true) => return Err(table.error("timestamp", "is missing: `signed` has `{timestamp}` in it")),
        _ => {}
    }
    if let (None, Some(node)) = (&timestamp, table.get("tolerance_s")) {
        return Err(node.error("needs a `timestamp`"));
    }
    let tolerance = table.whole_or("tolerance_s", 300, 1..MAX_TOLERANCE_S)?;
    let mut words = vec![("plain", None)];
    words.extend(encodings.map(|(name, encoding)| (name, Some(encoding))));
    Ok(Hmac {
        algorithm: table.need("algorithm")?.choice(&algorithms)?,
        encoding: table.need("encoding")?.choice(&encodings)?,
        header: header(&table.need("header")?)?,
        form: form(table, timestamp.as_ref())?,
        signed,
        timestamp,
        tolerance: Duration::from_secs(tolerance),
        secret: SecretForm {
            prefix: table
                .get("secret_prefix")
                .map(|node| visible(&node))
                .transpose()?,
            encoding: table
                .get("secret_encoding")
                .map_or(Ok(None), |node| node.choice(&words))?,
        },
    })
}

fn form(table: &Table<'_>, timestamp: Option<&TimestampSource>) -> Result<Form, ManifestError> {
    if let Some(field) = table.get("signature_field") {
        for key in ["prefix", "list_separator"] {
            if let Some(node) = table.get(key) {
                return Err(node.error("does not go with `signature_field`"));
            }
        }
        let separator = table.get("separator").map_or(Ok(','), |node| character(&node))?;
        return Ok(Form::Fields {
            separator,
            signature: field_name(&field)?,
        });
    }
    if let Some(node) = table.get("separator") {
        return Err(node.error("goes with `signature_field`; between several values stands `list_separator`"));
    }
    if matches!(
        timestamp.map(|source| &source.place),
        Some(TimestampPlace::Field(_))
    ) {
        return Err(table.error(
            "signature_field",
            "is missing: the timestamp is a field of the same header",
        ));
    }
    Ok(Form::Values {
        prefix: table
            .get("prefix")
            .map_or(Ok(String::new()), |node| visible(&node))?,
        separator: table
            .get("list_separator")
            .map(|node| character(&node))
            .transpose()?,
    })
}

fn timestamp(node: &Node<'_>) -> Result<TimestampSource, ManifestError> {
    let table = node.table(&["header", "field", "unit"])?;
    let units = [("s", TimestampUnit::Seconds), ("ms", TimestampUnit::Millis)];
    let unit = table
        .get("unit")
        .map_or(Ok(TimestampUnit::Seconds), |node| node.choice(&units))?;
    let place = match (table.get("header"), table.get("field")) {
        (Some(name), None) => TimestampPlace::Header(header(&name)?),
        (None, Some(field)) => TimestampPlace::Field(field_name(&field)?),
        _ => return Err(node.error("has to have either `header` or `field`")),
    };
    Ok(TimestampSource { place, unit })
}

fn field_name(node: &Node<'_>) -> Result<String, ManifestError> {
    let text = node.raw(64)?;
    let word = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if word {
        Ok(text.to_owned())
    } else {
        Err(node.error("is not a field's name"))
    }
}

fn visible(node: &Node<'_>) -> Result<String, ManifestError> {
    let text = node.raw(64)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if plain {
        Ok(text.to_owned())
    } else {
        Err(node.error("has a character that no header has"))
    }
}

fn character(node: &Node<'_>) -> Result<char, ManifestError> {
    let mut letters = node.raw(4)?.chars();
    let separator = letters
        .next()
        .filter(|c| (c.is_ascii_punctuation() && *c != '=') || *c == ' ');
    match (separator, letters.next()) {
        (Some(separator), None) => Ok(separator),
        _ => Err(node.error("is not one character: a space or a punctuation mark other than `=`")),
    }
}
