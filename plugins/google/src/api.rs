//! Google's APIs: where they are, and how they say no.

use serde::Deserialize;
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::Text;

/// Calendar and Drive.
pub(crate) const ROOT: &str = "https://www.googleapis.com";

/// Who the token belongs to (`userinfo_endpoint` of Google's discovery document).
pub(crate) const USERINFO: &str = "https://openidconnect.googleapis.com/v1/userinfo";

/// The longest page, sync or change token that is carried on: a cursor has 64 KiB for those of 40 calendars.
const MAX_TOKEN_BYTES: usize = 1_024;

pub(crate) fn get(url: impl Into<String>) -> Request {
    http::get(url)
}

/// The response if it is one of success. Google answers 403 to what is too much, to what the token may not do, and to an
/// API that is switched off; its reason tells them apart (Calendar API, "Handle API errors"; Drive API, "Resolve errors").
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    let reason = match response.status {
        403 => reason(&response),
        _ => String::new(),
    };
    let wait = response.retry_after_ms();
    response.ok().map_err(|error| match (reason.as_str(), error) {
        (
            "rateLimitExceeded"
            | "userRateLimitExceeded"
            | "quotaExceeded"
            | "dailyLimitExceeded"
            | "sharingRateLimitExceeded",
            Error::Auth(detail),
        ) => Error::rate_limited(detail.message, wait),
        ("accessNotConfigured" | "SERVICE_DISABLED", Error::Auth(detail)) => Error::Config(detail),
        (_, error) => error,
    })
}

/// `{"error": {"errors": [{"reason": …}]}}`; empty where there is none.
pub(crate) fn reason(response: &Response) -> String {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        error: Fault<'a>,
    }
    #[derive(Deserialize)]
    struct Fault<'a> {
        #[serde(borrow, default)]
        errors: Vec<Reason<'a>>,
    }
    #[derive(Deserialize)]
    struct Reason<'a> {
        #[serde(borrow, default)]
        reason: Text<'a>,
    }
    let answer: Option<Answer<'_>> = response.json().ok();
    let reasons = answer.map(|answer| answer.error.errors).unwrap_or_default();
    reasons
        .first()
        .map_or("", |first| first.reason.as_str())
        .to_owned()
}

/// A token of an answer, if there is one and it can be carried on; `before` is the one that led here.
pub(crate) fn token(text: &Text<'_>, before: Option<&str>) -> Result<Option<String>, Error> {
    let token = text.as_str();
    if token.is_empty() {
        return Ok(None);
    }
    if token.len() > MAX_TOKEN_BYTES || Some(token) == before {
        return Err(Error::invalid_data(
            "Google's token leads nowhere: it is the same again, or too long",
        ));
    }
    Ok(Some(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn refused(status: u16, body: &str) -> Error {
        ok(testing::answer(status, &[("retry-after", "7")], body).unwrap()).unwrap_err()
    }

    #[test]
    fn a_403_is_what_its_reason_says() {
        let of = |reason: &str| {
            let answer = testing::answer(
                403,
                &[],
                &format!(
                    r#"{{"error":{{"code":403,"message":"Said by Google","errors":[{{"reason":"{reason}"}}]}}}}"#
                ),
            );
            ok(answer.unwrap()).unwrap_err()
        };
        assert!(matches!(of("userRateLimitExceeded"), Error::RateLimited(_)));
        assert!(matches!(of("accessNotConfigured"), Error::Config(_)));
        assert!(
            matches!(of("insufficientPermissions"), Error::Auth(detail) if detail.message.contains("Said by Google"))
        );
        assert!(matches!(refused(401, "{}"), Error::Auth(_)));
        assert!(matches!(refused(429, "{}"), Error::RateLimited(wait) if wait.retry_after_ms == Some(7_000)));
        assert!(matches!(refused(500, "<html>"), Error::Transient(_)));
        assert!(matches!(refused(404, "{}"), Error::InvalidData(_)));
    }

    #[test]
    fn a_token_has_to_lead_on() {
        let text = |text: &'static str| Text(Some(text.into()));
        assert_eq!(token(&Text(None), None).unwrap(), None);
        assert_eq!(token(&text("b"), Some("a")).unwrap().as_deref(), Some("b"));
        assert!(token(&text("a"), Some("a")).is_err());
        assert!(token(&Text(Some("a".repeat(2_000).into())), None).is_err());
    }
}
