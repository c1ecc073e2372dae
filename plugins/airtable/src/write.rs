//! Writing records, ten at a time ("Create records", "Update multiple records", "Delete multiple records"). Airtable takes
//! a request whole or not at all, so one that it refuses is sent again record by record. What is written is the shape
//! that is read: `fields`, by their names.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::write::{self, Kind};
use sluice_sdk::{Error, PendingWrite, WriteOutcome, http};

use crate::api;
use crate::table::Table;

/// What Airtable takes at once.
const AT_ONCE: usize = 10;

#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    fields: &'a RawValue,
}

/// Writes; one outcome for each.
pub(crate) fn all(table: &Table, writes: &[PendingWrite]) -> Vec<WriteOutcome> {
    write::in_batches(writes, AT_ONCE, |kind, batch| send(table, kind, batch))
}

fn send(table: &Table, kind: Kind, batch: &[PendingWrite]) -> Result<Vec<WriteOutcome>, Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        records: Vec<Written<'a>>,
    }
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        records: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        id: Text<'a>,
    }
    let url = format!("{}/{}", api::ROOT, table.path());
    if kind != Kind::Create && batch.iter().any(|write| !api::is_id(write.id(), "rec")) {
        return Err(Error::invalid_data("not a record's id"));
    }
    let request = match kind {
        Kind::Delete => batch.iter().fold(http::delete(url), |request, write| {
            request.query("records[]", write.id())
        }),
        kind => {
            let records = batch.iter().map(written).collect::<Result<_, _>>()?;
            let method = if kind == Kind::Create { "POST" } else { "PATCH" };
            http::request(method, url).json(&Body { records })?
        }
    };
    let response = api::ok(request.send()?)?;
    let answer: Answer<'_> = response.json()?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for (element, write) in record::each::<Head<'_>>(answer.records.get()).zip(batch) {
        let (head, text) = element?;
        // The answer has the records in the order of the request; an id that is known has to be the same.
        if kind != Kind::Create && head.id.as_str() != write.id() {
            return Err(Error::internal(
                "Airtable answers with other records than were written",
            ));
        }
        outcomes.push(WriteOutcome::Done(match kind {
            Kind::Delete => {
                let left = format!(r#"{{"id":"{}","fields":{{}},"deleted":true}}"#, head.id.as_str());
                record::item(head.id.as_str(), &left, None)
            }
            _ => record::item(head.id.as_str(), text, None),
        }));
    }
    Ok(outcomes)
}

