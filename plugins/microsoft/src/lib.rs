//! The connector of Outlook mail and calendar. `connector.toml` says what it may do; here is what it does, for one mailbox: messages,
//! folders and events by Graph's change tokens ([`delta`]), calendars whole ([`calendars`]), notifications ([`webhook`]) of the
//! subscriptions that it sets up and keeps ([`subscription`]), and two actions ([`actions`]).
//!
//! Tokens, the question that Graph asks of an address, retries and rate limits are the host's.

use std::time::SystemTime;

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod calendars;
mod config;
mod delta;
mod subscription;
mod webhook;

struct Microsoft;

sluice_sdk::export!(Microsoft);

impl Connector for Microsoft {
    /// "Get user".
    fn check(connection: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer<'a> {
            #[serde(borrow, default)]
            id: Text<'a>,
            #[serde(borrow, default)]
            display_name: Text<'a>,
            #[serde(borrow, default)]
            mail: Text<'a>,
            #[serde(borrow, default)]
            user_principal_name: Text<'a>,
        }
        let mailbox = config::of(connection)?.mailbox();
        let asked = api::get(&mailbox).query("$select", "id,displayName,mail,userPrincipalName");
        let response = api::ok(asked.send()?)?;
        let answer: Answer<'_> = response.json()?;
        let id = answer.id.as_str();
        if id.is_empty() {
            return Err(Error::invalid_data(
                "Graph's answer does not say whose mailbox it is",
            ));
        }
        let names = [
            answer.mail.as_str(),
            answer.user_principal_name.as_str(),
            answer.display_name.as_str(),
            id,
        ];
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

    /// The folders whose messages are read.
    fn partitions(connection: &Connection, stream: &str) -> Result<Vec<String>, Error> {
        match stream {
            "messages" => Ok(config::of(connection)?.folders()),
            _ => Ok(Vec::new()),
        }
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "messages" | "folders" | "events" => delta::read(connection, request, now()),
            "calendars" => calendars::read(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn register_webhook(
        connection: &Connection,
        _: &str,
        url: &str,
        events: &[String],
    ) -> Result<Registration, Error> {
        subscription::register(connection, url, events, now())
    }

    fn renew_webhook(_: &Connection, registration: &Registration) -> Result<Registration, Error> {
        subscription::renew(registration, now())
    }

    fn unregister_webhook(_: &Connection, registration: &Registration) -> Result<(), Error> {
        subscription::unregister(registration)
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(connection: &Connection, name: &str, input: &str, key: &str) -> Result<String, Error> {
        actions::run(connection, name, input, key)
    }
}

/// The host's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "in the sandbox it is the host's Clock that answers"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_mailbox() {
        testing::serve(|request| {
            assert!(
                request
                    .url()
                    .starts_with("https://graph.microsoft.com/v1.0/me?%24select=")
            );
            testing::answer(200, &[], include_str!("../fixtures/me.json"))
        });
        let account = Microsoft::check(&testing::connection(r#"{"tenant":"common"}"#)).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("87d349ed-44d7-43e1-9a83-5f2406dee5bd", "mona@doors.example")
        );
        testing::serve(|_| testing::answer(200, &[], "{}"));
        assert!(Microsoft::check(&testing::connection(r#"{"tenant":"common"}"#)).is_err());
        for bad in [r#"{"user":"../x"}"#, r#"{"user":".."}"#, r#"{"folders":["a/b"]}"#] {
            assert!(
                matches!(Microsoft::check(&testing::connection(bad)), Err(Error::Config(_))),
                "{bad}"
            );
        }
    }

    /// Every address that the code makes is one that the manifest asks for, and of no more than is needed.
    #[test]
    fn the_manifest_permits_what_the_code_asks() {
        use sluice_model::capability::{Scheme, Target};
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let permits = |method: &str, path: &str| {
            let target = Target {
                scheme: Scheme::Https,
                host: "graph.microsoft.com",
                port: 443,
                method,
                path: &format!("/v1.0/{path}"),
            };
            let mut rules = manifest.capabilities.egress.iter();
            rules.any(|rule| rule.expand(&serde_json::json!({})).unwrap().permits(&target))
        };
        for mailbox in ["me", "users/mona@doors.example"] {
            for (method, path) in [
                ("GET", ""),
                ("GET", "/mailFolders/delta"),
                ("GET", "/mailFolders/inbox/messages/delta"),
                ("GET", "/messages/AAMk"),
                ("GET", "/calendarView/delta"),
                ("GET", "/calendars"),
                ("POST", "/sendMail"),
                ("POST", "/events"),
            ] {
                assert!(
                    permits(method, &format!("{mailbox}{path}")),
                    "{method} {mailbox}{path}"
                );
            }
        }
        for (method, path) in [
            ("GET", "subscriptions"),
            ("POST", "subscriptions"),
            ("PATCH", "subscriptions/s"),
            ("DELETE", "subscriptions/s"),
            ("POST", "subscriptions/s/reauthorize"),
        ] {
            assert!(permits(method, path), "{method} {path}");
        }
        for (method, path) in [
            ("DELETE", "me/messages/AAMk"),
            ("GET", "users"),
            ("GET", "me/drive"),
            ("GET", "me/messages/AAMk/attachments"),
            ("PATCH", "me"),
        ] {
            assert!(!permits(method, path), "{method} {path}");
        }
    }
}
