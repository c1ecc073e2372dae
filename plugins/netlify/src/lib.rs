//! The Netlify connector. `connector.toml` says what it may do; here is what it does: sites and forms whole ([`lists`]), deploys and
//! submissions newest first ([`recent`]), webhooks ([`webhook`]), set up by itself ([`notifications`]), and builds triggered.
//!
//! Tokens, signatures, retries and rate limits are the host's.

use serde::Deserialize;
use serde_json::{Map, json};
use sluice_sdk::record::{Text, input};
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod api;
mod lists;
mod notifications;
mod recent;
mod webhook;

struct Netlify;

sluice_sdk::export!(Netlify);

impl Connector for Netlify {
    /// Netlify API, "getCurrentUser".
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow, default)]
            id: Text<'a>,
            #[serde(borrow, default)]
            full_name: Text<'a>,
            #[serde(borrow, default)]
            email: Text<'a>,
        }
        let response = api::ok(api::get("user").send()?)?;
        let answer: Answer<'_> = response.json()?;
        let id = answer.id.as_str();
        if id.is_empty() {
            return Err(Error::invalid_data("Netlify's answer has no `id`"));
        }
        let names = [answer.full_name.as_str(), answer.email.as_str(), id];
        let name = names
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default();
        Ok(Account {
            id: id.to_owned(),
            name: name.to_owned(),
            scopes: Vec::new(),
        })
    }

    fn partitions(connection: &Connection, stream: &str) -> Result<Vec<String>, Error> {
        match stream {
            "sites" => Ok(Vec::new()),
            _ => lists::partitions(connection),
        }
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "sites" => lists::sites(connection, request),
            "forms" => lists::forms(connection, request),
            "deploys" | "submissions" => recent::read(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn register_webhook(
        connection: &Connection,
        _: &str,
        url: &str,
        events: &[String],
    ) -> Result<Registration, Error> {
        notifications::register(connection, url, events)
    }

    fn unregister_webhook(connection: &Connection, registration: &Registration) -> Result<(), Error> {
        notifications::unregister(connection, registration)
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(_: &Connection, name: &str, text: &str, _: &str) -> Result<String, Error> {
        match name {
            "trigger_build" => trigger_build(&input(text)?),
            other => Err(Error::unsupported(format!("there is no action `{other}`"))),
        }
    }
}

#[derive(Deserialize)]
struct Build {
    site: String,
    clear_cache: Option<bool>,
    title: Option<String>,
    branch: Option<String>,
}

/// Netlify API, "createSiteBuild". There are no idempotency keys: an answer that is lost is an error for a person to look at.
fn trigger_build(build: &Build) -> Result<String, Error> {
    if !api::is_id(&build.site) {
        return Err(Error::invalid_data("not a site's id").at("/site"));
    }
    let mut body = Map::new();
    if let Some(clear) = build.clear_cache {
        body.insert("clear_cache".to_owned(), json!(clear));
    }
    for (name, value) in [("title", &build.title), ("branch", &build.branch)] {
        if let Some(value) = value {
            body.insert(name.to_owned(), json!(value));
        }
    }
    let asked = api::request("POST", &format!("sites/{}/builds", build.site)).json(&body)?;
    let response = api::ok(asked.send()?).map_err(|error| match error {
        Error::InvalidData(_) => error.at("/site"),
        other => other,
    })?;
    response.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_tokens_user() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/user.json")));
        let account = Netlify::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("5ee000000000000000000001", "Mona Octo")
        );
        testing::serve(|_| testing::answer(200, &[], "{}"));
        assert!(matches!(
            Netlify::check(&testing::connection("{}")),
            Err(Error::InvalidData(_))
        ));
    }

    #[test]
    fn a_build_is_one_request() {
        testing::serve(|_| testing::answer(200, &[], r#"{"id":"b-1","deploy_id":"d-1","done":false}"#));
        let input = r#"{"site":"3970e0fe-8564-4903-9a55-c5f8de49fb8b","clear_cache":true}"#;
        let made = Netlify::run_action(&testing::connection("{}"), "trigger_build", input, "k").unwrap();
        assert!(made.contains("b-1"));
        let requests = testing::requests();
        assert_eq!(requests[0].content(), Some(br#"{"clear_cache":true}"#.as_slice()));
        assert!(trigger_build(&input_of("../x")).is_err());
    }

    fn input_of(site: &str) -> Build {
        input(&json!({ "site": site }).to_string()).unwrap()
    }

    /// Every address that the code makes is one that the manifest asks for, and of no more than is needed.
    #[test]
    fn the_manifest_permits_what_the_code_asks() {
        use sluice_model::capability::{Scheme, Target};
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let permits = |method: &str, path: &str| {
            let target = Target {
                scheme: Scheme::Https,
                host: "api.netlify.com",
                port: 443,
                method,
                path: &format!("/api/v1/{path}"),
            };
            let mut rules = manifest.capabilities.egress.iter();
            rules.any(|rule| rule.expand(&json!({})).unwrap().permits(&target))
        };
        for (method, path) in [
            ("GET", "user"),
            ("GET", "sites"),
            ("GET", "sites/a/deploys"),
            ("GET", "sites/a/submissions"),
            ("GET", "sites/a/forms"),
            ("GET", "deploys/d"),
            ("GET", "submissions/s"),
            ("GET", "hooks"),
            ("POST", "hooks"),
            ("PUT", "hooks/h"),
            ("DELETE", "hooks/h"),
            ("POST", "sites/a/builds"),
        ] {
            assert!(permits(method, path), "{method} {path}");
        }
        for (method, path) in [
            ("DELETE", "sites/a"),
            ("POST", "sites"),
            ("POST", "deploys/d/cancel"),
            ("DELETE", "submissions/s"),
            ("GET", "sites/a/env"),
        ] {
            assert!(!permits(method, path), "{method} {path}");
        }
    }
}
