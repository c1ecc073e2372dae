//! Setting a webhook up (PayPal docs, "Webhooks Management"). It does not end by itself. What makes a delivery ours is the webhook's
//! id, which is signed with it and never sent: it is the hook's secret, and the host takes it from the answer that shows the webhook.
//!
//! A webhook is known by its address, of which PayPal takes each once. One that an earlier try made is kept, whatever became of the
//! answer: its id is shown again.

use serde::Deserialize;
use serde_json::json;
use sluice_sdk::http::CaptureInto;
use sluice_sdk::record::Text;
use sluice_sdk::{Error, Registration, record, secrets};

use crate::api;
use crate::config::Config;
use crate::webhook::GROUPS;

const PATH: &str = "/v1/notifications/webhooks";

#[derive(Deserialize)]
struct Webhook<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    url: Text<'a>,
}

/// What is kept of a registration; the address only of a try of which nothing else is known.
#[derive(Deserialize)]
struct State {
    url: Option<String>,
}

pub(crate) fn register(config: &Config, url: &str, events: &[String]) -> Result<Registration, Error> {
    let kinds = kinds(events)?;
    let id = match listed(config, url)? {
        Some(id) => {
            let change = json!([{"op": "replace", "path": "/event_types", "value": kinds}]);
            let changed = api::request("PATCH", config, &path(&id)?).json(&change)?.send()?;
            // Whatever was there is what was asked for already.
            if api::name(&changed) != "WEBHOOK_PATCH_REQUEST_NO_CHANGE" {
                api::ok(changed)?;
            }
            id
        }
        None => {
            let asked = json!({"url": url, "event_types": kinds});
            let response = api::ok(api::request("POST", config, PATH).json(&asked)?.send()?)?;
            let made: Webhook<'_> = response.json()?;
            made.id.as_str().to_owned()
        }
    };
    // Shown once more, so that the id goes to the host as the secret whoever made the webhook.
    let shown = api::get(config, &path(&id)?)
        .capture("/id", CaptureInto::Secret(secrets::OF_WEBHOOK.to_owned()))
        .send()?;
    api::ok(shown)?;
    Ok(Registration {
        id,
        expires: None,
        state: "{}".to_owned(),
    })
}

pub(crate) fn unregister(config: &Config, registration: &Registration) -> Result<(), Error> {
    let state: State = record::input(&registration.state)?;
    match state.url {
        Some(url) => listed(config, &url)?.map_or(Ok(()), |id| remove(config, &id)),
        None => remove(config, &registration.id),
    }
}

/// The webhook with this address. An app has at most ten, and they come on one page.
fn listed(config: &Config, url: &str) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        webhooks: Vec<Webhook<'a>>,
    }
    let response = api::ok(api::get(config, PATH).send()?)?;
    let list: List<'_> = response.json()?;
    let found = list.webhooks.iter().find(|webhook| webhook.url.as_str() == url);
    Ok(found.map(|webhook| webhook.id.as_str().to_owned()))
}

fn remove(config: &Config, id: &str) -> Result<(), Error> {
    let response = api::request("DELETE", config, &path(id)?).send()?;
    match response.status {
        404 => Ok(()),
        _ => api::ok(response).map(drop),
    }
}

fn path(id: &str) -> Result<String, Error> {
    match api::is_id(id) {
        true => Ok(format!("{PATH}/{id}")),
        false => Err(Error::invalid_data("not the id of a webhook")),
    }
}

/// PayPal takes kinds by their whole name, in capitals, or all of them.
fn kinds(events: &[String]) -> Result<Vec<serde_json::Value>, Error> {
    if events.len() == GROUPS.len() {
        return Ok(vec![json!({"name": "*"})]);
    }
    let kind = |kind: &String| match kind.ends_with(".*") {
        true => Err(Error::unsupported(format!(
            "PayPal takes kinds of events by their whole name, such as payment.capture.completed, and not `{kind}`"
        ))),
        false => Ok(json!({"name": kind.to_ascii_uppercase()})),
    };
    events.iter().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::http;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const ROOT: &str = "https://api-m.sandbox.paypal.com/v1/notifications/webhooks";
    const MINE: &str = r#"{"id":"0EH40505U7160970P","url":"https://hooks.example.com/hooks/hok_1","event_types":[{"name":"*"}]}"#;

    fn config() -> Config {
        crate::config::of(&testing::connection(r#"{"host":"api-m.sandbox.paypal.com"}"#)).unwrap()
    }

    fn asked() -> Vec<String> {
        let requests = testing::requests();
        let of = |request: &http::Request| format!("{} {}", request.method(), request.url());
        requests.iter().map(of).collect()
    }

    fn all() -> Vec<String> {
        GROUPS.iter().map(|group| format!("{group}.*")).collect()
    }

    #[test]
    fn one_is_made_and_its_id_is_taken_as_the_secret() {
        testing::serve(|request| match (request.method(), request.url()) {
            ("GET", ROOT) => answer(200, &[], include_str!("../fixtures/webhooks.json")),
            ("DELETE", _) => answer(204, &[], ""),
            _ => answer(200, &[], MINE),
        });
        let made = register(&config(), URL, &all()).unwrap();
        assert_eq!(made.id, "0EH40505U7160970P");
        let posted = testing::requests()[1].clone();
        let body: serde_json::Value = serde_json::from_slice(posted.content().unwrap()).unwrap();
        assert_eq!(body, json!({"url": URL, "event_types": [{"name": "*"}]}));
        unregister(&config(), &made).unwrap();
        assert_eq!(
            asked(),
            [
                format!("GET {ROOT}"),
                format!("POST {ROOT}"),
                format!("GET {ROOT}/0EH40505U7160970P"),
                format!("DELETE {ROOT}/0EH40505U7160970P"),
            ]
        );
    }

    #[test]
    fn one_that_is_there_is_kept_and_changed() {
        let list = format!(r#"{{"webhooks":[{MINE}]}}"#);
        testing::serve(move |request| match (request.method(), request.url()) {
            ("GET", ROOT) => answer(200, &[], &list),
            ("PATCH", _) => answer(400, &[], r#"{"name":"WEBHOOK_PATCH_REQUEST_NO_CHANGE"}"#),
            _ => answer(200, &[], MINE),
        });
        let kinds = vec!["payment.capture.completed".to_owned()];
        assert_eq!(register(&config(), URL, &kinds).unwrap().id, "0EH40505U7160970P");
        let patched = testing::requests()[1].clone();
        let body: serde_json::Value = serde_json::from_slice(patched.content().unwrap()).unwrap();
        assert_eq!(body[0]["value"], json!([{"name": "PAYMENT.CAPTURE.COMPLETED"}]));
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({"url": URL}).to_string(),
        };
        unregister(&config(), &lost).unwrap();
        assert_eq!(
            asked().last().unwrap(),
            &format!("DELETE {ROOT}/0EH40505U7160970P")
        );
        let group = vec!["payment.*".to_owned()];
        assert!(matches!(
            register(&config(), URL, &group),
            Err(Error::Unsupported(_))
        ));
    }
}
