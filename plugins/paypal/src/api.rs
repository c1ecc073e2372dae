//! PayPal's REST APIs: where they are, and how they say no (PayPal docs, "API responses", "Rate limiting guidelines").

use serde::Deserialize;
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::{self, Text};

use crate::config::Config;

pub(crate) fn request(method: &str, config: &Config, path: &str) -> Request {
    http::request(method, format!("https://{}{path}", config.host))
}

pub(crate) fn get(config: &Config, path: &str) -> Request {
    request("GET", config, path)
}

/// The response if it is one of success.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let name = name(&response);
    Err(match Error::from_response(&response) {
        Error::InvalidData(detail) if name == "RATE_LIMIT_REACHED" => {
            Error::rate_limited(detail.message, None)
        }
        Error::InvalidData(detail) if !name.is_empty() => {
            Error::invalid_data(format!("{} ({name})", detail.message))
        }
        other => other,
    })
}

/// What PayPal calls the error: its first detail's `issue` where it says one, else its `name`.
pub(crate) fn name(response: &Response) -> String {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, default)]
        name: Text<'a>,
        #[serde(borrow, default)]
        details: Vec<Issue<'a>>,
    }
    #[derive(Deserialize)]
    struct Issue<'a> {
        #[serde(borrow, default)]
        issue: Text<'a>,
    }
    let Ok(answer) = response.json::<Answer<'_>>() else {
        return String::new();
    };
    let issue = answer.details.first().map_or("", |detail| detail.issue.as_str());
    let is_code =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let name = if is_code(issue) {
        issue
    } else {
        answer.name.as_str()
    };
    record::words(name, 100)
}

/// Whether it may stand in a path.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::answer;

    #[test]
    fn refusals_are_told_apart() {
        let of = |status: u16, body: &str| ok(answer(status, &[], body).unwrap()).unwrap_err();
        assert!(matches!(
            of(401, include_str!("../fixtures/invalid-token.json")),
            Error::Auth(_)
        ));
        assert!(matches!(of(403, r#"{"name":"NOT_AUTHORIZED"}"#), Error::Auth(_)));
        let refused = of(
            422,
            r#"{"name":"UNPROCESSABLE_ENTITY","message":"No","details":[{"issue":"CAPTURE_FULLY_REFUNDED"}]}"#,
        );
        assert!(
            matches!(refused, Error::InvalidData(detail) if detail.message.contains("CAPTURE_FULLY_REFUNDED"))
        );
        assert!(matches!(
            of(429, r#"{"name":"RATE_LIMIT_REACHED"}"#),
            Error::RateLimited(_)
        ));
        assert!(matches!(of(500, "<html>"), Error::Transient(_)));
    }

    #[test]
    fn ids() {
        assert!(is_id("WH-58D329510W468432D-8HN650336L201105X"));
        for bad in ["", "..", "a/b", "a?b"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
