//! Webhooks ("Using webhooks", "Webhook reference"). Every delivery becomes one event of ours. A payload shows only what changed of a
//! meeting or a person, so their record is read from Zoom; a finished recording is there whole. The host has checked the signature.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Event, Handled, Receipt, log};

use crate::{api, config};

/// What stands before the dot of the kinds that `connector.toml` declares.
const GROUPS: [&str; 9] = [
    "account",
    "app_deauthorized",
    "meeting",
    "phone",
    "recording",
    "team_chat",
    "user",
    "webinar",
    "workspace",
];

/// With these a day long the recording's files can be had by anybody.
const TOKENS: [&str; 2] = ["download_token", "download_access_token"];

#[derive(Deserialize)]
struct Delivery<'a> {
    #[serde(borrow, default)]
    event: Text<'a>,
    #[serde(borrow, default)]
    event_ts: Id<'a>,
    #[serde(borrow, default)]
    payload: Payload<'a>,
}

#[derive(Default, Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    account_id: Text<'a>,
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    uuid: Text<'a>,
    #[serde(borrow, default)]
    host_id: Text<'a>,
    #[serde(borrow, default)]
    host_email: Text<'a>,
}

/// The account that it is about.
pub(crate) fn route(receipt: &Receipt) -> Result<Vec<String>, Error> {
    let delivery = delivery(receipt)?;
    let account = delivery.payload.account_id.as_str();
    Ok(Some(account.to_owned())
        .filter(|account| !account.is_empty())
        .into_iter()
        .collect())
}

pub(crate) fn handle(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
    let delivery = delivery(receipt)?;
    let kind = delivery.event.as_str();
    if kind.is_empty() {
        return Err(Error::invalid_data("the payload has no `event`"));
    }
    let mut handled = Handled::nothing();
    if !GROUPS.contains(&kind.split('.').next().unwrap_or_default()) {
        log::info("a delivery is of a kind that the manifest does not have: passed over");
        return Ok(handled);
    }
    let text = delivery.payload.object.map_or("", RawValue::get);
    let change = match serde_json::from_str::<Object<'_>>(text) {
        Ok(object) => changed(connection, kind, &object, text)?,
        Err(_) => None,
    };
    match change {
        Some(Found::Record(stream, change)) => handled.changes.push((stream.to_owned(), change)),
        Some(Found::Later(stream)) => handled.resync.push(stream.to_owned()),
        None => {}
    }
    handled.events.push(Event {
        kind: kind.to_owned(),
        // Zoom gives a delivery no id.
        id: receipt.id.clone(),
        occurred: match delivery.event_ts {
            Id::Number(milliseconds) => Some(milliseconds),
            _ => None,
        },
        data: without_tokens(receipt)?,
    });
    Ok(handled)
}

