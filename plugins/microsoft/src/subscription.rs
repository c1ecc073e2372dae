//! Setting subscriptions up ("Create subscription", "Update subscription", "Reduce missing change notifications"). Graph has one for each
//! folder and one for the calendar, all with the address and the secret of the hook as their clientState; each ends within three days.
//!
//! They are known by their address, which no other hook has. New ones are made before those of an earlier try are ended, so that
//! nothing goes untold in between; a clientState cannot be changed.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Connection, Error, Registration, paging, secrets, time};

use crate::{api, config};

/// Of 4,230 minutes, which is the most that Outlook's resources had for long.
const LIFE_MS: u64 = 4_200 * 60_000;
/// Pages of an app's subscriptions that are looked through.
const MOST_PAGES: usize = 100;

#[derive(Deserialize)]
struct Subscription<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(rename = "notificationUrl", borrow, default)]
    url: Text<'a>,
    #[serde(rename = "expirationDateTime", borrow, default)]
    expires: Text<'a>,
}

/// What is kept of a registration: the subscriptions; the address alone of a try of which nothing else is known.
#[derive(Deserialize)]
struct State {
    url: String,
    #[serde(default)]
    ids: Vec<String>,
}

pub(crate) fn register(
    connection: &Connection,
    url: &str,
    events: &[String],
    now: u64,
) -> Result<Registration, Error> {
    let secret = secrets::of_webhook().ok_or_else(|| Error::internal("the hook has no secret to be sent"))?;
    let before = listed(url)?;
    let mut ids = Vec::new();
    let mut ends = now.saturating_add(LIFE_MS);
    for (resource, changes) in wanted(connection, events)? {
        let body = json!({
            "changeType": changes, "resource": resource, "notificationUrl": url, "lifecycleNotificationUrl": url,
            "clientState": secret.placeholder(), "expirationDateTime": time::format(now.saturating_add(LIFE_MS)),
        });
        let response = api::ok(api::request("POST", "subscriptions").json(&body)?.send()?)?;
        let made: Subscription<'_> = response.json()?;
        path(made.id.as_str())?;
        ids.push(made.id.as_str().to_owned());
        ends = ends.min(made.expires.timestamp().unwrap_or(ends));
    }
    if ids.is_empty() {
        return Err(Error::unsupported(
            "none of these events is one that Graph tells of by itself",
        ));
    }
    before.iter().try_for_each(|id| remove(id))?;
    registration(url, ids, ends)
}

/// Graph's words for what the events are of: a resource for each folder, and one for the calendar.
fn wanted(connection: &Connection, events: &[String]) -> Result<Vec<(String, String)>, Error> {
    let config = config::of(connection)?;
    let mailbox = config.mailbox();
    let of = |group: &str| -> String {
        let kinds = events.iter().filter_map(|kind| kind.strip_prefix(group));
        let changes: Vec<&str> = kinds
            .filter(|change| ["created", "updated", "deleted"].contains(change))
            .collect();
        changes.join(",")
    };
    let mut wanted = Vec::new();
    let (messages, calendar) = (of("message."), of("event."));
    if !messages.is_empty() {
        for folder in config.folders() {
            wanted.push((
                format!("{mailbox}/mailFolders('{folder}')/messages"),
                messages.clone(),
            ));
        }
    }
    if !calendar.is_empty() {
        wanted.push((format!("{mailbox}/events"), calendar));
    }
    Ok(wanted)
}

pub(crate) fn renew(registration: &Registration, now: u64) -> Result<Registration, Error> {
    let state: State = record::input(&registration.state)?;
    let mut ends = now.saturating_add(LIFE_MS);
    for id in &state.ids {
        let body = json!({"expirationDateTime": time::format(now.saturating_add(LIFE_MS))});
        // One that is gone (404) has all of them made anew, which `invalid-data` says.
        let response = api::ok(api::request("PATCH", &path(id)?).json(&body)?.send()?)?;
        let renewed: Subscription<'_> = response.json()?;
        ends = ends.min(renewed.expires.timestamp().unwrap_or(ends));
    }
    if state.ids.is_empty() {
        return Err(Error::invalid_data("the registration has no subscriptions"));
    }
    self::registration(&state.url, state.ids, ends)
}

pub(crate) fn unregister(registration: &Registration) -> Result<(), Error> {
    let state: State = record::input(&registration.state)?;
    match state.ids.is_empty() {
        true => listed(&state.url)?.iter().try_for_each(|id| remove(id)),
        false => state.ids.iter().try_for_each(|id| remove(id)),
    }
}

/// Graph asks for it before a token of the app ends ("reauthorizationRequired").
pub(crate) fn reauthorize(id: &str) -> Result<(), Error> {
    let response = api::request("POST", &format!("{}/reauthorize", path(id)?)).send()?;
    match response.status {
        404 => Ok(()),
        _ => api::ok(response).map(drop),
    }
}

