//! What can go wrong, by who has to act: constructors, and the way from an HTTP answer to a case.

use crate::http::{self, Response};
use crate::{Detail, Error, Throttle};

/// A vendor's own words in a message are cut here, in characters: enough for a sentence, too short for a page of HTML.
const MAX_WORDS: usize = 300;

impl Error {
    /// The user's: the configuration is wrong; `pointer` (RFC 6901) says where.
    pub fn config(message: impl Into<String>, pointer: impl Into<String>) -> Self {
        Self::Config(Detail {
            message: message.into(),
            pointer: Some(pointer.into()),
        })
    }

    /// The user's: the credential no longer works.
    pub fn auth(message: impl Into<String>) -> Self {
        Self::Auth(detail(message))
    }

    /// Nobody's: the vendor asked to wait, in milliseconds where known.
    pub fn rate_limited(message: impl Into<String>, retry_after_ms: Option<u64>) -> Self {
        Self::RateLimited(Throttle {
            message: message.into(),
            retry_after_ms,
        })
    }

    /// Nobody's: a fault that passes.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient(detail(message))
    }

    /// The vendor sent, or the caller gave, something that breaks its schema.
    pub fn invalid_data(message: impl Into<String>) -> Self {
        Self::InvalidData(detail(message))
    }

    /// The connector does not offer this.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::Unsupported(detail(message))
    }

    /// The connector's author's: a bug.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal(detail(message))
    }

    /// The same error with a pointer to what is wrong; without effect on the cases that have none.
    ///
    /// ```
    /// # use sluice_sdk::Error;
    /// let error = Error::invalid_data("not a repository name").at("/repository");
    /// assert!(matches!(error, Error::InvalidData(detail) if detail.pointer.as_deref() == Some("/repository")));
    /// ```
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        match &mut self {
            Self::Config(detail)
            | Self::Auth(detail)
            | Self::Transient(detail)
            | Self::InvalidData(detail)
            | Self::Unsupported(detail)
            | Self::Internal(detail) => detail.pointer = Some(pointer.into()),
            Self::RateLimited(_) => {}
        }
        self
    }

    /// Reads "the vendor knows no such thing" as "the configuration names the wrong thing": turns `invalid-data` into
    /// `config` at `pointer`. For requests whose path comes from the configuration.
    #[must_use]
    pub fn blame_config(self, pointer: impl Into<String>) -> Self {
        match self {
            Self::InvalidData(detail) => Self::config(detail.message, pointer),
            other => other,
        }
    }

    /// What a response with an error status means: 401, and 403 without signs of a rate limit, are `auth`; 429, and 403
    /// with `retry-after` or `x-ratelimit-remaining: 0`, are `rate-limited`; 408, 425 and 5xx are `transient`; every
    /// other 4xx is `invalid-data`, see [`Error::blame_config`]; a redirect that was not followed is `transient`.
    #[must_use]
    pub fn from_response(response: &Response) -> Self {
        let status = response.status;
        let message = match words(response) {
            Some(words) => format!("the vendor answered {status}: {words}"),
            None => format!("the vendor answered {status}"),
        };
        match status {
            429 => Self::rate_limited(message, response.retry_after_ms()),
            403 if response.is_throttled() => Self::rate_limited(message, response.retry_after_ms()),
            401 | 403 => Self::auth(message),
            503 if response.header("retry-after").is_some() => {
                Self::rate_limited(message, response.retry_after_ms())
            }
            408 | 425 | 500..=599 => Self::transient(message),
            400..=499 => Self::invalid_data(message),
            _ => Self::transient(message),
        }
    }
}

impl From<http::Error> for Error {
    /// A refusal by policy is the user's (`config`: a grant is missing), a used-up budget is the author's, a vendor that
    /// can't be reached is nobody's.
    fn from(error: http::Error) -> Self {
        match error {
            http::Error::Denied(grant) => Self::Config(detail(format!("not permitted: {grant}"))),
            http::Error::RateLimited(after) => Self::rate_limited("the rate limit is used up", after),
            http::Error::CircuitOpen => {
                Self::transient("the vendor failed repeatedly and is left alone for a while")
            }
            http::Error::Timeout => Self::transient("the vendor did not answer in time"),
            http::Error::Unreachable(reason) => {
                Self::transient(format!("the vendor could not be reached: {reason}"))
            }
            http::Error::Tls(reason) => {
                Self::transient(format!("no acceptable TLS with the vendor: {reason}"))
            }
            http::Error::Protocol(reason) => {
                Self::transient(format!("the vendor broke the HTTP protocol: {reason}"))
            }
            http::Error::TooLarge(cap) => {
                Self::invalid_data(format!("the vendor's response is larger than {cap} bytes"))
            }
            http::Error::Budget(which) => Self::internal(format!("the call's budget is used up: {which}")),
        }
    }
}

fn detail(message: impl Into<String>) -> Detail {
    Detail {
        message: message.into(),
        pointer: None,
    }
}

/// What the vendor says in the body, where it is a JSON object with one of the usual members; never HTML.
fn words(response: &Response) -> Option<String> {
    let body: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&response.body).ok()?;
    let text = ["message", "error_description", "error", "detail", "title"]
        .iter()
        .find_map(|name| {
            let value = body.get(*name)?;
            value.as_str().or_else(|| value.get("message")?.as_str())
        })?;
    Some(text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Response {
            status,
            headers,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_status_becomes_the_case_of_who_must_act() {
        let of = |status, headers: &[(&str, &str)]| Error::from_response(&response(status, headers, ""));
        assert!(matches!(of(401, &[]), Error::Auth(_)));
        assert!(matches!(of(403, &[]), Error::Auth(_)));
        assert!(matches!(
            of(403, &[("x-ratelimit-remaining", "7")]),
            Error::Auth(_)
        ));
        assert!(matches!(
            of(403, &[("X-RateLimit-Remaining", "0")]),
            Error::RateLimited(_)
        ));
        assert!(matches!(of(404, &[]), Error::InvalidData(_)));
        assert!(matches!(of(422, &[]), Error::InvalidData(_)));
        assert!(matches!(of(500, &[]), Error::Transient(_)));
        assert!(matches!(of(302, &[]), Error::Transient(_)));
        let Error::RateLimited(wait) = of(429, &[("retry-after", "7")]) else {
            panic!("429 is a rate limit")
        };
        assert_eq!(wait.retry_after_ms, Some(7_000));
    }

    #[test]
    fn the_vendors_words_are_kept_short_and_never_html() {
        let message = |body: &str| match Error::from_response(&response(404, &[], body)) {
            Error::InvalidData(detail) => detail.message,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            message(r#"{"message":"Not Found"}"#),
            "the vendor answered 404: Not Found"
        );
        assert_eq!(
            message(r#"{"error":{"message":"no"}}"#),
            "the vendor answered 404: no"
        );
        assert_eq!(message("<html>no</html>"), "the vendor answered 404");
        assert!(message(&format!(r#"{{"message":"{}"}}"#, "x".repeat(9_999))).len() < 400);
    }

    #[test]
    fn a_missing_thing_named_by_the_configuration_is_a_configuration_error() {
        let error = Error::from_response(&response(404, &[], "")).blame_config("/repositories/3");
        assert!(matches!(error, Error::Config(d) if d.pointer.as_deref() == Some("/repositories/3")));
    }
}
