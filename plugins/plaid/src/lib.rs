//! The Plaid connector. `connector.toml` says what it may do; here is what it does, for one item: accounts and holdings whole
//! ([`lists`]), transactions by Plaid's cursor ([`transactions`]), webhooks ([`webhook`]), whose address the item has ([`item`]), and
//! two actions ([`actions`]).
//!
//! The secret, the keys that webhooks are signed with, retries and rate limits are the host's.

use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod item;
mod lists;
mod transactions;
mod webhook;

struct Plaid;

sluice_sdk::export!(Plaid);

impl Connector for Plaid {
    fn check(connection: &Connection) -> Result<Account, Error> {
        item::account(connection)
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "transactions" => transactions::read(connection, request),
            stream @ ("accounts" | "holdings" | "securities") => lists::read(connection, stream),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn register_webhook(
        connection: &Connection,
        _: &str,
        url: &str,
        _: &[String],
    ) -> Result<Registration, Error> {
        item::register(connection, url)
    }

    fn unregister_webhook(connection: &Connection, registration: &Registration) -> Result<(), Error> {
        item::unregister(connection, registration)
    }

    fn handle_webhook(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(connection, receipt)
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(connection, name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    pub(crate) fn connection() -> Connection {
        let mut connection =
            testing::connection(r#"{"host":"sandbox.plaid.com","client_id":"0123456789abcdef01234567"}"#);
        connection.account = Some("wz666MBjYWTp2PDzzggYhM6oWWmBb".to_owned());
        connection
    }

    #[test]
    fn the_account_is_the_item() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://sandbox.plaid.com/item/get");
            assert_eq!(
                request.header_value("plaid-client-id"),
                Some("0123456789abcdef01234567")
            );
            testing::answer(200, &[], include_str!("../fixtures/item.json"))
        });
        let account = Plaid::check(&connection()).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("wz666MBjYWTp2PDzzggYhM6oWWmBb", "First Platypus Bank")
        );
        testing::serve(|_| testing::answer(400, &[], include_str!("../fixtures/login-required.json")));
        assert!(matches!(Plaid::check(&connection()), Err(Error::Auth(_))));
    }

    /// Every address that the code makes is one that the manifest asks for, and of no more than is needed.
    #[test]
    fn the_manifest_permits_what_the_code_asks() {
        use sluice_model::capability::{Scheme, Target};
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let permits = |path: &str| {
            let target = Target {
                scheme: Scheme::Https,
                host: "sandbox.plaid.com",
                port: 443,
                method: "POST",
                path,
            };
            let config = serde_json::json!({"host": "sandbox.plaid.com"});
            let mut rules = manifest.capabilities.egress.iter();
            rules.any(|rule| rule.expand(&config).unwrap().permits(&target))
        };
        for path in [
            "/item/get",
            "/accounts/get",
            "/transactions/sync",
            "/investments/holdings/get",
            "/item/webhook/update",
            "/transactions/refresh",
            "/link/token/create",
        ] {
            assert!(permits(path), "{path}");
        }
        for path in [
            "/item/remove",
            "/transfer/create",
            "/item/public_token/exchange",
            "/auth/get",
        ] {
            assert!(!permits(path), "{path}");
        }
    }
}
