//! The Jira connector. `connector.toml` says what it may do; here is what it does: issues by the time of their last change
//! ([`issues`]), worklogs with their deletions ([`worklogs`]), projects and people ([`lists`]), webhooks ([`webhook`]) and
//! three actions ([`actions`]).
//!
//! Tokens and their rotation, the site that comes with them, retries, rate limits and the check of signatures are the
//! host's.

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt};

mod actions;
mod api;
mod config;
mod issues;
mod lists;
mod webhook;
mod worklogs;

struct Jira;

sluice_sdk::export!(Jira);

impl Connector for Jira {
    /// Jira docs, "Get current user": the account is the site.
    fn check(connection: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(rename = "accountId", borrow, default)]
            id: Text<'a>,
            #[serde(rename = "displayName", borrow, default)]
            name: Text<'a>,
        }
        let site = config::read(connection)?.site()?.to_owned();
        let response = api::ok(api::request(connection, "GET", "myself")?.send()?)?;
        let answer: Answer<'_> = response.json()?;
        if answer.id.as_str().is_empty() {
            return Err(Error::invalid_data("Jira's answer names no account"));
        }
        let name = match answer.name.as_str() {
            "" => site.clone(),
            person => format!("{site} ({person})"),
        };
        Ok(Account {
            id: site,
            name,
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "issues" => issues::read(connection, request),
            "worklogs" => worklogs::read(connection, request),
            "projects" => lists::projects(connection, request),
            "users" => lists::users(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(connection, name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_site() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://api.atlassian.com/ex/jira/0d000000-0000-0000-0000-00000000000c/rest/api/3/myself"
            );
            testing::answer(200, &[], include_str!("../fixtures/myself.json"))
        });
        let config = r#"{"site":"doors.atlassian.net","cloud_id":"0d000000-0000-0000-0000-00000000000c"}"#;
        let account = Jira::check(&testing::connection(config)).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("doors.atlassian.net", "doors.atlassian.net (Mona)")
        );
        for body in ["{}", "<html>"] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let error = Jira::check(&testing::connection(config)).unwrap_err();
            assert!(matches!(error, Error::InvalidData(_)), "{body}");
        }
    }

    /// What the host does without this code: it finds the site by the same answer.
    #[test]
    fn the_recipe_finds_the_site() {
        use sluice_model::auth::{FillFrom, Obtain, Take};
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let Obtain::OAuth2(recipe) = &manifest.auth("oauth").unwrap().obtain else {
            panic!("not OAuth 2.0")
        };
        let sites: serde_json::Value =
            serde_json::from_str(include_str!("../fixtures/accessible-resources.json")).unwrap();
        let fills: Vec<(&str, FillFrom, Take, &str)> = recipe
            .fill
            .iter()
            .map(|fill| {
                let found = sites.pointer(&fill.pointer).unwrap().as_str().unwrap();
                (fill.config.as_str(), fill.from, fill.take, found)
            })
            .collect();
        assert_eq!(
            fills,
            [
                (
                    "cloud_id",
                    FillFrom::Metadata,
                    Take::Text,
                    "0d000000-0000-0000-0000-00000000000c"
                ),
                (
                    "site",
                    FillFrom::Metadata,
                    Take::Host,
                    "https://doors.atlassian.net"
                ),
            ]
        );
        assert!(recipe.scopes.contains(&"offline_access".to_owned()));
    }

    #[test]
    fn an_unknown_stream_is_unsupported() {
        let request = testing::read_request("boards", None);
        assert!(matches!(
            Jira::read(&testing::connection("{}"), &request),
            Err(Error::Unsupported(_))
        ));
    }

    /// Every address that the code makes is one that the manifest asks for, and of no more than is needed.
    #[test]
    fn the_manifest_permits_what_the_code_asks() {
        use sluice_model::capability::{Scheme, Target};
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let permits = |method: &str, host: &str, path: &str| {
            let target = Target {
                scheme: Scheme::Https,
                host,
                port: 443,
                method,
                path,
            };
            manifest.capabilities.egress.iter().any(|rule| {
                rule.expand(&serde_json::json!({"site": "doors.atlassian.net"}))
                    .unwrap()
                    .permits(&target)
            })
        };
        for (method, path) in [
            ("GET", "/rest/api/3/myself"),
            ("GET", "/rest/api/3/search/jql"),
            ("GET", "/rest/api/3/project/search"),
            ("GET", "/rest/api/3/users/search"),
            ("GET", "/rest/api/3/worklog/updated"),
            ("GET", "/rest/api/3/worklog/deleted"),
            ("GET", "/rest/api/3/issue/DOOR-1/transitions"),
            ("POST", "/rest/api/3/worklog/list"),
            ("POST", "/rest/api/3/issue"),
            ("POST", "/rest/api/3/issue/DOOR-1/transitions"),
            ("POST", "/rest/api/3/issue/DOOR-1/comment"),
        ] {
            assert!(permits(method, "doors.atlassian.net", path), "{method} {path}");
        }
        for (method, path) in [
            ("DELETE", "/rest/api/3/issue/DOOR-1"),
            ("PUT", "/rest/api/3/issue/DOOR-1"),
            ("POST", "/rest/api/3/user"),
        ] {
            assert!(!permits(method, "doors.atlassian.net", path), "{method} {path}");
        }
        assert!(permits(
            "GET",
            "api.atlassian.com",
            "/ex/jira/0d000000-0000-0000-0000-00000000000c/rest/api/3/myself"
        ));
        assert!(permits(
            "POST",
            "api.atlassian.com",
            "/ex/jira/0d000000-0000-0000-0000-00000000000c/rest/api/3/issue"
        ));
        assert!(!permits("GET", "api.atlassian.com", "/ex/jira/rest/api/3/myself"));
    }
}
