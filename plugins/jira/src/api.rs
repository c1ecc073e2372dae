//! Jira's REST API: where it is, and how it says no (Jira docs, "Status codes", "Rate limiting").

use std::collections::BTreeMap;

use serde::Deserialize;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record;
use sluice_sdk::{Connection, Error};

use crate::config;

/// The longest message of several that is handed on, in characters.
const MAX_WORDS: usize = 400;

/// A request of this path below the API's root.
pub(crate) fn request(connection: &Connection, method: &str, path: &str) -> Result<Request, Error> {
    let root = config::read(connection)?.root()?;
    Ok(http::request(method, format!("{root}/{path}")).header("accept", "application/json"))
}

/// The response if it is one of success. Jira's words stand in `errorMessages` and, by field, in `errors`.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let error = Error::from_response(&response);
    let (words, field) = words(&response);
    if words.is_empty() {
        return Err(error);
    }
    let message = format!("Jira answered {}: {words}", response.status);
    let error = match error {
        Error::Auth(_) => Error::auth(message),
        Error::RateLimited(wait) => Error::rate_limited(message, wait.retry_after_ms),
        Error::Transient(_) => Error::transient(message),
        _ => Error::invalid_data(message),
    };
    Err(match field {
        Some(field) => error.at(format!("/fields/{field}")),
        None => error,
    })
}

/// What Jira says, and the first field that it says it of.
fn words(response: &Response) -> (String, Option<String>) {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "errorMessages", default)]
        messages: Vec<String>,
        #[serde(default)]
        errors: BTreeMap<String, String>,
    }
    let Ok(refusal) = response.json::<Refusal>() else {
        return (String::new(), None);
    };
    let of_fields = refusal
        .errors
        .iter()
        .map(|(field, words)| format!("{field}: {words}"));
    let all: Vec<String> = refusal.messages.iter().cloned().chain(of_fields).collect();
    let field = refusal
        .errors
        .keys()
        .next()
        .map(|field| record::words(field, 100));
    (record::words(&all.join("; "), MAX_WORDS), field)
}

/// Whether the token that was sent is no longer one.
pub(crate) fn is_stale(response: &Response) -> bool {
    response.status == 400 && words(response).0.to_ascii_lowercase().contains("token")
}

/// Whether it is an issue's key or id; nothing else becomes part of a path.
pub(crate) fn is_issue(text: &str) -> bool {
    let is_number =
        |text: &str| (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('-') {
        Some((project, number)) => config::is_project(project) && is_number(number),
        None => is_number(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn refused(status: u16, body: &str) -> Error {
        ok(testing::answer(status, &[("retry-after", "7")], body).unwrap()).unwrap_err()
    }

    #[test]
    fn a_refusal_says_what_and_where() {
        let body = r#"{"errorMessages":[],"errors":{"summary":"You must specify a summary of the issue."}}"#;
        assert!(matches!(
            refused(400, body),
            Error::InvalidData(detail)
                if detail.message.contains("specify a summary") && detail.pointer.as_deref() == Some("/fields/summary")
        ));
        let body = r#"{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}"#;
        assert!(
            matches!(refused(404, body), Error::InvalidData(detail) if detail.message.contains("does not exist"))
        );
        assert!(matches!(refused(401, "<html>"), Error::Auth(_)));
        assert!(matches!(refused(429, "{}"), Error::RateLimited(wait) if wait.retry_after_ms == Some(7_000)));
        assert!(matches!(refused(502, "{}"), Error::Transient(_)));
    }

    #[test]
    fn issues() {
        assert!(is_issue("DOOR-12") && is_issue("10001"));
        for bad in ["", "DOOR-", "-1", "door-1", "DOOR-1/comment", "..", "D-1x"] {
            assert!(!is_issue(bad), "{bad}");
        }
    }
}
