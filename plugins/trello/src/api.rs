//! Trello's REST API: where it is, and what its answers mean.

use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};

use crate::config::Config;

/// The only address this connector knows; `connector.toml` asks for nothing else.
const ROOT: &str = "https://api.trello.com/1";

/// The longest plain text of a refusal that is taken for words, in bytes.
const MAX_WORDS: usize = 200;

/// A request of this path, with the application's key where the configuration has it: Trello's key is public and says only
/// which application asks (Trello docs, "API introduction"). Under OAuth it is part of the signature instead.
pub(crate) fn request(config: &Config, method: &str, path: &str) -> Request {
    let request = http::request(method, format!("{ROOT}/{path}")).header("accept", "application/json");
    match &config.api_key {
        Some(key) => request.query("key", key),
        None => request,
    }
}

/// A GET of this path.
pub(crate) fn get(config: &Config, path: &str) -> Request {
    request(config, "GET", path)
}

/// The response if it is a success. Trello refuses in plain text ("invalid token"), and those are its words.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let plain = response
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/plain"));
    let words = response
        .text()
        .ok()
        .filter(|text| plain && text.len() <= MAX_WORDS);
    let body = match words {
        Some(words) => serde_json::json!({ "message": words.trim() })
            .to_string()
            .into_bytes(),
        None => response.body.clone(),
    };
    Err(Error::from_response(&Response { body, ..response }))
}

/// Whether it is an object's id: 24 hexadecimal digits, that sort by the time of creation (Trello docs, "API
/// introduction"). Nothing else that Trello sends becomes part of a path.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 24
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, kind: &str, body: &str) -> Error {
        ok(Response {
            status,
            headers: vec![("Content-Type".to_owned(), kind.to_owned())],
            body: body.as_bytes().to_vec(),
        })
        .unwrap_err()
    }

    #[test]
    fn a_refusal_says_who_must_act() {
        assert!(
            matches!(refused(401, "text/plain", "invalid key"), Error::Auth(d) if d.message.contains("invalid key"))
        );
        assert!(
            matches!(refused(400, "text/plain", "invalid \"id\""), Error::InvalidData(d) if d.message.contains("\"id\""))
        );
        let body = r#"{"error":"API_TOKEN_LIMIT_EXCEEDED","message":"Rate limit exceeded"}"#;
        assert!(matches!(
            refused(429, "application/json", body),
            Error::RateLimited(_)
        ));
        assert!(matches!(refused(503, "text/html", "<html>"), Error::Transient(_)));
        assert!(
            matches!(refused(400, "text/plain", &"x".repeat(9_999)), Error::InvalidData(d) if d.message.len() < 100)
        );
    }

    #[test]
    fn ids() {
        assert!(is_id("5f0000000000000000000001"));
        for text in [
            "",
            "5f",
            "../../../../../../../../",
            "5F0000000000000000000001",
            "5f000000000000000000000g",
        ] {
            assert!(!is_id(text), "{text}");
        }
    }
}
