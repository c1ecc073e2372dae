//! The Salesforce connector. `connector.toml` says what it may do; here is what it does: accounts and contacts, read by
//! the time of their last change ([`walk`]), at first by a job of the Bulk API where they are many ([`bulk`]), and written
//! ([`write`]); and the organization's own actions ([`actions`]).
//!
//! Tokens and their rotation, and the instance that comes with them, are the host's, as are retries and rate limits.

use sluice_sdk::{
    Account, ActionInfo, Connection, Connector, Error, Page, PendingWrite, ReadRequest, WriteOutcome,
};

mod actions;
mod api;
mod bulk;
mod config;
mod rows;
mod soql;
mod streams;
mod walk;
mod write;

struct Salesforce;

sluice_sdk::export!(Salesforce);

impl Connector for Salesforce {
    fn check(connection: &Connection) -> Result<Account, Error> {
        let instance = config::read(connection)?.instance()?;
        api::organization(&instance)
    }

    fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match streams::named(&request.stream_name) {
            Some(stream) => walk::read(stream, connection, request),
            None => Err(Error::unsupported(format!(
                "there is no stream `{}`",
                request.stream_name
            ))),
        }
    }

    fn write(
        connection: &Connection,
        stream: &str,
        writes: &[PendingWrite],
    ) -> Result<Vec<WriteOutcome>, Error> {
        match streams::named(stream) {
            Some(stream) => write::all(stream, connection, writes),
            None => Err(Error::unsupported(format!("there is no stream `{stream}`"))),
        }
    }

    fn list_actions(connection: &Connection) -> Result<Vec<ActionInfo>, Error> {
        actions::list(connection)
    }

    fn run_action(connection: &Connection, name: &str, input: &str, _: &str) -> Result<String, Error> {
        actions::run(connection, name, input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    const CONFIG: &str = r#"{"login_host":"login.salesforce.com","instance":"doors.my.salesforce.com"}"#;

    #[test]
    fn the_account_is_the_organization() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://doors.my.salesforce.com/services/data/v62.0/query?q=SELECT%20Id%2C%20Name%2C%20IsSandbox%20FROM%20Organization%20LIMIT%201"
            );
            testing::answer(200, &[], include_str!("../fixtures/organization.json"))
        });
        let account = Salesforce::check(&testing::connection(CONFIG)).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("00D000000000001EAA", "Doors (sandbox)")
        );
    }

    #[test]
    fn an_answer_without_an_organization_is_no_account() {
        for body in [
            r#"{"records":[]}"#,
            r#"{"records":[{"Name":"x"}]}"#,
            "{}",
            "<html>",
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let error = Salesforce::check(&testing::connection(CONFIG)).unwrap_err();
            assert!(matches!(error, Error::InvalidData(_)), "{body}");
        }
    }

    #[test]
    fn before_the_instance_is_known_nothing_is_asked() {
        let error =
            Salesforce::check(&testing::connection(r#"{"login_host":"test.salesforce.com"}"#)).unwrap_err();
        assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/instance")));
    }

    /// A package whose manifest the host would refuse is no package.
    #[test]
    fn the_manifest_is_one() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        for stream in &streams::STREAMS {
            let declared = manifest.stream(stream.name).unwrap();
            assert!(declared.windows && declared.writes.len() == 3, "{}", stream.name);
            let properties = declared.schema["properties"].as_object().unwrap();
            for field in stream.fields {
                assert!(properties.contains_key(*field), "{}: {field}", stream.name);
            }
        }
    }

    /// What the host does without this code: it notices an ended token, and finds the instance, by the same answers.
    #[test]
    fn the_recipe_knows_salesforces_answers() {
        use sluice_model::auth::{FillFrom, Obtain, Take};
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
        let expired =
            |status, code: &str| shown(status, &serde_json::json!([{"message": "x", "errorCode": code}]));
        assert!(expired(401, "INVALID_SESSION_ID"));
        assert!(!expired(403, "INVALID_SESSION_ID") && !expired(401, "INVALID_AUTH_HEADER"));
        let answer: serde_json::Value = serde_json::from_str(include_str!("../fixtures/token.json")).unwrap();
        let [fill] = &recipe.fill[..] else {
            panic!("{:?}", recipe.fill)
        };
        assert_eq!(
            (fill.config.as_str(), fill.from, fill.take),
            ("instance", FillFrom::Token, Take::Host)
        );
        let url = answer.pointer(&fill.pointer).unwrap().as_str().unwrap();
        let config = format!(r#"{{"instance":"{}"}}"#, url.strip_prefix("https://").unwrap());
        assert!(
            config::read(&testing::connection(&config))
                .unwrap()
                .instance()
                .is_ok()
        );
        assert!(answer.pointer(&recipe.answer.access_token).is_some());
    }
}
