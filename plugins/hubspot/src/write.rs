//! Writing records: in batches of 100, each input with a trace id by which HubSpot's answer names it ("Objects", batch
//! create, update and archive; "Error handling", multi-status errors). What is written is the shape that is read:
//! `properties`, and for a new record `associations` as a list, as HubSpot takes them; the lists by object that records
//! are read with are left out, as are their other members.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::http::Response;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::write::{self, Kind};
use sluice_sdk::{Error, Item, PendingWrite, WriteOutcome};

use crate::api;
use crate::streams::Stream;

/// What HubSpot takes at once.
const AT_ONCE: usize = 100;

#[derive(Serialize)]
struct Input<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    associations: Option<&'a RawValue>,
    #[serde(rename = "objectWriteTraceId", skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
}

/// What is written, as the host gives it.
#[derive(Deserialize)]
struct Given<'a> {
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
    #[serde(borrow, default)]
    associations: Option<&'a RawValue>,
}

/// Writes; one outcome for each.
pub(crate) fn all(stream: &Stream, writes: &[PendingWrite]) -> Vec<WriteOutcome> {
    write::in_batches(writes, AT_ONCE, |kind, batch| send(stream, kind, batch))
}

fn send(stream: &Stream, kind: Kind, batch: &[PendingWrite]) -> Result<Vec<WriteOutcome>, Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        inputs: Vec<Input<'a>>,
    }
    let inputs = batch
        .iter()
        .map(|write| input(kind, write))
        .collect::<Result<_, _>>()?;
    let verb = match kind {
        Kind::Create => "create",
        Kind::Update => "update",
        Kind::Delete => "archive",
    };
    let path = format!("/crm/v3/objects/{}/batch/{verb}", stream.name);
    let response = api::ok(api::post(&path).json(&Body { inputs })?.send()?)?;
    if kind == Kind::Delete && response.body.is_empty() {
        return Ok(batch
            .iter()
            .map(|write| WriteOutcome::Done(gone(write.id())))
            .collect());
    }
    outcomes(kind, batch, &response)
}

fn input(kind: Kind, write: &PendingWrite) -> Result<Input<'_>, Error> {
    if kind != Kind::Create && !api::is_id(write.id()) {
        return Err(Error::invalid_data("not an id of HubSpot's"));
    }
    let given: Given<'_> = serde_json::from_str(write.data())
        .map_err(|error| Error::invalid_data(format!("what is written is no record: {error}")))?;
    let object = |value: &&RawValue| value.get().starts_with('{');
    if kind != Kind::Delete && !given.properties.as_ref().is_some_and(object) {
        return Err(Error::invalid_data("a record is written by its `properties`").at("/properties"));
    }
    Ok(Input {
        id: write.id(),
        properties: given.properties,
        associations: given
            .associations
            .filter(|list| kind == Kind::Create && list.get().starts_with('[')),
        trace: (kind != Kind::Delete).then_some(write.idempotency_key.as_str()),
    })
}

fn outcomes(kind: Kind, batch: &[PendingWrite], response: &Response) -> Result<Vec<WriteOutcome>, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, default)]
        results: Option<&'a RawValue>,
        #[serde(borrow, default)]
        errors: Vec<Refusal<'a>>,
    }
    #[derive(Deserialize)]
    struct Done<'a> {
        #[serde(borrow, default)]
        id: Id<'a>,
        #[serde(rename = "objectWriteTraceId", borrow, default)]
        trace: Text<'a>,
        #[serde(rename = "updatedAt", borrow, default)]
        updated: Text<'a>,
    }
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow, default)]
        message: Text<'a>,
        #[serde(borrow, default)]
        category: Text<'a>,
        #[serde(borrow, default)]
        context: Context<'a>,
    }
    #[derive(Default, Deserialize)]
    struct Context<'a> {
        #[serde(rename = "objectWriteTraceId", borrow, default)]
        traces: Vec<Text<'a>>,
        #[serde(borrow, default)]
        ids: Vec<Id<'a>>,
    }
    let answer: Answer<'_> = response.json()?;
    let (mut done, mut refused) = (BTreeMap::new(), BTreeMap::new());
    let mut only = None;
    for element in record::each::<Done<'_>>(answer.results.map_or("[]", RawValue::get)) {
        let (head, text) = element?;
        let item = record::item(head.id.to_string(), text, head.updated.timestamp());
        only = Some(item.clone());
        if !head.trace.as_str().is_empty() {
            done.insert(head.trace.as_str().to_owned(), item.clone());
        }
        done.insert(item.id.clone(), item);
    }
    for refusal in &answer.errors {
        let error = meaning(refusal.category.as_str(), refusal.message.as_str());
        let traces = refusal
            .context
            .traces
            .iter()
            .map(|trace| trace.as_str().to_owned());
        for name in traces.chain(refusal.context.ids.iter().map(Id::to_string)) {
            refused.insert(name, error.clone());
        }
    }
    let outcome = |write: &PendingWrite| {
        let key = &write.idempotency_key;
        if let Some(error) = refused.get(key).or_else(|| refused.get(write.id())) {
            return WriteOutcome::Failed(error.clone());
        }
        // An id that is new says nothing of which input it came from.
        let found = match kind {
            Kind::Create => done.get(key),
            _ => done.get(key).or_else(|| done.get(write.id())),
        };
        match found.or(only.as_ref().filter(|_| batch.len() == 1)) {
            Some(item) => WriteOutcome::Done(item.clone()),
            None if kind == Kind::Delete => WriteOutcome::Done(gone(write.id())),
            None => WriteOutcome::Failed(match (batch.len(), answer.errors.first()) {
                (1, Some(refusal)) => meaning(refusal.category.as_str(), refusal.message.as_str()),
                _ => Error::internal("HubSpot's answer does not say what became of this write"),
            }),
        }
    };
    Ok(batch.iter().map(outcome).collect())
}

