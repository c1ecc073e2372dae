//! What can be done at Linear. Linear takes an id with what is created: it is made of the call's key, so that a repeated
//! call finds what the first one made.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sluice_sdk::Error;
use sluice_sdk::record::input;

use crate::api;

const ISSUE: &str = "id identifier title url updatedAt";
const COMMENT: &str = "id url createdAt";

/// Our names of an issue's members, and Linear's.
const MEMBERS: [(&str, &str); 12] = [
    ("team_id", "teamId"),
    ("title", "title"),
    ("description", "description"),
    ("priority", "priority"),
    ("estimate", "estimate"),
    ("due_date", "dueDate"),
    ("assignee_id", "assigneeId"),
    ("state_id", "stateId"),
    ("project_id", "projectId"),
    ("cycle_id", "cycleId"),
    ("parent_id", "parentId"),
    ("label_ids", "labelIds"),
];

pub(crate) fn run(name: &str, text: &str, idempotency_key: &str) -> Result<String, Error> {
    match name {
        "create_issue" => create_issue(input(text)?, idempotency_key),
        "update_issue" => update_issue(input(text)?),
        "create_comment" => create_comment(&input(text)?, idempotency_key),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

fn create_issue(given: Map<String, Value>, key: &str) -> Result<String, Error> {
    let id = uuid(key);
    let mut members = members(given)?;
    members.insert("id".to_owned(), Value::from(id.as_str()));
    let mutation = format!(
        "mutation($input: IssueCreateInput!) {{ result: issueCreate(input: $input) {{ success made: issue {{ {ISSUE} }} }} }}"
    );
    let variables = serde_json::json!({ "input": members });
    once(
        &mutation,
        &variables,
        &format!("query($id: String!) {{ made: issue(id: $id) {{ {ISSUE} }} }}"),
        &id,
    )
}

fn update_issue(mut given: Map<String, Value>) -> Result<String, Error> {
    let Some(Value::String(id)) = given.remove("issue_id") else {
        return Err(Error::invalid_data("say which issue").at("/issue_id"));
    };
    let mutation = format!(
        "mutation($id: String!, $input: IssueUpdateInput!) {{ \
         result: issueUpdate(id: $id, input: $input) {{ success made: issue {{ {ISSUE} }} }} }}"
    );
    mutate(
        &mutation,
        &serde_json::json!({ "id": id, "input": members(given)? }),
    )
}

#[derive(Deserialize)]
struct Comment {
    issue_id: String,
    body: String,
}

fn create_comment(comment: &Comment, key: &str) -> Result<String, Error> {
    let id = uuid(key);
    let mutation = format!(
        "mutation($input: CommentCreateInput!) {{ \
         result: commentCreate(input: $input) {{ success made: comment {{ {COMMENT} }} }} }}"
    );
    let variables =
        serde_json::json!({ "input": { "id": id, "issueId": comment.issue_id, "body": comment.body } });
    once(
        &mutation,
        &variables,
        &format!("query($id: String!) {{ made: comment(id: $id) {{ {COMMENT} }} }}"),
        &id,
    )
}

/// The members by Linear's names; any other is refused.
fn members(given: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    given
        .into_iter()
        .map(|(name, value)| {
            let known = MEMBERS.iter().find(|(ours, _)| *ours == name);
            let Some((_, theirs)) = known else {
                return Err(Error::invalid_data("this action has no such member").at(format!("/{name}")));
            };
            Ok(((*theirs).to_owned(), value))
        })
        .collect()
}

/// Creates, or finds what an earlier try of the same call created.
fn once(mutation: &str, variables: &Value, query: &str, id: &str) -> Result<String, Error> {
    let refused = match mutate(mutation, variables) {
        Err(error @ Error::InvalidData(_)) => error,
        answer => return answer,
    };
    #[derive(Deserialize)]
    struct Found<'a> {
        #[serde(borrow)]
        made: &'a RawValue,
    }
    let response = api::send(query, &serde_json::json!({ "id": id }))?;
    match api::data::<Found<'_>>(&response) {
        Ok(found) if found.made.get() != "null" => Ok(found.made.get().to_owned()),
        _ => Err(refused),
    }
}