fn written(write: &PendingWrite) -> Result<Written<'_>, Error> {
    #[derive(Deserialize)]
    struct Given<'a> {
        #[serde(borrow)]
        fields: &'a RawValue,
    }
    let given: Given<'_> = serde_json::from_str(write.data())
        .map_err(|_| Error::invalid_data("a record is written by its `fields`").at("/fields"))?;
    if !given.fields.get().starts_with('{') {
        return Err(Error::invalid_data("a record is written by its `fields`").at("/fields"));
    }
    Ok(Written {
        id: write.id(),
        fields: given.fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{WriteOp, testing};

    fn pending(op: WriteOp) -> PendingWrite {
        PendingWrite {
            op,
            idempotency_key: "k".to_owned(),
            expect_revision: None,
        }
    }

    fn written(writes: &[PendingWrite]) -> Vec<WriteOutcome> {
        all(
            &Table::of("app_doors_doors0001-tbl_doors_doors0001").unwrap(),
            writes,
        )
    }

    fn sent() -> Vec<(String, String, String)> {
        testing::requests()
            .iter()
            .map(|request| {
                let body = String::from_utf8(request.content().unwrap_or_default().to_vec()).unwrap();
                (request.method().to_owned(), request.url().to_owned(), body)
            })
            .collect()
    }

    #[test]
    fn ten_at_a_time_and_each_with_its_outcome() {
        testing::serve(|request| {
            let body: serde_json::Value = serde_json::from_slice(request.content().unwrap()).unwrap();
            let records: Vec<serde_json::Value> = body["records"]
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
                .map(|(at, record)| serde_json::json!({"id": format!("rec{at}"), "createdTime": "2024-05-01T10:00:00.000Z", "fields": record["fields"]}))
                .collect();
            testing::answer(200, &[], &serde_json::json!({ "records": records }).to_string())
        });
        let writes: Vec<PendingWrite> = (0..12)
            .map(|n| pending(WriteOp::Create(format!(r#"{{"fields":{{"Name":"{n}"}}}}"#))))
            .collect();
        let outcomes = written(&writes);
        assert_eq!((outcomes.len(), testing::requests().len()), (12, 2));
        assert!(
            matches!(&outcomes[11], WriteOutcome::Done(item) if item.id == "rec1" && item.data.contains(r#""Name":"11""#))
        );
        assert_eq!(
            sent()[1].2,
            r#"{"records":[{"fields":{"Name":"10"}},{"fields":{"Name":"11"}}]}"#
        );
    }

    #[test]
    fn one_bad_record_does_not_take_the_others_with_it() {
        testing::serve(|request| {
            let body = std::str::from_utf8(request.content().unwrap()).unwrap();
            match body.contains("bad") {
                true => testing::answer(
                    422,
                    &[],
                    r#"{"error":{"type":"INVALID_VALUE_FOR_COLUMN","message":"Field \"Price\" cannot accept the provided value"}}"#,
                ),
                false => testing::answer(
                    200,
                    &[],
                    r#"{"records":[{"id":"recDoorsDoors0001","fields":{}}]}"#,
                ),
            }
        });
        let update = |id: &str, price: &str| {
            let data = format!(r#"{{"id":"{id}","fields":{{"Price":"{price}"}}}}"#);
            pending(WriteOp::Update(record::item(id, &data, None)))
        };
        let outcomes = written(&[
            update("recDoorsDoors0001", "7"),
            update("recDoorsDoors0002", "bad"),
        ]);
        assert!(matches!(
            &outcomes[..],
            [WriteOutcome::Done(_), WriteOutcome::Failed(Error::InvalidData(detail))] if detail.message.contains("Price")
        ));
        assert_eq!(sent()[1].0, "PATCH");
    }

    #[test]
    fn deletions_are_named_in_the_address() {
        testing::serve(|_| {
            testing::answer(
                200,
                &[],
                r#"{"records":[{"id":"recDoorsDoors0001","deleted":true}]}"#,
            )
        });
        let outcomes = written(&[pending(WriteOp::Delete("recDoorsDoors0001".to_owned()))]);
        assert!(matches!(&outcomes[..], [WriteOutcome::Done(item)] if item.id == "recDoorsDoors0001"));
        assert_eq!(
            sent()[0].1,
            "https://api.airtable.com/v0/appDoorsDoors0001/tblDoorsDoors0001?records%5B%5D=recDoorsDoors0001"
        );
    }

    #[test]
    fn what_is_no_record_is_not_sent() {
        testing::serve(|_| testing::answer(200, &[], r#"{"records":[]}"#));
        for data in ["{}", r#"{"fields":[]}"#, "x"] {
            let outcomes = written(&[pending(WriteOp::Create(data.to_owned()))]);
            assert!(
                matches!(&outcomes[..], [WriteOutcome::Failed(Error::InvalidData(detail))] if detail.pointer.as_deref() == Some("/fields")),
                "{data}"
            );
        }
        let outcomes = written(&[pending(WriteOp::Delete("../x".to_owned()))]);
        assert!(matches!(
            &outcomes[..],
            [WriteOutcome::Failed(Error::InvalidData(_))]
        ));
        assert!(testing::requests().is_empty());
        // An answer that has fewer records than were sent says of none what became of it.
        let outcomes = written(&[pending(WriteOp::Create(r#"{"fields":{}}"#.to_owned()))]);
        assert!(matches!(
            &outcomes[..],
            [WriteOutcome::Failed(Error::Internal(_))]
        ));
    }
}
