//! Setting the Event Webhook up ("Create a new Event Webhook", "Toggle signature verification for an Event Webhook"). It does not end by
//! itself. It is made switched off, then it is signed, and the public half of SendGrid's key goes to the host; only then is it switched on.
//!
//! A webhook is known by its address, which no other hook has: what an earlier try made is found and set right, and never made again.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::http::{CaptureInto, Response};
use sluice_sdk::{Error, Registration, record, secrets};

use crate::api;
use crate::webhook::KINDS;

const SETTINGS: &str = "user/webhooks/event/settings";

#[derive(Deserialize)]
struct Setting {
    id: String,
    #[serde(default)]
    url: String,
}

/// What is kept of a registration; the address only of a try of which nothing else is known.
#[derive(Deserialize)]
struct State {
    url: Option<String>,
}

pub(crate) fn register(url: &str, events: &[String]) -> Result<Registration, Error> {
    let mut wanted = switches(events);
    wanted.insert("url".to_owned(), json!(url));
    wanted.insert("friendly_name".to_owned(), json!("Sluice"));
    let mut mine = listed(url)?.into_iter();
    let id = match mine.next() {
        Some(known) => known,
        None => {
            let mut made = wanted.clone();
            made.insert("enabled".to_owned(), json!(false));
            let request = api::request("POST", SETTINGS).json(&made)?;
            let made: Setting = ok(request.send()?)?.json()?;
            made.id
        }
    };
    for more in mine {
        remove(&more)?;
    }
    let sign = api::request("PATCH", &format!("{SETTINGS}/signed/{}", checked(&id)?))
        .json(&json!({"enabled": true}))?
        .capture("/public_key", CaptureInto::Secret(secrets::OF_WEBHOOK.to_owned()));
    ok(sign.send()?)?;
    wanted.insert("enabled".to_owned(), json!(true));
    ok(api::request("PATCH", &path(&id)?).json(&wanted)?.send()?)?;
    Ok(Registration {
        id,
        expires: None,
        state: "{}".to_owned(),
    })
}

pub(crate) fn unregister(registration: &Registration) -> Result<(), Error> {
    let state: State = record::input(&registration.state)?;
    match state.url {
        Some(url) => listed(&url)?.iter().try_for_each(|id| remove(id)),
        None => remove(&registration.id),
    }
}

/// The ids of the webhooks with this address. An account has a handful.
fn listed(url: &str) -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct All {
        #[serde(default)]
        webhooks: Vec<Setting>,
    }
    let all: All = ok(api::get(&format!("{SETTINGS}/all")).send()?)?.json()?;
    let mine = all.webhooks.into_iter().filter(|setting| setting.url == url);
    Ok(mine.map(|setting| setting.id).collect())
}

fn remove(id: &str) -> Result<(), Error> {
    let response = api::request("DELETE", &path(id)?).send()?;
    match response.status {
        404 => Ok(()),
        _ => ok(response).map(drop),
    }
}

/// 403 is a permission that the key lacks.
fn ok(response: Response) -> Result<Response, Error> {
    if response.status == 403 && !response.is_throttled() {
        return Err(Error::unsupported(
            "the key may not manage event webhooks (Mail Settings, Event Notification), or the plan has no more of them",
        ));
    }
    api::ok(response)
}

fn path(id: &str) -> Result<String, Error> {
    Ok(format!("{SETTINGS}/{}", checked(id)?))
}

/// Nothing else becomes part of a path; `all` and `signed` are no ids.
fn checked(id: &str) -> Result<&str, Error> {
    let is_id = (8..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match is_id {
        true => Ok(id),
        false => Err(Error::invalid_data("not the id of an event webhook")),
    }
}

/// Every kind of event, on where it is wanted. SendGrid's names for spam reports differ here from those in deliveries.
fn switches(events: &[String]) -> Map<String, Value> {
    let switch = |kind: &str| match kind {
        "spamreport" => "spam_report".to_owned(),
        kind => kind.to_owned(),
    };
    KINDS
        .iter()
        .map(|kind| (switch(kind), json!(events.iter().any(|event| event == kind))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const ROOT: &str = "https://api.sendgrid.com/v3/user/webhooks/event/settings";
    const ID: &str = "77d4a5da-7015-11ed-a1eb-0242ac120002";

    fn asked() -> Vec<String> {
        let of = |request: &sluice_sdk::http::Request| format!("{} {}", request.method(), request.url());
        testing::requests().iter().map(of).collect()
    }

    fn body(at: usize) -> Value {
        serde_json::from_slice(testing::requests()[at].content().unwrap()).unwrap()
    }

    #[test]
    fn it_is_signed_before_it_is_switched_on() {
        testing::serve(
            |request| match (request.method(), request.url().contains("/signed/")) {
                ("GET", _) => answer(200, &[], include_str!("../fixtures/settings.json")),
                ("PATCH", true) => answer(200, &[], include_str!("../fixtures/signed.json")),
                ("DELETE", _) => answer(204, &[], ""),
                _ => answer(201, &[], include_str!("../fixtures/setting-created.json")),
            },
        );
        let made = register(URL, &["bounce".to_owned(), "spamreport".to_owned()]).unwrap();
        assert_eq!((made.id.as_str(), made.expires), (ID, None));
        assert_eq!(
            asked(),
            [
                format!("GET {ROOT}/all"),
                format!("POST {ROOT}"),
                format!("PATCH {ROOT}/signed/{ID}"),
                format!("PATCH {ROOT}/{ID}")
            ]
        );
        assert_eq!(
            (&body(1)["enabled"], &body(3)["enabled"]),
            (&json!(false), &json!(true))
        );
        assert_eq!(
            (&body(3)["bounce"], &body(3)["spam_report"], &body(3)["open"]),
            (&json!(true), &json!(true), &json!(false))
        );
        unregister(&made).unwrap();
        assert_eq!(asked()[4], format!("DELETE {ROOT}/{ID}"));
    }

    #[test]
    fn one_that_is_there_is_set_right_and_a_second_goes() {
        let two =
            json!({"webhooks": [{"id": ID, "url": URL}, {"id": "other-webhook", "url": URL}]}).to_string();
        let of = two.clone();
        testing::serve(move |request| match request.method() {
            "GET" => answer(200, &[], &of),
            _ => answer(200, &[], "{}"),
        });
        register(URL, &[]).unwrap();
        assert_eq!(asked()[1], format!("DELETE {ROOT}/other-webhook"));
        assert!(!asked().iter().any(|asked| asked.starts_with("POST")));
        // Of a try that was cut off nothing is known but the address.
        testing::serve(move |request| match request.method() {
            "GET" => answer(200, &[], &two),
            _ => answer(404, &[], "{}"),
        });
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({"url": URL}).to_string(),
        };
        unregister(&lost).unwrap();
        assert_eq!(asked().len(), 3);
    }

    #[test]
    fn what_the_key_may_not_is_a_persons_business() {
        for (status, wanted) in [(403, true), (401, false), (503, false)] {
            testing::serve(move |_| answer(status, &[], "{}"));
            let error = register(URL, &[]).unwrap_err();
            assert_eq!(
                matches!(error, Error::Unsupported(_)),
                wanted,
                "{status}: {error:?}"
            );
        }
        assert!(path("signed/x").is_err() && path("all").is_err());
    }
}
