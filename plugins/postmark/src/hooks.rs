//! Setting webhooks up ("Webhooks API"): one of the message stream, with a header of ours that Postmark repeats. It does not end by itself.
//!
//! A webhook is known by its address, which no other hook has: what an earlier try made is found and set right, and never made again.
//! The token is a placeholder here; Postmark shows it to whoever may read the server's webhooks.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::{Connection, Error, Registration, record, secrets};

use crate::api;
use crate::webhook::KINDS;

/// What the manifest's recipe reads.
const HEADER: &str = "X-Sluice-Token";

#[derive(Deserialize)]
struct Webhook {
    #[serde(rename = "ID")]
    id: u64,
    #[serde(rename = "Url", default)]
    url: String,
}

/// What is kept of a registration; the address only of a try of which nothing else is known.
#[derive(Deserialize)]
struct State {
    url: Option<String>,
}

pub(crate) fn register(connection: &Connection, url: &str, events: &[String]) -> Result<Registration, Error> {
    let secret = secrets::of_webhook().ok_or_else(|| Error::internal("there is no secret to be sent"))?;
    let stream = api::message_stream(connection)?;
    let header = json!([{"Name": HEADER, "Value": secret.placeholder()}]);
    let mut body = Map::new();
    body.insert("Url".to_owned(), json!(url));
    body.insert("HttpHeaders".to_owned(), header);
    body.insert("Triggers".to_owned(), json!(triggers(events)));
    let mut mine = listed(&stream, url)?.into_iter();
    let request = match mine.next() {
        Some(known) => api::request("PUT", &format!("webhooks/{known}")),
        None => {
            body.insert("MessageStream".to_owned(), json!(stream));
            api::request("POST", "webhooks")
        }
    };
    let made: Webhook = api::ok(request.json(&body)?.send()?)?.json()?;
    for more in mine {
        remove(more)?;
    }
    Ok(Registration {
        id: made.id.to_string(),
        expires: None,
        state: "{}".to_owned(),
    })
}

pub(crate) fn unregister(connection: &Connection, registration: &Registration) -> Result<(), Error> {
    let state: State = record::input(&registration.state)?;
    match state.url {
        Some(url) => listed(&api::message_stream(connection)?, &url)?
            .into_iter()
            .try_for_each(remove),
        None => {
            let id = registration.id.parse();
            remove(id.map_err(|_| Error::invalid_data("not the id of a webhook"))?)
        }
    }
}

/// The ids of the stream's webhooks with this address. A stream has at most ten.
fn listed(stream: &str, url: &str) -> Result<Vec<u64>, Error> {
    #[derive(Deserialize)]
    struct All {
        #[serde(rename = "Webhooks")]
        webhooks: Vec<Webhook>,
    }
    let response = api::get("webhooks").query("MessageStream", stream).send()?;
    let response = api::ok(response).map_err(|error| error.blame_config("/message_stream"))?;
    let all: All = response.json()?;
    let mine = all.webhooks.into_iter().filter(|webhook| webhook.url == url);
    Ok(mine.map(|webhook| webhook.id).collect())
}

fn remove(id: u64) -> Result<(), Error> {
    let response = api::request("DELETE", &format!("webhooks/{id}")).send()?;
    match response.status {
        404 => Ok(()),
        _ => api::ok(response).map(drop),
    }
}

/// Every trigger, on where its kind is wanted. Contents of mails are left at Postmark.
fn triggers(events: &[String]) -> Map<String, Value> {
    let trigger = |(theirs, ours): (&str, &str)| {
        let on = events.iter().any(|event| event == ours);
        let trigger = match theirs {
            "Open" => json!({"Enabled": on, "PostFirstOpenOnly": false}),
            "Bounce" | "SpamComplaint" => json!({"Enabled": on, "IncludeContent": false}),
            _ => json!({ "Enabled": on }),
        };
        (theirs.to_owned(), trigger)
    };
    KINDS.into_iter().map(trigger).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";

    fn asked() -> Vec<String> {
        let of = |request: &sluice_sdk::http::Request| {
            format!(
                "{} {}",
                request.method(),
                request.url().trim_start_matches("https://api.postmarkapp.com/")
            )
        };
        testing::requests().iter().map(of).collect()
    }

    #[test]
    fn a_webhook_is_made_with_a_header_of_ours() {
        testing::give_webhook_secret(true);
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], include_str!("../fixtures/webhooks.json")),
            _ => answer(200, &[], include_str!("../fixtures/webhook-created.json")),
        });
        let connection = testing::connection("{}");
        let made = register(&connection, URL, &["bounce".to_owned(), "open".to_owned()]).unwrap();
        assert_eq!((made.id.as_str(), made.expires), ("1234567", None));
        let body: Value = serde_json::from_slice(testing::requests()[1].content().unwrap()).unwrap();
        assert_eq!(
            body["HttpHeaders"],
            json!([{"Name": "X-Sluice-Token", "Value": "sluice-placeholder-webhook"}])
        );
        assert_eq!(body["MessageStream"], "outbound");
        assert_eq!(
            (
                &body["Triggers"]["Bounce"]["Enabled"],
                &body["Triggers"]["Click"]["Enabled"]
            ),
            (&json!(true), &json!(false))
        );
        unregister(&connection, &made).unwrap();
        assert_eq!(
            asked(),
            [
                "GET webhooks?MessageStream=outbound",
                "POST webhooks",
                "DELETE webhooks/1234567"
            ]
        );
    }

    #[test]
    fn one_that_is_there_is_set_right_and_a_second_goes() {
        testing::give_webhook_secret(true);
        let two = json!({"Webhooks": [{"ID": 7, "Url": URL}, {"ID": 8, "Url": URL}]}).to_string();
        testing::serve(move |request| match request.method() {
            "GET" => answer(200, &[], &two),
            "PUT" => answer(200, &[], r#"{"ID":7}"#),
            _ => answer(404, &[], "{}"),
        });
        let connection = testing::connection("{}");
        register(&connection, URL, &[]).unwrap();
        assert_eq!(asked()[1..], ["PUT webhooks/7", "DELETE webhooks/8"]);
        // Of a try that was cut off nothing is known but the address.
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({"url": URL}).to_string(),
        };
        unregister(&connection, &lost).unwrap();
        assert_eq!(asked()[4..], ["DELETE webhooks/7", "DELETE webhooks/8"]);
        testing::serve(|_| answer(401, &[], r#"{"ErrorCode":10,"Message":"no"}"#));
        assert!(matches!(register(&connection, URL, &[]), Err(Error::Auth(_))));
    }
}
