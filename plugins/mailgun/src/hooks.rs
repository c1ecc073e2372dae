//! Setting webhooks up ("Create domain webhooks (v4)"): one address for all kinds of events of the domain. They do not end by themselves.
//! What signs them is a key of the whole account, which goes to the host as Mailgun tells it; it is read, and never made anew, because
//! others use it too.
//!
//! A webhook is known by its address, which no other hook has: one that is there already has its kinds set right.

use serde::Deserialize;
use serde_json::{Value, json};
use sluice_sdk::http::{CaptureInto, Response};
use sluice_sdk::{Error, Registration, record, secrets};

use crate::api::{self, Api};

/// Our kinds, and Mailgun's names of them.
const TYPES: [(&str, &str); 8] = [
    ("accepted", "accepted"),
    ("clicked", "clicked"),
    ("complained", "complained"),
    ("delivered", "delivered"),
    ("failed.permanent", "permanent_fail"),
    ("failed.temporary", "temporary_fail"),
    ("opened", "opened"),
    ("unsubscribed", "unsubscribed"),
];

/// What is kept of a registration.
#[derive(Deserialize)]
struct State {
    url: String,
}

pub(crate) fn register(api: &Api, url: &str, events: &[String]) -> Result<Registration, Error> {
    let key = api.get("v5/accounts/http_signing_key").capture(
        "/http_signing_key",
        CaptureInto::Secret(secrets::OF_WEBHOOK.to_owned()),
    );
    ok(key.send()?)?;
    let mut pairs = vec![("url", url)];
    let wanted = TYPES
        .iter()
        .filter(|(kind, _)| events.iter().any(|event| event == kind));
    pairs.extend(wanted.map(|(_, name)| ("event_types", *name)));
    let method = if is_there(api, url)? { "PUT" } else { "POST" };
    let request = api.request(method, &path(api)).body(api::FORM, api::form(&pairs));
    ok(request.send()?)?;
    Ok(Registration {
        id: url.to_owned(),
        expires: None,
        state: record::text(&json!({ "url": url }))?,
    })
}

pub(crate) fn unregister(api: &Api, registration: &Registration) -> Result<(), Error> {
    let state: State = record::input(&registration.state)?;
    if !is_there(api, &state.url)? {
        return Ok(());
    }
    let response = api
        .request("DELETE", &path(api))
        .query("url", &state.url)
        .send()?;
    match response.status {
        404 => Ok(()),
        _ => ok(response).map(drop),
    }
}

/// Whether the domain has this address for any kind of events ("Get domain webhooks").
fn is_there(api: &Api, url: &str) -> Result<bool, Error> {
    let response = ok(api.get(&format!("v3/domains/{}/webhooks", api.domain)).send()?)?;
    let answer: Value = response.json()?;
    let kinds = answer.get("webhooks").and_then(Value::as_object);
    let has = |kind: &Value| {
        let urls = kind.get("urls").and_then(Value::as_array);
        urls.is_some_and(|urls| urls.iter().any(|known| known == url))
            || kind.get("url").is_some_and(|known| known == url)
    };
    Ok(kinds.is_some_and(|kinds| kinds.values().any(has)))
}

fn path(api: &Api) -> String {
    format!("v4/domains/{}/webhooks", api.domain)
}

/// 401 is said of a wrong key, 403 of one whose role may not do this.
fn ok(response: Response) -> Result<Response, Error> {
    if response.status == 403 && !response.is_throttled() {
        return Err(Error::unsupported(
            "the key may not manage webhooks or read the signing key: it needs the role Developer or Admin",
        ));
    }
    response.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";

    fn api() -> Api {
        Api::of(&testing::connection(r#"{"domain":"mg.doors.example"}"#)).unwrap()
    }

    fn asked() -> Vec<String> {
        let of = |request: &sluice_sdk::http::Request| {
            let body = String::from_utf8(request.content().unwrap_or_default().to_vec()).unwrap();
            format!(
                "{} {} {body}",
                request.method(),
                request.url().trim_start_matches("https://api.mailgun.net/")
            )
        };
        testing::requests().iter().map(of).collect()
    }

    #[test]
    fn an_address_is_entered_once_and_taken_out() {
        testing::serve(|request| match request.url().contains("http_signing_key") {
            true => answer(200, &[], include_str!("../fixtures/signing-key.json")),
            false => answer(200, &[], include_str!("../fixtures/webhooks.json")),
        });
        let made = register(&api(), URL, &["failed.permanent".to_owned(), "opened".to_owned()]).unwrap();
        let encoded = "url=https%3A%2F%2Fhooks.example.com%2Fhooks%2Fhok_1";
        assert_eq!(
            asked(),
            [
                "GET v5/accounts/http_signing_key ".to_owned(),
                "GET v3/domains/mg.doors.example/webhooks ".to_owned(),
                format!(
                    "POST v4/domains/mg.doors.example/webhooks {encoded}&event_types=permanent_fail&event_types=opened"
                ),
            ]
        );
        let there = json!({"webhooks": {"opened": {"urls": ["https://other.example.com", URL]}}}).to_string();
        testing::serve(move |_| answer(200, &[], &there));
        register(&api(), URL, &["opened".to_owned()]).unwrap();
        assert!(asked()[2].starts_with("PUT v4/"));
        unregister(&api(), &made).unwrap();
        assert_eq!(
            asked()[4],
            format!("DELETE v4/domains/mg.doors.example/webhooks?{encoded} ")
        );
        testing::serve(|_| answer(200, &[], r#"{"webhooks":{}}"#));
        unregister(&api(), &made).unwrap();
        assert_eq!(asked().len(), 1);
    }

    #[test]
    fn what_the_key_may_not_is_a_persons_business() {
        for (status, wanted) in [(403, true), (401, false), (503, false)] {
            testing::serve(move |_| answer(status, &[], "{}"));
            let error = register(&api(), URL, &[]).unwrap_err();
            assert_eq!(
                matches!(error, Error::Unsupported(_)),
                wanted,
                "{status}: {error:?}"
            );
        }
    }

    #[test]
    fn every_kind_has_mailguns_name() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let declared: Vec<&str> = manifest.webhooks[0]
            .events
            .iter()
            .map(|event| event.kind.as_str())
            .collect();
        assert_eq!(declared, TYPES.map(|(kind, _)| kind));
    }
}
