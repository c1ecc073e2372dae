//! What can be done at Jira. Texts become documents in Atlassian's format, paragraph by paragraph.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::record::input;
use sluice_sdk::{Connection, Error};

use crate::api;

pub(crate) fn run(connection: &Connection, name: &str, text: &str) -> Result<String, Error> {
    match name {
        "create_issue" => create_issue(connection, input(text)?),
        "transition_issue" => transition_issue(connection, input(text)?),
        "comment_issue" => comment_issue(connection, &input(text)?),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

#[derive(Deserialize)]
struct Issue {
    project_key: String,
    issue_type: String,
    summary: String,
    description: Option<String>,
    parent_key: Option<String>,
    assignee_id: Option<String>,
    labels: Option<Vec<String>>,
    #[serde(default)]
    fields: Map<String, Value>,
}

/// Jira docs, "Create issue".
fn create_issue(connection: &Connection, issue: Issue) -> Result<String, Error> {
    let mut fields = issue.fields;
    let named = [
        ("project", Some(json!({ "key": issue.project_key }))),
        ("issuetype", Some(json!({ "name": issue.issue_type }))),
        ("summary", Some(Value::from(issue.summary))),
        ("description", issue.description.as_deref().map(document)),
        ("parent", issue.parent_key.map(|key| json!({ "key": key }))),
        ("assignee", issue.assignee_id.map(|id| json!({ "accountId": id }))),
        ("labels", issue.labels.map(Value::from)),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    }
    let request = api::request(connection, "POST", "issue")?.json(&json!({ "fields": fields }))?;
    let response = api::ok(request.send()?)?;
    response.text().map(str::to_owned)
}

#[derive(Deserialize)]
struct Transition {
    issue: String,
    transition: String,
    #[serde(default)]
    fields: Map<String, Value>,
}

/// Jira docs, "Transition issue": the answer is empty.
fn transition_issue(connection: &Connection, asked: Transition) -> Result<String, Error> {
    let path = format!("issue/{}/transitions", issue(&asked.issue)?);
    let is_id = asked.transition.bytes().all(|byte| byte.is_ascii_digit());
    let id = match is_id {
        true => asked.transition,
        false => named(connection, &path, &asked.transition)?,
    };
    let mut body = json!({ "transition": { "id": id } });
    if let (false, Some(members)) = (asked.fields.is_empty(), body.as_object_mut()) {
        members.insert("fields".to_owned(), Value::Object(asked.fields));
    }
    api::ok(api::request(connection, "POST", &path)?.json(&body)?.send()?)?;
    Ok(json!({ "issue": asked.issue, "transition": id }).to_string())
}

/// The id of the transition of this name, or that leads to the status of this name ("Get transitions").
fn named(connection: &Connection, path: &str, name: &str) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        transitions: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        id: String,
        #[serde(default)]
        name: String,
        to: Option<Status>,
    }
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        name: String,
    }
    let response = api::ok(api::request(connection, "GET", path)?.send()?)?;
    let answer: Answer = response.json()?;
    let is = |text: &str| text.to_lowercase() == name.to_lowercase();
    let by_name = answer.transitions.iter().find(|entry| is(&entry.name));
    let by_status = || {
        let leads = |entry: &&Entry| entry.to.as_ref().is_some_and(|status| is(&status.name));
        answer.transitions.iter().find(leads)
    };
    match by_name.or_else(by_status) {
        Some(entry) => Ok(entry.id.clone()),
        None => {
            let names: Vec<&str> = answer
                .transitions
                .iter()
                .map(|entry| entry.name.as_str())
                .take(20)
                .collect();
            let message = format!(
                "the issue has no such transition now; there are: {}",
                names.join(", ")
            );
            Err(Error::invalid_data(message).at("/transition"))
        }
    }
}

#[derive(Deserialize)]
struct Comment {
    issue: String,
    body: String,
}

/// Jira docs, "Add comment".
fn comment_issue(connection: &Connection, comment: &Comment) -> Result<String, Error> {
    let path = format!("issue/{}/comment", issue(&comment.issue)?);
    let body = json!({ "body": document(&comment.body) });
    let response = api::ok(api::request(connection, "POST", &path)?.json(&body)?.send()?)?;
    response.text().map(str::to_owned)
}

fn issue(text: &str) -> Result<&str, Error> {
    if api::is_issue(text) {
        return Ok(text);
    }
    Err(Error::invalid_data("not an issue's key or id").at("/issue"))
}

