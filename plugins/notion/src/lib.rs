//! The Notion connector. `connector.toml` says what it may do; here is what it does: pages and databases by Notion's search
//! ([`search`]), what is written on pages ([`blocks`]), people ([`users`]), and pages written ([`pages`]).
//!
//! Tokens, retries and rate limits are the host's.

use serde::Deserialize;
use serde_json::{Map, Value};
use sluice_sdk::record::{Text, input};
use sluice_sdk::{Account, Connection, Connector, Error, Page, PendingWrite, ReadRequest, WriteOutcome};

mod api;
mod blocks;
mod config;
mod pages;
mod search;
mod users;

struct Notion;

sluice_sdk::export!(Notion);

impl Connector for Notion {
    /// Notion docs, "Retrieve your token's bot user": every connection has a bot of its own.
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow, default)]
            id: Text<'a>,
            #[serde(borrow, default)]
            name: Text<'a>,
            #[serde(borrow, default)]
            bot: Option<Bot<'a>>,
        }
        #[derive(Deserialize)]
        struct Bot<'a> {
            #[serde(borrow, default)]
            workspace_name: Text<'a>,
        }
        let response = api::ok(api::request("GET", "users/me").send()?)?;
        let answer: Answer<'_> = response.json()?;
        let id = answer.id.as_str();
        if id.is_empty() {
            return Err(Error::invalid_data("Notion's answer names no bot"));
        }
        let workspace = answer.bot.as_ref().map_or("", |bot| bot.workspace_name.as_str());
        let name = match (workspace, answer.name.as_str()) {
            ("", "") => id.to_owned(),
            ("", bot) => bot.to_owned(),
            (workspace, "") => workspace.to_owned(),
            (workspace, bot) => format!("{workspace} ({bot})"),
        };
        Ok(Account {
            id: id.to_owned(),
            name,
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "pages" => search::read("page", request, api::PER_PAGE),
            "data_sources" => search::read("data_source", request, api::PER_PAGE),
            "blocks" => blocks::read(connection, request),
            "users" => users::read(request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn write(_: &Connection, stream: &str, writes: &[PendingWrite]) -> Result<Vec<WriteOutcome>, Error> {
        match stream {
            "pages" => Ok(pages::write(writes)),
            other => Err(Error::unsupported(format!("the stream `{other}` is read-only"))),
        }
    }

    fn run_action(_: &Connection, name: &str, text: &str, _: &str) -> Result<String, Error> {
        let mut given: Map<String, Value> = input(text)?;
        let mut id = |member: &str| match given.remove(member) {
            Some(Value::String(id)) => Ok(id),
            _ => Err(Error::invalid_data("not an id of Notion's").at(format!("/{member}"))),
        };
        match name {
            "create_page" => Ok(pages::create(given)?.data),
            "update_page" => {
                let page = id("page_id")?;
                Ok(pages::update(&page, given)?.data)
            }
            "append_blocks" => {
                let block = id("block_id")?;
                pages::append(&block, given.get("children").unwrap_or(&Value::Null))
            }
            other => Err(Error::unsupported(format!("there is no action `{other}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_bot() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://api.notion.com/v1/users/me");
            testing::answer(200, &[], include_str!("../fixtures/me.json"))
        });
        let account = Notion::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("0d000000-0000-0000-0000-0000000000bb", "Doors (Sluice)")
        );
        for body in ["{}", "<html>"] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let error = Notion::check(&testing::connection("{}")).unwrap_err();
            assert!(matches!(error, Error::InvalidData(_)), "{body}");
        }
    }

    #[test]
    fn each_action_is_one_request() {
        let check = |name: &str, input: &str, method: &str, path: &str| {
            testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/page.json")));
            Notion::run_action(&testing::connection("{}"), name, input, "k").unwrap();
            let requests = testing::requests();
            assert_eq!(
                (requests[0].method(), requests[0].url()),
                (method, format!("https://api.notion.com/v1/{path}").as_str())
            );
        };
        let id = "0d00000000000000000000000000000a";
        check(
            "create_page",
            r#"{"parent":{"page_id":"p"},"properties":{"title":[]}}"#,
            "POST",
            "pages",
        );
        check(
            "update_page",
            &format!(r#"{{"page_id":"{id}","in_trash":true}}"#),
            "PATCH",
            &format!("pages/{id}"),
        );
        check(
            "append_blocks",
            &format!(r#"{{"block_id":"{id}","children":[{{"paragraph":{{"rich_text":[]}}}}]}}"#),
            "PATCH",
            &format!("blocks/{id}/children"),
        );
        let connection = testing::connection("{}");
        let refused = Notion::run_action(
            &connection,
            "append_blocks",
            r#"{"block_id":"../x","children":[]}"#,
            "k",
        );
        assert!(
            matches!(refused, Err(Error::InvalidData(detail)) if detail.pointer.as_deref() == Some("/block_id"))
        );
        assert!(matches!(
            Notion::run_action(&connection, "share", "{}", "k"),
            Err(Error::Unsupported(_))
        ));
    }

    #[test]
    fn what_is_not_there_is_unsupported() {
        let connection = testing::connection("{}");
        let request = testing::read_request("comments", None);
        assert!(matches!(
            Notion::read(&connection, &request),
            Err(Error::Unsupported(_))
        ));
        assert!(matches!(
            Notion::write(&connection, "users", &[]),
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
            manifest
                .capabilities
                .egress
                .iter()
                .any(|rule| rule.expand(&serde_json::json!({})).unwrap().permits(&target))
        };
        for (method, path) in [
            ("POST", "/v1/search"),
            ("GET", "/v1/users"),
            ("GET", "/v1/users/me"),
            ("GET", "/v1/blocks/0d00000000000000000000000000000a/children"),
            ("PATCH", "/v1/blocks/0d00000000000000000000000000000a/children"),
            ("POST", "/v1/pages"),
            ("GET", "/v1/pages/0d00000000000000000000000000000a"),
            ("PATCH", "/v1/pages/0d00000000000000000000000000000a"),
        ] {
            assert!(permits(method, "api.notion.com", path), "{method} {path}");
        }
        for (method, path) in [
            ("DELETE", "/v1/blocks/0d00000000000000000000000000000a"),
            ("POST", "/v1/databases"),
            ("POST", "/v1/comments"),
        ] {
            assert!(!permits(method, "api.notion.com", path), "{method} {path}");
        }
    }
}
