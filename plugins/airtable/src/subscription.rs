//! Setting a webhook up (Airtable docs, "Create a webhook", "Refresh a webhook"). Airtable says its secret once, in the answer that
//! makes it, where the host takes it; after seven days without a refresh it ends.
//!
//! A webhook is known by its address, which no other hook has. One that an earlier try made while its answer, and with it the
//! secret, was lost is of no use: it goes before another is made.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sluice_sdk::http::CaptureInto;
use sluice_sdk::record::Text;
use sluice_sdk::{Connection, Error, Registration, record, secrets};

use crate::{api, config};

/// What is kept of a registration; the address only of a try of which nothing else is known.
#[derive(Default, Deserialize, Serialize)]
struct State {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    base: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    notification_url: Text<'a>,
    #[serde(borrow, default)]
    expiration_time: Text<'a>,
}

pub(crate) fn register(connection: &Connection, url: &str) -> Result<Registration, Error> {
    let base = base(connection)?;
    let has_secret = secrets::of_webhook().is_some();
    let mut kept = None;
    for (id, expires) in listed(&base, url)? {
        if kept.is_none() && has_secret {
            kept = Some((id, expires));
        } else {
            remove(&base, &id)?;
        }
    }
    if let Some((id, _)) = kept {
        // How long it has been there is not known: it begins anew.
        return refreshed(&base, id);
    }
    let everything =
        json!({"options": {"filters": {"dataTypes": ["tableData", "tableFields", "tableMetadata"]}}});
    let request = api::post(&format!("bases/{base}/webhooks"))
        .json(&json!({"notificationUrl": url, "specification": everything}))?
        .capture(
            "/macSecretBase64",
            CaptureInto::Secret(secrets::OF_WEBHOOK.to_owned()),
        );
    let response = api::ok(request.send()?)?;
    let made: Webhook<'_> = response.json()?;
    registration(&base, made.id.as_str(), &made.expiration_time)
}

pub(crate) fn renew(registration: &Registration) -> Result<Registration, Error> {
    let state: State = record::input(&registration.state)?;
    refreshed(&state.base, registration.id.clone())
}

pub(crate) fn unregister(connection: &Connection, registration: &Registration) -> Result<(), Error> {
    let state: State = record::input(&registration.state)?;
    let Some(url) = state.url else {
        return remove(&state.base, &registration.id);
    };
    let base = base(connection)?;
    listed(&base, &url)?
        .iter()
        .try_for_each(|(id, _)| remove(&base, id))
}

/// A hook has one secret, and each base's webhook its own.
fn base(connection: &Connection) -> Result<String, Error> {
    let mut bases = config::read(connection)?.bases()?;
    match (bases.pop(), bases.is_empty()) {
        (Some(base), true) => Ok(base),
        _ => Err(Error::config(
            "a connection with webhooks names one base",
            "/bases",
        )),
    }
}

/// The webhooks with this address and when they end ("List webhooks"; a base has at most ten of an integration's).
fn listed(base: &str, url: &str) -> Result<Vec<(String, String)>, Error> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        webhooks: Vec<Webhook<'a>>,
    }
    let response = api::ok(api::get(&format!("bases/{base}/webhooks")).send()?)?;
    let list: List<'_> = response.json()?;
    let mine = list
        .webhooks
        .iter()
        .filter(|webhook| webhook.notification_url.as_str() == url);
    let text = |text: &Text<'_>| text.as_str().to_owned();
    Ok(mine
        .map(|webhook| (text(&webhook.id), text(&webhook.expiration_time)))
        .collect())
}

fn refreshed(base: &str, id: String) -> Result<Registration, Error> {
    let response = api::post(&format!("{}/refresh", path(base, &id)?)).send()?;
    let response = api::ok(response)?;
    let refreshed: Webhook<'_> = response.json()?;
    registration(base, &id, &refreshed.expiration_time)
}

fn registration(base: &str, id: &str, expires: &Text<'_>) -> Result<Registration, Error> {
    path(base, id)?;
    let state = State {
        base: base.to_owned(),
        url: None,
    };
    Ok(Registration {
        id: id.to_owned(),
        // It does not end where Airtable says nothing.
        expires: expires.timestamp(),
        state: record::text(&state)?,
    })
}

