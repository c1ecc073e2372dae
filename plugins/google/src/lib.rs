//! The Google connector. `connector.toml` says what it may do; here is what it does: events of calendars
//! ([`streams::events`]), the calendars themselves ([`streams::calendars`]) and files of Drive ([`streams::files`]), all by
//! Google's own change tokens; and channels on which Google tells that something changed ([`channel`], [`webhook`]).
//!
//! Tokens, their refreshing and the service account's key are the host's, as are retries and rate limits.

use std::time::SystemTime;

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod api;
mod channel;
mod config;
mod streams;
mod webhook;

struct Google;

sluice_sdk::export!(Google);

impl Connector for Google {
    /// OpenID Connect Core 1.0 §5.3; where the token may not ask that, Drive's `about.get`. The granted scopes are in the
    /// token's own answer.
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Claims<'a> {
            #[serde(borrow, default)]
            sub: Text<'a>,
            #[serde(borrow, default)]
            email: Text<'a>,
            #[serde(borrow, default)]
            name: Text<'a>,
        }
        let response = api::get(api::USERINFO).send()?;
        if response.status == 403 {
            return about();
        }
        let response = api::ok(response)?;
        let claims: Claims<'_> = response.json()?;
        account(claims.sub.as_str(), claims.email.as_str(), claims.name.as_str())
    }

    /// The calendars whose events are read.
    fn partitions(connection: &Connection, stream: &str) -> Result<Vec<String>, Error> {
        match stream {
            "events" => config::calendars(connection),
            _ => Ok(Vec::new()),
        }
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "events" => streams::events::read(connection, request),
            "calendars" => streams::calendars::read(request),
            "files" => streams::files::read(request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn register_webhook(
        connection: &Connection,
        _: &str,
        url: &str,
        events: &[String],
    ) -> Result<Registration, Error> {
        channel::register(connection, url, events, now())
    }

    fn renew_webhook(_: &Connection, registration: &Registration) -> Result<Registration, Error> {
        channel::renew(registration, now())
    }

    fn unregister_webhook(connection: &Connection, registration: &Registration) -> Result<(), Error> {
        channel::unregister(connection, registration, now())
    }

    fn handle_webhook(_: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(receipt)
    }
}

/// The host's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "in the sandbox it is the host's Clock that answers"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() * 1_000)
}

/// Drive API, `about.get`.
fn about() -> Result<Account, Error> {
    #[derive(Deserialize)]
    struct About<'a> {
        #[serde(borrow)]
        user: User<'a>,
    }
    #[derive(Deserialize)]
    struct User<'a> {
        #[serde(rename = "permissionId", borrow, default)]
        id: Text<'a>,
        #[serde(rename = "emailAddress", borrow, default)]
        email: Text<'a>,
        #[serde(rename = "displayName", borrow, default)]
        name: Text<'a>,
    }
    let request = api::get(format!("{}/drive/v3/about", api::ROOT))
        .query("fields", "user(permissionId,emailAddress,displayName)");
    let response = api::ok(request.send()?)?;
    let About { user } = response.json()?;
    account(user.id.as_str(), user.email.as_str(), user.name.as_str())
}

fn account(id: &str, email: &str, name: &str) -> Result<Account, Error> {
    if id.is_empty() {
        return Err(Error::invalid_data(
            "Google's answer does not say whose account it is",
        ));
    }
    let names = [email, name, id];
    Ok(Account {
        id: id.to_owned(),
        name: names
            .iter()
            .find(|name| !name.is_empty())
            .copied()
            .unwrap_or_default()
            .to_owned(),
        scopes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn check() -> Result<Account, Error> {
        Google::check(&testing::connection("{}"))
    }

    #[test]
    fn the_account_is_that_of_the_token() {
        testing::serve(|request| {
            assert_eq!(request.url(), "https://openidconnect.googleapis.com/v1/userinfo");
            testing::answer(200, &[], include_str!("../fixtures/userinfo.json"))
        });
        let account = check().unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("110248495921238986420", "mona@example.com")
        );
    }

    #[test]
    fn drive_tells_where_the_token_may_not_ask_who_it_is() {
        testing::serve(
            |request| match request.url().contains("/drive/v3/about?fields=user%28") {
                true => testing::answer(
                    200,
                    &[],
                    r#"{"user":{"permissionId":"042","emailAddress":"robot@doors.iam.gserviceaccount.com"}}"#,
                ),
                false => testing::answer(403, &[], r#"{"error":"insufficient_scope"}"#),
            },
        );
        let account = check().unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("042", "robot@doors.iam.gserviceaccount.com")
        );
    }

    #[test]
    fn refusals_are_told_apart() {
        testing::serve(|_| testing::answer(401, &[], include_str!("../fixtures/unauthenticated.json")));
        assert!(matches!(check(), Err(Error::Auth(detail)) if detail.message.contains("Expected OAuth 2")));
        for body in [r#"{"sub":""}"#, "[]", "<html>"] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(check(), Err(Error::InvalidData(_))), "{body}");
        }
    }

    /// A package whose manifest the host would refuse is no package.
    #[test]
    fn the_manifest_is_one() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        for name in ["events", "calendars", "files"] {
            let stream = manifest.stream(name).unwrap();
            let partitions = Google::partitions(&testing::connection("{}"), name).unwrap();
            assert_eq!(stream.partitioned, !partitions.is_empty(), "{name}");
        }
        assert_eq!(manifest.auth.len(), 2);
    }

    /// What the host does without this code: the claims come out of the pasted key file.
    #[test]
    fn the_recipe_signs_with_the_key_file() {
        use sluice_model::auth::{AssertionUse, JwtAlgorithm, OAuthGrant, Obtain};
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let scheme = manifest.auth("service-account").unwrap();
        assert!(
            scheme
                .parts
                .iter()
                .all(|part| part.name == "account" && part.secret && part.multiline)
        );
        let Obtain::OAuth2(recipe) = &scheme.obtain else {
            panic!("not OAuth 2.0")
        };
        assert_eq!(recipe.grants, [OAuthGrant::JwtBearer]);
        let assertion = recipe.assertion.as_ref().unwrap();
        assert_eq!(
            (assertion.algorithm, assertion.used),
            (JwtAlgorithm::Rs256, AssertionUse::Grant)
        );
        assert_eq!(assertion.key.to_string(), "${secret.account#/private_key}");
        let mut claims: Vec<&str> = assertion.claims.iter().map(|(name, _)| name.as_str()).collect();
        claims.sort_unstable();
        assert_eq!(claims, ["aud", "iss", "scope"]);
    }
}
