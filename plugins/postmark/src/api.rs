//! Postmark's API: where it is, and how it says no ("API overview", "Error codes").

use serde::Deserialize;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Connection, Error};

/// The only address this connector knows; `connector.toml` asks for nothing else.
const ROOT: &str = "https://api.postmarkapp.com";

pub(crate) fn get(path: &str) -> Request {
    request("GET", path)
}

/// Postmark answers in JSON where it is asked to.
pub(crate) fn request(method: &str, path: &str) -> Request {
    http::request(method, format!("{ROOT}/{path}")).header("accept", "application/json")
}

/// The response if it is one of success, and else Postmark's own words: `{"ErrorCode": 300, "Message": …}`.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(rename = "ErrorCode", default)]
        code: i64,
        #[serde(rename = "Message", borrow, default)]
        message: Text<'a>,
    }
    let said = |response: &Response| {
        let refusal: Refusal<'_> = response.json().ok()?;
        let words = record::words(refusal.message.as_str(), 300);
        (!words.is_empty()).then(|| {
            format!(
                "Postmark answered {}: {words} ({})",
                response.status, refusal.code
            )
        })
    };
    match (response.status, said(&response)) {
        (200..=299, _) => Ok(response),
        (401 | 403, Some(words)) => Err(Error::auth(words)),
        (422 | 404 | 400, Some(words)) => Err(Error::invalid_data(words)),
        _ => Err(Error::from_response(&response)),
    }
}

/// The message stream of the connection.
pub(crate) fn message_stream(connection: &Connection) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default = "outbound")]
        message_stream: String,
    }
    fn outbound() -> String {
        "outbound".to_owned()
    }
    let config: Config = connection.config()?;
    let stream = config.message_stream;
    let is_id = (1..=64).contains(&stream.len())
        && stream
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    match is_id {
        true => Ok(stream),
        false => Err(Error::config("not the id of a message stream", "/message_stream")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn refusals_carry_postmarks_words() {
        let refused = |status, body: &str| ok(testing::answer(status, &[], body).unwrap()).unwrap_err();
        let token = r#"{"ErrorCode":10,"Message":"The Server Token you provided in the X-Postmark-Server-Token request header was invalid."}"#;
        assert!(
            matches!(refused(401, token), Error::Auth(detail) if detail.message.ends_with("was invalid. (10)"))
        );
        let mail = r#"{"ErrorCode":300,"Message":"Invalid 'To' address: 'x'."}"#;
        assert!(
            matches!(refused(422, mail), Error::InvalidData(detail) if detail.message.contains("Invalid 'To'"))
        );
        assert!(matches!(refused(500, mail), Error::Transient(_)));
        assert!(matches!(refused(429, "{}"), Error::RateLimited(_)));
        assert_eq!(message_stream(&testing::connection("{}")).unwrap(), "outbound");
        let bad = testing::connection(r#"{"message_stream":"../x"}"#);
        assert!(matches!(message_stream(&bad), Err(Error::Config(_))));
    }
}
