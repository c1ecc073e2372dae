//! The HubSpot connector. `connector.toml` says what it may do; here is what it does: three objects read by the time of
//! their last change ([`walk`]) with the account's own properties ([`properties`]) and their associations
//! ([`associations`]), written in batches ([`write`]), and two actions ([`actions`]).
//!
//! Tokens, retries and rate limits are the host's.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::{
    Account, Connection, Connector, Error, Page, PendingWrite, ReadRequest, StreamInfo, WriteOutcome,
};

mod actions;
mod api;
mod associations;
mod config;
mod properties;
mod streams;
mod walk;
mod write;

struct HubSpot;

sluice_sdk::export!(HubSpot);

impl Connector for HubSpot {
    /// HubSpot docs, "Account information".
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Details<'a> {
            #[serde(rename = "portalId", borrow, default)]
            portal: Id<'a>,
            #[serde(rename = "accountType", borrow, default)]
            kind: Text<'a>,
        }
        let response = api::ok(api::get("/account-info/v3/details").send()?)?;
        let details: Details<'_> = response.json()?;
        let id = details.portal.to_string();
        if id.is_empty() {
            return Err(Error::invalid_data("HubSpot's answer has no `portalId`"));
        }
        let name = match details.kind.as_str() {
            "" | "STANDARD" => format!("HubSpot {id}"),
            kind => format!("HubSpot {id} ({})", kind.to_lowercase()),
        };
        Ok(Account {
            id,
            name,
            scopes: Vec::new(),
        })
    }

    fn discover(connection: &Connection) -> Result<Vec<StreamInfo>, Error> {
        properties::discover(connection)
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        walk::read(stream(&request.stream_name)?, connection, request)
    }

    fn write(_: &Connection, name: &str, writes: &[PendingWrite]) -> Result<Vec<WriteOutcome>, Error> {
        Ok(write::all(stream(name)?, writes))
    }

    fn run_action(_: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(name, input)
    }
}

fn stream(name: &str) -> Result<&'static streams::Stream, Error> {
    streams::named(name).ok_or_else(|| Error::unsupported(format!("there is no stream `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_portal() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://api.hubapi.com/account-info/v3/details");
            testing::answer(200, &[], include_str!("../fixtures/account.json"))
        });
        let account = HubSpot::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("4711", "HubSpot 4711 (sandbox)")
        );
        testing::serve(|_| testing::answer(200, &[], "{}"));
        assert!(matches!(
            HubSpot::check(&testing::connection("{}")),
            Err(Error::InvalidData(_))
        ));
    }

    #[test]
    fn an_unknown_stream_is_unsupported() {
        let request = testing::read_request("tickets", None);
        let connection = testing::connection("{}");
        assert!(matches!(
            HubSpot::read(&connection, &request),
            Err(Error::Unsupported(_))
        ));
        assert!(matches!(
            HubSpot::write(&connection, "tickets", &[]),
            Err(Error::Unsupported(_))
        ));
    }

    /// Every address that the code makes is one that the manifest asks for.
    #[test]
    fn the_manifest_names_the_streams() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let names: Vec<&str> = manifest
            .streams
            .iter()
            .map(|stream| stream.name.as_str())
            .collect();
        let ours: Vec<&str> = streams::STREAMS.iter().map(|stream| stream.name).collect();
        assert_eq!(names, ours);
        let text = include_str!("../connector.toml");
        for stream in &streams::STREAMS {
            for other in stream.associated {
                let path = format!("\"/crm/v4/associations/{}/{other}/batch/read\"", stream.name);
                assert!(text.contains(&path), "{path}");
            }
        }
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
            ("GET", "/account-info/v3/details"),
            ("GET", "/crm/v3/properties/contacts"),
            ("GET", "/crm/v3/objects/contacts"),
            ("POST", "/crm/v3/objects/contacts/search"),
            ("POST", "/crm/v3/objects/contacts/batch/read"),
            ("POST", "/crm/v3/objects/contacts/batch/create"),
            ("POST", "/crm/v3/objects/contacts/batch/update"),
            ("POST", "/crm/v3/objects/contacts/batch/archive"),
            ("POST", "/crm/v4/associations/contacts/companies/batch/read"),
            ("POST", "/crm/v4/associations/contacts/deals/batch/read"),
            ("GET", "/crm/v3/properties/companies"),
            ("GET", "/crm/v3/objects/companies"),
            ("POST", "/crm/v3/objects/companies/search"),
            ("POST", "/crm/v3/objects/companies/batch/read"),
            ("POST", "/crm/v3/objects/companies/batch/create"),
            ("POST", "/crm/v3/objects/companies/batch/update"),
            ("POST", "/crm/v3/objects/companies/batch/archive"),
            ("POST", "/crm/v4/associations/companies/contacts/batch/read"),
            ("POST", "/crm/v4/associations/companies/deals/batch/read"),
            ("GET", "/crm/v3/properties/deals"),
            ("GET", "/crm/v3/objects/deals"),
            ("POST", "/crm/v3/objects/deals/search"),
            ("POST", "/crm/v3/objects/deals/batch/read"),
            ("POST", "/crm/v3/objects/deals/batch/create"),
            ("POST", "/crm/v3/objects/deals/batch/update"),
            ("POST", "/crm/v3/objects/deals/batch/archive"),
            ("POST", "/crm/v4/associations/deals/contacts/batch/read"),
            ("POST", "/crm/v4/associations/deals/companies/batch/read"),
            ("POST", "/crm/v3/objects/contacts/batch/upsert"),
            ("POST", "/crm/v3/objects/deals"),
        ] {
            assert!(permits(method, "api.hubapi.com", path), "{method} {path}");
        }
        for (method, path) in [
            ("DELETE", "/crm/v3/objects/contacts/1"),
            ("POST", "/crm/v3/objects/tickets/search"),
            ("POST", "/crm/v3/objects/contacts/gdpr-delete"),
        ] {
            assert!(!permits(method, "api.hubapi.com", path), "{method} {path}");
        }
    }
}
