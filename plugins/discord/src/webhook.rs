//! What Discord sends: interactions ("Receiving and Responding to Interactions"), which want an answer at once, and webhook events
//! ("Webhook Events"). Each becomes one event of ours. The host has checked the signature, and answered the question that comes
//! before the first interaction.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Event, Handled, Receipt, Reply, log};

use crate::interaction::{self, Pending};
use crate::streams::messages;
use crate::{api, config};

/// The webhook events that `connector.toml` declares, in small letters.
pub(crate) const EVENTS: [&str; 12] = [
    "application_authorized",
    "application_deauthorized",
    "entitlement_create",
    "entitlement_delete",
    "entitlement_update",
    "game_direct_message_create",
    "game_direct_message_delete",
    "game_direct_message_update",
    "lobby_message_create",
    "lobby_message_delete",
    "lobby_message_update",
    "quest_user_enrollment",
];

/// Only who used the command sees the message ("Message Flags").
const EPHEMERAL: u64 = 64;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "type", default)]
    kind: Option<u64>,
    #[serde(borrow, default)]
    application_id: Text<'a>,
    /// Of an interaction.
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    token: Text<'a>,
    /// Of a button: the message that it is on.
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    /// Of a webhook event.
    #[serde(borrow, default)]
    event: Option<Inner<'a>>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    timestamp: Text<'a>,
}

/// The app that it is about.
pub(crate) fn route(receipt: &Receipt) -> Result<Vec<String>, Error> {
    let body = read(text(receipt)?)?;
    let app = body.application_id.as_str();
    Ok(Some(app.to_owned())
        .filter(|app| api::is_id(app))
        .into_iter()
        .collect())
}

pub(crate) fn handle(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
    let text = text(receipt)?;
    let body = read(text)?;
    match (body.kind, &body.event) {
        // The question that comes before the first webhook event.
        (Some(0), None) => Ok(answered(Handled::nothing(), no_content())),
        (Some(1), Some(event)) => Ok(answered(happened(event, text, receipt), no_content())),
        (Some(kind), None) => interacted(connection, kind, &body, text),
        _ => Err(Error::invalid_data(
            "neither an interaction nor a webhook event of Discord's",
        )),
    }
}

fn happened(event: &Inner<'_>, text: &str, receipt: &Receipt) -> Handled {
    let kind = event.kind.as_str().to_ascii_lowercase();
    let mut handled = Handled::nothing();
    if !EVENTS.contains(&kind.as_str()) {
        log::info("an event is of a kind that the manifest does not have: passed over");
        return handled;
    }
    if kind.starts_with("application_") {
        // Which servers the bot is in.
        handled
            .resync
            .extend(["guilds".to_owned(), "channels".to_owned()]);
    }
    handled.events.push(Event {
        kind,
        // Discord gives an event no id.
        id: receipt.id.clone(),
        occurred: api::timestamp(event.timestamp.as_str()),
        data: text.to_owned(),
    });
    handled
}

fn interacted(connection: &Connection, kind: u64, body: &Body<'_>, text: &str) -> Result<Handled, Error> {
    let private = config::read(connection)?.private_replies;
    let flags = if private {
        json!({"flags": EPHEMERAL})
    } else {
        json!({})
    };
    // "Interaction Callback Type": the answer comes later (5), the message stays as it is (6), nothing to choose from (8).
    let (name, reply) = match kind {
        2 => ("interaction.command", json!({"type": 5, "data": flags})),
        3 => ("interaction.component", json!({"type": 6})),
        4 => (
            "interaction.autocomplete",
            json!({"type": 8, "data": {"choices": []}}),
        ),
        5 => ("interaction.modal", json!({"type": 5, "data": flags})),
        _ => {
            return Err(Error::invalid_data(
                "an interaction of a kind that Discord does not document",
            ));
        }
    };
    let id = body.id.as_str();
    let pending = Pending {
        application: body.application_id.as_str().to_owned(),
        token: body.token.as_str().to_owned(),
    };
    interaction::keep(id, &pending)?;
    let mut handled = Handled::nothing();
    if let Some(change) = body
        .message
        .map(|message| shown(connection, message))
        .transpose()?
    {
        handled
            .changes
            .extend(change.map(|change| ("messages".to_owned(), change)));
    }
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text)
        .map_err(|error| Error::invalid_data(format!("the payload is not an object: {error}")))?;
    members.remove("token");
    handled.events.push(Event {
        kind: name.to_owned(),
        id: id.to_owned(),
        occurred: id.parse().ok().map(api::made),
        data: record::text(&members)?,
    });
    let reply = Reply {
        status: 200,
        content_type: "application/json".to_owned(),
        body: record::text(&reply)?.into_bytes(),
    };
    Ok(answered(handled, reply))
}

