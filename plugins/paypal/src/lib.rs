//! The PayPal connector. `connector.toml` says what it may do; here is what it does: transactions by steps of time ([`transactions`]),
//! invoices and disputes ([`lists`]), webhooks ([`webhook`]), set up by itself ([`endpoint`]), and three actions ([`actions`]).
//!
//! Tokens, signatures, certificates, retries and rate limits are the host's.

use std::time::SystemTime;

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod config;
mod endpoint;
mod lists;
mod transactions;
mod webhook;

struct PayPal;

sluice_sdk::export!(PayPal);

impl Connector for PayPal {
    /// PayPal docs, "Identity", "Show user profile information".
    fn check(connection: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow, default)]
            payer_id: Text<'a>,
            #[serde(borrow, default)]
            user_id: Text<'a>,
            #[serde(borrow, default)]
            name: Text<'a>,
        }
        let config = config::of(connection)?;
        let asked = api::get(&config, "/v1/identity/openidconnect/userinfo").query("schema", "openid");
        let response = asked.send()?;
        // An app without the right to ask that still has webhooks to ask for; a token that is none has not.
        if matches!(response.status, 401 | 403) {
            api::ok(api::get(&config, "/v1/notifications/webhooks").send()?)?;
            return Ok(Account {
                id: config.host.clone(),
                name: config.host,
                scopes: Vec::new(),
            });
        }
        let response = api::ok(response)?;
        let answer: Answer<'_> = response.json()?;
        let ids = [answer.payer_id.as_str(), answer.user_id.as_str()];
        let Some(id) = ids.into_iter().find(|id| !id.is_empty()) else {
            return Err(Error::invalid_data(
                "PayPal's answer does not say whose account it is",
            ));
        };
        Ok(Account {
            id: id.to_owned(),
            name: match answer.name.as_str() {
                "" => format!("PayPal {id}"),
                name => name.to_owned(),
            },
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        let config = config::of(connection)?;
        match request.stream_name.as_str() {
            "transactions" => transactions::read(&config, request, now()),
            "invoices" => lists::invoices(&config, request),
            "disputes" => lists::disputes(&config, request, now()),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn register_webhook(
        connection: &Connection,
        _: &str,
        url: &str,
        events: &[String],
    ) -> Result<Registration, Error> {
        endpoint::register(&config::of(connection)?, url, events)
    }

    fn unregister_webhook(connection: &Connection, registration: &Registration) -> Result<(), Error> {
        endpoint::unregister(&config::of(connection)?, registration)
    }

    fn handle_webhook(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(&config::of(connection)?, receipt)
    }

    fn run_action(connection: &Connection, name: &str, input: &str, key: &str) -> Result<String, Error> {
        actions::run(&config::of(connection)?, name, input, key)
    }
}

/// The host's clock, in whole minutes: what is asked for twice within one is asked for alike.
#[expect(
    clippy::disallowed_methods,
    reason = "in the sandbox it is the host's Clock that answers"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() / 60 * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn connection() -> Connection {
        testing::connection(r#"{"host":"api-m.sandbox.paypal.com"}"#)
    }

    #[test]
    fn the_account_is_the_apps() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/userinfo.json")));
        let account = PayPal::check(&connection()).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("WDJJHEBZ4X2LY", "Doors and Sons")
        );
        testing::serve(|request| match request.url().contains("userinfo") {
            true => testing::answer(403, &[], r#"{"name":"NOT_AUTHORIZED"}"#),
            false => testing::answer(200, &[], r#"{"webhooks":[]}"#),
        });
        assert_eq!(
            PayPal::check(&connection()).unwrap().id,
            "api-m.sandbox.paypal.com"
        );
        testing::serve(|_| testing::answer(401, &[], include_str!("../fixtures/invalid-token.json")));
        assert!(matches!(PayPal::check(&connection()), Err(Error::Auth(_))));
    }

    /// Every address that the code makes is one that the manifest asks for, and of no more than is needed.
    #[test]
    fn the_manifest_permits_what_the_code_asks() {
        use sluice_model::capability::{Scheme, Target};
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let permits = |method: &str, path: &str| {
            let target = Target {
                scheme: Scheme::Https,
                host: "api-m.sandbox.paypal.com",
                port: 443,
                method,
                path,
            };
            let config = serde_json::json!({"host": "api-m.sandbox.paypal.com"});
            let mut rules = manifest.capabilities.egress.iter();
            rules.any(|rule| rule.expand(&config).unwrap().permits(&target))
        };
        for (method, path) in [
            ("GET", "/v1/identity/openidconnect/userinfo"),
            ("GET", "/v1/reporting/transactions"),
            ("GET", "/v2/invoicing/invoices"),
            ("POST", "/v2/invoicing/invoices"),
            ("GET", "/v1/customer/disputes"),
            ("GET", "/v1/notifications/webhooks-events/WH-1"),
            ("PATCH", "/v1/notifications/webhooks/0EH40505U7160970P"),
            ("POST", "/v2/payments/captures/2GG279541U471931P/refund"),
            ("POST", "/v2/checkout/orders/5O190127TN364715T/capture"),
        ] {
            assert!(permits(method, path), "{method} {path}");
        }
        for (method, path) in [
            ("POST", "/v1/payments/payouts"),
            ("POST", "/v2/checkout/orders"),
            ("POST", "/v1/notifications/webhooks-events/WH-1"),
            ("POST", "/v1/customer/disputes/PP-D-1/accept-claim"),
        ] {
            assert!(!permits(method, path), "{method} {path}");
        }
    }
}
