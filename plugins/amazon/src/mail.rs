//! What SES lists ("ListSuppressedDestinations", "ListEmailIdentities"): tokens of pages that lead on, and a time from which on
//! addresses were put on the list.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Error, Page, ReadRequest, paging, time};

use crate::api;
use crate::config::Config;

/// The most that SES gives at once.
const MOST: u32 = 1_000;

/// How far before the newest one that is known a pass begins, in milliseconds: the list is searched with a lag.
const AGAIN_MS: u64 = 3_600_000;

pub(crate) fn suppressed(config: &Config, request: &ReadRequest) -> Result<Page, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct List<'a> {
        #[serde(borrow)]
        suppressed_destination_summaries: &'a RawValue,
        #[serde(borrow, default)]
        next_token: Text<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Head<'a> {
        #[serde(borrow, default)]
        email_address: Text<'a>,
        /// Seconds since 1970, with a fraction.
        #[serde(default)]
        last_update_time: Option<f64>,
    }
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let mut asked =
        api::get(config, "suppression/addresses").query("PageSize", &paging::size(request, MOST).to_string());
    if let Some(from) = walk.from() {
        asked = asked.query("StartDate", &time::format(from));
    }
    if let Some(token) = walk.token() {
        asked = asked.query("NextToken", token);
    }
    let response = asked.send()?;
    if walk.token().is_some() && api::says(&response, "InvalidNextTokenException") {
        return walk.again();
    }
    let response = api::ok(response)?;
    let list: List<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(list.suppressed_destination_summaries.get()) {
        let (head, text) = element?;
        let at = head.last_update_time.and_then(milliseconds);
        walk.saw(at);
        changes.push(Change::Upsert(record::item(
            head.email_address.as_str(),
            text,
            at,
        )));
    }
    walk.page(changes, list.next_token.as_str())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range was looked at"
)]
fn milliseconds(seconds: f64) -> Option<u64> {
    (0.0..4e9)
        .contains(&seconds)
        .then_some((seconds * 1_000.0) as u64)
}

pub(crate) fn identities(config: &Config, request: &ReadRequest) -> Result<Page, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct List<'a> {
        #[serde(borrow)]
        email_identities: &'a RawValue,
        #[serde(borrow, default)]
        next_token: Text<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Head<'a> {
        #[serde(borrow, default)]
        identity_name: Text<'a>,
    }
    let walk = Walk::begin(request, 0)?;
    let mut asked =
        api::get(config, "identities").query("PageSize", &paging::size(request, MOST).to_string());
    if let Some(token) = walk.token() {
        asked = asked.query("NextToken", token);
    }
    let response = api::ok(asked.send()?)?;
    let list: List<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(list.email_identities.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(
            head.identity_name.as_str(),
            text,
            None,
        )));
    }
    walk.page(changes, list.next_token.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::connection;
    use sluice_sdk::testing::{self, answer};

    fn step(stream: &str, cursor: Option<String>) -> Result<Page, Error> {
        let config = crate::config::of(&connection()).unwrap();
        let request = testing::read_request(stream, cursor);
        match stream {
            "suppressed" => suppressed(&config, &request),
            _ => identities(&config, &request),
        }
    }

    #[test]
    fn the_list_is_read_to_its_end_and_then_from_its_newest_on() {
        testing::serve(|request| match request.url().contains("NextToken=") {
            true => answer(200, &[], r#"{"SuppressedDestinationSummaries":[]}"#),
            false => answer(200, &[], include_str!("../fixtures/suppressed.json")),
        });
        let first = step("suppressed", None).unwrap();
        assert!(first.more);
        assert_eq!(first.changes[0].id(), "jane@example.com");
        let last = step("suppressed", first.cursor).unwrap();
        assert!(!last.more);
        step("suppressed", last.cursor).unwrap();
        let urls: Vec<String> = testing::requests()
            .iter()
            .map(|request| request.url().to_owned())
            .collect();
        let root = "https://email.eu-west-1.amazonaws.com/v2/email/suppression/addresses?PageSize=100";
        assert_eq!(urls[0], root);
        assert_eq!(urls[1], format!("{root}&NextToken=page-2"));
        assert_eq!(urls[2], format!("{root}&StartDate=2026-01-05T09%3A00%3A00Z"));
    }

    #[test]
    fn a_token_that_ended_begins_again_and_circles_are_refused() {
        testing::serve(|request| match request.url().contains("NextToken=") {
            true => answer(400, &[("x-amzn-errortype", "InvalidNextTokenException")], "{}"),
            false => answer(200, &[], include_str!("../fixtures/suppressed.json")),
        });
        let first = step("suppressed", None).unwrap();
        let again = step("suppressed", first.cursor).unwrap();
        assert!(again.more && again.changes.is_empty());
        testing::serve(|_| answer(200, &[], r#"{"EmailIdentities":[],"NextToken":"same"}"#));
        let first = step("identities", None).unwrap();
        assert!(matches!(
            step("identities", first.cursor),
            Err(Error::InvalidData(_))
        ));
        testing::serve(|_| answer(200, &[], "{}"));
        assert!(step("identities", None).is_err(), "no list is not an empty one");
    }

    #[test]
    fn identities_are_listed() {
        testing::serve(|_| answer(200, &[], include_str!("../fixtures/identities.json")));
        let page = step("identities", None).unwrap();
        let ids: Vec<&str> = page.changes.iter().map(Change::id).collect();
        assert_eq!(
            (ids, page.more),
            (vec!["doors.example", "till@doors.example"], false)
        );
    }
}
