//! Setting a webhook endpoint up (Stripe API reference, "Webhook Endpoints"). It does not end by itself, and Stripe says its signing
//! secret once: in the answer that makes it, where the host takes it.
//!
//! An endpoint is known by its address, which no other hook has. One that an earlier try made while its answer, and with it the
//! secret, was lost is of no use: it goes before another is made. The request that makes one is repeatable ("Idempotent
//! requests"), so that a try that is still under way at Stripe and the next one make the same endpoint.

use serde::Deserialize;
use sluice_sdk::http::{self, CaptureInto};
use sluice_sdk::record::Id;
use sluice_sdk::{Error, Registration, log, record, secrets};

use crate::api;
use crate::webhook::GROUPS;

const PATH: &str = "/v1/webhook_endpoints";
/// Each is an endpoint of an earlier life of the same hook.
const MOST_REPLAYED: u32 = 5;

#[derive(Deserialize)]
struct Endpoint {
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
    let mut form = String::new();
    for kind in kinds(events)? {
        form.push_str(&format!("enabled_events[]={}&", http::encode(kind)));
    }
    let has_secret = secrets::of_webhook().is_some();
    let mut kept = None;
    let mut key = format!("sluice {url}");
    for known in listed(url)? {
        if kept.is_none() && has_secret {
            let changed = api::post(&path(&known.id)?, form.clone()).send()?;
            api::ok(changed)?;
            kept = Some(known);
            continue;
        }
        remove(&known.id)?;
        key = format!("{key} without {}", known.id);
    }
    if let Some(known) = kept {
        return Ok(registration(known.id));
    }
    form.push_str(&format!("url={}&api_version={}", http::encode(url), api::VERSION));
    for _ in 0..MOST_REPLAYED {
        let response = api::post(PATH, form.clone())
            .idempotency_key(&key)
            .capture("/secret", CaptureInto::Secret(secrets::OF_WEBHOOK.to_owned()))
            .send()?;
        let response = api::ok(response)?;
        let made: Endpoint = response.json()?;
        // What Stripe says again may be of an endpoint that was removed since.
        let is_again = response.header("idempotent-replayed") == Some("true");
        if !is_again || is_there(&made.id)? {
            return Ok(registration(made.id));
        }
        log::info("Stripe told of an endpoint that is gone: asked anew");
        key = format!("{key} without {}", made.id);
    }
    Err(Error::transient("Stripe tells of endpoints that are gone"))
}

pub(crate) fn unregister(registration: &Registration) -> Result<(), Error> {
    let state: State = record::input(&registration.state)?;
    match state.url {
        Some(url) => listed(&url)?.iter().try_for_each(|endpoint| remove(&endpoint.id)),
        None => remove(&registration.id),
    }
}

fn registration(id: String) -> Registration {
    Registration {
        id,
        expires: None,
        state: "{}".to_owned(),
    }
}

/// The endpoints with this address. An account has at most sixteen.
fn listed(url: &str) -> Result<Vec<Endpoint>, Error> {
    let response = api::ok(api::get(PATH).query("limit", api::PER_PAGE).send()?)?;
    let list: api::List<'_> = response.json()?;
    let all: Vec<Endpoint> = record::input(list.data.get())?;
    Ok(all.into_iter().filter(|endpoint| endpoint.url == url).collect())
}

fn is_there(id: &str) -> Result<bool, Error> {
    let response = api::get(&path(id)?).send()?;
    if response.status == 404 {
        return Ok(false);
    }
    #[derive(Deserialize)]
    struct Found<'a> {
        #[serde(borrow)]
        id: Id<'a>,
        #[serde(default)]
        deleted: bool,
    }
    let response = api::ok(response)?;
    let found: Found<'_> = response.json()?;
    Ok(found.id.to_string() == id && !found.deleted)
}

/// 404 is an endpoint that somebody removed.
fn remove(id: &str) -> Result<(), Error> {
    let response = api::delete(&path(id)?).send()?;
    match response.status {
        404 => Ok(()),
        _ => api::ok(response).map(drop),
    }
}

fn path(id: &str) -> Result<String, Error> {
    match api::is_id(id) {
        true => Ok(format!("{PATH}/{id}")),
        false => Err(Error::invalid_data("not the id of a webhook endpoint")),
    }
}