fn meaning(category: &str, words: &str) -> Error {
    let message = format!(
        "HubSpot answered `{}`: {}",
        record::words(category, 100),
        record::words(words, 300)
    );
    match category {
        "RATE_LIMITS" => Error::rate_limited(message, None),
        "MISSING_SCOPES" | "EXPIRED_AUTHENTICATION" => Error::auth(message),
        "INTERNAL_ERROR" => Error::transient(message),
        _ => Error::invalid_data(message),
    }
}

/// What is left of a record that was removed.
fn gone(id: &str) -> Item {
    record::item(
        id,
        &format!(r#"{{"id":"{id}","properties":{{}},"archived":true}}"#),
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use sluice_sdk::{WriteOp, testing};

    fn create(key: &str, data: &str) -> PendingWrite {
        PendingWrite {
            op: WriteOp::Create(data.to_owned()),
            idempotency_key: key.to_owned(),
            expect_revision: None,
        }
    }

    fn written(writes: &[PendingWrite]) -> Vec<WriteOutcome> {
        all(streams::named("contacts").unwrap(), writes)
    }

    fn sent(at: usize) -> (String, String) {
        let requests = testing::requests();
        let body = String::from_utf8(requests[at].content().unwrap().to_vec()).unwrap();
        (requests[at].url().to_owned(), body)
    }

    #[test]
    fn each_write_has_its_own_outcome() {
        testing::serve(|_| testing::answer(207, &[], include_str!("../fixtures/batch-create.json")));
        let writes = [
            create(
                "k1",
                r#"{"properties":{"email":"mona@doors.example"},"associations":{"deals":[]}}"#,
            ),
            create("k2", r#"{"properties":{"email":"nobody"}}"#),
        ];
        let outcomes = written(&writes);
        assert!(matches!(
            &outcomes[..],
            [WriteOutcome::Done(item), WriteOutcome::Failed(Error::InvalidData(detail))]
                if item.id == "201" && item.modified == Some(1_714_557_600_000) && detail.message.contains("VALIDATION_ERROR")
        ));
        let (url, body) = sent(0);
        assert_eq!(url, "https://api.hubapi.com/crm/v3/objects/contacts/batch/create");
        assert_eq!(
            body,
            r#"{"inputs":[{"properties":{"email":"mona@doors.example"},"objectWriteTraceId":"k1"},{"properties":{"email":"nobody"},"objectWriteTraceId":"k2"}]}"#
        );
    }

    #[test]
    fn a_batch_that_is_refused_is_sent_one_by_one() {
        testing::serve(|request| {
            let body = std::str::from_utf8(request.content().unwrap()).unwrap();
            match body.matches("\"id\"").count() {
                1 if body.contains("\"id\":\"7\"") => testing::answer(
                    200,
                    &[],
                    r#"{"status":"COMPLETE","results":[{"id":"7","properties":{}}]}"#,
                ),
                _ => testing::answer(400, &[], r#"{"category":"VALIDATION_ERROR","message":"no"}"#),
            }
        });
        let update = |id: &str| PendingWrite {
            op: WriteOp::Update(record::item(
                id,
                r#"{"properties":{"email":"a@b.example"}}"#,
                None,
            )),
            idempotency_key: format!("k{id}"),
            expect_revision: None,
        };
        let outcomes = written(&[update("6"), update("7")]);
        assert!(matches!(
            &outcomes[..],
            [WriteOutcome::Failed(Error::InvalidData(_)), WriteOutcome::Done(item)] if item.id == "7"
        ));
        assert_eq!(testing::requests().len(), 3);
    }

    #[test]
    fn archiving_is_answered_with_nothing() {
        testing::serve(|_| testing::answer(204, &[], ""));
        let delete = PendingWrite {
            op: WriteOp::Delete("55".to_owned()),
            idempotency_key: "k".to_owned(),
            expect_revision: None,
        };
        assert!(matches!(&written(&[delete])[..], [WriteOutcome::Done(item)] if item.id == "55"));
        assert_eq!(sent(0).1, r#"{"inputs":[{"id":"55"}]}"#);
    }

    #[test]
    fn what_is_no_record_is_not_sent() {
        testing::serve(|_| testing::answer(200, &[], "{}"));
        for data in ["{}", r#"{"properties":[]}"#, "[]", "x"] {
            let outcomes = written(&[create("k", data)]);
            assert!(
                matches!(&outcomes[..], [WriteOutcome::Failed(Error::InvalidData(_))]),
                "{data}"
            );
        }
        let update = PendingWrite {
            op: WriteOp::Update(record::item("../x", r#"{"properties":{}}"#, None)),
            ..create("k", "")
        };
        assert!(matches!(
            &written(&[update])[..],
            [WriteOutcome::Failed(Error::InvalidData(_))]
        ));
        assert!(testing::requests().is_empty());
    }

    #[test]
    fn an_answer_that_tells_nothing_apart_is_no_success() {
        testing::serve(|_| testing::answer(201, &[], r#"{"results":[{"id":"1"},{"id":"2"}]}"#));
        let both = [
            create("k1", r#"{"properties":{}}"#),
            create("k2", r#"{"properties":{}}"#),
        ];
        assert!(
            written(&both)
                .iter()
                .all(|outcome| matches!(outcome, WriteOutcome::Failed(Error::Internal(_))))
        );
    }
}
