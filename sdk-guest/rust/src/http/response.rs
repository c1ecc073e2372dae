//! What came back.

use serde::Deserialize;

use super::{Response, link};
use crate::{Error, time};

impl Response {
    /// The response if its status is 2xx or 304 (asked for by `if_none_match`).
    ///
    /// # Errors
    /// What the status means, by [`Error::from_response`].
    pub fn ok(self) -> Result<Self, Error> {
        if matches!(self.status, 200..=299 | 304) {
            return Ok(self);
        }
        Err(Error::from_response(&self))
    }

    /// Whether the vendor says that nothing changed since the tag of `if_none_match`.
    #[must_use]
    pub const fn is_not_modified(&self) -> bool {
        self.status == 304
    }

    /// The first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The tag to give to `if_none_match` next time.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.header("etag")
    }

    /// The target of the `Link` header (RFC 8288) with this relation, such as `next`.
    #[must_use]
    pub fn link(&self, relation: &str) -> Option<String> {
        self.headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("link"))
            .find_map(|(_, value)| link::target(value, relation))
    }

    /// The body as text.
    ///
    /// # Errors
    /// `invalid-data` if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body)
            .map_err(|error| Error::invalid_data(format!("the vendor's response is not UTF-8: {error}")))
    }

    /// The body read as JSON. For pages of records see [`record::each`](crate::record::each), which copies nothing.
    ///
    /// # Errors
    /// `invalid-data`: it is not JSON, or does not fit the type.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(&error))
    }

    /// What to say of a body that could not be read, with the type that the vendor gave it.
    pub(crate) fn unreadable(&self, error: &serde_json::Error) -> Error {
        let kind: String = self
            .header("content-type")
            .unwrap_or("no content type")
            .chars()
            .take(80)
            .collect();
        Error::invalid_data(format!(
            "the vendor's response ({kind}) could not be read: {error}"
        ))
    }

    /// Whether it carries signs of a rate limit: `retry-after`, or `x-ratelimit-remaining: 0`.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.header("retry-after").is_some() || self.header("x-ratelimit-remaining") == Some("0")
    }

    /// The vendor's clock, by the `Date` header (RFC 9110 §6.6.1), in milliseconds: the only one that a connector has.
    #[must_use]
    pub fn date(&self) -> Option<u64> {
        self.header("date").and_then(time::parse_http_date)
    }

    /// How long the vendor asks to wait, in milliseconds: `Retry-After` (RFC 9110 §10.2.3) in seconds or as a date, or
    /// `x-ratelimit-reset` in seconds since the epoch. Dates are compared with the response's own `Date`, so that no
    /// clock is needed.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        let now = || self.date();
        if let Some(value) = self.header("retry-after") {
            if let Ok(seconds) = value.trim().parse::<u64>() {
                return Some(seconds.saturating_mul(1_000));
            }
            return Some(time::parse_http_date(value)?.saturating_sub(now()?));
        }
        let reset: u64 = self.header("x-ratelimit-reset")?.trim().parse().ok()?;
        Some(reset.saturating_mul(1_000).saturating_sub(now()?))
    }
}

pub(super) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)], expected: Option<u64>) {
        let headers = headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(
            Response {
                status: 429,
                headers,
                body: Vec::new()
            }
            .retry_after_ms(),
            expected
        );
    }

    #[test]
    fn how_long_to_wait() {
        let date = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
        check(&[("Retry-After", "12")], Some(12_000));
        check(&[("retry-after", "18446744073709551615")], Some(u64::MAX));
        check(
            &[date, ("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT")],
            Some(3_000),
        );
        check(&[date, ("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT")], Some(0));
        check(&[("retry-after", "-3")], None);
        check(&[("retry-after", "soon")], None);
        check(&[date, ("x-ratelimit-reset", "784111787")], Some(10_000));
        check(&[], None);
    }
}
