//! What a refusal of S3 means, by its code (S3 API, "Error responses"), and where it has none by its status.

use serde::Deserialize;
use sluice_sdk::Error;
use sluice_sdk::http::Response;

/// The vendor's own words are cut here, in characters.
const MAX_WORDS: usize = 300;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Words {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    region: Option<String>,
}

/// Whether the refusal has this code.
pub(crate) fn is(response: &Response, code: &str) -> bool {
    words(response).code == code
}

/// Whether there is a refusal in the body, whatever the status says.
pub(crate) fn is_refusal(response: &Response) -> bool {
    !words(response).code.is_empty()
}

/// What a response that is no success means.
pub(crate) fn of(response: &Response) -> Error {
    let words = words(response);
    let message = match (words.code.as_str(), words.message.as_str()) {
        ("", _) => return by_status(response),
        (code, "") => format!("the vendor answered {}: {code}", response.status),
        (code, message) => format!("the vendor answered {}: {code}: {message}", response.status),
    };
    match words.code.as_str() {
        "NoSuchBucket" | "InvalidBucketName" => Error::config(message, "/bucket"),
        "NoSuchKey" | "KeyTooLongError" | "InvalidObjectState" => Error::invalid_data(message).at("/key"),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            elsewhere(message, words.region.as_deref())
        }
        // Some of these come with 400.
        "AccessDenied"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "ExpiredToken"
        | "InvalidAccessKeyId"
        | "InvalidSecurity"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired"
        | "Unauthorized" => Error::auth(message),
        "SlowDown" | "TooManyRequests" => Error::rate_limited(message, response.retry_after_ms()),
        // The machine's clock is wrong, not the key.
        "RequestTimeTooSkewed" | "RequestExpired" => Error::transient(message),
        "InternalError" | "OperationAborted" | "RequestTimeout" | "ServiceUnavailable" => {
            Error::transient(message)
        }
        _ => match by_status(response) {
            Error::InvalidData(_) => Error::invalid_data(message),
            Error::Transient(_) => Error::transient(message),
            Error::Auth(_) => Error::auth(message),
            other => other,
        },
    }
}

/// A bucket that lives in another region than the endpoint's or the signature's.
fn elsewhere(message: String, region: Option<&str>) -> Error {
    match region {
        Some(region) => Error::config(
            format!("{message} (the bucket is in `{}`)", clean(region)),
            "/region",
        ),
        None => Error::config(message, "/region"),
    }
}

/// For answers without words, as those of HEAD are.
fn by_status(response: &Response) -> Error {
    if response.status == 301 || response.status == 307 {
        let message = format!("the vendor answered {}: the bucket is elsewhere", response.status);
        return elsewhere(message, response.header("x-amz-bucket-region"));
    }
    Error::from_response(response)
}

fn words(response: &Response) -> Words {
    let words: Words = response
        .text()
        .ok()
        .and_then(|xml| quick_xml::de::from_str(xml).ok())
        .unwrap_or_default();
    Words {
        code: clean(&words.code),
        message: clean(&words.message),
        region: words.region,
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> Error {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        of(&Response {
            status,
            headers,
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn a_code_says_who_must_act() {
        let code =
            |status: u16, code: &str| refused(status, &[], &format!("<Error><Code>{code}</Code></Error>"));
        assert!(matches!(code(403, "SignatureDoesNotMatch"), Error::Auth(_)));
        assert!(matches!(code(400, "ExpiredToken"), Error::Auth(_)));
        assert!(matches!(code(403, "RequestTimeTooSkewed"), Error::Transient(_)));
        assert!(matches!(code(503, "SlowDown"), Error::RateLimited(_)));
        assert!(matches!(code(500, "InternalError"), Error::Transient(_)));
        assert!(matches!(code(400, "EntityTooLarge"), Error::InvalidData(_)));
        let pointer = |error: Error| match error {
            Error::Config(detail) | Error::InvalidData(detail) => detail.pointer,
            other => panic!("{other:?}"),
        };
        assert_eq!(pointer(code(404, "NoSuchBucket")).as_deref(), Some("/bucket"));
        assert_eq!(pointer(code(404, "NoSuchKey")).as_deref(), Some("/key"));
        assert_eq!(
            pointer(code(301, "PermanentRedirect")).as_deref(),
            Some("/region")
        );
    }

    #[test]
    fn the_right_region_is_named() {
        let error = refused(400, &[], include_str!("../fixtures/wrong-region.xml"));
        assert!(matches!(error, Error::Config(detail) if detail.message.contains("eu-west-1")));
        let error = refused(301, &[("x-amz-bucket-region", "eu-west-1")], "");
        assert!(matches!(error, Error::Config(detail) if detail.message.contains("eu-west-1")));
    }

    #[test]
    fn an_answer_without_words_goes_by_its_status() {
        assert!(matches!(refused(403, &[], ""), Error::Auth(_)));
        assert!(matches!(refused(401, &[], "<html>"), Error::Auth(_)));
        assert!(matches!(refused(404, &[], "{}"), Error::InvalidData(_)));
        assert!(matches!(refused(429, &[], ""), Error::RateLimited(_)));
        assert!(matches!(refused(502, &[], "<html></html>"), Error::Transient(_)));
    }

    #[test]
    fn words_are_kept_short() {
        let body = format!(
            "<Error><Code>Odd</Code><Message>{}</Message></Error>",
            "x".repeat(9_999)
        );
        assert!(matches!(refused(400, &[], &body), Error::InvalidData(detail) if detail.message.len() < 400));
    }
}
