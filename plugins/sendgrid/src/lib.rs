//! The SendGrid connector. `connector.toml` says what it may do; here is what it does: lists of addresses that get no mail
//! ([`suppression`]), the signed Event Webhook ([`webhook`]), which it sets up itself ([`hooks`]), and mail sent ([`actions`]).
//!
//! Retries, rate limits, the key and the check of signatures are the host's.

use serde::Deserialize;
use sluice_sdk::record::Id;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod hooks;
mod suppression;
mod webhook;

struct SendGrid;

sluice_sdk::export!(SendGrid);

impl Connector for SendGrid {
    /// The account of the key ("Retrieve your username").
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct User<'a> {
            username: String,
            #[serde(borrow, default)]
            user_id: Id<'a>,
        }
        let response = api::ok(api::get("user/username").send()?)?;
        let user: User<'_> = response.json()?;
        Ok(Account {
            id: user.user_id.to_string(),
            name: user.username,
            scopes: Vec::new(),
        })
    }

    fn read(_: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        suppression::read(request)
    }

    fn register_webhook(
        _: &Connection,
        _: &str,
        url: &str,
        events: &[String],
    ) -> Result<Registration, Error> {
        hooks::register(url, events)
    }

    fn unregister_webhook(_: &Connection, registration: &Registration) -> Result<(), Error> {
        hooks::unregister(registration)
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(_: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_one_of_the_key() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://api.sendgrid.com/v3/user/username");
            testing::answer(200, &[], include_str!("../fixtures/username.json"))
        });
        let account = SendGrid::check(&testing::connection("{}")).unwrap();
        assert_eq!((account.id.as_str(), account.name.as_str()), ("8123456", "doors"));
    }
}
