//! What can be done at GitLab: a comment ("Create new issue note", "Create new merge request note") and a pipeline ("Create a new
//! pipeline"). GitLab knows no idempotency keys: each is sent once. The answers are GitLab's own.

use serde::{Deserialize, Serialize};
use sluice_sdk::Error;
use sluice_sdk::http::Request;
use sluice_sdk::record::input;

use crate::api::Api;

pub(crate) fn run(api: &Api, name: &str, text: &str) -> Result<String, Error> {
    let request = match name {
        "comment" => comment(api, &input(text)?)?,
        "trigger_pipeline" => trigger(api, &input(text)?)?,
        other => return Err(Error::unsupported(format!("there is no action `{other}`"))),
    };
    request.send()?.ok()?.text().map(str::to_owned)
}

#[derive(Deserialize, Serialize)]
struct Comment {
    #[serde(skip_serializing)]
    project_id: u64,
    #[serde(skip_serializing, default)]
    on: On,
    #[serde(skip_serializing)]
    iid: u64,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    internal: Option<bool>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum On {
    #[default]
    Issue,
    MergeRequest,
}

fn comment(api: &Api, comment: &Comment) -> Result<Request, Error> {
    let below = match comment.on {
        On::Issue => "issues",
        On::MergeRequest => "merge_requests",
    };
    let path = format!("projects/{}/{below}/{}/notes", comment.project_id, comment.iid);
    api.request("POST", &path).json(comment)
}

#[derive(Deserialize, Serialize)]
struct Pipeline {
    #[serde(skip_serializing)]
    project_id: u64,
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    variables: Vec<Variable>,
}

#[derive(Deserialize, Serialize)]
struct Variable {
    key: String,
    value: String,
}

fn trigger(api: &Api, pipeline: &Pipeline) -> Result<Request, Error> {
    let path = format!("projects/{}/pipeline", pipeline.project_id);
    api.request("POST", &path).json(pipeline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn api() -> Api {
        Api::of(&testing::connection(r#"{"host":"gitlab.com","projects":[7]}"#)).unwrap()
    }

    fn check(name: &str, input: &str, path: &str, body: &str) {
        testing::serve(|_| testing::answer(201, &[], r#"{"id":1}"#));
        assert_eq!(run(&api(), name, input).unwrap(), r#"{"id":1}"#);
        let requests = testing::requests();
        assert_eq!(
            requests[0].url(),
            format!("https://gitlab.com/api/v4/projects/7/{path}")
        );
        assert_eq!(std::str::from_utf8(requests[0].content().unwrap()).unwrap(), body);
    }

    #[test]
    fn each_action_is_one_request() {
        check(
            "comment",
            r#"{"project_id":7,"iid":6,"body":"Oiled."}"#,
            "issues/6/notes",
            r#"{"body":"Oiled."}"#,
        );
        check(
            "comment",
            r#"{"project_id":7,"iid":6,"on":"merge_request","body":"a","internal":true}"#,
            "merge_requests/6/notes",
            r#"{"body":"a","internal":true}"#,
        );
        check(
            "trigger_pipeline",
            r#"{"project_id":7,"ref":"main","variables":[{"key":"A","value":"b"}]}"#,
            "pipeline",
            r#"{"ref":"main","variables":[{"key":"A","value":"b"}]}"#,
        );
    }

    #[test]
    fn refusals_carry_gitlabs_words() {
        testing::serve(|_| testing::answer(400, &[], r#"{"message":"Reference not found"}"#));
        let refused = run(&api(), "trigger_pipeline", r#"{"project_id":7,"ref":"x"}"#);
        assert!(matches!(refused, Err(Error::InvalidData(detail)) if detail.message.contains("Reference")));
        assert!(matches!(run(&api(), "merge", "{}"), Err(Error::Unsupported(_))));
        let bad = run(&api(), "comment", r#"{"project_id":"x"}"#);
        assert!(
            matches!(bad, Err(Error::InvalidData(detail)) if detail.pointer.as_deref() == Some("/project_id"))
        );
    }
}
