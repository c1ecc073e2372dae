//! The Stripe connector. `connector.toml` says what it may do; here is what it does: streams that are listed once and
//! then followed by Stripe's events, or by what is added to their list ([`walk`]), with the lists within their records read to
//! the end ([`nested`]); webhooks ([`webhook`]), set up by itself ([`endpoint`]), and four actions ([`actions`]).
//!
//! The key, retries, rate limits, idempotency on the wire and the check of signatures are the host's.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::{Account, Connection, Connector, Error, Handled, Page, ReadRequest, Receipt, Registration};

mod actions;
mod api;
mod changed;
mod endpoint;
mod nested;
mod streams;
mod walk;
mod webhook;

struct Stripe;

sluice_sdk::export!(Stripe);

impl Connector for Stripe {
    /// Stripe API docs, "Retrieve account". A key's permissions are not told.
    fn check(_: &Connection) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow, default)]
            id: Id<'a>,
            #[serde(borrow, default)]
            email: Text<'a>,
            #[serde(borrow, default)]
            business_profile: Option<Profile<'a>>,
        }
        #[derive(Deserialize)]
        struct Profile<'a> {
            #[serde(borrow, default)]
            name: Text<'a>,
        }
        let response = api::ok(api::get("/v1/account").send()?)?;
        let answer: Answer<'_> = response.json()?;
        let id = answer.id.to_string();
        if id.is_empty() {
            return Err(Error::invalid_data("Stripe's account has no `id`"));
        }
        let profile = answer.business_profile.map(|profile| profile.name);
        let names = [
            profile.as_ref().map_or("", Text::as_str),
            answer.email.as_str(),
            &id,
        ];
        let name = names
            .iter()
            .find(|name| !name.is_empty())
            .copied()
            .unwrap_or_default();
        Ok(Account {
            name: name.to_owned(),
            id: id.clone(),
            scopes: Vec::new(),
        })
    }

    fn read(_: &Connection, request: &ReadRequest) -> Result<Page, Error> {
        match streams::named(&request.stream_name) {
            Some(stream) => walk::read(stream, request),
            None => Err(Error::unsupported(format!(
                "there is no stream `{}`",
                request.stream_name
            ))),
        }
    }

    fn register_webhook(
        _: &Connection,
        _: &str,
        url: &str,
        events: &[String],
    ) -> Result<Registration, Error> {
        endpoint::register(url, events)
    }

    fn unregister_webhook(_: &Connection, registration: &Registration) -> Result<(), Error> {
        endpoint::unregister(registration)
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
    fn the_account_is_that_of_the_key() {
        testing::serve(|request| {
            assert_eq!(
                (request.method(), request.url()),
                ("GET", "https://api.stripe.com/v1/account")
            );
            assert_eq!(request.header_value("stripe-version"), Some(api::VERSION));
            testing::answer(200, &[], include_str!("../fixtures/account.json"))
        });
        let account = Stripe::check(&testing::connection("{}")).unwrap();
        assert_eq!(
            (account.id.as_str(), account.name.as_str()),
            ("acct_doors", "Doors & Sons")
        );
    }

    #[test]
    fn refusals_are_told_apart() {
        let of = |status: u16| {
            testing::serve(move |_| {
                testing::answer(
                    status,
                    &[],
                    r#"{"error":{"type":"x","message":"Said by Stripe"}}"#,
                )
            });
            Stripe::check(&testing::connection("{}")).unwrap_err()
        };
        assert!(matches!(of(401), Error::Auth(detail) if detail.message.contains("Said by Stripe")));
        assert!(matches!(of(403), Error::Auth(_)));
        assert!(matches!(of(429), Error::RateLimited(_)));
        assert!(matches!(of(409), Error::Transient(_)));
        assert!(matches!(of(500), Error::Transient(_)));
    }

    /// A package whose manifest the host would refuse is no package.
    #[test]
    fn the_manifest_has_these_streams_and_may_ask_for_them() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let names: Vec<&str> = manifest
            .streams
            .iter()
            .map(|stream| stream.name.as_str())
            .collect();
        assert_eq!(names, streams::STREAMS.each_ref().map(|stream| stream.name));
        for stream in &manifest.streams {
            assert!(stream.windows, "{}", stream.name);
            let path = format!("/v1/{}", stream.name);
            let is_ours = |path: &str| {
                let mut rules = manifest.capabilities.egress.iter();
                rules.any(|rule| rule.path.to_string() == path)
            };
            assert!(is_ours(&path), "{path}");
            let by_events =
                streams::named(&stream.name).is_some_and(|s| s.changes != streams::Changes::Added);
            assert_eq!(is_ours(&format!("{path}/*")), by_events, "{path}/*");
        }
    }

    #[test]
    fn an_answer_without_an_account_is_no_account() {
        testing::serve(|_| testing::answer(200, &[], r#"{"id":null}"#));
        let error = Stripe::check(&testing::connection("{}")).unwrap_err();
        assert!(matches!(error, Error::InvalidData(_)));
    }
}
