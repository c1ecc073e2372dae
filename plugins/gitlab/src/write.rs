//! Writing issues ("New issue", "Edit an issue"). A write has the members of the issue that is read, of which those that GitLab takes
//! are sent. GitLab knows no idempotency keys, so a creation whose answer is lost may have been made. Which revision is there is looked
//! up before a change; somebody who is faster than that is not noticed.

use serde_json::{Map, Value, json};
use sluice_sdk::record::{self, input};
use sluice_sdk::write::{self, Kind};
use sluice_sdk::{Change, Error, Item, PendingWrite, WriteOutcome};

use crate::api::Api;
use crate::streams::changed;

/// What is sent as it is.
const TAKEN: [&str; 10] = [
    "title",
    "description",
    "due_date",
    "confidential",
    "assignee_ids",
    "milestone_id",
    "weight",
    "issue_type",
    "discussion_locked",
    "labels",
];

pub(crate) fn all(api: &Api, writes: &[PendingWrite]) -> Result<Vec<WriteOutcome>, Error> {
    Ok(write::in_batches(writes, 1, |kind, batch| {
        batch.iter().map(|write| one(api, kind, write)).collect()
    }))
}

fn one(api: &Api, kind: Kind, write: &PendingWrite) -> Result<WriteOutcome, Error> {
    let data: Map<String, Value> = input(write.data())?;
    let project = number(&data, "project_id")?;
    let mut body = taken(&data);
    let request = match kind {
        Kind::Create => {
            if !body.get("title").is_some_and(Value::is_string) {
                return Err(Error::invalid_data("a new issue needs a title").at("/title"));
            }
            api.request("POST", &format!("projects/{project}/issues"))
        }
        Kind::Update => {
            let path = format!("projects/{project}/issues/{}", number(&data, "iid")?);
            if let Some(conflict) = conflict(api, &path, write)? {
                return Ok(conflict);
            }
            match data.get("state").and_then(Value::as_str) {
                Some("closed") => body.insert("state_event".to_owned(), json!("close")),
                Some("opened") => body.insert("state_event".to_owned(), json!("reopen")),
                _ => None,
            };
            api.request("PUT", &path)
        }
        Kind::Delete => return Err(Error::unsupported("issues are not deleted: close them")),
    };
    let response = request.json(&body)?.send()?.ok()?;
    let item = item(response.text()?)?;
    if kind == Kind::Update && item.id != write.id() {
        return Err(Error::internal(
            "GitLab answers with another issue than was written",
        ));
    }
    Ok(WriteOutcome::Done(item))
}

/// What GitLab has, where that is not the issue that the write builds on.
fn conflict(api: &Api, path: &str, write: &PendingWrite) -> Result<Option<WriteOutcome>, Error> {
    let response = api.get(path).send()?;
    if response.status == 404 {
        return Ok(Some(WriteOutcome::Conflict(None)));
    }
    let response = response.ok()?;
    let there: Map<String, Value> = response.json()?;
    let is_it = there.get("id").map(Value::to_string).as_deref() == Some(write.id());
    let revision = there.get("updated_at").and_then(Value::as_str);
    let is_same = write
        .expect_revision
        .as_deref()
        .is_none_or(|expected| revision == Some(expected));
    match (is_it, is_same) {
        (true, true) => Ok(None),
        (true, false) => Ok(Some(WriteOutcome::Conflict(Some(item(response.text()?)?)))),
        (false, _) => {
            Err(Error::invalid_data("the issue's `iid` and `project_id` are of another one").at("/iid"))
        }
    }
}

fn taken(data: &Map<String, Value>) -> Map<String, Value> {
    let members = data.iter().filter(|(name, _)| TAKEN.contains(&name.as_str()));
    members
        .map(|(name, value)| {
            let labels = value.as_array().filter(|_| name == "labels");
            let value = match labels {
                Some(labels) => {
                    let labels: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
                    json!(labels.join(","))
                }
                None => value.clone(),
            };
            (name.clone(), value)
        })
        .collect()
}

