//! Channels (Calendar API, "Push notifications"; Drive API, "Notifications for resource changes"). There is one for each calendar's events,
//! one for the list of calendars and one for Drive, all with the address and the secret of the hook as their token. They end within a
//! week, and a new one takes the place of one that ends.
//!
//! Google lists no channels, and stops one only by its resource's id, which the answer says that made it. So their ids are made of the
//! hook's address and a turn: one whose answer was lost is met when its id is refused, and what it is a channel of is learned from the
//! one of the next turn.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sluice_sdk::http::{self, Response};
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Connection, Error, Registration, secrets};

use crate::{api, config};

/// A week, which is the most that Drive takes.
const LIFE_MS: u64 = 7 * 86_400_000;
/// Turns that may be taken by channels whose answers were lost.
const MOST_LOST: u64 = 8;

/// What is kept of a registration; the address alone of a try of which nothing else is known.
#[derive(Serialize, Deserialize)]
struct State {
    url: String,
    #[serde(default)]
    turn: u64,
    #[serde(default)]
    channels: Vec<Channel>,
}

#[derive(Serialize, Deserialize)]
struct Channel {
    /// Where it is of: `calendar` or `drive`.
    api: String,
    id: String,
    resource: String,
    #[serde(default)]
    of: String,
}

/// What a channel can be of.
#[derive(Clone)]
enum Of {
    Events(String),
    Calendars,
    Files,
}

impl Of {
    fn read(text: &str) -> Self {
        match text.split_once(' ') {
            Some((_, calendar)) => Self::Events(calendar.to_owned()),
            None if text == "calendars" => Self::Calendars,
            None => Self::Files,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Events(calendar) => format!("events {calendar}"),
            Self::Calendars => "calendars".to_owned(),
            Self::Files => "files".to_owned(),
        }
    }

    const fn api(&self) -> &'static str {
        match self {
            Self::Files => "drive",
            Self::Events(_) | Self::Calendars => "calendar",
        }
    }

    fn request(&self) -> Result<http::Request, Error> {
        let path = match self {
            Self::Events(calendar) => {
                format!("calendar/v3/calendars/{}/events/watch", http::encode(calendar))
            }
            Self::Calendars => "calendar/v3/users/me/calendarList/watch".to_owned(),
            Self::Files => "drive/v3/changes/watch".to_owned(),
        };
        let request = http::post(format!("{}/{path}", api::ROOT));
        if !matches!(self, Self::Files) {
            return Ok(request);
        }
        Ok(request
            .query("pageToken", &start()?)
            .query("includeItemsFromAllDrives", "true")
            .query("supportsAllDrives", "true"))
    }
}

/// Where Drive's changes are now; of what was before nobody is told.
fn start() -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Start<'a> {
        #[serde(rename = "startPageToken", borrow, default)]
        token: Text<'a>,
    }
    let asked =
        api::get(format!("{}/drive/v3/changes/startPageToken", api::ROOT)).query("supportsAllDrives", "true");
    let response = api::ok(asked.send()?)?;
    let start: Start<'_> = response.json()?;
    api::token(&start.token, None)?.ok_or_else(|| Error::invalid_data("Google gives no `startPageToken`"))
}

pub(crate) fn register(
    connection: &Connection,
    url: &str,
    events: &[String],
    now: u64,
) -> Result<Registration, Error> {
    let mut all = Vec::new();
    if events.iter().any(|kind| kind == "events.changed") {
        all.extend(config::calendars(connection)?.into_iter().map(Of::Events));
    }
    if events.iter().any(|kind| kind == "calendars.changed") {
        all.push(Of::Calendars);
    }
    if events.iter().any(|kind| kind == "files.changed") {
        all.push(Of::Files);
    }
    opened(url, &all, 0, now)
}

pub(crate) fn renew(registration: &Registration, now: u64) -> Result<Registration, Error> {
    let state: State = record::input(&registration.state)?;
    let all: Vec<Of> = state
        .channels
        .iter()
        .map(|channel| Of::read(&channel.of))
        .collect();
    if all.is_empty() {
        return Err(Error::invalid_data("the registration has no channels"));
    }
    let renewed = opened(&state.url, &all, state.turn + 1, now)?;
    for channel in &state.channels {
        stop(channel)?;
    }
    Ok(renewed)
}