/// A plain text as a document (Atlassian docs, "Atlassian Document Format"): an empty line ends a paragraph, a text is
/// never empty.
fn document(text: &str) -> Value {
    let text = text.replace("\r\n", "\n");
    let paragraphs: Vec<Value> = text
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
        .map(|paragraph| {
            let mut content = Vec::new();
            for (at, line) in paragraph.trim_matches('\n').split('\n').enumerate() {
                if at > 0 {
                    content.push(json!({ "type": "hardBreak" }));
                }
                if !line.is_empty() {
                    content.push(json!({ "type": "text", "text": line }));
                }
            }
            json!({ "type": "paragraph", "content": content })
        })
        .collect();
    json!({ "type": "doc", "version": 1, "content": paragraphs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn act(name: &str, input: &str) -> Result<String, Error> {
        run(
            &testing::connection(r#"{"site":"doors.atlassian.net"}"#),
            name,
            input,
        )
    }

    fn sent(at: usize) -> (String, String, Value) {
        let requests = testing::requests();
        let body = serde_json::from_slice(requests[at].content().unwrap_or(b"null")).unwrap();
        let path = requests[at]
            .url()
            .rsplit("/rest/api/3/")
            .next()
            .unwrap()
            .to_owned();
        (requests[at].method().to_owned(), path, body)
    }

    #[test]
    fn an_issue_is_created_with_its_fields() {
        testing::serve(|_| {
            testing::answer(
                201,
                &[],
                r#"{"id":"10007","key":"DOOR-7","self":"https://doors.atlassian.net/rest/api/3/issue/10007"}"#,
            )
        });
        let given = r#"{"project_key":"DOOR","issue_type":"Task","summary":"It creaks","description":"Only\nin winter.\n\nOil it.","labels":["oil"],"fields":{"customfield_10010":7}}"#;
        assert!(act("create_issue", given).unwrap().contains("DOOR-7"));
        let (method, path, body) = sent(0);
        assert_eq!((method.as_str(), path.as_str()), ("POST", "issue"));
        assert_eq!(
            body["fields"],
            json!({
                "project": {"key": "DOOR"}, "issuetype": {"name": "Task"}, "summary": "It creaks", "labels": ["oil"],
                "customfield_10010": 7,
                "description": {"type": "doc", "version": 1, "content": [
                    {"type": "paragraph", "content": [
                        {"type": "text", "text": "Only"}, {"type": "hardBreak"}, {"type": "text", "text": "in winter."}]},
                    {"type": "paragraph", "content": [{"type": "text", "text": "Oil it."}]},
                ]},
            })
        );
    }

    #[test]
    fn a_transition_is_found_by_its_id_its_name_or_where_it_leads() {
        let check = |transition: &str, expected: &str| {
            testing::serve(|request| match request.method() {
                "GET" => testing::answer(200, &[], include_str!("../fixtures/transitions.json")),
                _ => testing::answer(204, &[], ""),
            });
            let done = act(
                "transition_issue",
                &json!({"issue": "DOOR-7", "transition": transition}).to_string(),
            )
            .unwrap();
            assert_eq!(
                done,
                json!({"issue": "DOOR-7", "transition": expected}).to_string()
            );
            let (_, path, body) = sent(testing::requests().len() - 1);
            assert_eq!(
                (path.as_str(), body),
                (
                    "issue/DOOR-7/transitions",
                    json!({"transition": {"id": expected}})
                )
            );
        };
        check("31", "31");
        check("start work", "11");
        check("Done", "21");
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/transitions.json")));
        let refused = act("transition_issue", r#"{"issue":"DOOR-7","transition":"Explode"}"#).unwrap_err();
        assert!(matches!(
            refused,
            Error::InvalidData(detail) if detail.pointer.as_deref() == Some("/transition") && detail.message.contains("Start work")
        ));
    }

    #[test]
    fn a_comment_is_a_document_and_bad_input_is_no_path() {
        testing::serve(|_| testing::answer(201, &[], r#"{"id":"5"}"#));
        act("comment_issue", r#"{"issue":"10007","body":"Oil it."}"#).unwrap();
        assert_eq!(sent(0).1, "issue/10007/comment");
        assert_eq!(sent(0).2["body"]["content"][0]["content"][0]["text"], "Oil it.");
        let refused = act("comment_issue", r#"{"issue":"../myself","body":"x"}"#).unwrap_err();
        assert!(matches!(refused, Error::InvalidData(detail) if detail.pointer.as_deref() == Some("/issue")));
        assert_eq!(testing::requests().len(), 1);
        assert!(matches!(act("delete_issue", "{}"), Err(Error::Unsupported(_))));
    }
}