/// Stripe takes kinds by their whole name, or all of them.
fn kinds(events: &[String]) -> Result<Vec<&str>, Error> {
    if events.len() == GROUPS.len() {
        return Ok(vec!["*"]);
    }
    let all: Vec<&str> = events.iter().map(String::as_str).collect();
    match all.iter().find(|kind| kind.ends_with(".*")) {
        Some(group) => Err(Error::unsupported(format!(
            "Stripe takes kinds of events by their whole name, such as invoice.paid, and not `{group}`"
        ))),
        None => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const LIST: &str = "https://api.stripe.com/v1/webhook_endpoints?limit=100";

    fn mine(id: &str) -> String {
        format!(r#"{{"object":"list","has_more":false,"data":[{{"id":"{id}","url":"{URL}"}}]}}"#)
    }

    fn asked() -> Vec<String> {
        let requests = testing::requests();
        let of = |request: &http::Request| format!("{} {}", request.method(), request.url());
        requests.iter().map(of).collect()
    }

    fn paid() -> Vec<String> {
        vec!["invoice.paid".to_owned()]
    }

    #[test]
    fn an_endpoint_is_made_and_its_secret_goes_past() {
        testing::give_webhook_secret(false);
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], include_str!("../fixtures/webhook-endpoints.json")),
            "DELETE" => answer(200, &[], r#"{"id":"we_made","deleted":true}"#),
            _ => answer(
                200,
                &[],
                include_str!("../fixtures/webhook-endpoint-created.json"),
            ),
        });
        let made = register(URL, &paid()).unwrap();
        assert_eq!(
            (made.id.as_str(), made.expires),
            ("we_1Mr5jULkdIwHu7ix1ibLTM0x", None)
        );
        let post = &testing::requests()[1];
        let form = std::str::from_utf8(post.content().unwrap()).unwrap();
        assert_eq!(
            form,
            "enabled_events[]=invoice.paid&url=https%3A%2F%2Fhooks.example.com%2Fhooks%2Fhok_1&api_version=2024-06-20"
        );
        unregister(&made).unwrap();
        let last = asked().pop().unwrap();
        assert_eq!(
            last,
            "DELETE https://api.stripe.com/v1/webhook_endpoints/we_1Mr5jULkdIwHu7ix1ibLTM0x"
        );
    }

    #[test]
    fn one_whose_secret_was_lost_is_replaced_and_one_whose_secret_is_here_stays() {
        let serve = || {
            testing::serve(|request| match request.method() {
                "GET" => answer(200, &[], &mine("we_old")),
                "DELETE" => answer(200, &[], "{}"),
                _ => answer(200, &[], r#"{"id":"we_new"}"#),
            });
        };
        testing::give_webhook_secret(false);
        serve();
        assert_eq!(register(URL, &paid()).unwrap().id, "we_new");
        let root = "https://api.stripe.com/v1/webhook_endpoints";
        assert_eq!(
            asked(),
            [
                format!("GET {LIST}"),
                format!("DELETE {root}/we_old"),
                format!("POST {root}")
            ]
        );
        testing::give_webhook_secret(true);
        serve();
        assert_eq!(register(URL, &paid()).unwrap().id, "we_old");
        assert_eq!(asked(), [format!("GET {LIST}"), format!("POST {root}/we_old")]);
        // Of a try that was cut off nothing is known but the address.
        serve();
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: format!(r#"{{"url":"{URL}"}}"#),
        };
        unregister(&lost).unwrap();
        assert_eq!(asked(), [format!("GET {LIST}"), format!("DELETE {root}/we_old")]);
    }

    #[test]
    fn what_stripe_says_again_of_an_endpoint_that_is_gone_is_not_believed() {
        testing::give_webhook_secret(false);
        let mut posts = 0;
        testing::serve(move |request| match (request.method(), request.url()) {
            ("GET", LIST) => answer(200, &[], r#"{"data":[]}"#),
            ("GET", _) => answer(404, &[], r#"{"error":{"code":"resource_missing"}}"#),
            _ => {
                posts += 1;
                match posts {
                    1 => answer(200, &[("idempotent-replayed", "true")], r#"{"id":"we_gone"}"#),
                    _ => answer(200, &[], r#"{"id":"we_new"}"#),
                }
            }
        });
        assert_eq!(register(URL, &paid()).unwrap().id, "we_new");
    }

    #[test]
    fn kinds_are_whole_or_all() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let all: Vec<String> = manifest.webhooks[0]
            .events
            .iter()
            .map(|event| event.kind.clone())
            .collect();
        assert_eq!(kinds(&all).unwrap(), ["*"]);
        assert!(matches!(
            kinds(&["charge.*".to_owned()]),
            Err(Error::Unsupported(_))
        ));
    }

    #[test]
    fn refusals_are_errors() {
        for status in [400, 401, 403, 500] {
            testing::serve(move |_| answer(status, &[], r#"{"error":{"message":"no"}}"#));
            assert!(register(URL, &paid()).is_err(), "{status}");
        }
    }
}
