//! The Events API (Slack docs, "The Events API"). Every event becomes one event of ours; those that carry a whole record of a
//! stream change it too. The host has checked the signature.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Event, Handled, Receipt, Reply, log};

use crate::{config, streams::messages};

/// The kinds that `connector.toml` declares; of `message` also those below it.
const KINDS: [&str; 24] = [
    "app_mention",
    "app_rate_limited",
    "app_uninstalled",
    "channel_archive",
    "channel_created",
    "channel_deleted",
    "channel_left",
    "channel_rename",
    "channel_unarchive",
    "emoji_changed",
    "file_shared",
    "group_archive",
    "group_left",
    "group_rename",
    "link_shared",
    "member_joined_channel",
    "member_left_channel",
    "message",
    "reaction_added",
    "reaction_removed",
    "team_join",
    "team_rename",
    "tokens_revoked",
    "user_change",
];

/// The longest challenge that is answered: Slack's have some 50 letters.
const MAX_CHALLENGE_BYTES: usize = 512;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    challenge: Text<'a>,
    #[serde(borrow, default)]
    team_id: Text<'a>,
    #[serde(borrow, default)]
    event_id: Text<'a>,
    #[serde(borrow, default)]
    event_time: Id<'a>,
    #[serde(borrow, default)]
    minute_rate_limited: Id<'a>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    subtype: Text<'a>,
    #[serde(borrow, default)]
    deleted_ts: Text<'a>,
    /// An id, or in some events an object.
    #[serde(borrow, default)]
    channel: Text<'a>,
    /// Of `message_changed`: the message as it is now.
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    /// An id, or the whole person.
    #[serde(borrow, default)]
    user: Option<&'a RawValue>,
}

pub(crate) fn handle(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
    let body = body(receipt)?;
    let payload = payload(body)?;
    match payload.kind.as_str() {
        "url_verification" => challenge(payload.challenge.as_str()),
        "app_rate_limited" => {
            let minute = payload.minute_rate_limited.to_string();
            let id = format!("app_rate_limited-{}-{minute}", payload.team_id.as_str());
            let mut handled = Handled::nothing();
            // What was not sent is read.
            handled.resync.push("messages".to_owned());
            handled
                .events
                .push(event("app_rate_limited".to_owned(), &id, &payload, body)?);
            Ok(handled)
        }
        "event_callback" => callback(connection, &payload, body),
        other => Err(Error::invalid_data(format!(
            "not a payload of the Events API: its `type` is `{}`",
            other
                .chars()
                .filter(|c| !c.is_control())
                .take(50)
                .collect::<String>()
        ))),
    }
}

/// Slack docs, "url_verification event": the challenge comes back as plain text.
fn challenge(challenge: &str) -> Result<Handled, Error> {
    let plain = challenge
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if challenge.is_empty() || challenge.len() > MAX_CHALLENGE_BYTES || !plain {
        return Err(Error::invalid_data("not a challenge of Slack's"));
    }
    Ok(Handled {
        reply: Some(Reply {
            status: 200,
            content_type: "text/plain; charset=utf-8".to_owned(),
            body: challenge.as_bytes().to_vec(),
        }),
        ..Handled::nothing()
    })
}

fn callback(connection: &Connection, payload: &Payload<'_>, body: &str) -> Result<Handled, Error> {
    let text = payload.event.map_or("", RawValue::get);
    let inner: Inner<'_> = serde_json::from_str(text)
        .map_err(|error| Error::invalid_data(format!("the payload has no usable `event`: {error}")))?;
    let id = payload.event_id.as_str();
    if id.is_empty() {
        return Err(Error::invalid_data("the payload has no `event_id`"));
    }
    let kind = inner.kind.as_str();
    let mut handled = Handled::nothing();
    if !KINDS.contains(&kind) {
        log::info(&format!(
            "event {id} is of a kind that the manifest does not have: passed over"
        ));
        return Ok(handled);
    }
    match kind {
        "message" => {
            let change = message(connection, &inner, text)?;
            handled
                .changes
                .extend(change.map(|change| ("messages".to_owned(), change)));
        }
        "team_join" | "user_change" => {
            let change = inner.user.map(|user| person(user.get())).transpose()?;
            handled
                .changes
                .extend(change.map(|change| ("users".to_owned(), change)));
        }
        "channel_archive" | "channel_created" | "channel_deleted" | "channel_left" | "channel_rename"
        | "channel_unarchive" | "group_archive" | "group_left" | "group_rename" => {
            handled.resync.push("channels".to_owned());
        }
        _ => {}
    }
    handled
        .events
        .push(event(kind_of(kind, inner.subtype.as_str()), id, payload, body)?);
    Ok(handled)
}

