//! The Amazon SES and SNS connector. `connector.toml` says what it may do; here is what it does: what SES lists ([`mail`]), topics,
//! subscriptions and the hook's own ([`topics`]), what SES tells by SNS ([`webhook`]), and three actions ([`actions`]).
//!
//! The keys, SigV4, and SNS's signatures, certificates and confirmations are the host's.

use serde::Deserialize;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod config;
mod mail;
mod topics;
mod webhook;

struct Amazon;

sluice_sdk::export!(Amazon);

impl Connector for Amazon {
    /// "GetAccount". It does not tell whose account it is; a topic's ARN does.
    fn check(connection: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            sending_enabled: bool,
        }
        let config = config::of(connection)?;
        let response = api::ok(api::get(&config, "account").send()?)?;
        let Answer { sending_enabled } = response.json()?;
        let note = if sending_enabled {
            ""
        } else {
            " (sending is paused)"
        };
        Ok(match config.account() {
            Some(number) => Account {
                id: format!("{number}/{}", config.region),
                name: format!("{number} in {}{note}", config.region),
                scopes: Vec::new(),
            },
            None => Account {
                id: config.region.clone(),
                name: format!("SES in {}{note}", config.region),
                scopes: Vec::new(),
            },
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        let config = config::of(connection)?;
        match request.stream_name.as_str() {
            "feedback" => Ok(Page::last(Vec::new())),
            "suppressed" => mail::suppressed(&config, request),
            "identities" => mail::identities(&config, request),
            "topics" | "subscriptions" => topics::list(&config, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn register_webhook(
        connection: &Connection,
        _: &str,
        url: &str,
        _: &[String],
    ) -> Result<Registration, Error> {
        topics::subscribe(&config::of(connection)?, url)
    }

    fn unregister_webhook(connection: &Connection, registration: &Registration) -> Result<(), Error> {
        topics::unsubscribe(&config::of(connection)?, registration)
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(&config::of(connection)?, name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_model::manifest::Manifest;
    use sluice_sdk::testing;

    const CONFIG: &str = r#"{"region":"eu-west-1","ses":"email.eu-west-1.amazonaws.com","sns":"sns.eu-west-1.amazonaws.com",
        "topic":"arn:aws:sns:eu-west-1:123456789012:mail"}"#;

    pub(crate) fn connection() -> Connection {
        testing::connection(CONFIG)
    }

    #[test]
    fn the_account_is_the_topics() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://email.eu-west-1.amazonaws.com/v2/email/account"
            );
            testing::answer(200, &[], include_str!("../fixtures/account.json"))
        });
        let account = Amazon::check(&connection()).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("123456789012/eu-west-1", "123456789012 in eu-west-1")
        );
        testing::serve(|_| testing::answer(200, &[], "{}"));
        assert!(matches!(Amazon::check(&connection()), Err(Error::InvalidData(_))));
    }

    /// Every address that the code makes is one that the manifest asks for, and of no more than is needed.
    #[test]
    fn the_manifest_permits_what_the_code_asks() {
        use sluice_model::capability::{Scheme, Target};
        let manifest = Manifest::parse(include_str!("../connector.toml")).unwrap();
        let config: serde_json::Value = serde_json::from_str(CONFIG).unwrap();
        let permits = |method: &str, host: &str, path: &str| {
            let target = Target {
                scheme: Scheme::Https,
                host,
                port: 443,
                method,
                path,
            };
            let mut rules = manifest.capabilities.egress.iter();
            rules.any(|rule| rule.expand(&config).unwrap().permits(&target))
        };
        let (ses, sns) = ("email.eu-west-1.amazonaws.com", "sns.eu-west-1.amazonaws.com");
        for (method, host, path) in [
            ("GET", ses, "/v2/email/account"),
            ("GET", ses, "/v2/email/identities"),
            ("GET", ses, "/v2/email/suppression/addresses"),
            ("DELETE", ses, "/v2/email/suppression/addresses/a%40b"),
            ("POST", ses, "/v2/email/outbound-emails"),
            ("POST", sns, "/"),
        ] {
            assert!(permits(method, host, path), "{method} {path}");
        }
        for (method, host, path) in [
            ("POST", ses, "/v2/email/identities"),
            ("DELETE", ses, "/v2/email/identities/doors.example"),
            ("POST", "sns.us-east-1.amazonaws.com", "/"),
            ("GET", sns, "/"),
        ] {
            assert!(!permits(method, host, path), "{method} {host}{path}");
        }
    }
}
