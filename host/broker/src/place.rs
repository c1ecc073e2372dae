//! A place: one parsed URL. Policy, the TLS handshake, the Host field and the request line are all read from the same
//! value, so what policy saw is what goes on the wire.
//!
//! The URL Standard's parser drops tabs and line ends, turns backslashes around and accepts `https:host`; texts that
//! would need such repair are refused before it sees them.

use std::fmt;

use http::uri::{Authority, PathAndQuery};
use sluice_model::capability::{Scheme, Target};
use url::{Host, Url};

/// Bytes of a URL on the wire.
pub const MAX_URL_BYTES: usize = 8 << 10;

/// Why a text is not a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlaceError(&'static str);

/// Scheme, canonical host, port, path and query of one request. Prints without query.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    url: Url,
    scheme: Scheme,
    port: u16,
}

impl Place {
    /// Reads an absolute `http` or `https` URL.
    ///
    /// # Errors
    /// For everything that two parsers might read differently, and for userinfo, other schemes and over-long texts.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        check_text(text)?;
        let (scheme, rest) = text
            .split_once("://")
            .ok_or(PlaceError("the URL is not absolute"))?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(PlaceError("the URL's scheme is neither http nor https"));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(PlaceError("the URL has no host"));
        }
        if authority.contains('@') {
            return Err(PlaceError("the URL carries a user name or password"));
        }
        Self::from_url(Url::parse(text).map_err(|_| PlaceError("the URL cannot be parsed"))?)
    }

    /// Reads the target of a redirect, which may be relative to this place.
    pub(crate) fn join(&self, location: &str) -> Result<Self, PlaceError> {
        check_text(location)?;
        let before_path = location.split(['/', '?', '#']).next().unwrap_or_default();
        let rest = location.get(before_path.len()..).unwrap_or_default();
        // `http:host` is a path to some parsers and a host to others (RFC 3986 §4.2 forbids it), and so is `///host`.
        if rest.starts_with("///") || (before_path.contains(':') && !rest.starts_with("//")) {
            return Err(PlaceError("the URL can be read in two ways"));
        }
        Self::from_url(
            self.url
                .join(location)
                .map_err(|_| PlaceError("the URL cannot be parsed"))?,
        )
    }

    fn from_url(mut url: Url) -> Result<Self, PlaceError> {
        let scheme =
            Scheme::parse(url.scheme()).ok_or(PlaceError("the URL's scheme is neither http nor https"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(PlaceError("the URL carries a user name or password"));
        }
        url.set_fragment(None);
        if let Some(Host::Domain(name)) = url.host() {
            let bare = name.strip_suffix('.').unwrap_or(name).to_owned();
            if !is_name(&bare) {
                return Err(PlaceError("the URL's host is not a host name"));
            }
            if bare.len() != name.len() {
                url.set_host(Some(&bare))
                    .map_err(|_| PlaceError("the URL's host is not a host name"))?;
            }
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if port == 0 {
            return Err(PlaceError("port 0 cannot be reached"));
        }
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(PlaceError("the URL is longer than 8 KiB"));
        }
        if climbs(url.path()) {
            return Err(PlaceError(
                "the URL's path hides `..`, a NUL or a backslash behind percent signs",
            ));
        }
        let place = Self { url, scheme, port };
        // The wire's own parser has to take both parts as they are; then nothing is rewritten on the way.
        if place.path_and_query().is_none() || place.authority().is_none() || place.host().is_empty() {
            return Err(PlaceError(
                "the URL has characters that no request line may carry",
            ));
        }
        Ok(place)
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Canonical: ASCII, lower case, no trailing dot; an address literal without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port, the scheme's own where the URL names none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path as it goes on the wire.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The request to this place as policy sees it. Allocates nothing.
    #[must_use]
    pub fn target<'a>(&'a self, method: &'a str) -> Target<'a> {
        Target {
            scheme: self.scheme,
            host: self.host(),
            port: self.port,
            method,
            path: self.path(),
        }
    }

    /// The address, where the host is a literal.
    pub(crate) fn literal(&self) -> Option<std::net::IpAddr> {
        match self.url.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
        }
    }

    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.port == other.port && self.host() == other.host()
    }

    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Scheme, host, port and path with the query: for the trace, which redacts it.
    pub(crate) fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn authority(&self) -> Option<Authority> {
        let host = self.url.host_str()?;
        match self.url.port() {
            Some(port) => Authority::try_from(format!("{host}:{port}")).ok(),
            None => Authority::try_from(host).ok(),
        }
    }

    pub(crate) fn path_and_query(&self) -> Option<PathAndQuery> {
        let path = match self.url.query() {
            Some(query) => PathAndQuery::try_from(format!("{}?{query}", self.url.path())).ok()?,
            None => PathAndQuery::try_from(self.url.path()).ok()?,
        };
        (path.path() == self.url.path() && path.query() == self.url.query()).then_some(path)
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.url.query()
    }

    /// Replaces the whole query with text that is already percent-encoded.
    pub(crate) fn set_query(&mut self, query: &str) {
        self.url.set_query(Some(query));
    }

    /// Sets one pair of the query and removes others of its name. Leaves the rest of the query as it is written.
    pub(crate) fn set_query_value(&mut self, name: &str, value: &str) {
        let mut query = String::new();
        for pair in self
            .url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let same = url::form_urlencoded::parse(pair.as_bytes()).any(|(found, _)| found == name);
            if !same {
                query.push_str(pair);
                query.push('&');
            }
        }
        query.push_str(&percent(name));
        query.push('=');
        query.push_str(&percent(value));
        self.url.set_query(Some(&query));
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Percent-encodes everything but the unreserved characters (RFC 3986 §2.3).
pub(crate) fn percent(text: &str) -> String {
    use fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn check_text(text: &str) -> Result<(), PlaceError> {
    if text.len() > MAX_URL_BYTES {
        return Err(PlaceError("the URL is longer than 8 KiB"));
    }
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(PlaceError("the URL has a space or a control character"));
    }
    // In a query or a fragment a backslash is only a character, but nobody needs one unencoded.
    if text.contains('\\') {
        return Err(PlaceError("the URL has a backslash"));
    }
    Ok(())
}

