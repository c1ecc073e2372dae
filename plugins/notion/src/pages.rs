//! Writing pages, one by one: Notion takes no batches ("Create a page", "Update page", "Trash a page"). What is written is
//! the shape that is read; members that only Notion writes are left out.
//!
//! A page's revision is its `last_edited_time`, to the minute: two edits within one minute are not told apart.

use serde_json::{Map, Value};
use sluice_sdk::record::{self, input};
use sluice_sdk::write::{self, Kind};
use sluice_sdk::{Error, Item, PendingWrite, WriteOutcome};

use crate::api;

/// What a new page takes.
const OF_CREATE: [&str; 5] = ["parent", "properties", "children", "icon", "cover"];

/// What a change takes.
const OF_UPDATE: [&str; 4] = ["properties", "icon", "cover", "in_trash"];

/// Writes; one outcome for each.
pub(crate) fn write(writes: &[PendingWrite]) -> Vec<WriteOutcome> {
    write::in_batches(writes, 1, |_, batch| batch.iter().map(one).collect())
}

fn one(write: &PendingWrite) -> Result<WriteOutcome, Error> {
    if let Some(expected) = &write.expect_revision
        && let Some(conflict) = conflict(write.id(), expected)?
    {
        return Ok(conflict);
    }
    let data: Map<String, Value> = input(write.data())?;
    Ok(WriteOutcome::Done(match write.kind() {
        Kind::Create => create(data)?,
        Kind::Update => update(write.id(), data)?,
        Kind::Delete => trash(write.id())?,
    }))
}

/// What Notion has, where that is not what the write builds on.
fn conflict(id: &str, expected: &str) -> Result<Option<WriteOutcome>, Error> {
    let response = api::request("GET", &path(id)?).send()?;
    if response.status == 404 {
        return Ok(Some(WriteOutcome::Conflict(None)));
    }
    let response = api::ok(response)?;
    let page: Map<String, Value> = response.json()?;
    let has = page.get("last_edited_time").and_then(Value::as_str);
    if has == Some(expected) {
        return Ok(None);
    }
    Ok(Some(WriteOutcome::Conflict(Some(api::item(&response)?))))
}

pub(crate) fn create(mut data: Map<String, Value>) -> Result<Item, Error> {
    data.retain(|name, _| OF_CREATE.contains(&name.as_str()));
    for name in ["parent", "properties"] {
        if !data.get(name).is_some_and(Value::is_object) {
            return Err(Error::invalid_data(format!("a new page needs `{name}`")).at(format!("/{name}")));
        }
    }
    // A parent is read with the database of its data source beside, which a new page does not take.
    if let Some(Value::Object(parent)) = data.get_mut("parent")
        && parent.contains_key("data_source_id")
    {
        parent.remove("database_id");
    }
    // An icon or cover that a page does not have is read as null.
    data.retain(|name, value| !(matches!(name.as_str(), "icon" | "cover") && value.is_null()));
    let response = api::ok(api::request("POST", "pages").json(&data)?.send()?)?;
    api::item(&response)
}

pub(crate) fn update(id: &str, mut data: Map<String, Value>) -> Result<Item, Error> {
    data.retain(|name, _| OF_UPDATE.contains(&name.as_str()));
    if data.is_empty() {
        return Err(Error::invalid_data(
            "nothing of a page that can be changed is given",
        ));
    }
    let response = api::ok(api::request("PATCH", &path(id)?).json(&data)?.send()?)?;
    api::item(&response)
}

