//! Writing records by sObject Collections, two hundred at once, each with an outcome of its own ("Create Records Using sObject
//! Collections" and its like). What is written is what is read, without what is Salesforce's to say; what comes back is the
//! record as Salesforce has it then.
//!
//! A revision is a record's `SystemModstamp`. It is compared before the write, for Salesforce takes no condition along with
//! several records: whoever writes in between is not noticed.
//!
//! Salesforce knows no idempotency keys: a new record is sent once, and an answer that is lost is an error.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::http::{self, Request};
use sluice_sdk::record::{self, Text};
use sluice_sdk::write::{self, Kind};
use sluice_sdk::{Connection, Error, Item, PendingWrite, WriteOutcome, log};

use crate::streams::Stream;
use crate::{api, config, soql, walk};

/// What Salesforce takes at once.
const AT_ONCE: usize = 200;

/// Members of a record that nobody writes.
const NOT_OURS: [&str; 6] = [
    "attributes",
    "Id",
    "IsDeleted",
    "SystemModstamp",
    "CreatedDate",
    "LastModifiedDate",
];

/// Where it goes, and what is read back.
struct Place<'a> {
    instance: String,
    stream: &'a Stream,
    fields: Vec<&'a str>,
}

/// Writes; one outcome for each.
pub(crate) fn all(
    stream: &Stream,
    connection: &Connection,
    writes: &[PendingWrite],
) -> Result<Vec<WriteOutcome>, Error> {
    let config = config::read(connection)?;
    let place = Place {
        instance: config.instance()?,
        stream,
        fields: walk::fields(stream, config.fields(stream.more_fields)?),
    };
    Ok(write::in_batches(writes, AT_ONCE, |kind, batch| {
        send(&place, kind, batch)
    }))
}

/// One batch of one kind. Nothing of it was done where it is refused as a whole.
fn send(place: &Place<'_>, kind: Kind, batch: &[PendingWrite]) -> Result<Vec<WriteOutcome>, Error> {
    let mut ids = HashSet::new();
    if kind != Kind::Create
        && let Some(write) = batch
            .iter()
            .find(|write| !is_id(write.id()) || !ids.insert(write.id()))
    {
        return Err(Error::invalid_data(format!(
            "`{}` is not an id of Salesforce's, or is there twice",
            record::words(write.id(), 40)
        )));
    }
    let mut outcomes: Vec<Option<WriteOutcome>> = conflicts(place, batch)?;
    let mut sent: Vec<(usize, &PendingWrite)> = Vec::with_capacity(batch.len());
    for (at, write) in batch.iter().enumerate() {
        if outcomes.get(at).is_some_and(Option::is_none) {
            sent.push((at, write));
        }
    }
    if !sent.is_empty() {
        let writes: Vec<&PendingWrite> = sent.iter().map(|(_, write)| *write).collect();
        for ((at, _), outcome) in sent.iter().zip(saved(place, kind, &writes)?) {
            if let Some(slot) = outcomes.get_mut(*at) {
                *slot = Some(outcome);
            }
        }
    }
    Ok(outcomes.into_iter().flatten().collect())
}

/// For each write the conflict that it meets, as far as that can be told beforehand.
fn conflicts(place: &Place<'_>, batch: &[PendingWrite]) -> Result<Vec<Option<WriteOutcome>>, Error> {
    let expecting: Vec<&str> = batch
        .iter()
        .filter(|write| write.expect_revision.is_some() && !write.id().is_empty())
        .map(PendingWrite::id)
        .collect();
    if expecting.is_empty() {
        return Ok(batch.iter().map(|_| None).collect());
    }
    let now = current(place, &expecting)?;
    let conflict = |write: &PendingWrite| {
        let expected = write.expect_revision.as_deref()?;
        let there = now.get(write.id());
        match there {
            Some((revision, _)) if revision == expected => None,
            other => Some(WriteOutcome::Conflict(other.map(|(_, item)| item.clone()))),
        }
    };
    Ok(batch.iter().map(conflict).collect())
}

#[derive(Serialize)]
struct Records {
    #[serde(rename = "allOrNone")]
    all_or_none: bool,
    records: Vec<BTreeMap<String, Box<RawValue>>>,
}

#[derive(Deserialize)]
struct Saved<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(default)]
    success: bool,
    #[serde(borrow, default)]
    errors: Vec<Refusal<'a>>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(rename = "statusCode", borrow, default)]
    code: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(borrow, default)]
    fields: Vec<Text<'a>>,
}

