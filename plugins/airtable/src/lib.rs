//! The Airtable connector. `connector.toml` says what it may do; here is what it does: bases and tables ([`bases`]), and
//! every table as a stream of its own ([`table`]) whose records are read ([`records`]) and written ([`write`]), and webhooks, set
//! up by itself ([`subscription`]) and read when Airtable pings ([`webhook`]).
//!
//! Tokens, retries and rate limits are the host's.

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{
    Account, Connection, Connector, Error, Handled, Page, PendingWrite, ReadRequest, Receipt, Registration,
    StreamInfo, WriteOutcome,
};

mod api;
mod bases;
mod config;
mod records;
mod subscription;
mod table;
mod webhook;
mod write;

use table::Table;

struct Airtable;

sluice_sdk::export!(Airtable);

impl Connector for Airtable {
    /// Airtable docs, "Get user ID & scopes". The address is there only with the scope for it, the scopes only for OAuth.
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow, default)]
            id: Text<'a>,
            #[serde(borrow, default)]
            email: Text<'a>,
            #[serde(default)]
            scopes: Vec<String>,
        }
        let response = api::ok(api::get("meta/whoami").send()?)?;
        let answer: Answer<'_> = response.json()?;
        let id = answer.id.as_str();
        if id.is_empty() {
            return Err(Error::invalid_data("Airtable's answer has no `id`"));
        }
        let name = match answer.email.as_str() {
            "" => format!("Airtable {id}"),
            address => address.to_owned(),
        };
        Ok(Account {
            id: id.to_owned(),
            name,
            scopes: answer.scopes,
        })
    }

    fn discover(connection: &Connection) -> Result<Vec<StreamInfo>, Error> {
        table::discover(connection)
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "bases" => bases::read_bases(connection),
            "tables" => bases::read_tables(connection, request),
            stream => records::read(&Table::of(stream)?, connection, request),
        }
    }

    fn write(_: &Connection, stream: &str, writes: &[PendingWrite]) -> Result<Vec<WriteOutcome>, Error> {
        Ok(write::all(&Table::of(stream)?, writes))
    }

    fn register_webhook(
        connection: &Connection,
        _: &str,
        url: &str,
        _: &[String],
    ) -> Result<Registration, Error> {
        subscription::register(connection, url)
    }

    fn renew_webhook(_: &Connection, registration: &Registration) -> Result<Registration, Error> {
        subscription::renew(registration)
    }

    fn unregister_webhook(connection: &Connection, registration: &Registration) -> Result<(), Error> {
        subscription::unregister(connection, registration)
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_tokens_user() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://api.airtable.com/v0/meta/whoami");
            testing::answer(200, &[], include_str!("../fixtures/whoami.json"))
        });
        let account = Airtable::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("usrDoorsDoors0001", "mona@doors.example")
        );
        assert_eq!(account.scopes, ["data.records:read", "schema.bases:read"]);
        for body in ["{}", "<html>"] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let error = Airtable::check(&testing::connection("{}")).unwrap_err();
            assert!(matches!(error, Error::InvalidData(_)), "{body}");
        }
    }

    #[test]
    fn bases_cannot_be_written() {
        assert!(matches!(
            Airtable::write(&testing::connection("{}"), "bases", &[]),
            Err(Error::Unsupported(_))
        ));
    }

    #[test]
    fn the_manifest_is_one_and_takes_a_code_challenge() {
        use sluice_model::auth::{ClientAuth, Obtain};
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let Obtain::OAuth2(recipe) = &manifest.auth("oauth").unwrap().obtain else {
            panic!("not OAuth 2.0")
        };
        assert!(recipe.pkce && recipe.client_auth == ClientAuth::Header);
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
            ("GET", "/v0/meta/whoami"),
            ("GET", "/v0/meta/bases"),
            ("GET", "/v0/meta/bases/appDoorsDoors0001/tables"),
            ("GET", "/v0/appDoorsDoors0001/tblDoorsDoors0001"),
            ("POST", "/v0/appDoorsDoors0001/tblDoorsDoors0001"),
            ("PATCH", "/v0/appDoorsDoors0001/tblDoorsDoors0001"),
            ("DELETE", "/v0/appDoorsDoors0001/tblDoorsDoors0001"),
            ("GET", "/v0/bases/appDoorsDoors0001/webhooks"),
            ("POST", "/v0/bases/appDoorsDoors0001/webhooks"),
            (
                "POST",
                "/v0/bases/appDoorsDoors0001/webhooks/achDoorsDoors0001/refresh",
            ),
            (
                "GET",
                "/v0/bases/appDoorsDoors0001/webhooks/achDoorsDoors0001/payloads",
            ),
            ("DELETE", "/v0/bases/appDoorsDoors0001/webhooks/achDoorsDoors0001"),
        ] {
            assert!(permits(method, "api.airtable.com", path), "{method} {path}");
        }
        for (method, path) in [
            ("POST", "/v0/meta/bases"),
            ("PUT", "/v0/appDoorsDoors0001/tblDoorsDoors0001"),
            ("PATCH", "/v0/bases/appDoorsDoors0001/webhooks"),
            ("DELETE", "/v0/bases/appDoorsDoors0001/webhooks"),
            (
                "DELETE",
                "/v0/appDoorsDoors0001/tblDoorsDoors0001/recDoorsDoors0001",
            ),
        ] {
            assert!(!permits(method, "api.airtable.com", path), "{method} {path}");
        }
    }
}
