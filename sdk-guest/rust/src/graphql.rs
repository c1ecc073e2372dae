//! GraphQL over HTTP: one POST, and an answer whose errors stand in its body, under status 200 as well as 400.
//!
//! ```
//! use sluice_sdk::{graphql, testing};
//! # testing::serve(|_| testing::answer(200, &[], r#"{"data":{"viewer":{"id":"u1"}}}"#));
//! #[derive(serde::Deserialize)]
//! struct Data { viewer: Viewer }
//! #[derive(serde::Deserialize)]
//! struct Viewer { id: String }
//!
//! let request = graphql::post("https://api.vendor.example/graphql", "query { viewer { id } }", &())?;
//! let response = request.send()?;
//! let data: Data = graphql::data(&response)?;
//! assert_eq!(data.viewer.id, "u1");
//! # Ok::<(), sluice_sdk::Error>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::http::{self, Request, Response};
use crate::record::{Id, Text};
use crate::{Error, record};

/// The vendor's words of one error are cut here, in characters.
const MAX_WORDS: usize = 300;
/// More errors than this of one answer are not looked at.
const MAX_FAULTS: usize = 20;

/// One error of an answer (GraphQL specification, "Errors").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The vendor's words, cut and without control characters.
    pub message: String,
    /// `extensions.code`, as vendors write it: `RATELIMITED`; empty where there is none.
    pub code: String,
    /// `extensions.type`; empty where there is none.
    pub kind: String,
}

/// A query or mutation as a POST; `variables` is anything that serializes to an object, `&()` for none.
///
/// # Errors
/// `internal` for variables that have no JSON form.
pub fn post<V: Serialize + ?Sized>(url: &str, query: &str, variables: &V) -> Result<Request, Error> {
    #[derive(Serialize)]
    struct Body<'a, V: ?Sized> {
        query: &'a str,
        variables: &'a V,
    }
    http::post(url)
        .header("accept", "application/json")
        .json(&Body { query, variables })
}

/// The `data` of an answer. An answer with errors is an error, whatever its status, and even if it has some data too: a
/// page that is not whole must not be taken for one.
///
/// # Errors
/// The first fault's, by [`Fault::into_error`]; what the status means where there are none; `invalid-data` for a body
/// that is no answer of GraphQL.
pub fn data<'a, T: Deserialize<'a>>(response: &'a Response) -> Result<T, Error> {
    if let Some(fault) = faults(response).into_iter().next() {
        return Err(fault.into_error(response));
    }
    if !(200..300).contains(&response.status) {
        return Err(Error::from_response(response));
    }
    #[derive(Deserialize)]
    struct Body<T> {
        data: T,
    }
    response.json::<Body<T>>().map(|body| body.data)
}

/// The errors of an answer; none where its body has none, or is something else.
#[must_use]
pub fn faults(response: &Response) -> Vec<Fault> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        errors: Vec<Entry<'a>>,
    }
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow, default)]
        message: Text<'a>,
        #[serde(borrow, default)]
        extensions: Option<Extensions<'a>>,
    }
    #[derive(Deserialize)]
    struct Extensions<'a> {
        #[serde(borrow, default)]
        code: Id<'a>,
        #[serde(rename = "type", borrow, default)]
        kind: Text<'a>,
    }
    let Ok(body) = response.json::<Body<'_>>() else {
        return Vec::new();
    };
    body.errors
        .into_iter()
        .take(MAX_FAULTS)
        .map(|entry| Fault {
            message: record::words(entry.message.as_str(), MAX_WORDS),
            code: entry
                .extensions
                .as_ref()
                .map_or_else(String::new, |found| record::words(&found.code.to_string(), 100)),
            kind: entry
                .extensions
                .as_ref()
                .map_or_else(String::new, |found| record::words(found.kind.as_str(), 100)),
        })
        .collect()
}

