//! Setting notifications up (Netlify API, "createHookBySiteId", "listHooksBySiteId", "updateHook"; docs, "Deploy notifications"). Netlify has
//! one for each event of each site, all with the address and the secret of the hook.
//!
//! They are known by their address, which no other hook has; that is also how they are found to be ended.

use serde::Deserialize;
use serde_json::{Value, json};
use sluice_sdk::record::Text;
use sluice_sdk::{Connection, Error, Registration, record, secrets};

use crate::api;

#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    event: Text<'a>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    url: Text<'a>,
}

/// What is kept of a registration, and what is told of one of which nothing else is known.
#[derive(Deserialize)]
struct State {
    url: String,
}

pub(crate) fn register(connection: &Connection, url: &str, events: &[String]) -> Result<Registration, Error> {
    let secret = secrets::of_webhook().ok_or_else(|| Error::internal("the hook has no secret to be sent"))?;
    let data = json!({"url": url, "signature_secret": secret.placeholder()});
    let mut first = None;
    for site in named(connection)? {
        let mut wanted: Vec<&str> = events.iter().map(String::as_str).collect();
        for (id, event) in listed(&site, url)? {
            let Some(at) = wanted.iter().position(|kind| *kind == event) else {
                remove(&id)?;
                continue;
            };
            wanted.swap_remove(at);
            api::ok(
                api::request("PUT", &path(&id)?)
                    .json(&body(&site, &event, &data))?
                    .send()?,
            )?;
            first.get_or_insert(id);
        }
        for event in wanted {
            let asked = api::request("POST", "hooks").query("site_id", &site);
            let response = api::ok(asked.json(&body(&site, event, &data))?.send()?)?;
            let made: Notification<'_> = response.json()?;
            path(made.id.as_str())?;
            first.get_or_insert_with(|| made.id.as_str().to_owned());
        }
    }
    Ok(Registration {
        id: first.unwrap_or_default(),
        expires: None,
        state: json!({ "url": url }).to_string(),
    })
}

fn body(site: &str, event: &str, data: &Value) -> Value {
    json!({"site_id": site, "type": "url", "event": event, "data": data})
}

pub(crate) fn unregister(connection: &Connection, registration: &Registration) -> Result<(), Error> {
    let State { url } = record::input(&registration.state)?;
    for site in named(connection)? {
        for (id, _) in listed(&site, &url)? {
            remove(&id)?;
        }
    }
    Ok(())
}

fn named(connection: &Connection) -> Result<Vec<String>, Error> {
    let sites = api::sites(connection)?;
    match sites.is_empty() {
        true => Err(Error::config(
            "a connection with webhooks names its sites",
            "/sites",
        )),
        false => Ok(sites),
    }
}

/// A site's notifications with this address: id and event. Netlify gives them on one page.
fn listed(site: &str, url: &str) -> Result<Vec<(String, String)>, Error> {
    let response = api::get("hooks").query("site_id", site).send()?;
    // A site that is gone has none.
    if response.status == 404 {
        return Ok(Vec::new());
    }
    let response = api::ok(response)?;
    let mut found = Vec::new();
    for element in record::each::<Notification<'_>>(response.text()?) {
        let (of, _) = element?;
        if of.data.is_some_and(|data| data.url.as_str() == url) {
            found.push((of.id.as_str().to_owned(), of.event.as_str().to_owned()));
        }
    }
    Ok(found)
}

fn remove(id: &str) -> Result<(), Error> {
    let response = api::request("DELETE", &path(id)?).send()?;
    match response.status {
        404 => Ok(()),
        _ => api::ok(response).map(drop),
    }
}

fn path(id: &str) -> Result<String, Error> {
    match api::is_id(id) {
        true => Ok(format!("hooks/{id}")),
        false => Err(Error::invalid_data("not the id of a notification")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const SITE: &str = "3970e0fe-8564-4903-9a55-c5f8de49fb8b";

    fn connection() -> Connection {
        testing::connection(&format!(r#"{{"sites":["{SITE}"]}}"#))
    }

    fn asked() -> Vec<String> {
        let requests = testing::requests();
        let of = |request: &sluice_sdk::http::Request| {
            let rest = request
                .url()
                .strip_prefix("https://api.netlify.com/api/v1/")
                .unwrap();
            format!("{} {rest}", request.method())
        };
        requests.iter().map(of).collect()
    }

    #[test]
    fn each_event_is_one_and_those_that_are_there_are_set_right() {
        testing::give_webhook_secret(true);
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], include_str!("../fixtures/hooks.json")),
            _ => answer(200, &[], r#"{"id":"new"}"#),
        });
        let events = ["deploy_created".to_owned(), "submission_created".to_owned()];
        let made = register(&connection(), URL, &events).unwrap();
        assert_eq!(
            asked(),
            [
                format!("GET hooks?site_id={SITE}"),
                "PUT hooks/5ee0000000000000000000a1".to_owned(),
                "DELETE hooks/5ee0000000000000000000a2".to_owned(),
                format!("POST hooks?site_id={SITE}"),
            ]
        );
        let sent: Value = serde_json::from_slice(testing::requests()[3].content().unwrap()).unwrap();
        assert_eq!(sent["data"]["signature_secret"], "sluice-placeholder-webhook");
        assert_eq!(sent["event"], "submission_created");
        unregister(&connection(), &made).unwrap();
        assert_eq!(
            asked().len(),
            7,
            "those with the address go, others stay: {:?}",
            asked()
        );
    }

    #[test]
    fn a_hook_is_of_sites_that_are_named() {
        testing::give_webhook_secret(true);
        let error = register(&testing::connection("{}"), URL, &[]).unwrap_err();
        assert!(matches!(error, Error::Config(_)));
        testing::serve(|_| answer(401, &[], "{}"));
        assert!(matches!(
            register(&connection(), URL, &["deploy_created".to_owned()]),
            Err(Error::Auth(_))
        ));
    }
}
