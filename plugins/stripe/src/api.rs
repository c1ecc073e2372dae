//! Stripe's REST API: where it is, what every request to it says, and how a list is answered.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};

/// The only address this connector knows; `connector.toml` asks for nothing else.
pub(crate) const ROOT: &str = "https://api.stripe.com";

/// The version whose shapes `connector.toml` declares (Stripe API docs, "Versioning").
pub(crate) const VERSION: &str = "2024-06-20";

/// The most objects that a list gives at once (Stripe API docs, "Pagination").
pub(crate) const PER_PAGE: &str = "100";

/// A GET in our version, whatever version the account is at.
pub(crate) fn get(path: &str) -> Request {
    http::get(format!("{ROOT}{path}")).header("stripe-version", VERSION)
}

/// A POST of a form in our version.
pub(crate) fn post(path: &str, form: String) -> Request {
    http::post(format!("{ROOT}{path}"))
        .header("stripe-version", VERSION)
        .body("application/x-www-form-urlencoded", form)
}

/// A DELETE in our version.
pub(crate) fn delete(path: &str) -> Request {
    http::delete(format!("{ROOT}{path}")).header("stripe-version", VERSION)
}

/// The response if it is one of success (Stripe API docs, "Errors"). 409 is a request that met another one.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    let conflict = response.status == 409;
    response.ok().map_err(|error| match error {
        Error::InvalidData(detail) if conflict => Error::Transient(detail),
        other => other,
    })
}

/// Whether a list refuses the object that it was to go on from: the object is gone.
pub(crate) fn is_missing_place(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        error: Fault,
    }
    #[derive(Deserialize)]
    struct Fault {
        code: Option<String>,
        param: Option<String>,
    }
    if !matches!(response.status, 400 | 404) {
        return false;
    }
    response.json::<Answer>().is_ok_and(|answer| {
        answer.error.code.as_deref() == Some("resource_missing")
            && matches!(
                answer.error.param.as_deref(),
                Some("starting_after" | "ending_before")
            )
    })
}

/// A list's answer.
#[derive(Deserialize)]
pub(crate) struct List<'a> {
    /// An array, taken apart by [`sluice_sdk::record::each`].
    #[serde(borrow)]
    pub(crate) data: &'a RawValue,
    /// Whether there is more in the direction that was asked for.
    #[serde(default)]
    pub(crate) has_more: bool,
}

/// Stripe's clock, in seconds, by the response.
pub(crate) fn now_s(response: &Response) -> Option<u64> {
    Some(response.date()? / 1_000)
}

/// Whether it may stand in a path and in a cursor.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_place_that_is_gone_is_no_other_error() {
        let check = |status, body: &str, expected| {
            let response = testing::answer(status, &[], body).unwrap();
            assert_eq!(is_missing_place(&response), expected, "{body}");
        };
        let gone = include_str!("../fixtures/missing-event.json");
        check(400, gone, true);
        check(404, gone, true);
        check(200, gone, false);
        check(
            400,
            r#"{"error":{"code":"resource_missing","param":"customer"}}"#,
            false,
        );
        check(400, r#"{"error":"no"}"#, false);
        check(400, "<html>", false);
    }

    #[test]
    fn ids_cannot_leave_their_place() {
        assert!(is_id("cus_9s6XKzkNRiz8i3"));
        for bad in ["", "..", "a/b", "a?b", "a b", &"a".repeat(256)] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