fn mutate<V: Serialize>(mutation: &str, variables: &V) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        result: Outcome<'a>,
    }
    #[derive(Deserialize)]
    struct Outcome<'a> {
        #[serde(default)]
        success: bool,
        #[serde(borrow, default)]
        made: Option<&'a RawValue>,
    }
    let response = api::send(mutation, variables)?;
    let Data { result } = api::data(&response)?;
    match result.made {
        Some(made) if result.success && made.get() != "null" => Ok(made.get().to_owned()),
        _ => Err(Error::invalid_data(
            "Linear says that it did not do it, and not why",
        )),
    }
}

/// A UUID (RFC 9562 §5.4, version 4 by its form) that is the same for the same key.
fn uuid(key: &str) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, key).hash(&mut hasher);
        hasher.finish()
    };
    let (a, b) = (half(0), half(1));
    let (a, b) = ((a & !0xf000) | 0x4000, (b & !(0b11 << 62)) | (0b10 << 62));
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn variables(at: usize) -> Value {
        let requests = testing::requests();
        let body: Value = serde_json::from_slice(requests[at].content().unwrap()).unwrap();
        body["variables"].clone()
    }

    #[test]
    fn an_issue_is_created_with_an_id_of_the_call() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/issue-create.json")));
        let given = r#"{"team_id":"t1","title":"The door creaks","priority":2,"label_ids":["l1"]}"#;
        assert!(
            run("create_issue", given, "k1")
                .unwrap()
                .contains(r#""identifier":"ENG-7""#)
        );
        let sent = variables(0);
        assert_eq!(
            sent["input"],
            serde_json::json!({"id": uuid("k1"), "teamId": "t1", "title": "The door creaks", "priority": 2, "labelIds": ["l1"]})
        );
    }

    #[test]
    fn a_repeated_call_finds_what_the_first_one_made() {
        testing::serve(|request| {
            let is_query = std::str::from_utf8(request.content().unwrap())
                .unwrap()
                .contains("query(");
            match is_query {
                true => testing::answer(200, &[], r#"{"data":{"made":{"id":"i1","identifier":"ENG-7"}}}"#),
                false => testing::answer(
                    200,
                    &[],
                    r#"{"errors":[{"message":"Entity already exists","extensions":{"code":"INPUT_ERROR"}}]}"#,
                ),
            }
        });
        let made = run("create_issue", r#"{"team_id":"t1","title":"a"}"#, "k1").unwrap();
        assert_eq!(made, r#"{"id":"i1","identifier":"ENG-7"}"#);
        assert_eq!(variables(1), serde_json::json!({"id": uuid("k1")}));
    }

    #[test]
    fn a_refusal_that_made_nothing_stays_one() {
        testing::serve(|_| {
            testing::answer(
                200,
                &[],
                r#"{"errors":[{"message":"No such team","extensions":{"code":"INPUT_ERROR"}}]}"#,
            )
        });
        let error = run("create_issue", r#"{"team_id":"t9","title":"a"}"#, "k1").unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.message.contains("No such team")));
        testing::serve(|_| testing::answer(200, &[], r#"{"data":{"result":{"success":false,"made":null}}}"#));
        assert!(run("update_issue", r#"{"issue_id":"ENG-7","title":"b"}"#, "k").is_err());
    }

    #[test]
    fn what_is_changed_is_what_is_given() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/issue-create.json")));
        run("update_issue", r#"{"issue_id":"ENG-7","assignee_id":null}"#, "k").unwrap();
        assert_eq!(
            variables(0),
            serde_json::json!({"id": "ENG-7", "input": {"assigneeId": null}})
        );
        let error = run("update_issue", r#"{"issue_id":"ENG-7","trashed":true}"#, "k").unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.pointer.as_deref() == Some("/trashed")));
        assert!(matches!(
            run("delete_issue", "{}", "k"),
            Err(Error::Unsupported(_))
        ));
        testing::serve(|_| {
            testing::answer(
                200,
                &[],
                r#"{"data":{"result":{"success":true,"made":{"id":"c1"}}}}"#,
            )
        });
        run("create_comment", r#"{"issue_id":"ENG-7","body":"Oil it."}"#, "k2").unwrap();
        assert_eq!(
            variables(0),
            serde_json::json!({"input": {"id": uuid("k2"), "issueId": "ENG-7", "body": "Oil it."}})
        );
    }

    #[test]
    fn a_key_is_a_uuid_of_version_4() {
        let made = uuid("k1");
        assert_eq!(made, uuid("k1"));
        assert_ne!(made, uuid("k2"));
        assert_eq!((made.len(), made.as_bytes()[14]), (36, b'4'));
        assert!(b"89ab".contains(&made.as_bytes()[19]));
    }
}