fn saved(place: &Place<'_>, kind: Kind, writes: &[&PendingWrite]) -> Result<Vec<WriteOutcome>, Error> {
    let response = api::ok(request(place, kind, writes)?.send()?)?;
    // The records may have been written: no error from here on may say that nothing was done.
    let results: Vec<Saved<'_>> = serde_json::from_slice(&response.body)
        .map_err(|error| Error::internal(format!("Salesforce's results could not be read: {error}")))?;
    if results.len() != writes.len() {
        return Err(Error::internal(format!(
            "{} records were sent and {} results came back: which is whose cannot be told",
            writes.len(),
            results.len()
        )));
    }
    let mut done: Vec<String> = Vec::with_capacity(writes.len());
    let mut outcomes = Vec::with_capacity(writes.len());
    for (write, result) in writes.iter().zip(&results) {
        let is_gone_already = kind == Kind::Delete && result.has("ENTITY_IS_DELETED");
        if !result.success && !is_gone_already {
            outcomes.push(WriteOutcome::Failed(result.error()));
            continue;
        }
        let id = match result.id.as_str() {
            "" => write.id(),
            id => id,
        };
        let data = match kind {
            Kind::Delete => format!(r#"{{"Id":{},"IsDeleted":true}}"#, record::text(id)?),
            _ => record::with_member(&without_id(write.data())?, "Id", id)?,
        };
        if kind != Kind::Delete {
            done.push(id.to_owned());
        }
        outcomes.push(WriteOutcome::Done(record::item(id, &data, None)));
    }
    show_as_they_are(place, &done, &mut outcomes);
    Ok(outcomes)
}

/// Puts the records as Salesforce has them now in the place of what was sent. The writes are done: where that can't be
/// asked, what was sent stays.
fn show_as_they_are(place: &Place<'_>, done: &[String], outcomes: &mut [WriteOutcome]) {
    let ids: Vec<&str> = done.iter().map(String::as_str).collect();
    if ids.is_empty() {
        return;
    }
    let mut now = match current(place, &ids) {
        Ok(now) => now,
        Err(_) => {
            log::warn("the records were written and could not be read back");
            return;
        }
    };
    for outcome in outcomes {
        if let WriteOutcome::Done(item) = outcome
            && let Some((_, there)) = now.remove(&item.id)
        {
            *item = there;
        }
    }
}

fn request(place: &Place<'_>, kind: Kind, writes: &[&PendingWrite]) -> Result<Request, Error> {
    let url = api::collections(&place.instance, "");
    if kind == Kind::Delete {
        let ids: Vec<&str> = writes.iter().map(|write| write.id()).collect();
        return Ok(http::delete(url)
            .query("ids", &ids.join(","))
            .query("allOrNone", "false"));
    }
    let body = Records {
        all_or_none: false,
        records: writes
            .iter()
            .map(|write| fields(place.stream, write))
            .collect::<Result<_, _>>()?,
    };
    match kind {
        Kind::Create => http::post(url).json(&body),
        _ => http::patch(url).json(&body),
    }
}

/// The members that are written. Records of others, which a query shows within this one, are not.
fn fields(stream: &Stream, write: &PendingWrite) -> Result<BTreeMap<String, Box<RawValue>>, Error> {
    let given: BTreeMap<String, Box<RawValue>> = serde_json::from_str(write.data())
        .map_err(|error| Error::invalid_data(format!("what is written is no record: {error}")))?;
    let mut fields: BTreeMap<String, Box<RawValue>> = given
        .into_iter()
        .filter(|(name, value)| {
            let is_ours = !NOT_OURS.iter().any(|other| other.eq_ignore_ascii_case(name));
            is_ours && !stream.made.contains(&name.as_str()) && !value.get().starts_with(['{', '['])
        })
        .collect();
    let raw = |text: String| {
        RawValue::from_string(text).map_err(|error| Error::internal(format!("no JSON form: {error}")))
    };
    let attributes = format!(r#"{{"type":{}}}"#, record::text(stream.object)?);
    fields.insert("attributes".to_owned(), raw(attributes)?);
    if write.kind() != Kind::Create {
        fields.insert("id".to_owned(), raw(record::text(write.id())?)?);
    }
    Ok(fields)
}

/// The record's text without its `Id`, which is put in again.
fn without_id(data: &str) -> Result<String, Error> {
    let mut given: BTreeMap<String, Box<RawValue>> = serde_json::from_str(data)
        .map_err(|error| Error::invalid_data(format!("what is written is no record: {error}")))?;
    given.remove("Id");
    record::text(&given)
}

/// The records as they are now, by id, with their revision ("Get Records Using sObject Collections").
fn current(place: &Place<'_>, ids: &[&str]) -> Result<HashMap<String, (String, Item)>, Error> {
    #[derive(Serialize)]
    struct Wanted<'a> {
        ids: &'a [&'a str],
        fields: &'a [&'a str],
    }
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "Id", borrow, default)]
        id: Text<'a>,
        #[serde(rename = "SystemModstamp", borrow, default)]
        revision: Text<'a>,
    }
    let wanted = Wanted {
        ids,
        fields: &place.fields,
    };
    let url = api::collections(&place.instance, place.stream.object);
    let response = api::ok(http::post(url).json(&wanted)?.send()?)?;
    let mut there = HashMap::with_capacity(ids.len());
    // What is not there is null.
    for element in record::each::<Option<Head<'_>>>(response.text()?) {
        let (Some(head), text) = element? else { continue };
        let (id, revision) = (head.id.as_str(), head.revision.as_str());
        let item = record::item(id, text, soql::parse(revision));
        there.insert(id.to_owned(), (revision.to_owned(), item));
    }
    Ok(there)
}