enum Found {
    Record(&'static str, Change),
    /// Only a sync can tell.
    Later(&'static str),
}

fn changed(
    connection: &Connection,
    kind: &str,
    object: &Object<'_>,
    text: &str,
) -> Result<Option<Found>, Error> {
    let id = object.id.to_string();
    Ok(match kind {
        "meeting.created"
        | "meeting.updated"
        | "meeting.permanently_deleted"
        | "meeting.deleted"
        | "meeting.recovered" => match is_wanted(connection, object)? && is_number(&id) {
            true => fetched("meetings", &format!("meetings/{id}"), &id)?,
            false => None,
        },
        "user.created"
        | "user.updated"
        | "user.activated"
        | "user.deactivated"
        | "user.deleted"
        | "user.disassociated"
        | "user.invitation_accepted" => match api::is_user(&id) {
            true => fetched("users", &format!("users/{id}"), &id)?,
            false => None,
        },
        "recording.completed" if is_wanted(connection, object)? => {
            let item = record::item(object.uuid.as_str(), text, None);
            Some(Found::Record("recordings", Change::Upsert(item)))
        }
        "recording.trashed" | "recording.deleted" => {
            let uuid = object.uuid.as_str();
            (!uuid.is_empty()).then(|| Found::Record("recordings", Change::Delete(uuid.to_owned())))
        }
        "recording.recovered"
        | "recording.transcript_completed"
        | "recording.renamed"
        | "recording.batch_trashed"
        | "recording.batch_deleted"
        | "recording.batch_recovered" => Some(Found::Later("recordings")),
        _ => None,
    })
}

/// Whether it is a person's whose meetings are read.
fn is_wanted(connection: &Connection, object: &Object<'_>) -> Result<bool, Error> {
    let config = config::read(connection)?;
    let users = config.users()?;
    let is_named = |user: &String| {
        user == object.host_id.as_str() || user.eq_ignore_ascii_case(object.host_email.as_str())
    };
    Ok(users.is_empty() || users.iter().any(is_named) || object.host_email.as_str().is_empty())
}

/// The record as Zoom has it now ("Get a meeting", "Get a user").
fn fetched(stream: &'static str, path: &str, id: &str) -> Result<Option<Found>, Error> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        id: Id<'a>,
    }
    let response = api::get(path).send()?;
    if response.status == 404 {
        return Ok(Some(Found::Record(stream, Change::Delete(id.to_owned()))));
    }
    let response = api::ok(response)?;
    let head: Head<'_> = response.json()?;
    if head.id.to_string() != id {
        return Err(Error::invalid_data("Zoom has another record under this id"));
    }
    let item = record::item(id, response.text()?, None);
    Ok(Some(Found::Record(stream, Change::Upsert(item))))
}

fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The delivery without what opens recordings.
fn without_tokens(receipt: &Receipt) -> Result<String, Error> {
    let body = body(receipt)?;
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("the payload is not an object: {error}")))?;
    let mut taken = false;
    for name in TOKENS {
        taken |= members.remove(name).is_some();
    }
    match taken {
        true => record::text(&members),
        false => Ok(body.to_owned()),
    }
}

fn body(receipt: &Receipt) -> Result<&str, Error> {
    std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))
}

