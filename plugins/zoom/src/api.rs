//! Zoom's API: where it is, how its lists go on ("Pagination"), and how it says no ("Error definitions").

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::Text;
use sluice_sdk::{Error, record};

/// The only address this connector knows; `connector.toml` asks for nothing else.
const ROOT: &str = "https://api.zoom.us/v2";

/// The most that a list gives at once.
pub(crate) const PER_PAGE: &str = "300";

pub(crate) fn get(path: &str) -> Request {
    request("GET", path)
}

pub(crate) fn request(method: &str, path: &str) -> Request {
    http::request(method, format!("{ROOT}/{path}"))
}

/// The response if it is one of success. 4711 and the like are scopes that the app lacks, and come with 400.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow, default)]
        message: Text<'a>,
    }
    if response.status != 400 {
        return response.ok();
    }
    let message = response.json::<Refusal<'_>>().map_or_else(
        |_| String::new(),
        |refusal| record::words(refusal.message.as_str(), 300),
    );
    Err(match message.contains("does not contain scope") {
        true => Error::auth(message),
        false => Error::from_response(&response),
    })
}

/// A page of a list: one of the arrays, and the token of the next page, empty at the end.
#[derive(Deserialize)]
pub(crate) struct Listing<'a> {
    #[serde(borrow, default)]
    pub(crate) users: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) meetings: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) next_page_token: Text<'a>,
}

/// An array that has to be there.
pub(crate) fn array<'a>(found: Option<&'a RawValue>, name: &str) -> Result<&'a str, Error> {
    found
        .map(RawValue::get)
        .ok_or_else(|| Error::invalid_data(format!("Zoom's list has no `{name}`")))
}

/// Whether it names a person; nothing else becomes part of a path.
pub(crate) fn is_user(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !matches!(text, "." | "..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.+@-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn refusals_are_told_apart() {
        let refused = |status, body: &str| ok(testing::answer(status, &[], body).unwrap()).unwrap_err();
        let scopes = r#"{"code":4711,"message":"Invalid access token, does not contain scopes:[user:read:list_users:admin]."}"#;
        assert!(matches!(refused(400, scopes), Error::Auth(detail) if detail.message.contains("list_users")));
        assert!(matches!(
            refused(400, r#"{"code":300,"message":"Invalid"}"#),
            Error::InvalidData(_)
        ));
        assert!(matches!(
            refused(401, r#"{"code":124,"message":"Access token is expired."}"#),
            Error::Auth(_)
        ));
        let wait = testing::answer(429, &[("retry-after", "3")], "{}").unwrap();
        assert!(matches!(ok(wait), Err(Error::RateLimited(wait)) if wait.retry_after_ms == Some(3_000)));
        assert!(!is_user("..") && !is_user("a/b") && is_user("mona@doors.example"));
    }
}