impl Saved<'_> {
    fn has(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code.as_str() == code)
    }

    /// What the first of its errors means.
    fn error(&self) -> Error {
        let Some(first) = self.errors.first() else {
            return Error::invalid_data("Salesforce did not take the record, and does not say why");
        };
        let code = record::words(first.code.as_str(), 80);
        let message = format!(
            "Salesforce: `{code}`: {}",
            record::words(first.message.as_str(), 300)
        );
        let error = match code.as_str() {
            "UNABLE_TO_LOCK_ROW" | "SERVER_UNAVAILABLE" | "UNKNOWN_EXCEPTION" => Error::transient(message),
            "REQUEST_LIMIT_EXCEEDED" => Error::rate_limited(message, None),
            "INSUFFICIENT_ACCESS_OR_READONLY"
            | "INSUFFICIENT_ACCESS"
            | "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY" => Error::auth(message),
            _ => Error::invalid_data(message),
        };
        match first.fields.first() {
            Some(field) => error.at(format!("/{}", record::words(field.as_str(), 100))),
            None => error,
        }
    }
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use sluice_sdk::{WriteOp, testing};

    const CONFIG: &str = r#"{"instance":"doors.my.salesforce.com"}"#;
    const ONE: &str = "001000000000001AAA";
    const TWO: &str = "001000000000002AAA";

    fn write(op: WriteOp, revision: Option<&str>) -> PendingWrite {
        PendingWrite {
            op,
            idempotency_key: "k".to_owned(),
            expect_revision: revision.map(str::to_owned),
        }
    }

    fn update(id: &str, data: &str) -> WriteOp {
        WriteOp::Update(record::item(id, data, None))
    }

    fn act(writes: &[PendingWrite]) -> Vec<WriteOutcome> {
        let stream = streams::named("accounts").unwrap();
        all(stream, &testing::connection(CONFIG), writes).unwrap()
    }

    fn body(at: usize) -> serde_json::Value {
        serde_json::from_slice(testing::requests()[at].content().unwrap()).unwrap()
    }

    fn there(id: &str, revision: &str) -> String {
        format!(
            r#"{{"attributes":{{"type":"Account"}},"Id":"{id}","SystemModstamp":"{revision}","Name":"As it is"}}"#
        )
    }

    #[test]
    fn each_record_has_its_outcome_and_is_shown_as_it_is() {
        testing::serve(
            |request| match (request.method(), request.url().rsplit('/').next().unwrap()) {
                ("POST", "sobjects") => testing::answer(200, &[], include_str!("../fixtures/saved.json")),
                ("POST", "Account") => {
                    let one = there(ONE, "2024-05-01T10:00:00.000+0000");
                    testing::answer(200, &[], &format!("[{one}]"))
                }
                other => panic!("{other:?}"),
            },
        );
        let create = |data: &str| write(WriteOp::Create(data.to_owned()), None);
        let outcomes = act(&[
            create(
                r#"{"Name":"Hinges Ltd","AnnualRevenue":1.50,"attributes":{"x":1},"Owner":{"Name":"n"},"SystemModstamp":"2024"}"#,
            ),
            create(r#"{"Type":"x"}"#),
        ]);
        let [
            WriteOutcome::Done(item),
            WriteOutcome::Failed(Error::InvalidData(detail)),
        ] = &outcomes[..]
        else {
            panic!("{outcomes:?}")
        };
        assert_eq!((item.id.as_str(), item.modified), (ONE, Some(1_714_557_600_000)));
        assert!(item.data.contains("As it is"));
        assert_eq!(detail.pointer.as_deref(), Some("/Name"));
        assert_eq!(
            std::str::from_utf8(testing::requests()[0].content().unwrap()).unwrap(),
            r#"{"allOrNone":false,"records":[{"AnnualRevenue":1.50,"Name":"Hinges Ltd","attributes":{"type":"Account"}},{"Type":"x","attributes":{"type":"Account"}}]}"#
        );
        assert_eq!(body(1)["ids"], serde_json::json!([ONE]));
    }

    #[test]
    fn a_revision_that_moved_is_a_conflict_and_is_not_written() {
        testing::serve(|request| match request.method() {
            "POST" => {
                let (one, two) = (
                    there(ONE, "2024-05-01T10:00:00.000+0000"),
                    there(TWO, "2024-05-01T12:00:00.000+0000"),
                );
                testing::answer(200, &[], &format!("[{one},{two},null]"))
            }
            _ => testing::answer(
                200,
                &[],
                &format!(r#"[{{"id":"{ONE}","success":true,"errors":[]}}]"#),
            ),
        });
        let at_ten = Some("2024-05-01T10:00:00.000+0000");
        let outcomes = act(&[
            write(update(ONE, r#"{"Name":"a"}"#), at_ten),
            write(update(TWO, r#"{"Name":"b"}"#), at_ten),
            write(update("001000000000003AAA", "{}"), at_ten),
        ]);
        assert!(matches!(&outcomes[0], WriteOutcome::Done(item) if item.id == ONE));
        assert!(matches!(&outcomes[1], WriteOutcome::Conflict(Some(item)) if item.id == TWO));
        assert!(matches!(&outcomes[2], WriteOutcome::Conflict(None)));
        let sent = body(1);
        assert_eq!(sent["records"].as_array().unwrap().len(), 1);
        assert_eq!(sent["records"][0]["id"], ONE);
        assert_eq!(testing::requests()[1].method(), "PATCH");
    }

    #[test]
    fn what_is_gone_already_is_deleted() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                format!(
                    "https://doors.my.salesforce.com/services/data/v62.0/composite/sobjects?ids={ONE}%2C{TWO}&allOrNone=false"
                )
            );
            let body = format!(
                r#"[{{"id":"{ONE}","success":true,"errors":[]}},{{"success":false,"errors":[{{"statusCode":"ENTITY_IS_DELETED","message":"entity is deleted","fields":[]}}]}}]"#
            );
            testing::answer(200, &[], &body)
        });
        let outcomes = act(&[
            write(WriteOp::Delete(ONE.to_owned()), None),
            write(WriteOp::Delete(TWO.to_owned()), None),
        ]);
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, WriteOutcome::Done(_)))
        );
        assert!(matches!(&outcomes[1], WriteOutcome::Done(item) if item.id == TWO));
    }

    #[test]
    fn a_write_that_is_done_is_done_even_if_it_cannot_be_read_back() {
        testing::serve(|request| match request.method() {
            "PATCH" => testing::answer(200, &[], &format!(r#"[{{"id":"{ONE}","success":true}}]"#)),
            _ => testing::answer(500, &[], "[]"),
        });
        let outcomes = act(&[write(update(ONE, r#"{"Id":"x","Name":"a"}"#), None)]);
        assert!(
            matches!(&outcomes[..], [WriteOutcome::Done(item)] if item.data == format!(r#"{{"Name":"a","Id":"{ONE}"}}"#))
        );
    }

    #[test]
    fn the_same_record_twice_is_written_twice_in_order() {
        testing::serve(|request| match request.method() {
            "PATCH" => testing::answer(200, &[], &format!(r#"[{{"id":"{ONE}","success":true}}]"#)),
            _ => testing::answer(200, &[], "[null]"),
        });
        let outcomes = act(&[
            write(update(ONE, r#"{"Name":"a"}"#), None),
            write(update(ONE, r#"{"Name":"b"}"#), None),
            write(update("../x", r#"{"Name":"c"}"#), None),
        ]);
        assert!(matches!(
            &outcomes[..],
            [
                WriteOutcome::Done(_),
                WriteOutcome::Done(_),
                WriteOutcome::Failed(Error::InvalidData(_))
            ]
        ));
        let names: Vec<String> = testing::requests()
            .iter()
            .filter(|request| request.method() == "PATCH")
            .map(|request| String::from_utf8(request.content().unwrap().to_vec()).unwrap())
            .collect();
        assert!(names.len() == 2 && names[0].contains(r#""a""#) && names[1].contains(r#""b""#));
    }

    #[test]
    fn an_answer_that_does_not_add_up_is_nobodys_outcome() {
        testing::serve(|_| testing::answer(200, &[], "[]"));
        let outcomes = act(&[write(update(ONE, r#"{"Name":"a"}"#), None)]);
        assert!(matches!(
            &outcomes[..],
            [WriteOutcome::Failed(Error::Internal(_))]
        ));
        testing::serve(|_| {
            testing::answer(401, &[], r#"[{"errorCode":"INVALID_SESSION_ID","message":"x"}]"#)
        });
        let outcomes = act(&[write(update(ONE, r#"{"Name":"a"}"#), None)]);
        assert!(matches!(&outcomes[..], [WriteOutcome::Failed(Error::Auth(_))]));
    }
}
