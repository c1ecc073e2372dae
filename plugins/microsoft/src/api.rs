//! Microsoft Graph: where it is, what every request to it says, and how its lists go on ("Use the Microsoft Graph API", "Paging",
//! "Throttling guidance", "Error responses").

use serde::Deserialize;
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::Text;

/// The only address this connector knows; `connector.toml` asks for nothing else.
const ROOT: &str = "https://graph.microsoft.com/v1.0";

/// Ids that stay the same when an item is moved ("Obtain immutable identifiers"), and pages of fifty.
const PREFER: &str = "IdType=\"ImmutableId\", odata.maxpagesize=50";

pub(crate) fn request(method: &str, path: &str) -> Request {
    http::request(method, format!("{ROOT}/{path}")).header("prefer", PREFER)
}

pub(crate) fn get(path: &str) -> Request {
    request("GET", path)
}

/// The response if it is one of success. A mailbox that cannot be read is the configuration's or the permission's.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let code = code(&response);
    Err(match Error::from_response(&response) {
        Error::InvalidData(detail) if code == "InvalidAuthenticationToken" => Error::auth(detail.message),
        Error::InvalidData(detail) if code == "ErrorInvalidUser" || code == "Request_ResourceNotFound" => {
            Error::config(detail.message, "/user")
        }
        Error::InvalidData(detail) if !code.is_empty() => {
            Error::invalid_data(format!("{} ({code})", detail.message))
        }
        other => other,
    })
}

/// `{"error": {"code": …}}`; empty where there is none.
pub(crate) fn code(response: &Response) -> String {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        error: Inner<'a>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow, default)]
        code: Text<'a>,
    }
    let answer = response.json::<Answer<'_>>();
    answer.map_or_else(
        |_| String::new(),
        |answer| sluice_sdk::record::words(answer.error.code.as_str(), 100),
    )
}

/// The parameter of a link that leads on: which one and its value, decoded. The rest of a link is not taken.
pub(crate) fn token(link: &str) -> Option<(&'static str, String)> {
    let (_, query) = link.split_once('?')?;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        let name = decode(name)?.to_ascii_lowercase();
        let known = ["$skiptoken", "$deltatoken", "$skip"];
        if let Some(known) = known.into_iter().find(|known| *known == name) {
            return Some((known, decode(value).filter(|value| !value.is_empty())?));
        }
    }
    None
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::answer;

    #[test]
    fn refusals_are_told_apart() {
        let of = |status: u16, code: &str| {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"Said by Graph"}}}}"#);
            ok(answer(status, &[], &body).unwrap()).unwrap_err()
        };
        assert!(matches!(of(401, "InvalidAuthenticationToken"), Error::Auth(_)));
        assert!(matches!(of(403, "ErrorAccessDenied"), Error::Auth(_)));
        assert!(matches!(of(404, "ErrorInvalidUser"), Error::Config(_)));
        assert!(
            matches!(of(400, "BadRequest"), Error::InvalidData(detail) if detail.message.contains("BadRequest"))
        );
        assert!(matches!(of(429, "TooManyRequests"), Error::RateLimited(_)));
        assert!(matches!(of(503, "ServiceUnavailable"), Error::Transient(_)));
    }

    #[test]
    fn of_a_link_only_its_token_is_taken() {
        let check = |link: &str, expected: Option<(&str, &str)>| {
            let found = token(link);
            assert_eq!(
                found.as_ref().map(|(name, value)| (*name, value.as_str())),
                expected,
                "{link}"
            );
        };
        let root = "https://graph.microsoft.com/v1.0/me/mailFolders('inbox')/messages/delta";
        check(&format!("{root}?$skiptoken=a%2Bb"), Some(("$skiptoken", "a+b")));
        check(
            &format!("{root}?%24deltatoken=x_-1"),
            Some(("$deltatoken", "x_-1")),
        );
        check("https://evil.example/?x=1&$skip=10", Some(("$skip", "10")));
        check(root, None);
        check(&format!("{root}?$skiptoken="), None);
        check(&format!("{root}?$skiptoken=%zz"), None);
    }
}
