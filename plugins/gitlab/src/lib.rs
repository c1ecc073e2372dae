//! The GitLab connector. `connector.toml` says what it may do; here is what it does: projects and what is in them ([`streams`]),
//! GitLab's webhooks ([`webhook`]), which it sets up itself ([`hooks`]), issues written back ([`write`]), and two actions ([`actions`]).
//!
//! Retries, rate limits, the token and the check of what proves a webhook are the host's.

use serde::Deserialize;
use sluice_sdk::{
    Account, Connection, Connector, Error, Handled, Page, PendingWrite, ReadRequest, Receipt, Registration,
    WriteOutcome,
};

mod actions;
mod api;
mod config;
mod hooks;
mod streams;
mod webhook;
mod write;

use api::Api;

struct GitLab;

sluice_sdk::export!(GitLab);

impl Connector for GitLab {
    /// Whose the token is ("Users", "Get the current user"): of a project's or a group's token, its bot.
    fn check(connection: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct User {
            id: u64,
            username: String,
        }
        let response = Api::of(connection)?.get("user").send()?.ok()?;
        let user: User = response.json()?;
        Ok(Account {
            id: user.id.to_string(),
            name: user.username,
            scopes: Vec::new(),
        })
    }

    fn partitions(connection: &Connection, stream: &str) -> Result<Vec<String>, Error> {
        match streams::changed::list(stream) {
            Some(list) => streams::projects::with(connection, list.switch),
            None => Ok(Vec::new()),
        }
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        let stream = request.stream_name.as_str();
        match (stream, streams::changed::list(stream)) {
            ("projects", _) => streams::projects::read(connection, request),
            (_, Some(list)) => streams::changed::read(connection, request, list),
            _ => Err(Error::unsupported(format!("there is no stream `{stream}`"))),
        }
    }

    fn write(
        connection: &Connection,
        stream: &str,
        writes: &[PendingWrite],
    ) -> Result<Vec<WriteOutcome>, Error> {
        match stream {
            "issues" => write::all(&Api::of(connection)?, writes),
            other => Err(Error::unsupported(format!("the stream `{other}` is read-only"))),
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

    fn handle_webhook(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(connection, receipt)
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(&Api::of(connection)?, name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    const CONFIG: &str = r#"{"host":"gitlab.example.com","projects":[7]}"#;

    #[test]
    fn the_account_is_the_user_of_the_token() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://gitlab.example.com/api/v4/user");
            testing::answer(200, &[], include_str!("../fixtures/user.json"))
        });
        let account = GitLab::check(&testing::connection(CONFIG)).unwrap();
        assert_eq!((account.id.as_str(), account.name.as_str()), ("4711", "mona"));
        testing::serve(|_| testing::answer(401, &[], r#"{"message":"401 Unauthorized"}"#));
        let refused = GitLab::check(&testing::connection(CONFIG));
        assert!(matches!(refused, Err(Error::Auth(detail)) if detail.message.contains("401 Unauthorized")));
    }

    #[test]
    fn what_the_manifest_does_not_have_is_unsupported() {
        let connection = testing::connection(CONFIG);
        let read = GitLab::read(&connection, &testing::read_request("snippets", None));
        assert!(matches!(read, Err(Error::Unsupported(_))));
        assert!(matches!(
            GitLab::write(&connection, "pipelines", &[]),
            Err(Error::Unsupported(_))
        ));
        assert!(GitLab::partitions(&connection, "projects").unwrap().is_empty());
    }

    #[test]
    fn the_manifests_partitioned_streams_have_partitions() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/project.json")));
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        for stream in &manifest.streams {
            let partitions = GitLab::partitions(&testing::connection(CONFIG), &stream.name).unwrap();
            assert_eq!(stream.partitioned, !partitions.is_empty(), "{}", stream.name);
        }
    }
}
