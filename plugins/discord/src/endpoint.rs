//! Entering an address at the app ("Edit Current Application"): one for interactions, one for webhook events. They do not end by
//! themselves, and an app has one of each: another's is never overwritten.
//!
//! Discord asks the address before it takes it, signed with the key of which the app's public half is the hook's secret. That half has to
//! be kept before, so it is done in two steps: the first one has the host keep the key, and says that the registration ends soon; the
//! renewal, seconds later, enters the address.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sluice_sdk::http::{CaptureInto, Response};
use sluice_sdk::{Error, Registration, record, secrets};

use crate::api;
use crate::webhook::EVENTS;

/// How long the first step is good for: the second follows in two thirds of it.
const STEP_MS: u64 = 9_000;

/// What is kept of a registration.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    url: String,
    /// The kinds of webhook events in Discord's own letters; of interactions none.
    #[serde(default)]
    events: Vec<String>,
    /// Of a try of which only the address is known, it may be either.
    #[serde(default)]
    which: Option<Which>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    Interactions,
    Events,
}

#[derive(Deserialize)]
struct Application {
    id: String,
    #[serde(default)]
    interactions_endpoint_url: Option<String>,
    #[serde(default)]
    event_webhooks_url: Option<String>,
}

impl Application {
    /// The address that is entered.
    fn has(&self, which: Which) -> Option<&str> {
        let url = match which {
            Which::Interactions => &self.interactions_endpoint_url,
            Which::Events => &self.event_webhooks_url,
        };
        url.as_deref().filter(|url| !url.is_empty())
    }
}

pub(crate) fn register(webhook: &str, url: &str, events: &[String]) -> Result<Registration, Error> {
    let which = match webhook {
        "interactions" => Which::Interactions,
        "events" => Which::Events,
        other => return Err(Error::unsupported(format!("there is no webhook `{other}`"))),
    };
    let events: Vec<String> = events
        .iter()
        .filter(|kind| EVENTS.contains(&kind.as_str()))
        .map(|kind| kind.to_ascii_uppercase())
        .collect();
    let asked = api::get("applications/@me")
        .capture("/verify_key", CaptureInto::Secret(secrets::OF_WEBHOOK.to_owned()));
    let response = ok(asked.send()?)?;
    let app: Application = response.json()?;
    if app.has(which).is_some_and(|other| other != url) {
        return Err(Error::unsupported(
            "the app has another address there already: take it out at discord.com/developers/applications first",
        ));
    }
    let now = response.date();
    let now = now.ok_or_else(|| Error::invalid_data("Discord's answer has no date"))?;
    let state = State {
        url: url.to_owned(),
        events,
        which: Some(which),
    };
    Ok(Registration {
        id: app.id,
        expires: Some(now.saturating_add(STEP_MS)),
        state: record::text(&state)?,
    })
}

pub(crate) fn renew(registration: &Registration) -> Result<Registration, Error> {
    let state: State = record::input(&registration.state)?;
    let body = match state.which {
        Some(Which::Events) => json!({
            "event_webhooks_url": state.url,
            "event_webhooks_status": 2,
            "event_webhooks_types": state.events,
        }),
        _ => json!({"interactions_endpoint_url": state.url}),
    };
    ok(change(&body)?)?;
    Ok(Registration {
        expires: None,
        ..registration.clone()
    })
}

pub(crate) fn unregister(registration: &Registration) -> Result<(), Error> {
    let state: State = record::input(&registration.state)?;
    let app: Application = ok(api::get("applications/@me").send()?)?.json()?;
    for which in [Which::Interactions, Which::Events] {
        if app.has(which) == Some(state.url.as_str()) {
            let body = match which {
                Which::Interactions => json!({"interactions_endpoint_url": null}),
                Which::Events => json!({"event_webhooks_url": null, "event_webhooks_status": 1}),
            };
            ok(change(&body)?)?;
        }
    }
    Ok(())
}

fn change(body: &Value) -> Result<Response, Error> {
    api::request("PATCH", "applications/@me").json(body)?.send()
}

/// 400 is an address that did not answer Discord as it should.
fn ok(response: Response) -> Result<Response, Error> {
    if response.status == 400 {
        let said = response
            .text()
            .map(|text| record::words(text, 300))
            .unwrap_or_default();
        return Err(Error::transient(format!(
            "Discord did not take the address: {said}"
        )));
    }
    response.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const DATE: (&str, &str) = ("date", "Wed, 01 May 2024 10:00:00 GMT");

    fn serve(app: &'static str) {
        testing::serve(move |request| match request.method() {
            "GET" => answer(200, &[DATE], app),
            _ => answer(200, &[], "{}"),
        });
    }

    fn changed() -> Vec<Value> {
        let requests = testing::requests();
        let patches = requests.iter().filter(|request| request.method() == "PATCH");
        patches
            .map(|request| serde_json::from_slice(request.content().unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn the_key_comes_first_and_the_address_after_it() {
        serve(include_str!("../fixtures/application.json"));
        let first = register("interactions", URL, &["interaction.command".to_owned()]).unwrap();
        assert_eq!(first.expires, Some(1_714_557_609_000));
        assert!(changed().is_empty(), "Discord would ask before the key is there");
        let second = renew(&first).unwrap();
        assert_eq!(second.expires, None);
        assert_eq!(changed(), [json!({"interactions_endpoint_url": URL})]);
        let events = register("events", URL, &["entitlement_create".to_owned()]).unwrap();
        renew(&events).unwrap();
        assert_eq!(
            changed()[1],
            json!({"event_webhooks_url": URL, "event_webhooks_status": 2, "event_webhooks_types": ["ENTITLEMENT_CREATE"]})
        );
    }

    #[test]
    fn anothers_address_is_left_alone() {
        serve(r#"{"id":"1","interactions_endpoint_url":"https://other.example.com"}"#);
        assert!(matches!(
            register("interactions", URL, &[]),
            Err(Error::Unsupported(_))
        ));
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({"url": URL}).to_string(),
        };
        unregister(&lost).unwrap();
        assert!(changed().is_empty());
        serve(r#"{"id":"1","event_webhooks_url":"https://hooks.example.com/hooks/hok_1"}"#);
        unregister(&lost).unwrap();
        assert_eq!(
            changed(),
            [json!({"event_webhooks_url": null, "event_webhooks_status": 1})]
        );
    }

    #[test]
    fn an_address_that_did_not_answer_is_tried_again() {
        serve(include_str!("../fixtures/application.json"));
        let first = register("interactions", URL, &[]).unwrap();
        testing::serve(|_| answer(400, &[], r#"{"message":"Invalid Form Body","code":50035}"#));
        assert!(
            matches!(renew(&first), Err(Error::Transient(detail)) if detail.message.contains("Invalid Form Body"))
        );
        testing::serve(|_| answer(401, &[], "{}"));
        assert!(matches!(renew(&first), Err(Error::Auth(_))));
    }
}
