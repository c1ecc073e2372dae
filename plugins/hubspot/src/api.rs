//! HubSpot's API: where it is, and how it says no (HubSpot docs, "Error handling", "API usage guidelines").

use serde::Deserialize;
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::{self, Text};

/// The only address this connector knows; `connector.toml` asks for nothing else.
pub(crate) const ROOT: &str = "https://api.hubapi.com";

pub(crate) fn get(path: &str) -> Request {
    http::get(format!("{ROOT}{path}"))
}

pub(crate) fn post(path: &str) -> Request {
    http::post(format!("{ROOT}{path}"))
}

/// The response if it is one of success. HubSpot names the limit that is used up instead of a time to wait.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let refusal = refusal(&response);
    Err(match (response.status, Error::from_response(&response)) {
        (429, Error::RateLimited(throttle)) => Error::rate_limited(
            throttle.message,
            throttle.retry_after_ms.or(match refusal.policy.as_str() {
                "SECONDLY" => Some(1_000),
                "TEN_SECONDLY_ROLLING" => Some(10_000),
                // It is given back at midnight of the account's time zone.
                "DAILY" => Some(15 * 60_000),
                _ => None,
            }),
        ),
        // 423: too much at once of one object; 477: the account moves to another data center.
        (423 | 477, error) => match response.retry_after_ms() {
            Some(wait) => Error::rate_limited(message(error), Some(wait)),
            None => Error::transient(message(error)),
        },
        (_, Error::InvalidData(detail)) if refusal.category == "EXPIRED_AUTHENTICATION" => {
            Error::auth(detail.message)
        }
        (_, error) => error,
    })
}

fn message(error: Error) -> String {
    match error {
        Error::RateLimited(throttle) => throttle.message,
        Error::Config(detail)
        | Error::Auth(detail)
        | Error::Transient(detail)
        | Error::InvalidData(detail)
        | Error::Unsupported(detail)
        | Error::Internal(detail) => detail.message,
    }
}

#[derive(Default)]
struct Refusal {
    category: String,
    policy: String,
}

fn refusal(response: &Response) -> Refusal {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        category: Text<'a>,
        #[serde(rename = "policyName", borrow, default)]
        policy: Text<'a>,
    }
    let Ok(body) = response.json::<Body<'_>>() else {
        return Refusal::default();
    };
    Refusal {
        category: record::words(body.category.as_str(), 100),
        policy: record::words(body.policy.as_str(), 100),
    }
}

/// Whether it is an object's id; nothing else of HubSpot's becomes part of a question.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn refused(status: u16, body: &str) -> Error {
        ok(testing::answer(status, &[], body).unwrap()).unwrap_err()
    }

    #[test]
    fn a_limit_says_how_long() {
        let of = |policy: &str| {
            let body = format!(
                r#"{{"status":"error","message":"You have reached your limit.","category":"RATE_LIMITS","policyName":"{policy}"}}"#
            );
            match refused(429, &body) {
                Error::RateLimited(wait) => wait.retry_after_ms,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(of("TEN_SECONDLY_ROLLING"), Some(10_000));
        assert_eq!(of("SECONDLY"), Some(1_000));
        assert_eq!(of("DAILY"), Some(900_000));
        assert_eq!(of("OTHER"), None);
    }

    #[test]
    fn the_other_refusals_are_told_apart() {
        assert!(matches!(
            refused(403, r#"{"category":"MISSING_SCOPES","message":"Said by HubSpot"}"#),
            Error::Auth(detail) if detail.message.contains("Said by HubSpot")
        ));
        assert!(matches!(refused(401, "{}"), Error::Auth(_)));
        assert!(matches!(
            refused(400, r#"{"category":"VALIDATION_ERROR","message":"m"}"#),
            Error::InvalidData(_)
        ));
        assert!(matches!(refused(409, "{}"), Error::InvalidData(_)));
        assert!(matches!(refused(423, "{}"), Error::Transient(_)));
        assert!(matches!(refused(477, "{}"), Error::Transient(_)));
        assert!(matches!(refused(502, "<html>"), Error::Transient(_)));
    }

    #[test]
    fn ids() {
        assert!(is_id("512") && is_id("18446744073709551615"));
        for bad in ["", "-1", "5 12", "abc", "1/../2", "123456789012345678901"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
