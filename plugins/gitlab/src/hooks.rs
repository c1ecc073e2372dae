//! Setting webhooks up ("Project webhooks API", "Group webhooks API"): one in every project that the connection names, or one in its
//! group. They do not end by themselves.
//!
//! A webhook is known by its address, which no other hook has: what an earlier try made is found and set right, and never made again.
//! The secret token is a placeholder here, and GitLab never shows it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sluice_sdk::http::Response;
use sluice_sdk::{Connection, Error, Registration, record, secrets};

use crate::api::{self, Api};
use crate::config::{self, Scope};

/// GitLab's switches, and the kinds of events that each is for.
const SWITCHES: [(&str, &[&str]); 16] = [
    ("confidential_issues_events", &["issue", "work_item"]),
    ("confidential_note_events", &["note"]),
    ("deployment_events", &["deployment"]),
    ("emoji_events", &["emoji"]),
    ("feature_flag_events", &["feature_flag"]),
    ("issues_events", &["issue", "work_item"]),
    ("job_events", &["build"]),
    ("merge_requests_events", &["merge_request"]),
    ("milestone_events", &["milestone"]),
    ("note_events", &["note"]),
    ("pipeline_events", &["pipeline"]),
    ("push_events", &["push"]),
    ("releases_events", &["release"]),
    ("resource_access_token_events", &["access_token"]),
    ("tag_push_events", &["tag_push"]),
    ("wiki_page_events", &["wiki_page"]),
];

/// A place has at most 100 webhooks on gitlab.com.
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
    url: String,
}

