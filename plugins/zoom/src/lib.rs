//! The Zoom connector. `connector.toml` says what it may do; here is what it does: people, meetings and recordings ([`streams`]), Zoom's
//! webhooks ([`webhook`]), and meetings created and deleted ([`actions`]).
//!
//! Retries, rate limits, the token, the check of signatures and Zoom's question before its first webhook are the host's.

use serde::Deserialize;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt};

mod actions;
mod api;
mod config;
mod streams;
mod webhook;

struct Zoom;

sluice_sdk::export!(Zoom);

impl Connector for Zoom {
    /// The account that the token is of: its webhooks name it ("Users", "Get a user").
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct User {
            account_id: String,
            #[serde(default)]
            email: String,
        }
        let response = api::ok(api::get("users/me").send()?)?;
        let user: User = response.json()?;
        Ok(Account {
            name: match user.email.is_empty() {
                true => user.account_id.clone(),
                false => user.email,
            },
            id: user.account_id,
            scopes: Vec::new(),
        })
    }

    fn partitions(connection: &Connection, stream: &str) -> Result<Vec<String>, Error> {
        match stream {
            "meetings" | "recordings" => streams::users::partitions(connection),
            _ => Ok(Vec::new()),
        }
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "users" => streams::users::read(request),
            "meetings" => streams::meetings::read(request),
            "recordings" => streams::recordings::read(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn route_webhook(receipt: &Receipt) -> Result<Vec<String>, Error> {
        webhook::route(receipt)
    }

    fn handle_webhook(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(connection, receipt)
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
    fn the_account_is_the_one_that_webhooks_name() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://api.zoom.us/v2/users/me");
            testing::answer(200, &[], include_str!("../fixtures/me.json"))
        });
        let account = Zoom::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("AccDoors_0001", "mona@doors.example")
        );
        let body = include_str!("../fixtures/webhook-meeting-created.json");
        assert_eq!(
            Zoom::route_webhook(&testing::receipt(&[], body)).unwrap(),
            [account.id]
        );
        let read = Zoom::read(&testing::connection("{}"), &testing::read_request("rooms", None));
        assert!(matches!(read, Err(Error::Unsupported(_))));
    }

    /// "Server-to-Server OAuth": a grant type of Zoom's own.
    #[test]
    fn the_recipe_asks_for_the_accounts_token() {
        use sluice_model::auth::{OAuthGrant, Obtain};
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let Obtain::OAuth2(recipe) = &manifest.auth[0].obtain else {
            panic!("not OAuth 2.0")
        };
        assert_eq!(recipe.grants, [OAuthGrant::ClientCredentials]);
        let names: Vec<&str> = recipe
            .token_params
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert!(
            names.contains(&"grant_type") && names.contains(&"account_id"),
            "{names:?}"
        );
    }
}
