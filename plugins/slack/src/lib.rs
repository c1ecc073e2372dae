//! The Slack connector. `connector.toml` says what it may do; here is what it does: three streams, the Events API
//! ([`webhook`]), what people do in Slack ([`interaction`], [`command`]) and one action ([`actions`]).
//!
//! Tokens and their rotation, retries, rate limits and the check of signatures are the host's.

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt};

mod actions;
mod api;
mod command;
mod config;
mod form;
mod interaction;
mod streams;
mod ts;
mod webhook;

struct Slack;

sluice_sdk::export!(Slack);

impl Connector for Slack {
    /// Slack docs, `auth.test`: the account is the workspace, as in the answer of `oauth.v2.access`.
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow, default)]
            team_id: Text<'a>,
            #[serde(borrow, default)]
            team: Text<'a>,
            #[serde(borrow, default)]
            user: Text<'a>,
        }
        let response = api::send(api::get("auth.test"))?.ok()?;
        let answer: Answer<'_> = response.json()?;
        if answer.team_id.as_str().is_empty() {
            return Err(Error::invalid_data("Slack's answer has no `team_id`"));
        }
        let name = match (answer.team.as_str(), answer.user.as_str()) {
            ("", "") => answer.team_id.as_str().to_owned(),
            (team, "") => team.to_owned(),
            (team, user) => format!("{team} ({user})"),
        };
        let scopes = response.header("x-oauth-scopes").unwrap_or_default().split(',');
        Ok(Account {
            id: answer.team_id.as_str().to_owned(),
            name,
            scopes: scopes
                .map(str::trim)
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "users" => streams::list::read(&streams::users::USERS, request),
            "channels" => streams::list::read(&streams::channels::CHANNELS, request),
            "messages" => streams::messages::read(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    /// Only of interactions: where the others name the workspace, `connector.toml` says.
    fn route_webhook(receipt: &Receipt) -> Result<Vec<String>, Error> {
        match receipt.webhook.as_str() {
            "interactions" => interaction::route(receipt),
            other => Err(no_webhook(other)),
        }
    }

    fn handle_webhook(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        match receipt.webhook.as_str() {
            "events" => webhook::handle(connection, receipt),
            "interactions" => interaction::handle(receipt),
            "commands" => command::handle(receipt),
            other => Err(no_webhook(other)),
        }
    }

    fn run_action(_: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(name, input)
    }
}

fn no_webhook(name: &str) -> Error {
    Error::unsupported(format!("there is no webhook `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_account_is_the_workspace() {
        testing::serve(|request| {
            assert_eq!(
                (request.method(), request.url()),
                ("GET", "https://slack.com/api/auth.test")
            );
            testing::answer(
                200,
                &[("x-oauth-scopes", "users:read,channels:read")],
                include_str!("../fixtures/auth-test.json"),
            )
        });
        let account = Slack::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("T0DOORS", "Doors (sluice)")
        );
        assert_eq!(account.scopes, ["users:read", "channels:read"]);
    }

    #[test]
    fn a_refusal_with_status_200_is_seen() {
        for code in [
            "invalid_auth",
            "token_expired",
            "token_revoked",
            "account_inactive",
        ] {
            testing::serve(move |_| {
                testing::answer(200, &[], &format!(r#"{{"ok":false,"error":"{code}"}}"#))
            });
            let error = Slack::check(&testing::connection("{}")).unwrap_err();
            assert!(matches!(error, Error::Auth(detail) if detail.message.contains(code)));
        }
    }

    #[test]
    fn an_answer_without_a_workspace_is_no_account() {
        for body in [r#"{"ok":true}"#, r#"{"ok":"yes","team_id":"T1"}"#, "[]", "<html>"] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let error = Slack::check(&testing::connection("{}")).unwrap_err();
            assert!(matches!(error, Error::InvalidData(_)), "{body}");
        }
    }

    #[test]
    fn an_unknown_stream_is_unsupported() {
        let request = testing::read_request("files", None);
        assert!(matches!(
            Slack::read(&testing::connection("{}"), &request),
            Err(Error::Unsupported(_))
        ));
    }

    /// Each webhook's deliveries are read by its own rules.
    #[test]
    fn a_delivery_is_what_its_webhook_says() {
        let connection = testing::connection("{}");
        let kinds = |webhook: &str, body: &str| {
            let receipt = Receipt {
                webhook: webhook.to_owned(),
                ..testing::receipt(&[], body)
            };
            Slack::handle_webhook(&connection, &receipt).map(|handled| {
                handled
                    .events
                    .into_iter()
                    .map(|event| event.kind)
                    .collect::<Vec<_>>()
            })
        };
        let event = include_str!("../fixtures/webhook-message.json");
        let command = include_str!("../fixtures/command.form").trim();
        let payload = format!(
            "payload={}",
            sluice_sdk::http::encode(include_str!("../fixtures/interaction-shortcut.json"))
        );
        assert_eq!(kinds("events", event).unwrap(), ["message"]);
        assert_eq!(kinds("commands", command).unwrap(), ["command"]);
        assert_eq!(kinds("interactions", &payload).unwrap(), ["interaction.shortcut"]);
        for (webhook, body) in [
            ("events", command),
            ("interactions", event),
            ("commands", &payload),
        ] {
            assert!(
                matches!(kinds(webhook, body), Err(Error::InvalidData(_))),
                "{webhook}"
            );
        }
        for webhook in ["", "others"] {
            assert!(
                matches!(kinds(webhook, event), Err(Error::Unsupported(_))),
                "{webhook}"
            );
        }
        let asked = Receipt {
            webhook: "events".to_owned(),
            ..testing::receipt(&[], event)
        };
        assert!(matches!(Slack::route_webhook(&asked), Err(Error::Unsupported(_))));
    }

    /// What the host does without this code: it notices an ended token, and tells the workspace, by the same answers.
    #[test]
    fn the_recipe_knows_slacks_answers() {
        use sluice_model::auth::Obtain;
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let Obtain::OAuth2(recipe) = &manifest.auth("oauth").unwrap().obtain else {
            panic!("not OAuth 2.0")
        };
        let shown = |status: u16, body: &serde_json::Value| {
            recipe.expired.iter().any(|sign| {
                let says = |(pointer, words): &(String, Vec<String>)| {
                    let said = body.pointer(pointer).and_then(serde_json::Value::as_str);
                    said.is_some_and(|said| words.iter().any(|word| word == said))
                };
                sign.status == status && sign.body.as_ref().is_none_or(says)
            })
        };
        let expired = |status, body: serde_json::Value| shown(status, &body);
        assert!(expired(
            200,
            serde_json::json!({"ok": false, "error": "token_expired"})
        ));
        assert!(!expired(
            200,
            serde_json::json!({"ok": false, "error": "channel_not_found"})
        ));
        assert!(!expired(200, serde_json::json!({"ok": true})));
        assert!(!recipe.pkce);
        assert_eq!(recipe.scope_separator, ",");
        let answer: serde_json::Value =
            serde_json::from_str(include_str!("../fixtures/oauth-access.json")).unwrap();
        let at = |pointer: &str| answer.pointer(pointer).cloned();
        assert_eq!(
            at(recipe.answer.account.as_deref().unwrap()),
            Some("T0DOORS".into())
        );
        assert_eq!(at(&recipe.answer.expires_in), Some(43_200.into()));
        assert!(at(&recipe.answer.access_token).is_some() && at(&recipe.answer.refresh_token).is_some());
        let success = recipe.answer.success.as_ref().unwrap();
        assert_eq!(at(&success.pointer).as_ref(), Some(&success.equals));
    }
}