pub(crate) fn register(connection: &Connection, url: &str, events: &[String]) -> Result<Registration, Error> {
    let secret = secrets::of_webhook().ok_or_else(|| Error::internal("there is no secret to be sent"))?;
    let mut body = switches(events);
    body.insert("url".to_owned(), json!(url));
    body.insert("token".to_owned(), json!(secret.placeholder()));
    body.insert("enable_ssl_verification".to_owned(), json!(true));
    let api = Api::of(connection)?;
    let mut state = State::default();
    for place in places(connection)? {
        let mut mine = listed(&api, &place, url)?.into_iter();
        let known = mine.next();
        let request = match &known {
            Some(known) => api.request("PUT", known),
            None => api.request("POST", &place),
        };
        let hook: Hook = ok(request.json(&body)?.send()?)?.json()?;
        for more in mine {
            remove(&api, &more)?;
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
    let api = Api::of(connection)?;
    if let Some(url) = &state.url {
        for place in places(connection)? {
            state.hooks.extend(listed(&api, &place, url)?);
        }
    }
    state.hooks.iter().try_for_each(|path| remove(&api, path))
}

/// Where webhooks are made: `projects/7/hooks`, `groups/5/hooks`.
fn places(connection: &Connection) -> Result<Vec<String>, Error> {
    Ok(match config::read(connection)?.scope()? {
        Scope::Projects(ids) => ids.iter().map(|id| format!("projects/{id}/hooks")).collect(),
        Scope::Group(id) => vec![format!("groups/{id}/hooks")],
    })
}

/// The paths of the webhooks with this address.
fn listed(api: &Api, place: &str, url: &str) -> Result<Vec<String>, Error> {
    let response = api.get(place).query("per_page", PER_PAGE).send()?;
    // A group's webhooks are of GitLab's paid tiers; without them, and where the token may not see them, it says 404.
    if response.status == 404 {
        return Err(Error::unsupported(
            "GitLab has no webhooks there: the token may not manage them (scope api, role Maintainer), or a group's are not in the plan",
        ));
    }
    let hooks: Vec<Hook> = ok(response)?.json()?;
    let mine = hooks.iter().filter(|hook| hook.url == url);
    Ok(mine.map(|hook| format!("{place}/{}", hook.id)).collect())
}

fn remove(api: &Api, path: &str) -> Result<(), Error> {
    let response = api.request("DELETE", path).send()?;
    match response.status {
        404 => Ok(()),
        _ => ok(response).map(drop),
    }
}

fn ok(response: Response) -> Result<Response, Error> {
    if api::is_refused(&response) {
        return Err(Error::unsupported(
            "the token may not manage webhooks: it needs the scope api and the role Maintainer",
        ));
    }
    response.ok()
}

/// Every switch, on where a kind that is wanted is its.
fn switches(events: &[String]) -> Map<String, Value> {
    let wanted = |kind: &&str| events.iter().any(|event| event.split('.').next() == Some(*kind));
    SWITCHES
        .iter()
        .map(|(name, kinds)| ((*name).to_owned(), json!(kinds.iter().any(wanted))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";
    const ROOT: &str = "https://gitlab.com/api/v4/projects/7/hooks";

    fn connection() -> Connection {
        testing::connection(r#"{"host":"gitlab.com","projects":[7]}"#)
    }

    fn asked() -> Vec<String> {
        let of = |request: &sluice_sdk::http::Request| format!("{} {}", request.method(), request.url());
        testing::requests().iter().map(of).collect()
    }

    fn mine(ids: &[u64]) -> String {
        let hooks: Vec<Value> = ids.iter().map(|id| json!({"id": id, "url": URL})).collect();
        json!(hooks).to_string()
    }

    #[test]
    fn a_webhook_is_made_where_there_is_none() {
        testing::give_webhook_secret(true);
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], include_str!("../fixtures/hooks.json")),
            "DELETE" => answer(204, &[], ""),
            _ => answer(201, &[], include_str!("../fixtures/hook-created.json")),
        });
        let made = register(&connection(), URL, &["issue.*".to_owned(), "push".to_owned()]).unwrap();
        assert_eq!(made.id, "projects/7/hooks/12");
        let body: Value = serde_json::from_slice(testing::requests()[1].content().unwrap()).unwrap();
        assert_eq!(body["token"], "sluice-placeholder-webhook");
        assert_eq!(body["enable_ssl_verification"], true);
        let on: Vec<&str> = SWITCHES
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| body[name] == true)
            .collect();
        assert_eq!(on, ["confidential_issues_events", "issues_events", "push_events"]);
        unregister(&connection(), &made).unwrap();
        assert_eq!(asked().last().unwrap(), &format!("DELETE {ROOT}/12"));
    }

    #[test]
    fn one_that_is_there_is_set_right_and_a_second_goes() {
        testing::give_webhook_secret(true);
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], &mine(&[12, 13])),
            "PUT" => answer(200, &[], r#"{"id":12}"#),
            _ => answer(204, &[], ""),
        });
        register(&connection(), URL, &[]).unwrap();
        let list = format!("GET {ROOT}?per_page=100");
        assert_eq!(
            asked(),
            [
                list.clone(),
                format!("PUT {ROOT}/12"),
                format!("DELETE {ROOT}/13")
            ]
        );
        // Of a try that was cut off nothing is known but the address.
        testing::serve(|request| match request.method() {
            "GET" => answer(200, &[], &mine(&[12])),
            _ => answer(404, &[], "{}"),
        });
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({"url": URL}).to_string(),
        };
        unregister(&connection(), &lost).unwrap();
        assert_eq!(asked(), [list, format!("DELETE {ROOT}/12")]);
    }

    #[test]
    fn what_the_token_may_not_is_a_persons_business() {
        testing::give_webhook_secret(true);
        for (status, wanted) in [(404, true), (403, true), (503, false), (401, false)] {
            testing::serve(move |_| answer(status, &[], "{}"));
            let error = register(&connection(), URL, &[]).unwrap_err();
            assert_eq!(
                matches!(error, Error::Unsupported(_)),
                wanted,
                "{status}: {error:?}"
            );
        }
        testing::serve(|_| answer(200, &[], "[]"));
        let group = testing::connection(r#"{"host":"gitlab.com","group":5}"#);
        drop(register(&group, URL, &[]));
        assert!(asked()[0].starts_with("GET https://gitlab.com/api/v4/groups/5/hooks?"));
    }

    #[test]
    fn every_kind_has_a_switch() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        for event in &manifest.webhooks[0].events {
            let on = switches(std::slice::from_ref(&event.kind));
            assert!(on.values().any(|on| *on == true), "{}", event.kind);
        }
    }
}