/// Into the trash; what is there already stays.
fn trash(id: &str) -> Result<Item, Error> {
    let body = serde_json::json!({ "in_trash": true });
    let response = api::request("PATCH", &path(id)?).json(&body)?.send()?;
    if response.status == 404 {
        return Ok(record::item(
            id,
            &format!(r#"{{"id":"{id}","properties":{{}},"in_trash":true}}"#),
            None,
        ));
    }
    api::item(&api::ok(response)?)
}

/// Notion docs, "Append block children".
pub(crate) fn append(block: &str, children: &Value) -> Result<String, Error> {
    if !api::is_id(block) {
        return Err(Error::invalid_data("not an id of Notion's").at("/block_id"));
    }
    let request = api::request("PATCH", &format!("blocks/{block}/children"));
    let body = serde_json::json!({ "children": children });
    let response = api::ok(request.json(&body)?.send()?)?;
    response.text().map(str::to_owned)
}

fn path(id: &str) -> Result<String, Error> {
    if !api::is_id(id) {
        return Err(Error::invalid_data("not an id of Notion's"));
    }
    Ok(format!("pages/{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{WriteOp, testing};

    const ID: &str = "0d000000-0000-0000-0000-00000000000a";

    fn pending(op: WriteOp) -> PendingWrite {
        PendingWrite {
            op,
            idempotency_key: "k".to_owned(),
            expect_revision: None,
        }
    }

    fn sent(at: usize) -> (String, String, Value) {
        let requests = testing::requests();
        let body = serde_json::from_slice(requests[at].content().unwrap_or(b"null")).unwrap();
        (
            requests[at].method().to_owned(),
            requests[at].url().to_owned(),
            body,
        )
    }

    #[test]
    fn a_page_is_written_in_the_shape_it_is_read_in() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/page.json")));
        let read = r#"{"object":"page","id":"x","parent":{"type":"data_source_id","data_source_id":"d1","database_id":"b1"},"properties":{"Name":{"title":[]}},"icon":null,"url":"https://www.notion.so/x"}"#;
        let outcomes = write(&[pending(WriteOp::Create(read.to_owned()))]);
        assert!(
            matches!(&outcomes[..], [WriteOutcome::Done(item)] if item.id == ID && item.modified == Some(1_714_557_600_000))
        );
        let (method, url, body) = sent(0);
        assert_eq!(
            (method.as_str(), url.as_str()),
            ("POST", "https://api.notion.com/v1/pages")
        );
        assert_eq!(
            body,
            serde_json::json!({
                "parent": {"type": "data_source_id", "data_source_id": "d1"},
                "properties": {"Name": {"title": []}},
            })
        );
        let change = record::item(
            ID,
            r#"{"id":"x","properties":{"Open":{"checkbox":true}},"in_trash":false}"#,
            None,
        );
        write(&[
            pending(WriteOp::Update(change)),
            pending(WriteOp::Delete(ID.to_owned())),
        ]);
        assert_eq!(
            sent(1).2,
            serde_json::json!({"properties": {"Open": {"checkbox": true}}, "in_trash": false})
        );
        assert_eq!(
            (sent(2).0.as_str(), sent(2).1.ends_with(ID), sent(2).2),
            ("PATCH", true, serde_json::json!({"in_trash": true}))
        );
    }

    #[test]
    fn a_page_that_was_edited_meanwhile_is_a_conflict() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/page.json")));
        let mut change = pending(WriteOp::Update(record::item(ID, r#"{"properties":{}}"#, None)));
        change.expect_revision = Some("2024-05-01T09:59:00.000Z".to_owned());
        assert!(
            matches!(&write(&[change.clone()])[..], [WriteOutcome::Conflict(Some(item))] if item.id == ID)
        );
        assert_eq!(testing::requests().len(), 1);
        change.expect_revision = Some("2024-05-01T10:00:00.000Z".to_owned());
        assert!(matches!(&write(&[change])[..], [WriteOutcome::Done(_)]));
    }

    #[test]
    fn one_refusal_does_not_stop_the_others_and_a_rate_limit_does() {
        testing::serve(|request| match request.method() {
            "POST" => testing::answer(
                400,
                &[],
                r#"{"code":"validation_error","message":"Name is not a property"}"#,
            ),
            _ => testing::answer(
                429,
                &[("retry-after", "3")],
                r#"{"code":"rate_limited","message":"m"}"#,
            ),
        });
        let create = pending(WriteOp::Create(
            r#"{"parent":{"page_id":"p"},"properties":{}}"#.to_owned(),
        ));
        let delete = pending(WriteOp::Delete(ID.to_owned()));
        let outcomes = write(&[create, delete.clone(), delete]);
        assert!(matches!(
            &outcomes[..],
            [
                WriteOutcome::Failed(Error::InvalidData(_)),
                WriteOutcome::Failed(Error::RateLimited(wait)),
                WriteOutcome::Failed(Error::RateLimited(_))
            ] if wait.retry_after_ms == Some(3_000)
        ));
        assert_eq!(testing::requests().len(), 2);
    }

    #[test]
    fn what_is_no_page_is_not_sent() {
        testing::serve(|_| testing::answer(200, &[], "{}"));
        let bad = [
            WriteOp::Create("{}".to_owned()),
            WriteOp::Create("[]".to_owned()),
            WriteOp::Update(record::item(ID, "{}", None)),
            WriteOp::Update(record::item("../users", r#"{"properties":{}}"#, None)),
            WriteOp::Delete("../users".to_owned()),
        ];
        for op in bad {
            let shown = format!("{op:?}");
            assert!(
                matches!(
                    &write(&[pending(op)])[..],
                    [WriteOutcome::Failed(Error::InvalidData(_))]
                ),
                "{shown}"
            );
        }
        assert!(testing::requests().is_empty());
        testing::serve(|_| testing::answer(404, &[], r#"{"code":"object_not_found"}"#));
        assert!(matches!(
            &write(&[pending(WriteOp::Delete(ID.to_owned()))])[..],
            [WriteOutcome::Done(_)]
        ));
    }
}
