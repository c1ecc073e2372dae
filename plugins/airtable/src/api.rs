//! Airtable's Web API: where it is, and how it says no (Airtable docs, "Errors", "Rate limits").

use serde::Deserialize;
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::{self, Text};

/// The only address this connector knows; `connector.toml` asks for nothing else.
pub(crate) const ROOT: &str = "https://api.airtable.com/v0";

/// Over its rate, a base answers nothing for this long, in milliseconds.
const LOCKED_MS: u64 = 30_000;

pub(crate) fn get(path: &str) -> Request {
    http::get(format!("{ROOT}/{path}"))
}

pub(crate) fn post(path: &str) -> Request {
    http::post(format!("{ROOT}/{path}"))
}

pub(crate) fn delete(path: &str) -> Request {
    http::delete(format!("{ROOT}/{path}"))
}

/// The response if it is one of success. What is not there and what the token may not reach are the same 403.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let kind = kind(&response);
    Err(match (response.status, Error::from_response(&response)) {
        (429, Error::RateLimited(wait)) => {
            Error::rate_limited(wait.message, wait.retry_after_ms.or(Some(LOCKED_MS)))
        }
        (403, Error::Auth(detail)) if kind.contains("NOT_FOUND") => Error::config(detail.message, "/bases"),
        (_, error) => error,
    })
}

/// `{"error": {"type": …}}`, or `{"error": "NOT_FOUND"}`; empty where there is none.
pub(crate) fn kind(response: &Response) -> String {
    #[derive(Deserialize)]
    struct Long<'a> {
        #[serde(borrow)]
        error: Inner<'a>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(rename = "type", borrow, default)]
        kind: Text<'a>,
    }
    #[derive(Deserialize)]
    struct Short<'a> {
        #[serde(borrow, default)]
        error: Text<'a>,
    }
    if let Ok(long) = response.json::<Long<'_>>() {
        return record::words(long.error.kind.as_str(), 100);
    }
    let short = response.json::<Short<'_>>();
    short.map_or_else(
        |_| String::new(),
        |short| record::words(short.error.as_str(), 100),
    )
}

/// Whether it is an id of this kind (`app`, `tbl`, `rec`); nothing else becomes part of a path.
pub(crate) fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 14 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn refused(status: u16, body: &str) -> Error {
        ok(testing::answer(status, &[], body).unwrap()).unwrap_err()
    }

    #[test]
    fn refusals_are_told_apart() {
        let of = |status, kind: &str| {
            refused(
                status,
                &format!(r#"{{"error":{{"type":"{kind}","message":"Said by Airtable"}}}}"#),
            )
        };
        assert!(matches!(of(401, "AUTHENTICATION_REQUIRED"), Error::Auth(_)));
        assert!(matches!(of(403, "INVALID_PERMISSIONS"), Error::Auth(_)));
        assert!(matches!(
            of(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"),
            Error::Config(detail) if detail.message.contains("Said by Airtable")
        ));
        assert!(matches!(
            of(422, "INVALID_VALUE_FOR_COLUMN"),
            Error::InvalidData(_)
        ));
        assert!(matches!(
            refused(404, r#"{"error":"NOT_FOUND"}"#),
            Error::InvalidData(_)
        ));
        assert!(
            matches!(refused(429, r#"{"errors":[]}"#), Error::RateLimited(wait) if wait.retry_after_ms == Some(30_000))
        );
        assert!(matches!(refused(503, "<html>"), Error::Transient(_)));
    }

    #[test]
    fn ids() {
        assert!(is_id("appDoorsDoors0001", "app"));
        for bad in [
            "",
            "app",
            "tblDoorsDoors0001",
            "appDoorsDoors00012",
            "appDoors/../00001",
        ] {
            assert!(!is_id(bad, "app"), "{bad}");
        }
    }
}
