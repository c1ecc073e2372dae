//! SendGrid's API, version 3: where it is, and how it says no ("Errors").

use serde::Deserialize;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Detail, Error};

/// The only address this connector knows; `connector.toml` asks for nothing else.
const ROOT: &str = "https://api.sendgrid.com/v3";

pub(crate) fn get(path: &str) -> Request {
    request("GET", path)
}

pub(crate) fn request(method: &str, path: &str) -> Request {
    http::request(method, format!("{ROOT}/{path}"))
}

/// The response if it is one of success, and else SendGrid's own words: `{"errors": [{"message": …, "field": …}]}`.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow)]
        errors: Vec<Said<'a>>,
    }
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow, default)]
        message: Text<'a>,
        #[serde(borrow, default)]
        field: Text<'a>,
    }
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let said = response.json::<Refusal<'_>>().ok().and_then(|refusal| {
        let first = refusal.errors.into_iter().next()?;
        let field = first.field.as_str();
        let where_ = if field.is_empty() {
            String::new()
        } else {
            format!(" ({field})")
        };
        Some(record::words(&format!("{}{where_}", first.message.as_str()), 300))
    });
    let Some(said) = said else {
        return Err(Error::from_response(&response));
    };
    let words = |detail: Detail| Detail {
        message: format!("{}: {said}", detail.message),
        ..detail
    };
    Err(match Error::from_response(&response) {
        Error::Auth(detail) => Error::Auth(words(detail)),
        Error::InvalidData(detail) => Error::InvalidData(words(detail)),
        Error::Transient(detail) => Error::Transient(words(detail)),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn refusals_carry_sendgrids_words() {
        let refused = |status, body: &str| ok(testing::answer(status, &[], body).unwrap()).unwrap_err();
        let from = r#"{"errors":[{"message":"The from address does not match a verified Sender Identity.","field":"from","help":null}]}"#;
        assert!(
            matches!(refused(403, from), Error::Auth(detail) if detail.message.ends_with("Identity. (from)"))
        );
        assert!(matches!(refused(400, from), Error::InvalidData(_)));
        assert!(matches!(
            refused(
                401,
                r#"{"errors":[{"field":null,"message":"authorization required"}]}"#
            ),
            Error::Auth(_)
        ));
        assert!(matches!(refused(502, "<html>"), Error::Transient(_)));
        assert!(matches!(refused(429, from), Error::RateLimited(_)));
    }
}