impl Fault {
    /// Whether code or type has this word in it, in any case, without regard to `_`, `-` and spaces.
    #[must_use]
    pub fn says(&self, word: &str) -> bool {
        let plain = |text: &str| -> String {
            text.chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|c| c.to_ascii_lowercase())
                .collect()
        };
        let word = plain(word);
        plain(&self.code).contains(&word) || plain(&self.kind).contains(&word)
    }

    /// What it means, by the codes that vendors share: rate limits and query costs are `rate-limited`, missing or refused
    /// credentials `auth`, faults of the server `transient`, the rest `invalid-data`.
    #[must_use]
    pub fn into_error(self, response: &Response) -> Error {
        let message = match (self.code.as_str(), self.kind.as_str()) {
            ("", "") => format!("the vendor answered with an error: {}", self.message),
            ("", name) | (name, _) => format!("the vendor answered `{name}`: {}", self.message),
        };
        let any = |words: &[&str]| words.iter().any(|word| self.says(word));
        if response.status == 429 || any(&["ratelimit", "throttled", "toomanyrequests"]) {
            return Error::rate_limited(message, response.retry_after_ms());
        }
        if response.status == 401 || any(&["authentication", "unauthenticated", "forbidden", "unauthorized"])
        {
            return Error::auth(message);
        }
        if response.status >= 500 || any(&["internal", "timeout", "serviceunavailable"]) {
            return Error::transient(message);
        }
        Error::invalid_data(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn refused(status: u16, body: &str) -> Error {
        let response = testing::answer(status, &[("retry-after", "7")], body).unwrap();
        data::<serde_json::Value>(&response).unwrap_err()
    }

    #[test]
    fn the_query_and_its_variables_are_the_body() {
        let request = post(
            "https://a.example/graphql",
            "query($n:Int){a(n:$n)}",
            &serde_json::json!({"n": 2}),
        )
        .unwrap();
        assert_eq!(
            std::str::from_utf8(request.content().unwrap()).unwrap(),
            r#"{"query":"query($n:Int){a(n:$n)}","variables":{"n":2}}"#
        );
    }

    #[test]
    fn an_error_in_the_body_is_one_whatever_the_status() {
        let body = r#"{"data":{"a":[1]},"errors":[{"message":"slow\u0007 down","extensions":{"code":"RATELIMITED","type":"ratelimited"}}]}"#;
        for status in [200, 400] {
            assert!(matches!(
                refused(status, body),
                Error::RateLimited(wait) if wait.retry_after_ms == Some(7_000) && wait.message.contains("slow down")
            ));
        }
        let of = |code: &str| {
            refused(
                200,
                &format!(r#"{{"errors":[{{"message":"m","extensions":{{"code":"{code}"}}}}]}}"#),
            )
        };
        assert!(matches!(of("AUTHENTICATION_ERROR"), Error::Auth(_)));
        assert!(matches!(of("FORBIDDEN"), Error::Auth(_)));
        assert!(matches!(of("INTERNAL_SERVER_ERROR"), Error::Transient(_)));
        assert!(matches!(of("GRAPHQL_VALIDATION_FAILED"), Error::InvalidData(_)));
        assert!(matches!(
            refused(200, r#"{"errors":[{"message":"m"}]}"#),
            Error::InvalidData(_)
        ));
    }

    #[test]
    fn what_is_no_answer_of_graphql_is_what_its_status_says() {
        assert!(matches!(refused(200, "<html>"), Error::InvalidData(_)));
        assert!(matches!(refused(200, "{}"), Error::InvalidData(_)));
        assert!(matches!(refused(502, "<html>"), Error::Transient(_)));
        assert!(matches!(refused(401, "{}"), Error::Auth(_)));
        assert!(matches!(
            refused(401, r#"{"errors":[{"message":"m"}]}"#),
            Error::Auth(_)
        ));
        assert!(matches!(
            refused(500, r#"{"errors":"no list"}"#),
            Error::Transient(_)
        ));
    }
}
