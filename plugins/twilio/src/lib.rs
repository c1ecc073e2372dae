//! The Twilio connector: the messages and calls of one account ([`walk`]) and the sending of messages ([`send`]).
//! `connector.toml` says what it may do.
//!
//! Retries, rate limits and the credential are the host's. Webhooks are left out: Twilio signs the URL together with the
//! parameters of the form (Twilio docs, "Webhooks security"), which no recipe of this version can say.

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Account, Connection, Connector, Error, Page, ReadRequest, http};

mod account;
mod send;
mod walk;
mod when;

struct Twilio;

sluice_sdk::export!(Twilio);

impl Connector for Twilio {
    /// An API key of the standard kind may do everything but read the account (Twilio docs, "API keys"): with one of those
    /// the proof is that the messages can be listed.
    fn check(connection: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow, default)]
            friendly_name: Text<'a>,
        }
        let account = account::of(connection)?;
        let response = http::get(account.itself()).send()?;
        if matches!(response.status, 401 | 403) {
            http::get(account.under("Messages"))
                .query("PageSize", "1")
                .send()?
                .ok()?;
            return Ok(Account {
                id: account.sid.clone(),
                name: account.sid,
                scopes: Vec::new(),
            });
        }
        let response = response
            .ok()
            .map_err(|error| error.blame_config("/account_sid"))?;
        let head: Head<'_> = response.json()?;
        let name = match head.friendly_name.as_str() {
            "" => account.sid.clone(),
            name => name.to_owned(),
        };
        Ok(Account {
            id: account.sid,
            name,
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match request.stream_name.as_str() {
            "messages" => walk::read::<walk::Messages>(connection, request),
            "calls" => walk::read::<walk::Calls>(connection, request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        match name {
            "send_sms" => send::sms(connection, input),
            other => Err(Error::unsupported(format!("there is no action `{other}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_model::auth::Apply;
    use sluice_model::manifest::Manifest;
    use sluice_sdk::testing;

    #[test]
    fn the_manifest_takes_a_token_or_a_key_as_basic() {
        let manifest = Manifest::parse(include_str!("../connector.toml")).unwrap();
        let names: Vec<&str> = manifest.auth.iter().map(|scheme| scheme.name.as_str()).collect();
        assert_eq!(names, ["auth_token", "api_key"]);
        for scheme in &manifest.auth {
            assert_eq!(scheme.apply, Apply::Basic { username: None });
            let parts: Vec<(&str, bool)> = scheme
                .parts
                .iter()
                .map(|part| (part.name.as_str(), part.secret))
                .collect();
            assert_eq!(parts, [("user", false), ("password", true)]);
        }
    }

    #[test]
    fn the_account_has_a_name() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                format!(
                    "https://api.twilio.com/2010-04-01/Accounts/{}.json",
                    account::tests::sid()
                )
            );
            testing::answer(200, &[], include_str!("../fixtures/account.json"))
        });
        let account = Twilio::check(&account::tests::connection()).unwrap();
        assert_eq!(
            (account.id, account.name.as_str()),
            (account::tests::sid(), "Acme support")
        );
    }

    #[test]
    fn a_key_that_may_not_read_the_account_is_proved_by_a_list() {
        testing::serve(
            |request| match request.url().contains("/Messages.json?PageSize=1") {
                true => testing::answer(200, &[], r#"{"messages":[]}"#),
                false => testing::answer(
                    401,
                    &[],
                    r#"{"code":20003,"message":"Authenticate","status":401}"#,
                ),
            },
        );
        let account = Twilio::check(&account::tests::connection()).unwrap();
        assert_eq!(account.id, account.name);
    }

    #[test]
    fn a_refused_key_is_an_auth_error_and_a_wrong_account_the_configurations() {
        testing::serve(|_| {
            testing::answer(
                401,
                &[],
                r#"{"code":20003,"message":"Authenticate","status":401}"#,
            )
        });
        let error = Twilio::check(&account::tests::connection()).unwrap_err();
        assert!(matches!(error, Error::Auth(detail) if detail.message.contains("Authenticate")));
        testing::serve(|_| testing::answer(404, &[], r#"{"code":20404,"message":"not found","status":404}"#));
        let error = Twilio::check(&account::tests::connection()).unwrap_err();
        assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/account_sid")));
    }

    #[test]
    fn what_there_is_not_is_unsupported() {
        let connection = account::tests::connection();
        let request = testing::read_request("faxes", None);
        assert!(matches!(
            Twilio::read(&connection, &request),
            Err(Error::Unsupported(_))
        ));
        let error = Twilio::run_action(&connection, "dial", "{}", "k");
        assert!(matches!(error, Err(Error::Unsupported(_))));
    }
}
