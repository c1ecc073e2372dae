//! Dropbox's API: where it is, how it is called, and how it says no (HTTP documentation, "Request and response formats",
//! "Errors").

use serde::{Deserialize, Serialize};
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::{self, Text};

/// Calls whose arguments and answers are JSON.
const RPC: &str = "https://api.dropboxapi.com";

/// Calls whose body is a file's.
const CONTENT: &str = "https://content.dropboxapi.com";

/// A call with its arguments; `()` for one that takes none, which wants `null`.
pub(crate) fn call<T: Serialize>(path: &str, arguments: &T) -> Result<Request, Error> {
    http::post(format!("{RPC}{path}")).json(arguments)
}

/// A call that carries a file: its arguments are in a header, where JSON has to be ASCII ("JSON encoding").
pub(crate) fn upload<T: Serialize>(path: &str, arguments: &T, content: Vec<u8>) -> Result<Request, Error> {
    let arguments = ascii(&record::text(arguments)?);
    Ok(http::post(format!("{CONTENT}{path}"))
        .header("dropbox-api-arg", arguments)
        .body("application/octet-stream", content))
}

/// A call whose answer is a file's content; its arguments are in a header, too.
pub(crate) fn download<T: Serialize>(path: &str, arguments: &T) -> Result<Request, Error> {
    let arguments = ascii(&record::text(arguments)?);
    Ok(http::post(format!("{CONTENT}{path}")).header("dropbox-api-arg", arguments))
}

/// JSON with everything that is not printable ASCII as `\uXXXX`. In JSON such characters stand within texts only.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && character != '\u{7f}' {
            escaped.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

/// What a refusal of a call says: its tags from the outside to the inside, as `path/not_found`.
pub(crate) fn summary(response: &Response) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow, default)]
        error_summary: Text<'a>,
    }
    if (200..300).contains(&response.status) {
        return None;
    }
    let refusal: Refusal<'_> = response.json().ok()?;
    // A suffix of dots and letters is there to keep anybody from comparing the whole.
    let text = refusal.error_summary.as_str().trim_end_matches(['.', '/']);
    let plain = text.chars().filter(|c| !c.is_control()).take(200);
    Some(plain.collect::<String>()).filter(|text| !text.is_empty())
}

/// Whether a call is refused with this tag first.
pub(crate) fn is_refused_as(response: &Response, tag: &str) -> bool {
    response.status == 409 && summary(response).is_some_and(|summary| summary.split('/').next() == Some(tag))
}

/// The response if it is one of success. 409 is the call's own refusal, 401 and 403 the token's, 429 too much at once.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    let Some(summary) = summary(&response) else {
        return response.ok();
    };
    let message = format!("Dropbox answered {} `{summary}`", response.status);
    let first = summary.split('/').next().unwrap_or_default();
    Err(match (response.status, first) {
        (_, "too_many_requests" | "too_many_write_operations") => {
            Error::rate_limited(message, response.retry_after_ms())
        }
        (409, "internal_error") => Error::transient(message),
        (409, _) => Error::invalid_data(message),
        _ => match Error::from_response(&response) {
            Error::Auth(_) => Error::auth(message),
            Error::RateLimited(throttle) => Error::rate_limited(message, throttle.retry_after_ms),
            Error::Transient(_) => Error::transient(message),
            _ => Error::invalid_data(message),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn refused(status: u16, summary: &str) -> Error {
        let body = format!(r#"{{"error_summary":"{summary}","error":{{".tag":"x"}}}}"#);
        ok(testing::answer(status, &[("retry-after", "7")], &body).unwrap()).unwrap_err()
    }

    #[test]
    fn a_refusal_becomes_the_case_of_who_must_act() {
        assert!(
            matches!(refused(401, "expired_access_token/.."), Error::Auth(detail)
            if detail.message == "Dropbox answered 401 `expired_access_token`")
        );
        assert!(matches!(refused(401, "missing_scope/..."), Error::Auth(_)));
        assert!(matches!(
            refused(403, "no_permission/"),
            Error::RateLimited(_) | Error::Auth(_)
        ));
        assert!(
            matches!(refused(429, "too_many_requests/."), Error::RateLimited(wait) if wait.retry_after_ms == Some(7_000))
        );
        assert!(matches!(refused(409, "path/not_found/.."), Error::InvalidData(_)));
        assert!(matches!(refused(500, "x"), Error::Transient(_)));
        let plain = testing::answer(400, &[], "Error in call to API function").unwrap();
        assert!(matches!(ok(plain), Err(Error::InvalidData(_))));
    }

    #[test]
    fn a_tag_is_not_the_beginning_of_another() {
        let of = |body: &str| testing::answer(409, &[], body).unwrap();
        assert!(is_refused_as(
            &of(include_str!("../fixtures/reset.json")),
            "reset"
        ));
        assert!(!is_refused_as(&of(r#"{"error_summary":"path/reset/"}"#), "reset"));
        assert!(!is_refused_as(&of(r#"{"error_summary":"resetting/"}"#), "reset"));
        assert!(!is_refused_as(
            &testing::answer(200, &[], r#"{"error_summary":"reset/"}"#).unwrap(),
            "reset"
        ));
    }

    #[test]
    fn arguments_in_a_header_are_ascii() {
        let request = upload(
            "/2/files/upload",
            &serde_json::json!({"path":"/Türen 🚪"}),
            vec![1],
        )
        .unwrap();
        assert_eq!(
            request.header_value("dropbox-api-arg"),
            Some(r#"{"path":"/T\u00fcren \ud83d\udeaa"}"#)
        );
    }
}
