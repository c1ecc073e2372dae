//! What can be written to Mixpanel: events. Each has an `$insert_id`, given or made from the call's key, by which Mixpanel
//! knows one that it has already ("Event Deduplication"); so the host may repeat a call after a lost answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sluice_sdk::http::Response;
use sluice_sdk::record::{self, input};
use sluice_sdk::{Connection, Error};

use crate::config::{self, Config};
use crate::{api, lines};

/// The most events of an import ("Import Events"); "Track Events" takes as many.
const MAX_EVENTS: usize = 2_000;

#[derive(Deserialize)]
struct Input {
    events: Vec<Event>,
}

#[derive(Deserialize, Serialize)]
struct Event {
    event: String,
    properties: Map<String, Value>,
}

pub(crate) fn run(connection: &Connection, name: &str, text: &str, key: &str) -> Result<String, Error> {
    let config = config::read(connection)?;
    match name {
        "import_events" => import(&config, events(text, key)?, key),
        "track_events" => track(&config, events(text, key)?, key),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

fn events(text: &str, key: &str) -> Result<Vec<Event>, Error> {
    let Input { mut events } = input(text)?;
    if events.is_empty() || events.len() > MAX_EVENTS {
        return Err(Error::invalid_data(format!("not 1 to {MAX_EVENTS} events")).at("/events"));
    }
    for (at, event) in events.iter_mut().enumerate() {
        let made = || Value::String(format!("{:016x}-{at}", lines::hash(&[key])));
        event.properties.entry("$insert_id").or_insert_with(made);
    }
    Ok(events)
}

/// "Import Events": any time of the past, each event checked. A 400 says which were refused; the others are in.
fn import(config: &Config, events: Vec<Event>, key: &str) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        num_records_imported: Option<u64>,
        #[serde(default)]
        failed_records: Vec<Value>,
    }
    if let Some(at) = events
        .iter()
        .position(|event| !event.properties.contains_key("time"))
    {
        return Err(Error::invalid_data("is missing").at(format!("/events/{at}/properties/time")));
    }
    let response = api::ingestion(config, "/import")
        .query("strict", "1")
        .query("project_id", &config.project.to_string())
        .json(&events)?
        .idempotency_key(key)
        .send()?;
    let answer: Option<Answer> = match response.status {
        200 | 400 => response.json().ok(),
        _ => None,
    };
    let Some(Answer {
        num_records_imported: Some(imported),
        failed_records,
    }) = answer
    else {
        return refused(response);
    };
    record::text(&json!({ "imported": imported, "failed": failed_records }))
}

/// "Track Events": what happens now (not older than five days), by the project's token instead of the service account.
fn track(config: &Config, mut events: Vec<Event>, key: &str) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        status: u64,
        #[serde(default)]
        error: Option<String>,
    }
    let Some(token) = &config.token else {
        return Err(Error::config("is needed to track events", "/token"));
    };
    for event in &mut events {
        event.properties.insert("token".to_owned(), json!(token));
    }
    let response = api::ingestion(config, "/track")
        .query("verbose", "1")
        .json(&events)?
        .anonymous()
        .idempotency_key(key)
        .send()?;
    let response = api::ok(response)?;
    let answer: Answer = response.json()?;
    if answer.status != 1 {
        let words = record::words(&answer.error.unwrap_or_default(), 300);
        return Err(Error::invalid_data(format!(
            "Mixpanel did not take the events: {words}"
        )));
    }
    record::text(&json!({ "imported": events.len(), "failed": [] }))
}

fn refused(response: Response) -> Result<String, Error> {
    api::ok(response)?;
    Err(Error::invalid_data(
        "Mixpanel does not say how many events it took",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn act(config: &str, name: &str, input: &str) -> Result<Value, Error> {
        let connection = testing::connection(config);
        run(&connection, name, input, "key-1").map(|text| serde_json::from_str(&text).unwrap())
    }

    const CONFIG: &str = r#"{"project_id":7,"start_date":"2024-05-01","token":"of the project"}"#;

    #[test]
    fn an_import_says_what_was_taken_and_what_was_not() {
        testing::serve(|_| testing::answer(400, &[], include_str!("../fixtures/import-partly.json")));
        let input = r#"{"events":[{"event":"Opened","properties":{"time":1714557600,"distinct_id":"mona"}},{"event":"Shut","properties":{"time":-1,"$insert_id":"mine"}}]}"#;
        let answer = act(CONFIG, "import_events", input).unwrap();
        assert_eq!(answer["imported"], 1);
        assert_eq!(answer["failed"][0]["index"], 1);
        let requests = testing::requests();
        assert_eq!(
            requests[0].url(),
            "https://api.mixpanel.com/import?strict=1&project_id=7"
        );
        let body: Value = serde_json::from_slice(requests[0].content().unwrap()).unwrap();
        let made = body[0]["properties"]["$insert_id"].as_str().unwrap();
        assert!(made.ends_with("-0") && made.len() <= 36, "{made}");
        assert_eq!(body[1]["properties"]["$insert_id"], "mine");
        act(CONFIG, "import_events", input).unwrap();
        assert_eq!(
            testing::requests()[1].content(),
            requests[0].content(),
            "the same again"
        );
    }

    #[test]
    fn tracking_names_the_project_by_its_token() {
        testing::serve(|_| testing::answer(200, &[], r#"{"status":1,"error":null}"#));
        let input = r#"{"events":[{"event":"Opened","properties":{"distinct_id":"mona"}}]}"#;
        assert_eq!(act(CONFIG, "track_events", input).unwrap()["imported"], 1);
        let request = &testing::requests()[0];
        let body: Value = serde_json::from_slice(request.content().unwrap()).unwrap();
        assert_eq!(body[0]["properties"]["token"], "of the project");
        testing::serve(|_| testing::answer(200, &[], r#"{"status":0,"error":"token, missing or empty"}"#));
        let error = act(CONFIG, "track_events", input).unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.message.contains("missing or empty")));
        let without = r#"{"project_id":7,"start_date":"2024-05-01"}"#;
        let error = act(without, "track_events", input).unwrap_err();
        assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/token")));
    }

    #[test]
    fn refusals_and_bad_input() {
        testing::serve(|_| testing::answer(401, &[], include_str!("../fixtures/refused.json")));
        let input = r#"{"events":[{"event":"Opened","properties":{"time":1}}]}"#;
        assert!(matches!(act(CONFIG, "import_events", input), Err(Error::Auth(_))));
        for (input, pointer) in [
            (r#"{"events":[]}"#, "/events"),
            (
                r#"{"events":[{"event":"a","properties":{}}]}"#,
                "/events/0/properties/time",
            ),
        ] {
            match act(CONFIG, "import_events", input) {
                Err(Error::InvalidData(detail)) => assert_eq!(detail.pointer.as_deref(), Some(pointer)),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(act(CONFIG, "delete", input), Err(Error::Unsupported(_))));
    }
}
