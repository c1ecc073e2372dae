//! Which fields a request may carry. The broker writes Host, the framing, the authorization and the encodings itself;
//! what a guest says about them is refused, never merged.

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};

use crate::error::Error;

/// Fields of one request.
pub const MAX_FIELDS: usize = 100;
/// Bytes of all names and values of one request.
pub const MAX_BYTES: usize = 64 << 10;

const REFUSED: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "forwarded",
    "expect",
    "http2-settings",
    "via",
    "x-real-ip",
    "x-http-method-override",
    "x-method-override",
    "x-http-method",
];
const REFUSED_PREFIXES: &[&str] = &["proxy-", "x-forwarded-"];

/// Fields of a response that concern the connection and not the reader (RFC 9110 §7.6.1).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads the method: one of the seven that policy knows.
pub(crate) fn method(text: &str) -> Result<Method, Error> {
    match text {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => {
            Method::from_bytes(text.as_bytes()).map_err(|_| refuse("the method is not a method"))
        }
        _ => Err(refuse(
            "the method is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        )),
    }
}

/// Reads the fields. `Authorization` passes; the caller sees to it that it carries a placeholder.
pub(crate) fn fields(given: &[(String, String)]) -> Result<HeaderMap, Error> {
    if given.len() > MAX_FIELDS {
        return Err(refuse("it has more than 100 header fields"));
    }
    if given
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum::<usize>()
        > MAX_BYTES
    {
        return Err(refuse("its header fields have more than 64 KiB"));
    }
    let mut headers = HeaderMap::with_capacity(given.len() + 4);
    for (name, value) in given {
        let name = field_name(name)?;
        if name == ACCEPT_ENCODING {
            // Ordinary HTTP clients always ask; what is decoded is the broker's to say.
            continue;
        }
        headers.append(name, field_value(value.as_bytes())?);
    }
    Ok(headers)
}

pub(crate) fn field_name(name: &str) -> Result<HeaderName, Error> {
    let lower =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("a header name is not a token"))?;
    let text = lower.as_str();
    if REFUSED.contains(&text) || REFUSED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
        return Err(refuse(&format!("the header `{text}` is set by the host")));
    }
    Ok(lower)
}

/// RFC 9110 §5.5: visible characters, space, tab and obs-text; nothing else, and no folding.
pub(crate) fn field_value(value: &[u8]) -> Result<HeaderValue, Error> {
    HeaderValue::from_bytes(value).map_err(|_| refuse("a header value has a control character"))
}

/// What the broker itself adds.
pub(crate) fn complete(headers: &mut HeaderMap) {
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    if !headers.contains_key(USER_AGENT) {
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("sluice/", env!("CARGO_PKG_VERSION"))),
        );
    }
}

/// Drops what a hop to another origin must not carry.
pub(crate) fn drop_private(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
    headers.remove(http::header::COOKIE);
}

/// Whether a field of a response is the reader's to see.
pub(crate) fn is_end_to_end(name: &HeaderName) -> bool {
    !HOP_BY_HOP.contains(&name.as_str())
}

pub(crate) fn refuse(reason: &str) -> Error {
    Error::BadRequest {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, passes: bool) {
        let passed = fields(&[(name.to_owned(), value.to_owned())]).is_ok();
        assert_eq!(passed, passes, "{name:?}: {value:?}");
    }

    #[test]
    fn ours_are_refused() {
        for name in [
            "Host",
            "HOST",
            "content-length",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "Proxy-Authorization",
            "Proxy-Connection",
            "TE",
            "Trailer",
            "Upgrade",
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "Expect",
            ":authority",
            ":path",
            "",
            "a b",
            "a:b",
            "ä",
            "a\0",
            "x-http-method-override",
        ] {
            check(name, "x", false);
        }
        check("x-a", "x", true);
        check("Cookie", "a=b", true);
        check("accept-encoding", "br", true);
        assert!(
            fields(&[("accept-encoding".into(), "br".into())])
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn every_byte() {
        for byte in 0u8..=0x7f {
            let at = char::from(byte);
            let value_passes = byte == b'\t' || (0x20..0x7f).contains(&byte);
            for value in [format!("{at}x"), format!("x{at}x"), format!("x{at}")] {
                check("x-a", &value, value_passes);
            }
            let name_passes = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            for name in [format!("{at}x-a"), format!("x{at}a"), format!("x-a{at}")] {
                check(&name, "x", name_passes);
            }
        }
        check("x-a", "x\r\n y", false);
        check("x-a", "ü", true);
    }

    #[test]
    fn methods() {
        for text in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(method(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "get",
            "CONNECT",
            "TRACE",
            "GET ",
            "G\r\nET",
            "PURGE",
            "GET / HTTP/1.1",
        ] {
            assert!(method(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn caps() {
        let many: Vec<_> = (0..=MAX_FIELDS)
            .map(|i| (format!("x-{i}"), String::new()))
            .collect();
        assert!(fields(&many).is_err());
        assert!(fields(&[("x".into(), "y".repeat(MAX_BYTES))]).is_err());
    }
}
