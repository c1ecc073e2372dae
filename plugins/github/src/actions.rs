//! What can be done at GitHub. The answers are GitHub's own, unchanged; `connector.toml` says which of their members can
//! be relied on.
//!
//! GitHub knows no idempotency keys. Only a commit status may be sent twice without harm, so only that request carries
//! the key, which allows the host to repeat it; the others are sent once, and a lost answer is an error to look at.

use serde::{Deserialize, Serialize};
use sluice_sdk::http::Request;
use sluice_sdk::record::input;
use sluice_sdk::{Error, http::Response};

use crate::{api, config};

pub(crate) fn run(name: &str, text: &str, idempotency_key: &str) -> Result<String, Error> {
    let request = match name {
        "create_issue" => create_issue(&input(text)?)?,
        "comment" => comment(&input(text)?)?,
        "create_deployment" => create_deployment(&input(text)?)?,
        "set_commit_status" => set_commit_status(&input(text)?)?.idempotency_key(idempotency_key),
        other => return Err(Error::unsupported(format!("there is no action `{other}`"))),
    };
    answer(request.send()?)
}

/// GitHub's JSON. 202 is a deployment that was not made because a merge came first: a message instead of a record.
fn answer(response: Response) -> Result<String, Error> {
    let response = response.ok()?;
    if response.status == 202 {
        let error = Error::from_response(&Response {
            status: 409,
            ..response
        });
        return Err(error);
    }
    response.text().map(str::to_owned)
}

/// GitHub REST docs, "Create an issue".
#[derive(Deserialize, Serialize)]
struct Issue {
    #[serde(skip_serializing)]
    repository: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    assignees: Vec<String>,
}

fn create_issue(issue: &Issue) -> Result<Request, Error> {
    post(&issue.repository, "issues")?.json(issue)
}

/// GitHub REST docs, "Create an issue comment"; a pull request is an issue there.
#[derive(Deserialize, Serialize)]
struct Comment {
    #[serde(skip_serializing)]
    repository: String,
    #[serde(skip_serializing)]
    number: u64,
    body: String,
}

fn comment(comment: &Comment) -> Result<Request, Error> {
    post(
        &comment.repository,
        &format!("issues/{}/comments", comment.number),
    )?
    .json(comment)
}

/// GitHub REST docs, "Create a deployment".
#[derive(Deserialize, Serialize)]
struct Deployment {
    #[serde(skip_serializing)]
    repository: String,
    #[serde(rename = "ref")]
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_merge: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_contexts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<serde_json::Value>,
}

fn create_deployment(deployment: &Deployment) -> Result<Request, Error> {
    post(&deployment.repository, "deployments")?.json(deployment)
}

/// GitHub REST docs, "Create a commit status".
#[derive(Deserialize, Serialize)]
struct Status {
    #[serde(skip_serializing)]
    repository: String,
    #[serde(skip_serializing)]
    sha: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
}

fn set_commit_status(status: &Status) -> Result<Request, Error> {
    if status.sha.is_empty() || !status.sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::invalid_data("not a commit hash").at("/sha"));
    }
    post(&status.repository, &format!("statuses/{}", status.sha))?.json(status)
}

fn post(repository: &str, path: &str) -> Result<Request, Error> {
    if !config::is_full_name(repository) {
        return Err(Error::invalid_data("not a repository: write `owner/name`").at("/repository"));
    }
    Ok(api::post(format!("{}/repos/{repository}/{path}", api::ROOT)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn check(name: &str, input: &str, url: &str, body: &str) {
        testing::serve(|_| testing::answer(201, &[], r#"{"id":1}"#));
        assert_eq!(run(name, input, "key-1").unwrap(), r#"{"id":1}"#);
        let requests = testing::requests();
        assert_eq!((requests[0].method(), requests[0].url()), ("POST", url));
        assert_eq!(std::str::from_utf8(requests[0].content().unwrap()).unwrap(), body);
    }

    #[test]
    fn each_action_is_one_request() {
        check(
            "create_issue",
            r#"{"repository":"acme/web","title":"Broken","labels":["bug"]}"#,
            "https://api.github.com/repos/acme/web/issues",
            r#"{"title":"Broken","labels":["bug"]}"#,
        );
        check(
            "comment",
            r#"{"repository":"acme/web","number":7,"body":"Fixed."}"#,
            "https://api.github.com/repos/acme/web/issues/7/comments",
            r#"{"body":"Fixed."}"#,
        );
        check(
            "create_deployment",
            r#"{"repository":"acme/web","ref":"main","auto_merge":false}"#,
            "https://api.github.com/repos/acme/web/deployments",
            r#"{"ref":"main","auto_merge":false}"#,
        );
        check(
            "set_commit_status",
            r#"{"repository":"acme/web","sha":"abc123","state":"success"}"#,
            "https://api.github.com/repos/acme/web/statuses/abc123",
            r#"{"state":"success"}"#,
        );
    }

    #[test]
    fn bad_input_is_pointed_at_and_never_becomes_a_path() {
        let check = |name: &str, input: &str, pointer: &str| match run(name, input, "k") {
            Err(Error::InvalidData(detail)) => {
                assert_eq!(detail.pointer.as_deref(), Some(pointer), "{input}")
            }
            other => panic!("{input}: {other:?}"),
        };
        check(
            "comment",
            r#"{"repository":"a/b","number":"x","body":""}"#,
            "/number",
        );
        check(
            "comment",
            r#"{"repository":"a/b/../c","number":1,"body":""}"#,
            "/repository",
        );
        check(
            "set_commit_status",
            r#"{"repository":"a/b","sha":"../x","state":"success"}"#,
            "/sha",
        );
        assert!(matches!(run("merge", "{}", "k"), Err(Error::Unsupported(_))));
    }

    #[test]
    fn a_refusal_carries_githubs_words() {
        testing::serve(|_| testing::answer(422, &[], r#"{"message":"Validation Failed","errors":[]}"#));
        let error = run("create_issue", r#"{"repository":"a/b","title":""}"#, "k").unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.message.contains("Validation Failed")));
        testing::serve(|_| testing::answer(202, &[], r#"{"message":"Auto-merged main into topic"}"#));
        let error = run("create_deployment", r#"{"repository":"a/b","ref":"topic"}"#, "k").unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.message.contains("Auto-merged")));
    }
}
