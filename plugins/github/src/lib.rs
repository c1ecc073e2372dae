//! The GitHub connector. `connector.toml` says what it may do; here is what it does: six streams, each read repository
//! by repository ([`walk`]), GitHub's webhooks ([`webhook`]), which it sets up itself ([`hooks`]), and four actions ([`actions`]).
//!
//! Retries, rate limits, the token and the check of signatures are the host's.

use serde::Deserialize;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod config;
mod cursor;
mod hooks;
mod streams;
mod walk;
mod webhook;

struct GitHub;

sluice_sdk::export!(GitHub);

impl Connector for GitHub {
    fn check(connection: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct User {
            id: u64,
            login: String,
        }
        let response = api::get(format!("{}/user", api::ROOT)).send()?;
        if api::is_refused(&response)
            && let Some(account) = installation(connection)?
        {
            return Ok(account);
        }
        let response = response.ok()?;
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

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }

    fn run_action(_: &Connection, name: &str, input: &str, idempotency_key: &str) -> Result<String, Error> {
        actions::run(name, input, idempotency_key)
    }
}

/// Whose the token is if it is that of a GitHub App's installation: nobody's, so that GitHub refuses `/user`, but all that
/// an installation reaches belongs to one account. None if the token is of another kind.
fn installation(connection: &Connection) -> Result<Option<Account>, Error> {
    #[derive(Deserialize)]
    struct Owner {
        id: u64,
        login: String,
    }
    #[derive(Deserialize)]
    struct Repository {
        owner: Owner,
    }
    #[derive(Deserialize)]
    struct Reached {
        repositories: Vec<Repository>,
    }
    let url = format!("{}/installation/repositories?per_page=1", api::ROOT);
    let response = api::get(url).send()?;
    if api::is_refused(&response) {
        return Ok(None);
    }
    let reached: Reached = response.ok()?.json()?;
    let owner = reached.repositories.into_iter().next().map(|first| first.owner);
    let id = config::installation(connection)?;
    // The configured number stays the same when the last repository is taken away; the owner is then not told.
    let (id, name) = match (id, owner) {
        (Some(id), Some(owner)) => (format!("installation-{id}"), owner.login),
        (Some(id), None) => (format!("installation-{id}"), format!("Installation {id}")),
        (None, Some(owner)) => (owner.id.to_string(), owner.login),
        (None, None) => return Err(Error::config("say which installation it is", "/installation_id")),
    };
    Ok(Some(Account {
        id,
        name,
        scopes: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_model::auth::{AssertionUse, ClientAuth, JwtAlgorithm, OAuth2, OAuthGrant, Obtain};
    use sluice_model::manifest::{AuthScheme, Manifest};
    use sluice_sdk::testing;

    fn oauth2(scheme: &AuthScheme) -> &OAuth2 {
        match &scheme.obtain {
            Obtain::OAuth2(oauth2) => oauth2,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_is_the_first_choice_of_three() {
        let manifest = Manifest::parse(include_str!("../connector.toml")).unwrap();
        let names: Vec<&str> = manifest.auth.iter().map(|scheme| scheme.name.as_str()).collect();
        assert_eq!(names, ["token", "oauth", "app"]);

        let oauth = oauth2(&manifest.auth[1]);
        assert_eq!(
            oauth.grants,
            [OAuthGrant::AuthorizationCode, OAuthGrant::DeviceCode]
        );
        assert_eq!((oauth.client_auth, oauth.pkce), (ClientAuth::Body, true));
        assert_eq!(oauth.answer.default_lifetime_s, None, "a token that does not end");

        let app = oauth2(&manifest.auth[2]);
        assert_eq!(app.grants, [OAuthGrant::JwtBearer]);
        assert_eq!(app.answer.access_token, "/token");
        assert_eq!(app.answer.expires_at.as_deref(), Some("/expires_at"));
        let assertion = app.assertion.as_ref().unwrap();
        assert_eq!(
            (assertion.algorithm, assertion.used),
            (JwtAlgorithm::Rs256, AssertionUse::Bearer)
        );
        // GitHub takes no assertion that ends later than in ten minutes.
        assert!(assertion.lifetime_s - assertion.backdate_s < 600 && assertion.backdate_s == 60);
        let parts: Vec<(&str, bool, bool)> = manifest.auth[2]
            .app
            .iter()
            .map(|part| (part.name.as_str(), part.secret, part.multiline))
            .collect();
        assert_eq!(parts, [("app_id", false, false), ("private_key", true, true)]);
    }

    #[test]
    fn the_account_of_an_app_is_its_installation() {
        let serve = |repositories: &'static str| {
            testing::serve(move |request| match request.url() {
                "https://api.github.com/installation/repositories?per_page=1" => {
                    testing::answer(200, &[], repositories)
                }
                _ => testing::answer(
                    403,
                    &[],
                    r#"{"message":"Resource not accessible by integration"}"#,
                ),
            });
        };
        let configured = testing::connection(r#"{"owner":"acme","installation_id":"42"}"#);
        serve(include_str!("../fixtures/installation-repositories.json"));
        let account = GitHub::check(&configured).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("installation-42", "acme")
        );
        serve(r#"{"total_count":0,"repositories":[]}"#);
        let account = GitHub::check(&configured).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("installation-42", "Installation 42")
        );
        let error = GitHub::check(&testing::connection("{}")).unwrap_err();
        assert!(
            matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/installation_id"))
        );
    }

    #[test]
    fn a_token_that_may_nothing_keeps_its_own_refusal() {
        testing::serve(|request| {
            let message = if request.url().ends_with("/user") {
                "SSO needed"
            } else {
                "no installation"
            };
            testing::answer(403, &[], &format!(r#"{{"message":"{message}"}}"#))
        });
        let error = GitHub::check(&testing::connection("{}")).unwrap_err();
        assert!(matches!(error, Error::Auth(detail) if detail.message.contains("SSO needed")));
        testing::serve(|_| testing::answer(403, &[("x-ratelimit-remaining", "0")], "{}"));
        let error = GitHub::check(&testing::connection("{}")).unwrap_err();
        assert!(matches!(error, Error::RateLimited(_)) && testing::requests().len() == 1);
    }

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