/// `message.channel_join` and the like; a subtype that is no word is left out.
fn kind_of(kind: &str, subtype: &str) -> String {
    let word = (1..=64).contains(&subtype.len())
        && subtype
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if kind == "message" && word {
        return format!("message.{subtype}");
    }
    kind.to_owned()
}

/// What a message's event changes: nothing in direct messages, nor in channels that the configuration leaves out.
fn message(connection: &Connection, inner: &Inner<'_>, text: &str) -> Result<Option<Change>, Error> {
    let channel = inner.channel.as_str();
    let left_out = config::channels(connection)?.is_some_and(|named| !named.iter().any(|id| id == channel));
    if !config::is_channel(channel) || left_out {
        return Ok(None);
    }
    match inner.subtype.as_str() {
        "message_deleted" => {
            let id = messages::id(channel, inner.deleted_ts.as_str());
            Ok(Some(id).filter(|id| !id.is_empty()).map(Change::Delete))
        }
        // `message_replied` tells that a thread grew; its message is the thread's first.
        "message_changed" | "message_replied" => inner
            .message
            .map(|message| messages::record_of(channel, message.get()).map(Change::Upsert))
            .transpose(),
        _ => messages::record_of(channel, text).map(|item| Some(Change::Upsert(item))),
    }
}

fn person(text: &str) -> Result<Change, Error> {
    #[derive(Deserialize)]
    struct User<'a> {
        #[serde(borrow, default)]
        id: Text<'a>,
        #[serde(borrow, default)]
        updated: Id<'a>,
    }
    let user: User<'_> =
        serde_json::from_str(text).map_err(|error| Error::invalid_data(format!("not a user: {error}")))?;
    let modified = match user.updated {
        Id::Number(seconds) => seconds.checked_mul(1_000),
        _ => None,
    };
    Ok(Change::Upsert(record::item(user.id.as_str(), text, modified)))
}

/// The payload as an event, without Slack's verification token: whoever has it could once pose as Slack.
fn event(kind: String, id: &str, payload: &Payload<'_>, body: &str) -> Result<Event, Error> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not an object: {error}")))?;
    members.remove("token");
    Ok(Event {
        kind,
        id: id.to_owned(),
        occurred: match payload.event_time {
            Id::Number(seconds) => seconds.checked_mul(1_000),
            _ => None,
        },
        data: record::text(&members)?,
    })
}

fn body(receipt: &Receipt) -> Result<&str, Error> {
    std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))
}

