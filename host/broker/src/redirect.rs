//! Redirects: where to go next and what to take along. Every hop passes the whole policy again.

use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, LOCATION,
};
use http::{HeaderMap, Method, StatusCode};

use crate::error::Error;
use crate::place::Place;

/// Hops of one request.
pub const MAX_HOPS: u32 = 10;

/// The next hop.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) place: Place,
    pub(crate) method: Method,
    pub(crate) keeps_body: bool,
}

/// Where the answer to a request for `place` leads, if it is a redirect that is followed.
pub(crate) fn next(
    status: StatusCode,
    headers: &HeaderMap,
    place: &Place,
    method: &Method,
) -> Result<Option<Next>, Error> {
    // RFC 9110 §15.4: 301 and 302 turn POST into GET by long custom, 303 turns everything but HEAD into GET.
    let (method, keeps_body) = match status.as_u16() {
        301 | 302 if *method == Method::POST => (Method::GET, false),
        301 | 302 | 307 | 308 => (method.clone(), true),
        303 if *method == Method::HEAD => (Method::HEAD, false),
        303 => (Method::GET, false),
        _ => return Ok(None),
    };
    let Some(location) = headers.get(LOCATION) else {
        return Ok(None);
    };
    let denied = |reason: String| Error::RedirectDenied {
        to: "a malformed location".into(),
        cause: Box::new(Error::BadRequest { reason }),
    };
    let text = std::str::from_utf8(location.as_bytes()).map_err(|_| denied("it is not text".into()))?;
    let place = place.join(text).map_err(|error| denied(error.to_string()))?;
    Ok(Some(Next {
        place,
        method,
        keeps_body,
    }))
}

/// Drops the fields that describe a body that is no longer sent.
pub(crate) fn drop_body_fields(headers: &mut HeaderMap) {
    for name in [
        CONTENT_TYPE,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_LOCATION,
        CONTENT_LENGTH,
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(status: u16, method: &str, location: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap());
        let place = Place::parse("https://x.com/a/b?c").unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let found = match next(StatusCode::from_u16(status).unwrap(), &headers, &place, &method) {
            Ok(next) => next.map(|next| {
                let body = if next.keeps_body { " with body" } else { "" };
                format!("{} {}{body}", next.method, next.place.as_str())
            }),
            Err(error) => Some(error.code().to_owned()),
        };
        assert_eq!(found.as_deref(), expected, "{status} {method} {location}");
    }

    #[test]
    fn methods() {
        check(301, "POST", "/d", Some("GET https://x.com/d"));
        check(302, "POST", "d", Some("GET https://x.com/a/d"));
        check(301, "PUT", "/d", Some("PUT https://x.com/d with body"));
        check(303, "PUT", "/d", Some("GET https://x.com/d"));
        check(303, "HEAD", "/d", Some("HEAD https://x.com/d"));
        check(307, "POST", "/d", Some("POST https://x.com/d with body"));
        check(308, "DELETE", "/d#f", Some("DELETE https://x.com/d with body"));
        check(304, "GET", "/d", None);
        check(300, "GET", "/d", None);
        check(200, "GET", "/d", None);
    }

    #[test]
    fn locations() {
        check(302, "GET", "//y.com/d", Some("GET https://y.com/d with body"));
        check(
            302,
            "GET",
            "http://127.0.0.1/",
            Some("GET http://127.0.0.1/ with body"),
        );
        for bad in [
            "\\\\y.com",
            "http:127.0.0.1",
            "https:d",
            "a:b",
            "///y.com",
            "https:///y.com",
            "https://u@y.com/",
            "ftp://y.com/",
            "javascript:1",
            "/\t/y.com",
            "https://",
        ] {
            check(302, "GET", bad, Some("egress.redirect_denied"));
        }
    }
}