fn registration(url: &str, ids: Vec<String>, ends: u64) -> Result<Registration, Error> {
    Ok(Registration {
        id: ids.first().cloned().unwrap_or_default(),
        expires: Some(ends),
        state: record::text(&json!({"url": url, "ids": ids}))?,
    })
}

/// The ids of the app's subscriptions with this address.
fn listed(url: &str) -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        value: &'a RawValue,
        #[serde(rename = "@odata.nextLink", borrow, default)]
        next: Text<'a>,
    }
    paging::all(MOST_PAGES, |token| {
        let mut asked = api::get("subscriptions");
        if let Some(token) = token {
            asked = asked.query("$skiptoken", token);
        }
        let response = api::ok(asked.send()?)?;
        let answer: Answer<'_> = response.json()?;
        let mut ids = Vec::new();
        for element in record::each::<Subscription<'_>>(answer.value.get()) {
            let (of, _) = element?;
            if of.url.as_str() == url {
                ids.push(of.id.as_str().to_owned());
            }
        }
        let next = api::token(answer.next.as_str()).map_or_else(String::new, |(_, token)| token);
        Ok((ids, next))
    })
}

fn remove(id: &str) -> Result<(), Error> {
    let response = api::request("DELETE", &path(id)?).send()?;
    match response.status {
        404 => Ok(()),
        _ => api::ok(response).map(drop),
    }
}

fn path(id: &str) -> Result<String, Error> {
    let is_id = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match is_id {
        true => Ok(format!("subscriptions/{id}")),
        false => Err(Error::invalid_data("not the id of a subscription")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const NOW: u64 = 1_767_700_000_000;
    const MADE: &str = r#"{"id":"7f105c7d-2dc5-4530-97cd-4e7ae6534c07","expirationDateTime":"2026-01-09T08:00:00.0000000Z"}"#;

    fn all() -> Vec<String> {
        let kinds = [
            "message.created",
            "message.updated",
            "event.deleted",
            "subscription.missed",
        ];
        kinds.map(str::to_owned).to_vec()
    }

    fn connection() -> Connection {
        testing::connection(r#"{"tenant":"common","folders":["inbox","archive"]}"#)
    }

    fn asked() -> Vec<String> {
        let requests = testing::requests();
        let of = |request: &sluice_sdk::http::Request| {
            let rest = request
                .url()
                .strip_prefix("https://graph.microsoft.com/v1.0/")
                .unwrap();
            format!("{} {rest}", request.method())
        };
        requests.iter().map(of).collect()
    }

    #[test]
    fn each_folder_and_the_calendar_has_one_with_the_secret() {
        testing::give_webhook_secret(true);
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], include_str!("../fixtures/subscriptions.json")),
            "DELETE" => answer(204, &[], ""),
            _ => answer(201, &[], MADE),
        });
        let made = register(&connection(), URL, &all(), NOW).unwrap();
        assert_eq!(made.expires, time::parse("2026-01-09T08:00:00Z"));
        assert_eq!(
            asked(),
            [
                "GET subscriptions",
                "POST subscriptions",
                "POST subscriptions",
                "POST subscriptions",
                "DELETE subscriptions/0fc0d6db-0073-42e5-a186-853da75fb308"
            ]
        );
        let body = |at: usize| -> Value {
            serde_json::from_slice(testing::requests()[at].content().unwrap()).unwrap()
        };
        assert_eq!(body(1)["resource"], "me/mailFolders('inbox')/messages");
        assert_eq!(body(1)["changeType"], "created,updated");
        assert_eq!(body(1)["clientState"], "sluice-placeholder-webhook");
        assert_eq!(
            (&body(3)["resource"], &body(3)["changeType"]),
            (&json!("me/events"), &json!("deleted"))
        );
        let renewed = renew(&made, NOW).unwrap();
        assert_eq!(renewed.state, made.state);
        unregister(&renewed).unwrap();
        assert_eq!(asked().len(), 11);
    }

    #[test]
    fn one_that_is_gone_has_all_made_anew_and_a_lost_one_is_found() {
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], include_str!("../fixtures/subscriptions.json")),
            _ => answer(
                404,
                &[],
                r#"{"error":{"code":"ResourceNotFound","message":"gone"}}"#,
            ),
        });
        let kept = registration(URL, vec!["7f105c7d-2dc5-4530-97cd-4e7ae6534c07".to_owned()], NOW).unwrap();
        assert!(matches!(renew(&kept, NOW), Err(Error::InvalidData(_))));
        reauthorize("7f105c7d-2dc5-4530-97cd-4e7ae6534c07").unwrap();
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({ "url": URL }).to_string(),
        };
        unregister(&lost).unwrap();
        assert_eq!(
            asked().last().unwrap(),
            "DELETE subscriptions/0fc0d6db-0073-42e5-a186-853da75fb308"
        );
        testing::give_webhook_secret(true);
        testing::serve(|_| answer(200, &[], r#"{"value":[]}"#));
        let none = vec!["subscription.missed".to_owned()];
        assert!(matches!(
            register(&connection(), URL, &none, NOW),
            Err(Error::Unsupported(_))
        ));
    }
}
