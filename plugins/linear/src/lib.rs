//! The Linear connector. `connector.toml` says what it may do; here is what it does: six streams ([`streams`]) read by the
//! time of their last change ([`list`]), webhooks ([`webhook`]) and three actions ([`actions`]).
//!
//! Tokens, retries, rate limits and the check of signatures are the host's.

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt};

mod actions;
mod api;
mod list;
mod streams;
mod webhook;

struct Linear;

sluice_sdk::export!(Linear);

impl Connector for Linear {
    /// The account is the workspace, as a webhook names it. The granted scopes are in the token's own answer.
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Data<'a> {
            #[serde(borrow)]
            viewer: Named<'a>,
            #[serde(borrow)]
            organization: Named<'a>,
        }
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow, default)]
            id: Text<'a>,
            #[serde(borrow, default)]
            name: Text<'a>,
        }
        let response = api::send("query { viewer { id name } organization { id name } }", &())?;
        let data: Data<'_> = api::data(&response)?;
        let id = data.organization.id.as_str();
        if id.is_empty() {
            return Err(Error::invalid_data("Linear's answer names no workspace"));
        }
        let name = match (data.organization.name.as_str(), data.viewer.name.as_str()) {
            ("", _) => id.to_owned(),
            (workspace, "") => workspace.to_owned(),
            (workspace, person) => format!("{workspace} ({person})"),
        };
        Ok(Account {
            id: id.to_owned(),
            name,
            scopes: Vec::new(),
        })
    }

    fn read(_: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match streams::named(&request.stream_name) {
            Some(stream) => list::read(stream, request),
            None => Err(Error::unsupported(format!(
                "there is no stream `{}`",
                request.stream_name
            ))),
        }
    }

    fn route_webhook(receipt: &Receipt) -> Result<Vec<String>, Error> {
        webhook::route(receipt)
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(_: &Connection, name: &str, input: &str, idempotency_key: &str) -> Result<String, Error> {
        actions::run(name, input, idempotency_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_workspace() {
        testing::serve(|request| {
            assert_eq!((request.method(), request.url()), ("POST", api::URL));
            testing::answer(200, &[], include_str!("../fixtures/viewer.json"))
        });
        let account = Linear::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("org-doors", "Doors (Mona)")
        );
    }

    #[test]
    fn an_answer_without_a_workspace_is_no_account() {
        for body in [
            "<html>",
            "{}",
            r#"{"data":{"viewer":{},"organization":{}}}"#,
            r#"{"data":{"viewer":null,"organization":null}}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let error = Linear::check(&testing::connection("{}")).unwrap_err();
            assert!(matches!(error, Error::InvalidData(_)), "{body}");
        }
    }

    #[test]
    fn an_unknown_stream_is_unsupported() {
        let request = testing::read_request("roadmaps", None);
        assert!(matches!(
            Linear::read(&testing::connection("{}"), &request),
            Err(Error::Unsupported(_))
        ));
    }

    /// What the host does without this code: it notices an ended token by the same answers.
    #[test]
    fn the_recipe_knows_linears_answers() {
        use sluice_model::auth::Obtain;
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let Obtain::OAuth2(recipe) = &manifest.auth("oauth").unwrap().obtain else {
            panic!("not OAuth 2.0")
        };
        let body =
            |code: &str| serde_json::json!({"errors": [{"message": "m", "extensions": {"code": code}}]});
        let expired = |status: u16, body: &serde_json::Value| {
            recipe.expired.iter().any(|sign| {
                let says = |(pointer, words): &(String, Vec<String>)| {
                    let said = body.pointer(pointer).and_then(serde_json::Value::as_str);
                    said.is_some_and(|said| words.iter().any(|word| word == said))
                };
                sign.status == status && sign.body.as_ref().is_none_or(says)
            })
        };
        assert!(expired(400, &body("AUTHENTICATION_ERROR")));
        assert!(expired(401, &serde_json::Value::Null));
        assert!(!expired(400, &body("RATELIMITED")));
        assert_eq!(recipe.scope_separator, ",");
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
            manifest
                .capabilities
                .egress
                .iter()
                .any(|rule| rule.expand(&serde_json::json!({})).unwrap().permits(&target))
        };
        assert!(permits("POST", "api.linear.app", "/graphql"));
        for (method, path) in [("GET", "/graphql"), ("POST", "/oauth/token")] {
            assert!(!permits(method, "api.linear.app", path), "{method} {path}");
        }
    }
}
