//! The Postmark connector. `connector.toml` says what it may do; here is what it does: messages and bounces ([`outbound`]), addresses that
//! get no mail ([`suppression`]), Postmark's webhooks ([`webhook`]), which it sets up itself ([`hooks`]), and mail sent ([`actions`]).
//!
//! Retries, rate limits, the token and the check of what proves a webhook are the host's.

use serde::Deserialize;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod hooks;
mod outbound;
mod suppression;
mod webhook;

struct Postmark;

sluice_sdk::export!(Postmark);

impl Connector for Postmark {
    /// The server of the token ("Get the server").
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Server {
            #[serde(rename = "ID")]
            id: u64,
            #[serde(rename = "Name")]
            name: String,
        }
        let server: Server = api::ok(api::get("server").send()?)?.json()?;
        Ok(Account {
            id: server.id.to_string(),
            name: server.name,
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "messages" => outbound::read(request, &outbound::MESSAGES),
            "bounces" => outbound::read(request, &outbound::BOUNCES),
            "suppressions" => suppression::read(connection),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn register_webhook(
        connection: &Connection,
        _: &str,
        url: &str,
        events: &[String],
    ) -> Result<Registration, Error> {
        hooks::register(connection, url, events)
    }

    fn unregister_webhook(connection: &Connection, registration: &Registration) -> Result<(), Error> {
        hooks::unregister(connection, registration)
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(&api::message_stream(connection)?, name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_server_of_the_token() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://api.postmarkapp.com/server");
            testing::answer(200, &[], include_str!("../fixtures/server.json"))
        });
        let account = Postmark::check(&testing::connection("{}")).unwrap();
        assert_eq!((account.id.as_str(), account.name.as_str()), ("4711", "Doors"));
        let read = Postmark::read(&testing::connection("{}"), &testing::read_request("opens", None));
        assert!(matches!(read, Err(Error::Unsupported(_))));
    }
}