fn payload(body: &str) -> Result<Payload<'_>, Error> {
    serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{connection, receipt};

    fn handled(config: &str, event: &str) -> Handled {
        let body = format!(
            r#"{{"token":"old","team_id":"T1","type":"event_callback","event_id":"Ev1","event_time":1714557600,"event":{event}}}"#
        );
        handle(&connection(config), &receipt(&[], &body)).unwrap()
    }

    #[test]
    fn a_message_is_an_event_and_a_record() {
        let body = include_str!("../fixtures/webhook-message.json");
        let handled = handle(&connection("{}"), &receipt(&[], body)).unwrap();
        let event = &handled.events[0];
        assert_eq!((event.kind.as_str(), event.id.as_str()), ("message", "Ev0DOOR"));
        assert_eq!(event.occurred, Some(1_714_557_600_000));
        assert!(!event.data.contains("\"token\"") && event.data.contains("creaks"));
        let [(stream, Change::Upsert(item))] = &handled.changes[..] else {
            panic!("{:?}", handled.changes)
        };
        assert_eq!(
            (stream.as_str(), item.id.as_str()),
            ("messages", "C0GENERAL/1714557600.000100")
        );
    }

    #[test]
    fn edits_and_deletions_change_the_record() {
        let edited = handled(
            "{}",
            r#"{"type":"message","subtype":"message_changed","channel":"C1","ts":"1714557700.000000","message":{"ts":"1714557600.000100","text":"b"}}"#,
        );
        assert_eq!(edited.events[0].kind, "message.message_changed");
        assert!(
            matches!(&edited.changes[..], [(_, Change::Upsert(item))] if item.id == "C1/1714557600.000100")
        );
        let deleted = handled(
            "{}",
            r#"{"type":"message","subtype":"message_deleted","channel":"C1","deleted_ts":"1714557600.000100"}"#,
        );
        assert!(matches!(&deleted.changes[..], [(_, Change::Delete(id))] if id == "C1/1714557600.000100"));
    }

    #[test]
    fn direct_messages_and_channels_left_out_change_no_record() {
        let direct = handled(
            "{}",
            r#"{"type":"message","channel":"D1","ts":"1714557600.000100"}"#,
        );
        assert!(direct.changes.is_empty() && direct.events.len() == 1);
        let other = handled(
            r#"{"channels":["C2"]}"#,
            r#"{"type":"message","channel":"C1","ts":"1714557600.000100"}"#,
        );
        assert!(other.changes.is_empty());
    }

    #[test]
    fn people_and_channels_are_kept_up() {
        let joined = handled(
            "{}",
            r#"{"type":"team_join","user":{"id":"U2","updated":1714557600}}"#,
        );
        assert!(
            matches!(&joined.changes[..], [(stream, Change::Upsert(item))] if stream == "users" && item.id == "U2")
        );
        let made = handled("{}", r#"{"type":"channel_created","channel":{"id":"C7"}}"#);
        assert_eq!(made.resync, ["channels"]);
        assert!(handled("{}", r#"{"type":"star_added"}"#).events.is_empty());
    }

    #[test]
    fn a_challenge_is_answered_as_plain_text() {
        let answer = |text: &str| {
            let body = format!(r#"{{"token":"old","type":"url_verification","challenge":"{text}"}}"#);
            handle(&connection("{}"), &receipt(&[], &body))
        };
        let reply = answer("3eZbrw1aB.a-b_c").unwrap().reply.unwrap();
        assert_eq!((reply.status, reply.body), (200, b"3eZbrw1aB.a-b_c".to_vec()));
        assert!(reply.content_type.starts_with("text/plain"));
        for bad in ["", "<script>", "a b", &"a".repeat(600)] {
            assert!(matches!(answer(bad), Err(Error::InvalidData(_))), "{bad}");
        }
    }

    #[test]
    fn a_missed_minute_is_read_again() {
        let body = r#"{"type":"app_rate_limited","team_id":"T1","minute_rate_limited":1714557600}"#;
        let handled = handle(&connection("{}"), &receipt(&[], body)).unwrap();
        assert_eq!(handled.resync, ["messages"]);
        assert_eq!(handled.events[0].id, "app_rate_limited-T1-1714557600");
    }

    #[test]
    fn what_is_not_a_webhook_of_slack_is_refused() {
        for body in [
            "",
            "[1,",
            "{}",
            r#"{"type":"event_callback","event_id":"Ev1"}"#,
            r#"{"type":"event_callback","event_id":"Ev1","event":7}"#,
            r#"{"type":"event_callback","event":{"type":"message"}}"#,
            "payload=%7B%7D",
        ] {
            let refused = handle(&connection("{}"), &receipt(&[], body));
            assert!(matches!(refused, Err(Error::InvalidData(_))), "{body}");
        }
    }

    #[test]
    fn the_manifest_declares_these_kinds() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let kinds: Vec<&str> = manifest
            .webhook("events")
            .unwrap()
            .events
            .iter()
            .map(|event| event.kind.trim_end_matches(".*"))
            .collect();
        assert_eq!(kinds, KINDS);
    }

    /// What the manifest's recipe makes of a payload is what Slack's documentation makes of it ("Verifying requests from
    /// Slack"), so a receipt gets as far as this file.
    #[test]
    fn the_recipe_is_slacks() {
        use sluice_model::clock::Timestamp;
        use sluice_model::secret::Secret;
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let recipe = &manifest.webhooks[0].recipe;
        assert!(manifest.webhooks.iter().all(|webhook| webhook.recipe == *recipe));
        let (secret, now) = (
            Secret::new(b"signing".to_vec()),
            Timestamp::from_millis(1_795_000_000_000),
        );
        let headers = recipe.sign(&sent(&[], b"{}"), &secret, now);
        assert_eq!(
            headers[0],
            ("x-slack-request-timestamp".to_owned(), "1795000000".to_owned())
        );
        assert_eq!(headers[1].0, "x-slack-signature");
        assert!(headers[1].1.starts_with("v0="));
        assert!(
            recipe
                .verify(&sent(&headers, b"{}"), std::slice::from_ref(&secret), None, now)
                .is_ok()
        );
        assert!(
            recipe
                .verify(&sent(&headers, b"{ }"), &[secret], None, now)
                .is_err()
        );
    }

    /// What Sluice makes of a delivery before it is verified.
    fn sent<'a>(headers: &'a [(String, String)], body: &'a [u8]) -> sluice_model::signature::Request<'a> {
        sluice_model::signature::Request {
            method: "POST",
            url: "",
            headers,
            body,
        }
    }
}