fn number(data: &Map<String, Value>, name: &str) -> Result<u64, Error> {
    let found = data.get(name).and_then(Value::as_u64);
    found.ok_or_else(|| {
        Error::invalid_data(format!("an issue is written with its `{name}`")).at(format!("/{name}"))
    })
}

fn item(text: &str) -> Result<Item, Error> {
    match changed::upsert(text)? {
        Change::Upsert(item) => Ok(item),
        Change::Delete(id) => Ok(record::item(id, text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{WriteOp, testing};

    fn written(op: WriteOp, expect_revision: Option<&str>) -> WriteOutcome {
        let api = Api::of(&testing::connection(r#"{"host":"gitlab.com","projects":[7]}"#)).unwrap();
        let write = PendingWrite {
            op,
            idempotency_key: "k".to_owned(),
            expect_revision: expect_revision.map(str::to_owned),
        };
        all(&api, &[write]).unwrap().remove(0)
    }

    fn update(expect_revision: Option<&str>) -> WriteOutcome {
        let data =
            r#"{"id":76,"iid":6,"project_id":7,"state":"closed","labels":["a","b c"],"author":{"id":1}}"#;
        written(WriteOp::Update(record::item("76", data, None)), expect_revision)
    }

    #[test]
    fn an_issue_is_made_and_changed_by_what_gitlab_takes() {
        let issue = include_str!("../fixtures/issue.json");
        testing::serve(move |_| testing::answer(201, &[], issue));
        let made = written(
            WriteOp::Create(r#"{"project_id":7,"title":"Creaks","x":1}"#.to_owned()),
            None,
        );
        assert!(matches!(made, WriteOutcome::Done(item) if item.id == "76"));
        let request = &testing::requests()[0];
        assert_eq!(
            (request.method(), request.url(), request.content().unwrap()),
            (
                "POST",
                "https://gitlab.com/api/v4/projects/7/issues",
                br#"{"title":"Creaks"}"#.as_slice()
            )
        );
        assert!(matches!(
            update(Some("2024-05-01T10:00:00.000Z")),
            WriteOutcome::Done(_)
        ));
        let request = &testing::requests()[2];
        assert_eq!(
            (request.method(), request.url(), request.content().unwrap()),
            (
                "PUT",
                "https://gitlab.com/api/v4/projects/7/issues/6",
                br#"{"labels":"a,b c","state_event":"close"}"#.as_slice()
            )
        );
    }

    #[test]
    fn another_revision_is_a_conflict_and_another_issue_is_not_touched() {
        let issue = include_str!("../fixtures/issue.json");
        testing::serve(move |_| testing::answer(200, &[], issue));
        assert!(matches!(
            update(Some("2024-05-01T09:00:00.000Z")),
            WriteOutcome::Conflict(Some(_))
        ));
        testing::serve(|_| testing::answer(200, &[], r#"{"id":77,"updated_at":"2024-05-01T10:00:00.000Z"}"#));
        assert!(matches!(
            update(None),
            WriteOutcome::Failed(Error::InvalidData(_))
        ));
        assert_eq!(testing::requests().len(), 1);
        testing::serve(|_| testing::answer(404, &[], "{}"));
        assert!(matches!(update(None), WriteOutcome::Conflict(None)));
    }

    #[test]
    fn what_cannot_be_written_is_pointed_at() {
        testing::serve(|_| testing::answer(400, &[], r#"{"message":"title is missing"}"#));
        let refused = |op: WriteOp| match written(op, None) {
            WriteOutcome::Failed(Error::InvalidData(detail)) => detail.pointer.unwrap_or_default(),
            WriteOutcome::Failed(Error::Unsupported(_)) => "unsupported".to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(WriteOp::Create("{}".to_owned())), "/project_id");
        assert_eq!(
            refused(WriteOp::Create(r#"{"project_id":7}"#.to_owned())),
            "/title"
        );
        let no_iid = record::item("76", r#"{"project_id":7}"#, None);
        assert_eq!(refused(WriteOp::Update(no_iid)), "/iid");
        assert!(testing::requests().is_empty());
    }
}
