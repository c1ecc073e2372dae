//! The Mailgun connector. `connector.toml` says what it may do; here is what it does: what became of mails ([`events`]), addresses that get
//! none ([`suppression`]), Mailgun's webhooks ([`webhook`]), which it sets up itself ([`hooks`]), and mail sent ([`actions`]).
//!
//! Retries, rate limits, the key and the check of signatures are the host's.

use serde::Deserialize;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod events;
mod hooks;
mod suppression;
mod webhook;

use api::Api;

struct Mailgun;

sluice_sdk::export!(Mailgun);

impl Connector for Mailgun {
    /// The domain, if the key reaches it ("Get domain").
    fn check(connection: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Answer {
            domain: Domain,
        }
        #[derive(Deserialize)]
        struct Domain {
            name: String,
        }
        let api = Api::of(connection)?;
        let response = api.get(&format!("v4/domains/{}", api.domain)).send()?;
        let response = response.ok().map_err(|error| error.blame_config("/domain"))?;
        let answer: Answer = response.json()?;
        Ok(Account {
            id: answer.domain.name.clone(),
            name: answer.domain.name,
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        let api = Api::of(connection)?;
        match request.stream_name.as_str() {
            "events" => events::read(&api, request),
            list @ ("bounces" | "complaints" | "unsubscribes") => suppression::read(&api, request, list),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn register_webhook(
        connection: &Connection,
        _: &str,
        url: &str,
        events: &[String],
    ) -> Result<Registration, Error> {
        hooks::register(&Api::of(connection)?, url, events)
    }

    fn unregister_webhook(connection: &Connection, registration: &Registration) -> Result<(), Error> {
        hooks::unregister(&Api::of(connection)?, registration)
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(&Api::of(connection)?, name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_domain() {
        let connection = testing::connection(r#"{"domain":"mg.doors.example"}"#);
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://api.mailgun.net/v4/domains/mg.doors.example"
            );
            testing::answer(200, &[], include_str!("../fixtures/domain.json"))
        });
        assert_eq!(Mailgun::check(&connection).unwrap().id, "mg.doors.example");
        testing::serve(|_| testing::answer(404, &[], r#"{"message":"Domain not found"}"#));
        assert!(matches!(Mailgun::check(&connection), Err(Error::Config(_))));
        testing::serve(|_| testing::answer(401, &[], "Forbidden"));
        assert!(matches!(Mailgun::check(&connection), Err(Error::Auth(_))));
        let read = Mailgun::read(&connection, &testing::read_request("routes", None));
        assert!(matches!(read, Err(Error::Unsupported(_))));
    }
}
