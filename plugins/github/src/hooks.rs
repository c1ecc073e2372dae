//! Setting webhooks up (GitHub REST docs, "Repository webhooks", "Organization webhooks"): one in every repository that the
//! connection names, or one in the organization. They do not end by themselves.
//!
//! A webhook is known by its address, which no other hook has: what an earlier try made is found and set right, and never made
//! again. The secret is a placeholder here.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sluice_sdk::http::Response;
use sluice_sdk::{Connection, Error, Registration, record, secrets};

use crate::api;
use crate::config::{self, Scope};

/// A repository has at most 20 webhooks for each event.
const PER_PAGE: &str = "100";

/// What is kept of a registration: the paths of the webhooks.
#[derive(Debug, Default, Deserialize, Serialize)]
struct State {
    #[serde(default)]
    hooks: Vec<String>,
    /// Instead, of a try of which nothing else is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Deserialize)]
struct Hook {
    id: u64,
    #[serde(default)]
    config: Target,
}

#[derive(Default, Deserialize)]
struct Target {
    #[serde(default)]
    url: String,
}

pub(crate) fn register(connection: &Connection, url: &str, events: &[String]) -> Result<Registration, Error> {
    let secret = secrets::of_webhook().ok_or_else(|| Error::internal("there is no secret to be sent"))?;
    let body = json!({
        "name": "web",
        "active": true,
        "events": names(events),
        "config": {"url": url, "content_type": "json", "insecure_ssl": "0", "secret": secret.placeholder()},
    });
    let mut state = State::default();
    for place in places(connection)? {
        let mut mine = listed(&place, url)?.into_iter();
        let hook: Hook = match mine.next() {
            Some(known) => {
                let request = api::request("PATCH", format!("{}{known}", api::ROOT)).json(&body)?;
                ok(request.send()?)?.json()?
            }
            None => {
                let request = api::post(format!("{}{place}", api::ROOT)).json(&body)?;
                made(request.send()?)?.json()?
            }
        };
        for more in mine {
            remove(&more)?;
        }
        state.hooks.push(format!("{place}/{}", hook.id));
    }
    Ok(Registration {
        id: state.hooks.join(" "),
        expires: None,
        state: record::text(&state)?,
    })
}

pub(crate) fn unregister(connection: &Connection, registration: &Registration) -> Result<(), Error> {
    let mut state: State = record::input(&registration.state)?;
    if let Some(url) = &state.url {
        for place in places(connection)? {
            state.hooks.extend(listed(&place, url)?);
        }
    }
    state.hooks.iter().try_for_each(|path| remove(path))
}

/// Where webhooks are made: `/repos/OWNER/NAME/hooks`, `/orgs/OWNER/hooks`.
fn places(connection: &Connection) -> Result<Vec<String>, Error> {
    Ok(match config::scope(connection)? {
        Scope::Named(names) => names.iter().map(|name| format!("/repos/{name}/hooks")).collect(),
        Scope::Owner(owner) => vec![format!("/orgs/{owner}/hooks")],
    })
}

/// The paths of the webhooks with this address.
fn listed(place: &str, url: &str) -> Result<Vec<String>, Error> {
    let response = api::get(format!("{}{place}", api::ROOT))
        .query("per_page", PER_PAGE)
        .send()?;
    // A user has no webhooks of all their repositories; GitHub says 404 too where the token may not see them.
    if response.status == 404 {
        let message = match place.starts_with("/orgs/") {
            true => {
                "GitHub has no webhooks of this owner: it is a user, or the token may not manage the organization's webhooks"
            }
            false => {
                "the token may not manage this repository's webhooks (permission Webhooks, or scope admin:repo_hook)"
            }
        };
        return Err(Error::unsupported(message));
    }
    let hooks: Vec<Hook> = ok(response)?.json()?;
    let mine = hooks.iter().filter(|hook| hook.config.url == url);
    Ok(mine.map(|hook| format!("{place}/{}", hook.id)).collect())
}

fn remove(path: &str) -> Result<(), Error> {
    let response = api::request("DELETE", format!("{}{path}", api::ROOT)).send()?;
    match response.status {
        404 | 410 => Ok(()),
        _ => ok(response).map(drop),
    }
}

/// 403 is a permission that the token lacks, unless it is a rate limit.
fn ok(response: Response) -> Result<Response, Error> {
    if api::is_refused(&response) {
        return Err(Error::unsupported(
            "the token may not manage webhooks (permission Webhooks, or scope admin:repo_hook)",
        ));
    }
    response.ok()
}

/// 422 "Hook already exists" is an earlier try that is through by now: the next one finds it.
fn made(response: Response) -> Result<Response, Error> {
    if response.status == 422 && response.text().is_ok_and(|text| text.contains("already exists")) {
        return Err(Error::transient("the webhook is being made by an earlier try"));
    }
    ok(response)
}

/// GitHub's names of the events: what stands before the first dot. What GitHub sends to apps alone is no choice for others, so
/// all that the manifest has are GitHub's `*`.
fn names(events: &[String]) -> Vec<&str> {
    if events.len() > MOST_NAMED {
        return vec!["*"];
    }
    let mut names: Vec<&str> = events
        .iter()
        .map(|kind| kind.split('.').next().unwrap_or_default())
        .filter(|name| *name != "ping")
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whoever chooses, chooses a few.
const MOST_NAMED: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const ROOT: &str = "https://api.github.com/repos/acme/web/hooks";

    fn connection() -> Connection {
        testing::connection(r#"{"repositories":["acme/web"]}"#)
    }

    fn asked() -> Vec<(String, String)> {
        let requests = testing::requests();
        let of =
            |request: &sluice_sdk::http::Request| (request.method().to_owned(), request.url().to_owned());
        requests.iter().map(of).collect()
    }

    #[test]
    fn a_webhook_is_made_where_there_is_none() {
        testing::give_webhook_secret(true);
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], include_str!("../fixtures/hooks.json")),
            _ => answer(201, &[], include_str!("../fixtures/hook-created.json")),
        });
        let registration = register(&connection(), URL, &["issues.*".to_owned(), "push".to_owned()]).unwrap();
        assert_eq!(registration.id, "/repos/acme/web/hooks/12345678");
        assert_eq!(registration.expires, None);
        let requests = testing::requests();
        let body: serde_json::Value = serde_json::from_slice(requests[1].content().unwrap()).unwrap();
        assert_eq!(body["events"], json!(["issues", "push"]));
        assert_eq!(
            body["config"],
            json!({"url": URL, "content_type": "json", "insecure_ssl": "0", "secret": "sluice-placeholder-webhook"})
        );
        unregister(&connection(), &registration).unwrap();
        assert_eq!(
            asked().last().unwrap(),
            &("DELETE".into(), format!("{ROOT}/12345678"))
        );
    }

    #[test]
    fn one_that_is_there_is_set_right_and_a_second_goes() {
        testing::give_webhook_secret(true);
        testing::serve(|request| {
            match request.method() {
            "GET" => answer(
                200,
                &[],
                &json!([{"id": 7, "config": {"url": URL}}, {"id": 8, "config": {"url": URL}}, {"id": 9, "config": {}}])
                    .to_string(),
            ),
            "PATCH" => answer(200, &[], r#"{"id":7}"#),
            _ => answer(204, &[], ""),
        }
        });
        let registration = register(&connection(), URL, &["push".to_owned()]).unwrap();
        assert_eq!(registration.id, "/repos/acme/web/hooks/7");
        let list = format!("{ROOT}?per_page=100");
        let expected = [
            ("GET", list.clone()),
            ("PATCH", format!("{ROOT}/7")),
            ("DELETE", format!("{ROOT}/8")),
        ];
        assert_eq!(asked(), expected.map(|(method, url)| (method.to_owned(), url)));
        // Of a try that was cut off nothing is known but the address.
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], &json!([{"id": 7, "config": {"url": URL}}]).to_string()),
            _ => answer(404, &[], "{}"),
        });
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({"url": URL}).to_string(),
        };
        unregister(&connection(), &lost).unwrap();
        assert_eq!(
            asked(),
            [
                ("GET".to_owned(), list),
                ("DELETE".to_owned(), format!("{ROOT}/7"))
            ]
        );
    }

    #[test]
    fn what_the_token_may_not_is_a_persons_business() {
        testing::give_webhook_secret(true);
        let fails = |status: u16, body: &'static str| {
            testing::serve(move |_| answer(status, &[], body));
            register(&connection(), URL, &[]).unwrap_err()
        };
        assert!(matches!(fails(404, "{}"), Error::Unsupported(_)));
        assert!(matches!(fails(403, "{}"), Error::Unsupported(_)));
        assert!(matches!(fails(503, "{}"), Error::Transient(_)));
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], "[]"),
            _ => answer(
                422,
                &[],
                r#"{"message":"Validation Failed","errors":[{"message":"Hook already exists on this repository"}]}"#,
            ),
        });
        assert!(matches!(
            register(&connection(), URL, &[]),
            Err(Error::Transient(_))
        ));
        let owner = testing::connection(r#"{"owner":"acme"}"#);
        testing::serve(|_| answer(200, &[], "{}"));
        assert!(register(&owner, URL, &[]).is_err());
        assert!(
            asked()[0]
                .1
                .starts_with("https://api.github.com/orgs/acme/hooks?")
        );
    }

    #[test]
    fn all_events_are_githubs_star() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let all: Vec<String> = manifest.webhooks[0]
            .events
            .iter()
            .map(|event| event.kind.clone())
            .collect();
        assert_eq!(names(&all), ["*"]);
        let few = ["ping", "issues.opened", "issues.closed", "push"].map(str::to_owned);
        assert_eq!(names(&few), ["issues", "push"]);
    }
}
