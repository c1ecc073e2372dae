//! The Trello connector: boards and what is on them ([`streams`]), and cards created and moved ([`actions`]).
//! `connector.toml` says what it may do.
//!
//! Retries, rate limits, tokens and OAuth signatures are the host's.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::{Account, Connection, Connector, Error, Page, ReadRequest};

mod actions;
mod api;
mod config;
mod cursor;
mod streams;

struct Trello;

sluice_sdk::export!(Trello);

impl Connector for Trello {
    fn check(connection: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Member<'a> {
            #[serde(borrow, default)]
            id: Id<'a>,
            #[serde(borrow, default)]
            username: Text<'a>,
            #[serde(borrow, default, rename = "fullName")]
            full_name: Text<'a>,
        }
        let config = config::of(connection)?;
        let response = api::ok(
            api::get(&config, "members/me")
                .query("fields", "username,fullName")
                .send()?,
        )?;
        let member: Member<'_> = response.json()?;
        let id = member.id.to_string();
        if !api::is_id(&id) {
            return Err(Error::invalid_data("Trello did not say whose token this is"));
        }
        let name = match (member.full_name.as_str(), member.username.as_str()) {
            ("", "") => id.clone(),
            ("", name) => name.to_owned(),
            (name, "") => name.to_owned(),
            (name, username) => format!("{name} (@{username})"),
        };
        Ok(Account {
            id,
            name,
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "boards" => streams::boards::read(connection),
            "lists" => streams::under::read(connection, request, &streams::under::LISTS),
            "members" => streams::under::read(connection, request, &streams::under::MEMBERS),
            "cards" => streams::cards::read(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(connection, name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_model::auth::{Apply, OAuth1Method, Obtain};
    use sluice_model::manifest::Manifest;
    use sluice_sdk::testing;

    #[test]
    fn the_manifest_signs_in_by_oauth_or_takes_a_token() {
        let manifest = Manifest::parse(include_str!("../connector.toml")).unwrap();
        let names: Vec<&str> = manifest.auth.iter().map(|scheme| scheme.name.as_str()).collect();
        assert_eq!(names, ["oauth", "token"]);
        let Obtain::OAuth1(oauth) = &manifest.auth[0].obtain else {
            panic!("{:?}", manifest.auth[0].obtain)
        };
        assert_eq!(oauth.method, OAuth1Method::HmacSha1);
        let steps = [&oauth.request_url, &oauth.authorize_url, &oauth.access_url];
        for (step, name) in steps.iter().zip([
            "OAuthGetRequestToken",
            "OAuthAuthorizeToken",
            "OAuthGetAccessToken",
        ]) {
            assert_eq!(step.to_string(), format!("https://trello.com/1/{name}"));
        }
        let given: Vec<String> = oauth
            .authorize_params
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        for wanted in ["name=Sluice", "expiration=never", "scope=read,write"] {
            assert!(given.iter().any(|given| given == wanted), "{given:?}");
        }
        assert_eq!(
            manifest.auth[1].apply,
            Apply::Query {
                name: "token".to_owned()
            }
        );
    }

    #[test]
    fn the_account_is_the_member_of_the_token() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://api.trello.com/1/members/me?fields=username%2CfullName"
            );
            testing::answer(200, &[], include_str!("../fixtures/member.json"))
        });
        let account = Trello::check(&testing::connection("{}")).unwrap();
        assert_eq!(account.id, "5f0000000000000000000001");
        assert_eq!(account.name, "Mona Octo (@mona)");
    }

    #[test]
    fn a_refused_token_is_an_auth_error_in_trellos_words() {
        testing::serve(|_| {
            testing::answer(
                401,
                &[("content-type", "text/plain; charset=utf-8")],
                "invalid token",
            )
        });
        let error = Trello::check(&testing::connection("{}")).unwrap_err();
        assert!(matches!(error, Error::Auth(detail) if detail.message.contains("invalid token")));
        testing::serve(|_| testing::answer(200, &[], "{}"));
        assert!(matches!(
            Trello::check(&testing::connection("{}")),
            Err(Error::InvalidData(_))
        ));
    }

    #[test]
    fn an_unknown_stream_is_unsupported() {
        let request = testing::read_request("stickers", None);
        assert!(matches!(
            Trello::read(&testing::connection("{}"), &request),
            Err(Error::Unsupported(_))
        ));
    }
}
