//! Headers of the owner's own: what they may be. None can take the place of one that says who sends what, how long it is or how
//! the connection is used, and none can end a line.

/// Headers of one endpoint.
const MAX_HEADERS: usize = 32;
const MAX_NAME_BYTES: usize = 128;
const MAX_VALUE_BYTES: usize = 4096;

/// Set by the host, or for the connection only (RFC 9110 §7.6.1); the rest is what makes servers read another request than was sent.
const REFUSED: &[&str] = &[
    "host",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "forwarded",
    "via",
    "accept-encoding",
    "http2-settings",
    "x-real-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "idempotency-key",
    "cookie",
];
const REFUSED_PREFIXES: &[&str] = &["webhook-", "proxy-", "x-forwarded-"];

/// Why headers are not taken. Never says a value: it may be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Too many.
    #[error("an endpoint has at most {MAX_HEADERS} headers of its own")]
    Count,
    /// A name that is not a token (RFC 9110 §5.1).
    #[error("`{0}` is not a header's name")]
    Name(String),
    /// One of ours.
    #[error("the header `{0}` is set by the host")]
    Ours(String),
    /// Twice the same.
    #[error("the header `{0}` is there twice")]
    Twice(String),
    /// A value with anything but visible characters, spaces and tabs, or too long.
    #[error("the value of the header `{0}` has a control character or over {MAX_VALUE_BYTES} bytes")]
    Value(String),
}

/// Checks an endpoint's own headers and gives them back with names in lower case.
///
/// # Errors
/// The first that may not be.
pub fn check_headers(given: &[(String, String)]) -> Result<Vec<(String, String)>, HeaderError> {
    if given.len() > MAX_HEADERS {
        return Err(HeaderError::Count);
    }
    let mut taken: Vec<(String, String)> = Vec::with_capacity(given.len());
    for (name, value) in given {
        let shown = || name.chars().take(40).flat_map(char::escape_default).collect();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_token) {
            return Err(HeaderError::Name(shown()));
        }
        let lower = name.to_ascii_lowercase();
        if REFUSED.contains(&lower.as_str()) || REFUSED_PREFIXES.iter().any(|start| lower.starts_with(start))
        {
            return Err(HeaderError::Ours(lower));
        }
        if taken.iter().any(|(known, _)| *known == lower) {
            return Err(HeaderError::Twice(lower));
        }
        let is_visible = |byte: u8| matches!(byte, b'\t' | b' '..=b'~');
        if value.len() > MAX_VALUE_BYTES || !value.bytes().all(is_visible) {
            return Err(HeaderError::Value(lower));
        }
        taken.push((lower, value.trim().to_owned()));
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(name: &str, value: &str) -> Result<Vec<(String, String)>, HeaderError> {
        check_headers(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn ours_cannot_be_taken() {
        for name in [
            "Webhook-Id",
            "webhook-timestamp",
            "WEBHOOK-SIGNATURE",
            "webhook-anything",
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "Upgrade",
            "TE",
            "Proxy-Authorization",
            "X-Forwarded-For",
            "Cookie",
        ] {
            let lower = name.to_ascii_lowercase();
            assert_eq!(check(name, "x"), Err(HeaderError::Ours(lower)), "{name}");
        }
    }

    #[test]
    fn no_line_ends() {
        for value in ["a\r\nwebhook-id: x", "a\nb", "a\rb", "a\0b", "ä"] {
            assert_eq!(
                check("x-a", value),
                Err(HeaderError::Value("x-a".into())),
                "{value:?}"
            );
        }
        for name in ["x-a\r\nhost", "x a", "", "x:a", "ä"] {
            assert!(matches!(check(name, "x"), Err(HeaderError::Name(_))), "{name:?}");
        }
        let twice = [
            ("X-A".to_owned(), "1".to_owned()),
            ("x-a".to_owned(), "2".to_owned()),
        ];
        assert_eq!(check_headers(&twice), Err(HeaderError::Twice("x-a".into())));
        assert_eq!(
            check("X-Api-Key", " k 1 "),
            Ok(vec![("x-api-key".into(), "k 1".into())])
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_is_one_line(name: String, value: String) {
            if let Ok(taken) = check(&name, &value) {
                prop_assert!(taken.iter().all(|(name, value)| !name.contains(['\r', '\n', ':']) && !value.contains(['\r', '\n', '\0'])));
            }
        }
    }
}
