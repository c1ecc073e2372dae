//! The Discord connector. `connector.toml` says what it may do; here is what it does: servers and what is in them ([`streams`]),
//! interactions and webhook events ([`webhook`]), whose addresses it enters at the app itself ([`endpoint`]), and what it can do there
//! ([`actions`]).
//!
//! Retries, rate limits, the token and the check of signatures are the host's.

use serde::Deserialize;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod config;
mod endpoint;
mod interaction;
mod streams;
mod webhook;

struct Discord;

sluice_sdk::export!(Discord);

impl Connector for Discord {
    /// The app that the bot belongs to: its webhooks name it ("Get Current Application").
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Application {
            id: String,
            name: String,
        }
        let response = api::get("applications/@me").send()?.ok()?;
        let app: Application = response.json()?;
        Ok(Account {
            id: app.id,
            name: app.name,
            scopes: Vec::new(),
        })
    }

    fn partitions(connection: &Connection, stream: &str) -> Result<Vec<String>, Error> {
        match stream {
            "channels" => streams::guilds::wanted(connection),
            "members" => streams::members::partitions(connection),
            "messages" => streams::messages::partitions(connection),
            _ => Ok(Vec::new()),
        }
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "guilds" => streams::guilds::read(connection, request),
            "channels" => streams::channels::read(request),
            "members" => streams::members::read(request),
            "messages" => streams::messages::read(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn register_webhook(
        _: &Connection,
        webhook: &str,
        url: &str,
        events: &[String],
    ) -> Result<Registration, Error> {
        endpoint::register(webhook, url, events)
    }

    fn renew_webhook(_: &Connection, registration: &Registration) -> Result<Registration, Error> {
        endpoint::renew(registration)
    }

    fn unregister_webhook(_: &Connection, registration: &Registration) -> Result<(), Error> {
        endpoint::unregister(registration)
    }

    fn route_webhook(receipt: &Receipt) -> Result<Vec<String>, Error> {
        webhook::route(receipt)
    }

    fn handle_webhook(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(connection, receipt)
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
    fn the_account_is_the_app_that_webhooks_name() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://discord.com/api/v10/applications/@me");
            testing::answer(200, &[], include_str!("../fixtures/application.json"))
        });
        let account = Discord::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("1234567890123456789", "Doors")
        );
        let body = include_str!("../fixtures/interaction-command.json");
        assert_eq!(
            Discord::route_webhook(&testing::receipt(&[], body)).unwrap(),
            [account.id]
        );
        testing::serve(|_| testing::answer(401, &[], r#"{"message":"401: Unauthorized","code":0}"#));
        assert!(matches!(
            Discord::check(&testing::connection("{}")),
            Err(Error::Auth(_))
        ));
        let read = Discord::read(&testing::connection("{}"), &testing::read_request("emojis", None));
        assert!(matches!(read, Err(Error::Unsupported(_))));
    }
}
