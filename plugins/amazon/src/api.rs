//! The two APIs: SES in JSON ("Amazon SES API v2"), SNS as forms that are answered in XML ("Amazon SNS API reference"); and how each
//! says no ("Common errors").

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Error, http::encode};

use crate::config::Config;

/// The auth scheme that signs for SNS.
pub(crate) const TOPICS: &str = "topics";

/// The most characters of a code or a message that are told.
const MAX_WORDS: usize = 300;

pub(crate) fn get(config: &Config, path: &str) -> Request {
    http::get(format!("{}/{path}", config.ses()))
}

pub(crate) fn post(config: &Config, path: &str) -> Request {
    http::post(format!("{}/{path}", config.ses()))
}

pub(crate) fn delete(config: &Config, path: &str) -> Request {
    http::delete(format!("{}/{path}", config.ses()))
}

/// A request of SNS, which is done when it is answered.
pub(crate) fn topics(config: &Config, action: &str, parameters: &[(&str, &str)]) -> Result<Response, Error> {
    let mut form = format!("Action={action}&Version=2010-03-31");
    for (name, value) in parameters {
        form.push_str(&format!("&{name}={}", encode(value)));
    }
    let request = http::post(config.sns())
        .credential(TOPICS)
        .body("application/x-www-form-urlencoded", form);
    ok(request.send()?)
}

/// SNS's answer, of which every one is a document of XML.
pub(crate) fn xml<T: DeserializeOwned>(response: &Response) -> Result<T, Error> {
    quick_xml::de::from_str(response.text()?)
        .map_err(|error| Error::invalid_data(format!("the answer of SNS could not be read: {error}")))
}

/// The response if it is one of success.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let Refusal { code, message } = refusal(&response);
    let by_status = Error::from_response(&response);
    if code.is_empty() {
        return Err(by_status);
    }
    let words = format!("AWS answered {}: {code}: {message}", response.status);
    Err(match code.as_str() {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "LimitExceededException"
        | "RequestThrottled" => Error::rate_limited(words, response.retry_after_ms()),
        "RequestExpired" | "RequestTimeTooSkewed" => Error::transient(words),
        "ExpiredToken" | "ExpiredTokenException" | "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            Error::auth(words)
        }
        _ => match by_status {
            Error::Auth(_) => Error::auth(words),
            Error::Transient(_) => Error::transient(words),
            Error::RateLimited(throttle) => Error::rate_limited(words, throttle.retry_after_ms),
            _ => Error::invalid_data(words),
        },
    })
}

/// Whether the answer says this code.
pub(crate) fn says(response: &Response, code: &str) -> bool {
    refusal(response).code == code
}

struct Refusal {
    code: String,
    message: String,
}

/// SES says the code in a header, sometimes with an address behind it, and SNS in its XML.
fn refusal(response: &Response) -> Refusal {
    #[derive(Deserialize)]
    struct Json<'a> {
        #[serde(borrow, default)]
        message: Text<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        error: Inner,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Inner {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let cut = |text: &str| record::words(text, MAX_WORDS);
    if let Some(code) = response.header("x-amzn-errortype") {
        let body = response.json::<Json<'_>>();
        return Refusal {
            code: cut(code.split(':').next().unwrap_or_default()),
            message: body.map_or_else(|_| String::new(), |body| cut(body.message.as_str())),
        };
    }
    let document: Option<Document> = response
        .text()
        .ok()
        .and_then(|text| quick_xml::de::from_str(text).ok());
    document.map_or_else(
        || Refusal {
            code: String::new(),
            message: String::new(),
        },
        |found| Refusal {
            code: cut(&found.error.code),
            message: cut(&found.error.message),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::answer;

    #[test]
    fn refusals_are_told_apart() {
        let of_ses = |status: u16, code: &str| {
            let headers = [("x-amzn-ErrorType", code)];
            ok(answer(status, &headers, r#"{"message":"Said by SES"}"#).unwrap()).unwrap_err()
        };
        assert!(matches!(
            of_ses(429, "TooManyRequestsException"),
            Error::RateLimited(_)
        ));
        assert!(matches!(
            of_ses(400, "LimitExceededException"),
            Error::RateLimited(_)
        ));
        assert!(matches!(of_ses(403, "AccessDeniedException"), Error::Auth(_)));
        assert!(matches!(of_ses(400, "ExpiredTokenException"), Error::Auth(_)));
        let refused = of_ses(400, "MessageRejected:http://internal.amazon.com/coral/");
        assert!(
            matches!(refused, Error::InvalidData(detail) if detail.message == "AWS answered 400: MessageRejected: Said by SES")
        );
        let of_sns = |status: u16, code: &str| {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>Said by SNS</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            );
            ok(answer(status, &[], &body).unwrap()).unwrap_err()
        };
        assert!(matches!(of_sns(403, "AuthorizationError"), Error::Auth(_)));
        assert!(matches!(of_sns(400, "Throttling"), Error::RateLimited(_)));
        assert!(matches!(of_sns(404, "NotFound"), Error::InvalidData(_)));
        assert!(matches!(of_sns(500, "InternalError"), Error::Transient(_)));
        assert!(matches!(
            ok(answer(503, &[], "<html>").unwrap()),
            Err(Error::Transient(_))
        ));
    }
}
