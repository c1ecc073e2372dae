//! The GitHub connector. `connector.toml` says what it may do; here is what it does: six streams, each read repository
//! by repository ([`walk`]), GitHub's webhooks ([`webhook`]) and four actions ([`actions`]).
//!
//! Retries, rate limits, the token and the check of signatures are the host's.

use serde::Deserialize;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt};

mod actions;
mod api;
mod config;
mod cursor;
mod streams;
mod walk;
mod webhook;

struct GitHub;

sluice_sdk::export!(GitHub);

impl Connector for GitHub {
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct User {
            id: u64,
            login: String,
        }
        let response = api::get(format!("{}/user", api::ROOT)).send()?.ok()?;
        let user: User = response.json()?;
        // Fine-grained tokens have permissions instead of scopes and come without this header.
        let scopes = response.header("x-oauth-scopes").unwrap_or_default().split(',');
        let scopes = scopes
            .map(str::trim)
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect();
        Ok(Account {
            id: user.id.to_string(),
            name: user.login,
            scopes,
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "repositories" => streams::repositories::read(connection, request),
            "issues" => walk::read::<streams::issues::Issues>(connection, request),
            "pull_requests" => walk::read::<streams::pull_requests::PullRequests>(connection, request),
            "commits" => walk::read::<streams::commits::Commits>(connection, request),
            "releases" => walk::read::<streams::releases::Releases>(connection, request),
            "workflow_runs" => walk::read::<streams::workflow_runs::WorkflowRuns>(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(_: &Connection, name: &str, input: &str, idempotency_key: &str) -> Result<String, Error> {
        actions::run(name, input, idempotency_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_user_of_the_token() {
        testing::serve(|request| {
            assert_eq!(
                (request.method(), request.url()),
                ("GET", "https://api.github.com/user")
            );
            testing::answer(
                200,
                &[("X-OAuth-Scopes", "repo, read:org")],
                include_str!("../fixtures/user.json"),
            )
        });
        let account = GitHub::check(&testing::connection("{}")).unwrap();
        assert_eq!((account.id.as_str(), account.name.as_str()), ("4711", "mona"));
        assert_eq!(account.scopes, ["repo", "read:org"]);
    }

    #[test]
    fn a_refused_token_is_an_auth_error() {
        testing::serve(|_| testing::answer(401, &[], r#"{"message":"Bad credentials"}"#));
        let error = GitHub::check(&testing::connection("{}")).unwrap_err();
        assert!(matches!(error, Error::Auth(detail) if detail.message.contains("Bad credentials")));
    }

    #[test]
    fn an_unknown_stream_is_unsupported() {
        let request = testing::read_request("stars", None);
        assert!(matches!(
            GitHub::read(&testing::connection("{}"), &request),
            Err(Error::Unsupported(_))
        ));
    }
}