pub(crate) fn unregister(
    connection: &Connection,
    registration: &Registration,
    now: u64,
) -> Result<(), Error> {
    let mut state: State = record::input(&registration.state)?;
    if state.channels.is_empty() {
        // What may be there is learned by making others, which stops it; these are stopped below.
        let kinds = ["events.changed", "calendars.changed", "files.changed"].map(str::to_owned);
        let made = register(connection, &state.url, &kinds, now)?;
        state = record::input(&made.state)?;
    }
    state.channels.iter().try_for_each(stop)
}

/// A channel for each, of this turn or the first after it that is free; those of the turns between are stopped.
fn opened(url: &str, all: &[Of], turn: u64, now: u64) -> Result<Registration, Error> {
    let secret = secrets::of_webhook();
    let token = secret.map(|secret| secret.placeholder());
    let token = token.ok_or_else(|| Error::internal("the hook has no secret to be sent"))?;
    let mut state = State {
        url: url.to_owned(),
        turn,
        channels: Vec::new(),
    };
    let mut ends = now.saturating_add(LIFE_MS);
    for (number, of) in all.iter().enumerate() {
        let id = |turn: u64| format!("{}-{number}-{turn}", name(url));
        let mut found = None;
        for lost in 0..=MOST_LOST {
            let body = json!({
                "id": id(turn + lost), "type": "web_hook", "address": url, "token": token,
                "expiration": now.saturating_add(LIFE_MS).to_string(),
            });
            let response = of.request()?.json(&body)?.send()?;
            if !is_taken(&response) {
                found = Some((turn + lost, api::ok(response)?));
                break;
            }
        }
        let (at, response) =
            found.ok_or_else(|| Error::transient("Google has too many channels of this hook"))?;
        let (resource, end) = made(&response)?;
        ends = ends.min(end.unwrap_or(ends));
        let channel = |turn: u64| Channel {
            api: of.api().to_owned(),
            id: id(turn),
            resource: resource.clone(),
            of: of.text(),
        };
        for lost in turn..at {
            stop(&channel(lost))?;
        }
        state.turn = state.turn.max(at);
        state.channels.push(channel(at));
    }
    let Some(first) = state.channels.first() else {
        return Err(Error::unsupported(
            "none of these events is one that Google tells of",
        ));
    };
    Ok(Registration {
        id: first.id.clone(),
        expires: Some(ends),
        state: record::text(&state)?,
    })
}

/// The resource's id and when the channel ends, in milliseconds.
fn made(response: &Response) -> Result<(String, Option<u64>), Error> {
    #[derive(Deserialize)]
    struct Made<'a> {
        #[serde(rename = "resourceId", borrow, default)]
        resource: Text<'a>,
        /// A number as a text, or as it is.
        #[serde(borrow, default)]
        expiration: Id<'a>,
    }
    let made: Made<'_> = response.json()?;
    let resource = made.resource.as_str();
    if resource.is_empty() {
        return Err(Error::invalid_data("Google's channel has no `resourceId`"));
    }
    Ok((resource.to_owned(), made.expiration.to_string().parse().ok()))
}

/// The channel's id is one that is open ("channelIdNotUnique").
fn is_taken(response: &Response) -> bool {
    response.status == 400 && api::reason(response) == "channelIdNotUnique"
}

/// One that is gone is stopped.
fn stop(channel: &Channel) -> Result<(), Error> {
    let body = json!({"id": channel.id, "resourceId": channel.resource});
    let address = match channel.api.as_str() {
        "drive" => format!("{}/drive/v3/channels/stop", api::ROOT),
        _ => format!("{}/calendar/v3/channels/stop", api::ROOT),
    };
    let response = http::post(address).json(&body)?.send()?;
    match response.status {
        404 => Ok(()),
        _ => api::ok(response).map(drop),
    }
}