/// The message that a button is on, as it is now. Of one that only one person sees there is no record.
fn shown(connection: &Connection, message: &RawValue) -> Result<Option<Change>, Error> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        channel_id: Text<'a>,
        #[serde(default)]
        flags: u64,
    }
    let head: Head<'_> = serde_json::from_str(message.get())
        .map_err(|error| Error::invalid_data(format!("not a message: {error}")))?;
    if head.flags & EPHEMERAL != 0 || !messages::is_wanted(connection, head.channel_id.as_str())? {
        return Ok(None);
    }
    Ok(Some(Change::Upsert(messages::record_of(message.get())?)))
}

fn answered(handled: Handled, reply: Reply) -> Handled {
    Handled {
        reply: Some(reply),
        ..handled
    }
}

fn no_content() -> Reply {
    Reply {
        status: 204,
        content_type: "application/json".to_owned(),
        body: Vec::new(),
    }
}

fn text(receipt: &Receipt) -> Result<&str, Error> {
    std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))
}

fn read(text: &str) -> Result<Body<'_>, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::invalid_data(format!("the payload is not Discord's JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{connection, receipt};

    fn handled(config: &str, body: &str) -> Handled {
        handle(&connection(config), &receipt(&[], body)).unwrap()
    }

    fn reply(handled: &Handled) -> (u16, String) {
        let reply = handled.reply.as_ref().unwrap();
        (reply.status, String::from_utf8(reply.body.clone()).unwrap())
    }

    #[test]
    fn a_command_is_an_event_without_its_token_and_is_answered_at_once() {
        let body = include_str!("../fixtures/interaction-command.json");
        let first = handled("{}", body);
        assert_eq!(reply(&first), (200, r#"{"data":{},"type":5}"#.to_owned()));
        let event = &first.events[0];
        assert_eq!(
            (event.kind.as_str(), event.id.as_str()),
            ("interaction.command", "1235000000000000007")
        );
        assert!(
            body.contains("made-up-interaction-token") && !event.data.contains("made-up-interaction-token")
        );
        assert_eq!(
            interaction::pending("1235000000000000007").unwrap().token,
            "made-up-interaction-token"
        );
        let private = handled(r#"{"private_replies":true}"#, body);
        assert_eq!(reply(&private).1, r#"{"data":{"flags":64},"type":5}"#);
    }

    #[test]
    fn a_button_shows_the_message_that_it_is_on() {
        let body = |kind: u64, flags: u64| {
            format!(
                r#"{{"type":{kind},"id":"1235000000000000008","application_id":"1234567890123456789","token":"t","message":{{"id":"1235000000000000001","channel_id":"399942396007890945","flags":{flags}}}}}"#
            )
        };
        let pressed = handled("{}", &body(3, 0));
        assert_eq!(reply(&pressed).1, r#"{"type":6}"#);
        assert!(matches!(&pressed.changes[..], [(stream, Change::Upsert(item))]
            if stream == "messages" && item.id == "1235000000000000001"));
        assert!(handled("{}", &body(3, 64)).changes.is_empty());
        let others = r#"{"channels":["399942396007890946"]}"#;
        assert!(handled(others, &body(3, 0)).changes.is_empty());
        assert_eq!(
            reply(&handled("{}", &body(4, 0))).1,
            r#"{"data":{"choices":[]},"type":8}"#
        );
        assert_eq!(handled("{}", &body(5, 0)).events[0].kind, "interaction.modal");
    }

    #[test]
    fn webhook_events_are_acknowledged_as_discord_wants_it() {
        let event = handled(
            "{}",
            include_str!("../fixtures/webhook-application-authorized.json"),
        );
        assert_eq!(reply(&event), (204, String::new()));
        assert_eq!(event.resync, ["guilds", "channels"]);
        assert_eq!(event.events[0].kind, "application_authorized");
        assert_eq!(event.events[0].occurred, Some(1_729_193_222_857));
        let asked = handled(
            "{}",
            r#"{"version":1,"application_id":"1234567890123456789","type":0}"#,
        );
        assert_eq!((reply(&asked).0, asked.events.len()), (204, 0));
        let later = r#"{"type":1,"event":{"type":"OF_THE_FUTURE"}}"#;
        assert!(handled("{}", later).events.is_empty());
    }

    #[test]
    fn what_is_not_of_discord_is_refused() {
        for body in [
            "",
            "[1,",
            "{}",
            r#"{"type":9}"#,
            r#"{"type":2,"id":"x"}"#,
            "a=b",
            r#"{"type":2,"id":"1235000000000000008","application_id":"1234567890123456789","token":"../x"}"#,
        ] {
            let refused = handle(&connection("{}"), &receipt(&[], body));
            assert!(matches!(refused, Err(Error::InvalidData(_))), "{body}");
        }
    }

    #[test]
    fn the_manifest_declares_these_kinds() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let of = |name: &str| -> Vec<String> {
            let events = &manifest.webhook(name).unwrap().events;
            events.iter().map(|event| event.kind.clone()).collect()
        };
        assert_eq!(of("events"), EVENTS);
        assert!(
            of("interactions")
                .iter()
                .all(|kind| kind.starts_with("interaction."))
        );
    }
}
