//! The Mixpanel connector. `connector.toml` says what it may do; here is what it does: raw events, streamed day by day
//! ([`events`]), profiles ([`profiles`]) and cohorts ([`cohorts`]), and two ways to write events ([`actions`]).
//!
//! The service account, retries and rate limits are the host's.

use sluice_sdk::{Account, Connection, Connector, Error, Page, ReadRequest};

mod actions;
mod api;
mod cohorts;
mod config;
mod day;
mod events;
mod lines;
mod profiles;

struct Mixpanel;

sluice_sdk::export!(Mixpanel);

impl Connector for Mixpanel {
    /// A service account tells no name of its own: the proof is that the project's cohorts can be listed.
    fn check(connection: &Connection) -> Result<Account, Error> {
        let config = config::read(connection)?;
        cohorts::list(&config)?;
        Ok(Account {
            id: config.project.to_string(),
            name: format!("Project {}", config.project),
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "events" => events::read(connection, request),
            "profiles" => profiles::read(connection, request),
            "cohorts" => cohorts::read(connection),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn run_action(
        connection: &Connection,
        name: &str,
        input: &str,
        idempotency_key: &str,
    ) -> Result<String, Error> {
        actions::run(connection, name, input, idempotency_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_project() {
        testing::serve(|_| testing::answer(200, &[], "[]"));
        let config = r#"{"project_id":7,"start_date":"2024-05-01"}"#;
        let account = Mixpanel::check(&testing::connection(config)).unwrap();
        assert_eq!((account.id.as_str(), account.name.as_str()), ("7", "Project 7"));
        testing::serve(|_| testing::answer(403, &[], include_str!("../fixtures/refused.json")));
        assert!(matches!(
            Mixpanel::check(&testing::connection(config)),
            Err(Error::Auth(_))
        ));
    }

    /// A package whose manifest the host would refuse is no package.
    #[test]
    fn the_manifest_is_one() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let events = manifest.stream("events").unwrap();
        assert!(events.windows && !events.lookback.is_zero());
        assert_eq!(manifest.streams.len(), 3);
        assert_eq!(manifest.actions.len(), 2);
    }
}
