//! Notion's API: where it is, in which version, and how it says no (Notion docs, "Versioning", "Status codes").

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::{self, Text};

/// The only address this connector knows; `connector.toml` asks for nothing else.
const ROOT: &str = "https://api.notion.com/v1";

/// The version whose shapes `connector.toml` declares: databases have data sources since then.
pub(crate) const VERSION: &str = "2025-09-03";

/// The most entries of a page.
pub(crate) const PER_PAGE: u32 = 100;

pub(crate) fn request(method: &str, path: &str) -> Request {
    http::request(method, format!("{ROOT}/{path}")).header("notion-version", VERSION)
}

/// A list's answer.
#[derive(Deserialize)]
pub(crate) struct Listing<'a> {
    #[serde(borrow)]
    pub(crate) results: &'a RawValue,
    #[serde(default)]
    has_more: bool,
    #[serde(borrow, default)]
    next_cursor: Text<'a>,
}

impl Listing<'_> {
    /// The cursor of the next page; empty at the end.
    pub(crate) fn next(&self) -> Result<&str, Error> {
        match (self.has_more, self.next_cursor.as_str()) {
            (true, "") => Err(Error::invalid_data(
                "Notion says that there is more and gives nothing to go on from",
            )),
            (true, next) => Ok(next),
            (false, _) => Ok(""),
        }
    }
}

/// The response if it is one of success. Two edits at once are a conflict, which passes.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    let status = response.status;
    response.ok().map_err(|error| match error {
        Error::InvalidData(detail) if status == 409 => Error::Transient(detail),
        error => error,
    })
}

/// Whether the cursor that was sent is no longer one.
pub(crate) fn is_stale(response: &Response) -> bool {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow, default)]
        code: Text<'a>,
        #[serde(borrow, default)]
        message: Text<'a>,
    }
    response.status == 400
        && response.json::<Refusal<'_>>().is_ok_and(|refusal| {
            refusal.code.as_str() == "validation_error" && refusal.message.as_str().contains("start_cursor")
        })
}

/// Whether it is an id: 32 hexadecimal digits, with or without their dashes. Nothing else becomes part of a path.
pub(crate) fn is_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 32 && text.len() <= 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// A response's text with its id and time, as a record.
pub(crate) fn item(response: &Response) -> Result<sluice_sdk::Item, Error> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        id: Text<'a>,
        #[serde(rename = "last_edited_time", borrow, default)]
        edited: Text<'a>,
    }
    let head: Head<'_> = response.json()?;
    Ok(record::item(
        head.id.as_str(),
        response.text()?,
        head.edited.timestamp(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn refused(status: u16, code: &str) -> Error {
        let body =
            format!(r#"{{"object":"error","status":{status},"code":"{code}","message":"Said by Notion"}}"#);
        ok(testing::answer(status, &[("retry-after", "7")], &body).unwrap()).unwrap_err()
    }

    #[test]
    fn refusals_are_told_apart() {
        assert!(
            matches!(refused(401, "unauthorized"), Error::Auth(detail) if detail.message.contains("Said by Notion"))
        );
        assert!(matches!(
            refused(403, "restricted_resource"),
            Error::RateLimited(_) | Error::Auth(_)
        ));
        assert!(matches!(refused(404, "object_not_found"), Error::InvalidData(_)));
        assert!(matches!(refused(400, "validation_error"), Error::InvalidData(_)));
        assert!(matches!(refused(409, "conflict_error"), Error::Transient(_)));
        assert!(
            matches!(refused(429, "rate_limited"), Error::RateLimited(wait) if wait.retry_after_ms == Some(7_000))
        );
        assert!(matches!(
            refused(500, "internal_server_error"),
            Error::Transient(_)
        ));
    }

    #[test]
    fn ids() {
        assert!(is_id("0d00000000000000000000000000000a"));
        assert!(is_id("0d000000-0000-0000-0000-00000000000a"));
        for bad in [
            "",
            "0d",
            "0d000000-0000-0000-0000-00000000000g",
            "0d00000000000000000000000000000a/x",
        ] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