fn delivery(receipt: &Receipt) -> Result<Delivery<'_>, Error> {
    serde_json::from_str(body(receipt)?)
        .map_err(|error| Error::invalid_data(format!("the payload is not Zoom's JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, connection, receipt};

    fn handled(body: &str) -> Handled {
        handle(&connection("{}"), &receipt(&[], body)).unwrap()
    }

    fn of(event: &str, object: &str) -> String {
        format!(
            r#"{{"event":"{event}","event_ts":1714557600000,"payload":{{"account_id":"a","object":{object}}}}}"#
        )
    }

    #[test]
    fn a_meeting_is_an_event_and_the_record_that_zoom_has() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://api.zoom.us/v2/meetings/97763643886");
            testing::answer(200, &[], include_str!("../fixtures/meeting.json"))
        });
        let handled = handled(include_str!("../fixtures/webhook-meeting-created.json"));
        let event = &handled.events[0];
        assert_eq!(
            (event.kind.as_str(), event.occurred),
            ("meeting.created", Some(1_714_557_600_123))
        );
        let [(stream, Change::Upsert(item))] = &handled.changes[..] else {
            panic!("{:?}", handled.changes)
        };
        assert_eq!((stream.as_str(), item.id.as_str()), ("meetings", "97763643886"));
        assert!(item.data.contains("agenda"));
    }

    #[test]
    fn what_is_gone_is_deleted() {
        testing::serve(|_| testing::answer(404, &[], r#"{"code":3001,"message":"Meeting does not exist"}"#));
        let gone = handled(&of("meeting.deleted", r#"{"id":"97763643886"}"#));
        assert!(matches!(&gone.changes[..], [(_, Change::Delete(id))] if id == "97763643886"));
        let person = handled(&of("user.deleted", r#"{"id":"uMona"}"#));
        assert!(matches!(&person.changes[..], [(stream, Change::Delete(_))] if stream == "users"));
        let recording = handled(&of("recording.trashed", r#"{"id":1,"uuid":"/a=="}"#));
        assert!(matches!(&recording.changes[..], [(_, Change::Delete(id))] if id == "/a=="));
        assert_eq!(handled(&of("recording.recovered", "{}")).resync, ["recordings"]);
    }

    #[test]
    fn a_recording_is_there_whole_and_its_token_is_not_handed_on() {
        let body = include_str!("../fixtures/webhook-recording-completed.json");
        let handled = handled(body);
        assert!(matches!(&handled.changes[..], [(stream, Change::Upsert(item))]
            if stream == "recordings" && item.id == "Lfpb91lDTZmDoors0001==" && item.data.contains("recording_files")));
        assert!(body.contains("made-up-token") && !handled.events[0].data.contains("made-up-token"));
        let others = connection(r#"{"users":["otto@doors.example"]}"#);
        assert!(handle(&others, &receipt(&[], body)).unwrap().changes.is_empty());
    }

    #[test]
    fn what_people_do_in_a_meeting_changes_no_record() {
        testing::serve(|_| testing::answer(500, &[], ""));
        let joined = handled(&of("meeting.participant_joined", r#"{"id":1,"uuid":"a"}"#));
        assert!(joined.changes.is_empty() && joined.events.len() == 1);
        assert!(handled(&of("of_the.future", "{}")).events.is_empty());
        // An id that is none becomes no path.
        assert!(
            handled(&of("meeting.created", r#"{"id":"../users"}"#))
                .changes
                .is_empty()
        );
    }

    #[test]
    fn what_is_not_a_webhook_of_zoom_is_refused() {
        for body in ["", "[1,", "{}", r#"{"event":7}"#, "a=b"] {
            let refused = handle(&connection("{}"), &receipt(&[], body));
            assert!(matches!(refused, Err(Error::InvalidData(_))), "{body}");
        }
        testing::serve(|_| testing::answer(200, &[], r#"{"id":8}"#));
        let other = handle(
            &connection("{}"),
            &receipt(&[], &of("meeting.created", r#"{"id":7}"#)),
        );
        assert!(matches!(other, Err(Error::InvalidData(_))));
    }

    #[test]
    fn the_manifest_declares_these_kinds_and_zooms_recipe() {
        use sluice_model::clock::Timestamp;
        use sluice_model::secret::Secret;
        use sluice_model::signature::Request;
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let webhook = &manifest.webhooks[0];
        let kinds = webhook
            .events
            .iter()
            .map(|event| event.kind.trim_end_matches(".*"));
        assert_eq!(kinds.collect::<Vec<_>>(), GROUPS);
        // "Verify webhook events", with the example's message and a secret of our own, signed by Python's hmac.
        let headers = [
            ("x-zm-request-timestamp".to_owned(), "1739923528".to_owned()),
            (
                "x-zm-signature".to_owned(),
                "v0=4a73b923267be1a85bda9749a69174148ad8c8f98ae5906c38aac202298562c6".to_owned(),
            ),
        ];
        let secret = [Secret::new(b"made-up-secret-token".to_vec())];
        let now = Timestamp::from_millis(1_739_923_528_000);
        let sent = |body: &'static [u8]| Request {
            method: "POST",
            url: "",
            headers: &headers,
            body,
        };
        let body = br#"{"event":"meeting.created","payload":{"account_id":"a"}}"#;
        assert!(webhook.recipe.verify(&sent(body), &secret, None, now).is_ok());
        assert!(webhook.recipe.verify(&sent(b"{}"), &secret, None, now).is_err());
        let later = Timestamp::from_millis(1_739_924_000_000);
        assert!(webhook.recipe.verify(&sent(body), &secret, None, later).is_err());
    }
}