fn remove(base: &str, id: &str) -> Result<(), Error> {
    let response = api::delete(&path(base, id)?).send()?;
    match response.status {
        404 => Ok(()),
        _ => api::ok(response).map(drop),
    }
}

pub(crate) fn path(base: &str, id: &str) -> Result<String, Error> {
    match api::is_id(base, "app") && api::is_id(id, "ach") {
        true => Ok(format!("bases/{base}/webhooks/{id}")),
        false => Err(Error::invalid_data("not the id of a webhook")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};
    use sluice_sdk::time;

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const ROOT: &str = "https://api.airtable.com/v0/bases/appDoorsDoors0001/webhooks";

    fn connection() -> Connection {
        testing::connection(r#"{"bases":["appDoorsDoors0001"]}"#)
    }

    fn asked() -> Vec<String> {
        let requests = testing::requests();
        let of = |request: &sluice_sdk::http::Request| format!("{} {}", request.method(), request.url());
        requests.iter().map(of).collect()
    }

    #[test]
    fn one_is_made_kept_up_and_ended() {
        testing::give_webhook_secret(false);
        testing::serve(
            |request| match (request.method(), request.url().ends_with("/refresh")) {
                ("GET", _) => answer(200, &[], include_str!("../fixtures/webhooks.json")),
                ("POST", true) => answer(200, &[], r#"{"expirationTime":"2026-12-08T00:00:00.000Z"}"#),
                ("POST", false) => answer(200, &[], include_str!("../fixtures/webhook-created.json")),
                _ => answer(200, &[], ""),
            },
        );
        let made = register(&connection(), URL).unwrap();
        assert_eq!(made.id, "achDoorsDoors0002");
        assert_eq!(made.expires, time::parse("2026-12-01T00:00:00.000Z"));
        let renewed = renew(&made).unwrap();
        assert_eq!(renewed.expires, time::parse("2026-12-08T00:00:00.000Z"));
        unregister(&connection(), &renewed).unwrap();
        assert_eq!(
            asked(),
            [
                format!("GET {ROOT}"),
                format!("POST {ROOT}"),
                format!("POST {ROOT}/achDoorsDoors0002/refresh"),
                format!("DELETE {ROOT}/achDoorsDoors0002"),
            ]
        );
    }

    #[test]
    fn one_that_is_there_is_kept_with_its_secret_and_goes_without() {
        let listed = format!(r#"{{"webhooks":[{{"id":"achDoorsDoors0007","notificationUrl":"{URL}"}}]}}"#);
        let serve = || {
            let listed = listed.clone();
            testing::serve(
                move |request| match (request.method(), request.url().ends_with("/refresh")) {
                    ("GET", _) => answer(200, &[], &listed),
                    ("POST", true) => answer(200, &[], r#"{"expirationTime":null}"#),
                    ("POST", false) => answer(200, &[], include_str!("../fixtures/webhook-created.json")),
                    _ => answer(404, &[], "{}"),
                },
            );
        };
        testing::give_webhook_secret(true);
        serve();
        let kept = register(&connection(), URL).unwrap();
        assert_eq!((kept.id.as_str(), kept.expires), ("achDoorsDoors0007", None));
        testing::give_webhook_secret(false);
        serve();
        assert_eq!(register(&connection(), URL).unwrap().id, "achDoorsDoors0002");
        assert_eq!(asked()[1], format!("DELETE {ROOT}/achDoorsDoors0007"));
        serve();
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({"url": URL}).to_string(),
        };
        unregister(&connection(), &lost).unwrap();
        assert_eq!(asked()[1], format!("DELETE {ROOT}/achDoorsDoors0007"));
    }

    #[test]
    fn a_hook_is_one_bases() {
        for config in ["{}", r#"{"bases":["appDoorsDoors0001","appDoorsDoors0002"]}"#] {
            let error = register(&testing::connection(config), URL).unwrap_err();
            assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/bases")));
        }
        let bad = Registration {
            id: "ach/../../x".to_owned(),
            expires: None,
            state: r#"{"base":"appDoorsDoors0001"}"#.to_owned(),
        };
        assert!(renew(&bad).is_err());
    }
}
