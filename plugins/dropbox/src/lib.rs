//! The Dropbox connector. `connector.toml` says what it may do; here is what it does: files and folders, listed once and then
//! followed by Dropbox's cursor ([`files`]), shared links ([`links`]), notifications ([`webhook`]) and three actions
//! ([`actions`]).
//!
//! Tokens and their refreshing, retries, rate limits and the check of signatures are the host's.

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt};

mod actions;
mod api;
mod config;
mod files;
mod index;
mod links;
mod webhook;

struct Dropbox;

sluice_sdk::export!(Dropbox);

impl Connector for Dropbox {
    /// HTTP documentation, `/users/get_current_account`. The granted scopes are in the token's own answer.
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow, default)]
            account_id: Text<'a>,
            #[serde(borrow, default)]
            email: Text<'a>,
            #[serde(borrow, default)]
            name: Option<Name<'a>>,
        }
        #[derive(Deserialize)]
        struct Name<'a> {
            #[serde(borrow, default)]
            display_name: Text<'a>,
        }
        let response = api::ok(api::call("/2/users/get_current_account", &())?.send()?)?;
        let answer: Answer<'_> = response.json()?;
        let id = answer.account_id.as_str();
        if id.is_empty() {
            return Err(Error::invalid_data("Dropbox's account has no `account_id`"));
        }
        let shown = answer.name.as_ref().map_or("", |name| name.display_name.as_str());
        let names = [answer.email.as_str(), shown, id];
        let name = names.iter().find(|name| !name.is_empty()).copied();
        Ok(Account {
            id: id.to_owned(),
            name: name.unwrap_or_default().to_owned(),
            scopes: Vec::new(),
        })
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        if request.window.is_some() {
            return Err(Error::unsupported("Dropbox can't be asked for a window of time"));
        }
        match request.stream_name.as_str() {
            "files" => files::read(connection, request),
            "shared_links" => links::read(request),
            other => Err(Error::unsupported(format!("there is no stream `{other}`"))),
        }
    }

    fn route_webhook(receipt: &Receipt) -> Result<Vec<String>, Error> {
        webhook::accounts(receipt)
    }

    fn handle_webhook(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
        webhook::handle(connection, receipt)
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
    fn the_account_is_that_of_the_token() {
        testing::serve(|request| {
            assert_eq!(
                (request.method(), request.url(), request.content()),
                (
                    "POST",
                    "https://api.dropboxapi.com/2/users/get_current_account",
                    Some(&b"null"[..])
                )
            );
            testing::answer(200, &[], include_str!("../fixtures/account.json"))
        });
        let account = Dropbox::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("dbid:AADoors", "mona@example.com")
        );
        testing::serve(|_| testing::answer(200, &[], r#"{"account_id":null}"#));
        assert!(matches!(
            Dropbox::check(&testing::connection("{}")),
            Err(Error::InvalidData(_))
        ));
    }

    #[test]
    fn a_window_is_not_offered() {
        let mut request = testing::read_request("files", None);
        request.window = Some(sluice_sdk::Window { start: 0, end: 1 });
        let error = Dropbox::read(&testing::connection("{}"), &request).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)));
    }

    /// A package whose manifest the host would refuse is no package.
    #[test]
    fn the_manifest_is_one_and_asks_for_tokens_that_can_be_refreshed() {
        use sluice_model::auth::Obtain;
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        assert!(manifest.streams.iter().all(|stream| !stream.windows));
        let names: Vec<&str> = manifest
            .actions
            .iter()
            .map(|action| action.name.as_str())
            .collect();
        assert_eq!(names, actions::NAMES);
        let Obtain::OAuth2(recipe) = &manifest.auth("oauth").unwrap().obtain else {
            panic!("not OAuth 2.0")
        };
        let offline = recipe
            .authorize_params
            .iter()
            .any(|(name, value)| name == "token_access_type" && value.to_string() == "offline");
        assert!(offline);
    }
}
