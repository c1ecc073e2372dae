//! What records are associated with: a search does not tell, so each page asks beside ("Associations v4", batch read).
//! Records carry it as `associations`, by object, in HubSpot's own shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Error, http, paging};

use crate::api;
use crate::streams::Stream;

/// One record may be associated with thousands; more pages than this of one batch are a vendor going in circles.
const MAX_ROUNDS: usize = 200;

/// Of each record, by its id: the associations by object.
pub(crate) type Found = BTreeMap<String, BTreeMap<&'static str, Vec<Box<RawValue>>>>;

#[derive(Debug, Clone, Serialize)]
struct Input {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    results: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    from: From<'a>,
    #[serde(borrow)]
    to: &'a RawValue,
    #[serde(borrow, default)]
    paging: Option<Paging<'a>>,
}

#[derive(Deserialize)]
struct From<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
}

#[derive(Deserialize)]
struct Paging<'a> {
    #[serde(borrow, default)]
    next: Option<Next<'a>>,
}

#[derive(Deserialize)]
struct Next<'a> {
    #[serde(borrow, default)]
    after: Text<'a>,
}

/// Asks for the associations of these records. What is associated with nothing is left out by HubSpot, and has empty
/// lists here.
pub(crate) fn of(stream: &Stream, ids: &[String]) -> Result<Found, Error> {
    let mut found: Found = BTreeMap::new();
    for id in ids {
        found.insert(
            id.clone(),
            stream
                .associated
                .iter()
                .map(|other| (*other, Vec::new()))
                .collect(),
        );
    }
    let every: Vec<Input> = ids
        .iter()
        .map(|id| Input {
            id: id.clone(),
            after: None,
        })
        .collect();
    let mut asked: Vec<(&'static str, Vec<Input>)> = stream
        .associated
        .iter()
        .map(|other| (*other, every.clone()))
        .collect();
    for _ in 0..MAX_ROUNDS {
        asked.retain(|(_, inputs)| !inputs.is_empty());
        if asked.is_empty() {
            return Ok(found);
        }
        asked = round(stream, &asked, &mut found)?;
    }
    Err(Error::invalid_data("HubSpot's associations of a page do not end"))
}

/// One request for each object; gives what has to be asked for still.
fn round(
    stream: &Stream,
    asked: &[(&'static str, Vec<Input>)],
    found: &mut Found,
) -> Result<Vec<(&'static str, Vec<Input>)>, Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        inputs: &'a [Input],
    }
    let mut requests = Vec::new();
    for (other, inputs) in asked {
        let path = format!("/crm/v4/associations/{}/{other}/batch/read", stream.name);
        requests.push(api::post(&path).json(&Body { inputs })?);
    }
    let mut rest = Vec::new();
    for ((other, inputs), response) in asked.iter().zip(http::send_all(requests)) {
        let response = api::ok(response?)?;
        let answer: Answer<'_> = response.json()?;
        let mut more = Vec::new();
        for entry in answer.results {
            let id = entry.from.id.to_string();
            let Some(of_record) = found.get_mut(&id) else {
                return Err(Error::invalid_data(
                    "HubSpot tells associations of a record that was not asked for",
                ));
            };
            let list = of_record.entry(*other).or_default();
            for element in record::each::<&RawValue>(entry.to.get()) {
                list.push(element?.0.to_owned());
            }
            let next = entry.paging.and_then(|paging| paging.next);
            let before = inputs
                .iter()
                .find(|input| input.id == id)
                .and_then(|input| input.after.as_deref());
            let after = next.as_ref().map_or("", |next| next.after.as_str());
            if let Some(after) = paging::token(after, before)? {
                more.push(Input {
                    id,
                    after: Some(after),
                });
            }
        }
        rest.push((*other, more));
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use sluice_sdk::testing;

    fn asked(at: usize) -> String {
        let requests = testing::requests();
        String::from_utf8(requests[at].content().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn every_record_has_its_lists_and_long_ones_are_whole() {
        testing::serve(|request| {
            let body = std::str::from_utf8(request.content().unwrap()).unwrap();
            testing::answer(
                200,
                &[],
                match (request.url().contains("/companies/batch"), body.contains("after")) {
                    (true, false) => include_str!("../fixtures/associations.json"),
                    (true, true) => {
                        r#"{"results":[{"from":{"id":"101"},"to":[{"toObjectId":903,"associationTypes":[]}]}]}"#
                    }
                    _ => {
                        r#"{"results":[],"errors":[{"category":"OBJECT_NOT_FOUND","subCategory":"crm.associations.NO_ASSOCIATIONS_FOUND"}]}"#
                    }
                },
            )
        });
        let found = of(
            streams::named("contacts").unwrap(),
            &["101".to_owned(), "102".to_owned()],
        )
        .unwrap();
        let text = record::text(&found["101"]).unwrap();
        assert!(
            text.contains("901") && text.contains("903") && text.contains(r#""deals":[]"#),
            "{text}"
        );
        assert_eq!(
            record::text(&found["102"]).unwrap(),
            r#"{"companies":[],"deals":[]}"#
        );
        assert_eq!(asked(0), r#"{"inputs":[{"id":"101"},{"id":"102"}]}"#);
        assert_eq!(asked(2), r#"{"inputs":[{"id":"101","after":"903"}]}"#);
    }

    #[test]
    fn bad_answers_are_errors() {
        for body in [
            "<html>",
            "{}",
            r#"{"results":[{"from":{"id":"7"},"to":[]}]}"#,
            r#"{"results":[{"from":{"id":"101"},"to":{}}]}"#,
            r#"{"results":[{"from":{"id":"101"},"to":[],"paging":{"next":{"after":"1"}}}]}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let found = of(streams::named("deals").unwrap(), &["101".to_owned()]);
            assert!(matches!(found, Err(Error::InvalidData(_))), "{body}");
        }
    }
}