/// What tells a hook's channels: the end of its address, of the characters that Google takes.
fn name(url: &str) -> String {
    let last = url.rsplit('/').next().unwrap_or_default();
    last.chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .take(48)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const NOW: u64 = 1_767_700_000_000;

    fn all() -> Vec<String> {
        ["events.changed", "calendars.changed", "files.changed"]
            .map(str::to_owned)
            .to_vec()
    }

    fn connection() -> Connection {
        testing::connection(r#"{"calendars":["primary","team@example.com"]}"#)
    }

    /// Google, where these channels are open.
    fn serve(open: &'static [&'static str]) {
        testing::give_webhook_secret(true);
        testing::serve(move |request| {
            if request.url().contains("startPageToken") {
                return answer(200, &[], r#"{"startPageToken":"70"}"#);
            }
            let body: Value = serde_json::from_slice(request.content().unwrap()).unwrap();
            match request.url().ends_with("/stop") {
                true => answer(204, &[], ""),
                false if open.contains(&body["id"].as_str().unwrap()) => {
                    answer(400, &[], include_str!("../fixtures/channel-taken.json"))
                }
                false => answer(200, &[], include_str!("../fixtures/channel.json")),
            }
        });
    }

    fn asked() -> Vec<String> {
        let of = |request: &http::Request| {
            let rest = request.url().strip_prefix("https://www.googleapis.com/").unwrap();
            let body = request
                .content()
                .map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
            format!(
                "{} {}",
                rest.split('?').next().unwrap(),
                body["id"].as_str().unwrap_or("-")
            )
        };
        testing::requests().iter().map(of).collect()
    }

    #[test]
    fn each_is_one_channel_with_the_secret_as_its_token() {
        serve(&[]);
        let made = register(&connection(), URL, &all(), NOW).unwrap();
        assert_eq!(
            (made.id.as_str(), made.expires),
            ("hok_1-0-0", Some(1_768_000_000_000))
        );
        assert_eq!(
            asked(),
            [
                "calendar/v3/calendars/primary/events/watch hok_1-0-0",
                "calendar/v3/calendars/team%40example.com/events/watch hok_1-1-0",
                "calendar/v3/users/me/calendarList/watch hok_1-2-0",
                "drive/v3/changes/startPageToken -",
                "drive/v3/changes/watch hok_1-3-0",
            ]
        );
        let body: Value = serde_json::from_slice(testing::requests()[0].content().unwrap()).unwrap();
        assert_eq!(
            (&body["token"], &body["address"]),
            (&json!("sluice-placeholder-webhook"), &json!(URL))
        );
        // A new one is there before the old one goes.
        serve(&[]);
        let renewed = renew(&made, NOW).unwrap();
        assert_eq!(renewed.id, "hok_1-0-1");
        let steps = asked();
        assert_eq!(steps[4], "drive/v3/changes/watch hok_1-3-1");
        assert_eq!(steps[5], "calendar/v3/channels/stop hok_1-0-0");
        assert_eq!(steps[8], "drive/v3/channels/stop hok_1-3-0");
        serve(&[]);
        unregister(&connection(), &renewed, NOW).unwrap();
        assert_eq!(asked().len(), 4);
    }

    #[test]
    fn one_whose_answer_was_lost_is_met_and_stopped() {
        serve(&["hok_1-0-0"]);
        let made = register(&connection(), URL, &["calendars.changed".to_owned()], NOW).unwrap();
        assert_eq!(made.id, "hok_1-0-1");
        let list = "calendar/v3/users/me/calendarList/watch";
        assert_eq!(
            asked(),
            [
                format!("{list} hok_1-0-0"),
                format!("{list} hok_1-0-1"),
                "calendar/v3/channels/stop hok_1-0-0".to_owned()
            ]
        );
        serve(&["hok_1-0-0"]);
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({ "url": URL }).to_string(),
        };
        unregister(&connection(), &lost, NOW).unwrap();
        let stopped: Vec<String> = asked()
            .into_iter()
            .filter(|line| line.contains("/stop "))
            .collect();
        assert!(
            stopped.contains(&"calendar/v3/channels/stop hok_1-0-0".to_owned()),
            "{stopped:?}"
        );
        assert_eq!(stopped.len(), 5);
    }

    #[test]
    fn refusals_are_errors() {
        testing::give_webhook_secret(true);
        for (status, body) in [(401, "{}"), (403, "{}"), (200, "{}"), (503, "")] {
            testing::serve(move |_| answer(status, &[], body));
            assert!(register(&connection(), URL, &all(), NOW).is_err(), "{status}");
        }
        assert!(matches!(
            register(&connection(), URL, &[], NOW),
            Err(Error::Unsupported(_))
        ));
    }
}