/// RFC 1123 §2.1 and RFC 1035 §2.3.4, with the underscores that real names have.
fn is_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

/// Whether a server that decodes before it walks the path would leave it: `%2e%2e%2f`, `..%2f`, `..;/`, `%5c`.
fn climbs(path: &str) -> bool {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        let hex = match rest.as_slice() {
            [a, b, ..] if *byte == b'%' => digit(*a).zip(digit(*b)),
            _ => None,
        };
        match hex {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest.nth(1);
            }
            None => decoded.push(*byte),
        }
    }
    decoded.contains(&0)
        || decoded.contains(&b'\\')
        || decoded.split(|byte| *byte == b'/').any(|segment| {
            let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            name == b"." || name == b".."
        })
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let place = Place::parse(text).ok().map(|place| {
            format!(
                "{} {} {} {}",
                place.scheme(),
                place.host(),
                place.port(),
                place.path_and_query().unwrap()
            )
        });
        assert_eq!(place.as_deref(), expected, "{text}");
    }

    #[test]
    fn one_form() {
        check("https://API.Example.com./a", Some("https api.example.com 443 /a"));
        check(
            "http://example.com:8080?q=1#frag",
            Some("http example.com 8080 /?q=1"),
        );
        check("https://ex%61mple.com/", Some("https example.com 443 /"));
        check("http://０x7f.1/", Some("http 127.0.0.1 80 /"));
        check("http://2130706433/", Some("http 127.0.0.1 80 /"));
        check("http://127.1./", Some("http 127.0.0.1 80 /"));
        check("http://[::FFFF:127.0.0.1]/", Some("http ::ffff:7f00:1 80 /"));
        check("http://ｌｏｃａｌｈｏｓｔ/", Some("http localhost 80 /"));
        check("https://faß.de/", Some("https xn--fa-hia.de 443 /"));
        check("https://x.com/a/../b//c", Some("https x.com 443 /b//c"));
        check("https://x.com/a%2Fb?c=%00", Some("https x.com 443 /a%2Fb?c=%00"));
        check("https://x.com/ü", Some("https x.com 443 /%C3%BC"));
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "/",
            "*",
            "//x.com/",
            "x.com",
            "https:x.com",
            "https:/x.com",
            "https:///x.com",
            "https://",
            "https://@x.com/",
            "https://u@x.com/",
            "https://u:p@x.com/",
            "https://x.com\\@y.com/",
            "https://x.com/\\",
            "https://x.com/\ta",
            "https://x.com/a b",
            " https://x.com/",
            "https://x.com/\r\nHost: y",
            "https://x.com/\0",
            "https://x.com/\u{7f}",
            "file:///etc/passwd",
            "gopher://x.com/",
            "unix:///run/x",
            "ftp://x.com/",
            "ws://x.com/",
            "https://x..com/",
            "https://x.com../",
            "https://.x.com/",
            "https://x.com:0/",
            "https://x.com:65536/",
            "https://x.com:-1/",
            "https://x.com/..%2fadmin",
            "https://x.com/a/%2e%2e%2fb",
            "https://x.com/..;/admin",
            "https://x.com/a%5c..%5cb",
            "https://x.com/%00",
            "https://[::1",
            "https://[fe80::1%25eth0]/",
            "https://a,b.com/",
            "https://x_y!.com/",
            "https://a\u{200d}b.com/\u{0}",
        ] {
            check(text, None);
        }
        check(&format!("https://x.com/{}", "a".repeat(9000)), None);
        check(&format!("https://{}.com/", "a".repeat(64)), None);
    }

    #[test]
    fn query_values_are_replaced() {
        let mut place = Place::parse("https://x.com/p?a=1&key=guest&b=%20&k%65y=2").unwrap();
        place.set_query_value("key", "s&=#+ ü");
        assert_eq!(
            place.path_and_query().unwrap(),
            "/p?a=1&b=%20&key=s%26%3D%23%2B%20%C3%BC"
        );
        assert_eq!(place.to_string(), "https://x.com/p");
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = Place::parse(&text);
            let _ = Place::parse(&format!("https://{text}"));
            let _ = Place::parse("https://x.com/a/b?c").unwrap().join(&text);
        }

        #[test]
        fn parsing_is_idempotent(text in "(https|HTTP)://[a-zA-Z0-9.%-]{1,20}(:[0-9]{1,5})?(/[ -~]{0,12}){0,3}") {
            if let Ok(place) = Place::parse(&text) {
                prop_assert_eq!(Place::parse(place.as_str()), Ok(place.clone()));
                prop_assert!(place.host().bytes().all(|b| !b.is_ascii_uppercase()));
                prop_assert!(!place.host().ends_with('.'));
            }
        }
    }
}
