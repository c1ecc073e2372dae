//! One request, built and sent.

use std::fmt::Write as _;

use serde::Serialize;

use super::{CaptureInto, Error, Response};
use crate::secrets::Secret;
use crate::wit::sluice::connector::http as wit;

/// A request before it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Request(pub(crate) wit::Request);

/// A GET of an absolute URL.
#[must_use]
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// A POST to an absolute URL.
#[must_use]
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// A PUT to an absolute URL.
#[must_use]
pub fn put(url: impl Into<String>) -> Request {
    request("PUT", url)
}

/// A PATCH of an absolute URL.
#[must_use]
pub fn patch(url: impl Into<String>) -> Request {
    request("PATCH", url)
}

/// A DELETE of an absolute URL.
#[must_use]
pub fn delete(url: impl Into<String>) -> Request {
    request("DELETE", url)
}

/// A request with any method, in upper case.
#[must_use]
pub fn request(method: &str, url: impl Into<String>) -> Request {
    Request(wit::Request {
        method: method.to_owned(),
        url: url.into(),
        headers: Vec::new(),
        body: None,
        credential: None,
        idempotency_key: None,
        captures: Vec::new(),
        timeout_ms: None,
    })
}

impl Request {
    /// Adds a header. The host sets Host, Content-Length, Authorization and the like itself and refuses them here.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a name and a value to the query, percent-encoded (RFC 3986).
    ///
    /// ```
    /// let request = sluice_sdk::http::get("https://a.example/x?p=1").query("since", "2024-01-01T00:00:00Z");
    /// assert_eq!(request.url(), "https://a.example/x?p=1&since=2024-01-01T00%3A00%3A00Z");
    /// ```
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.0.url.push(if self.0.url.contains('?') { '&' } else { '?' });
        push(&mut self.0.url, name);
        self.0.url.push('=');
        push(&mut self.0.url, value);
        self
    }

    /// Asks for nothing if what an earlier response was tagged with is still current; see
    /// [`Response::is_not_modified`]. Without effect for none.
    #[must_use]
    pub fn if_none_match(self, etag: Option<&str>) -> Self {
        match etag {
            Some(etag) => self.header("if-none-match", etag),
            None => self,
        }
    }

    /// Gives it a body.
    #[must_use]
    pub fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = self.header("content-type", content_type);
        request.0.body = Some(body.into());
        request
    }

    /// Gives it a JSON body.
    ///
    /// # Errors
    /// `internal` for a value that has no JSON form.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, crate::Error> {
        Ok(self.body("application/json", crate::record::text(value)?))
    }

    /// Applies the auth scheme of this name. Without it: the connection's own.
    #[must_use]
    pub fn credential(mut self, scheme: &str) -> Self {
        self.0.credential = Some(scheme.to_owned());
        self
    }

    /// Applies no credential.
    #[must_use]
    pub fn anonymous(self) -> Self {
        self.credential("")
    }

    /// Sent as `Idempotency-Key`; makes an unsafe method retryable.
    #[must_use]
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.0.idempotency_key = Some(key.to_owned());
        self
    }

    /// Has the host keep what `pointer` (RFC 6901) finds in the JSON body; the body shows a placeholder there.
    #[must_use]
    pub fn capture(mut self, pointer: &str, into: CaptureInto) -> Self {
        self.0.captures.push(wit::Capture {
            pointer: pointer.to_owned(),
            into,
        });
        self
    }

    /// Total time in milliseconds, retries included; the host's own limit stays in force.
    #[must_use]
    pub fn timeout_ms(mut self, timeout: u32) -> Self {
        self.0.timeout_ms = Some(timeout);
        self
    }

    /// The method, in upper case.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// The URL as it stands.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The first header of this name, in any case.
    #[must_use]
    pub fn header_value(&self, name: &str) -> Option<&str> {
        super::response::find(&self.0.headers, name)
    }

    /// The body, where there is one.
    #[must_use]
    pub fn content(&self) -> Option<&[u8]> {
        self.0.body.as_deref()
    }

    /// Sends it and holds the whole response, whatever its status; [`Response::ok`] refuses the error ones.
    ///
    /// # Errors
    /// There was no response; see [`crate::Error`]'s `From<http::Error>` for the case.
    pub fn send(self) -> Result<Response, crate::Error> {
        Ok(self.try_send()?)
    }

    /// Sends it, with the reason as the host gives it.
    ///
    /// # Errors
    /// There was no response.
    pub fn try_send(self) -> Result<Response, Error> {
        #[cfg(target_family = "wasm")]
        return wit::send(&self.0);
        #[cfg(not(target_family = "wasm"))]
        crate::testing::send(&self)
    }

    /// The address that makes this request possible for so many seconds (at most seven days), for whoever has it: method,
    /// URL and credential count, which has to be an `aws-sigv4` one. Nothing is sent. The address is a secret: put its
    /// placeholder into the output of an action that the manifest says `presigns` of, and the host puts the address there.
    ///
    /// ```
    /// let link = sluice_sdk::http::get("https://bucket.example/report.pdf").presign(3_600)?;
    /// assert_eq!(link.placeholder(), "sluice-placeholder-GET https://bucket.example/report.pdf for 3600 s");
    /// # Ok::<(), sluice_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `config` where policy refuses such a request; `transient` where the host refuses to sign it.
    pub fn presign(self, expires_s: u32) -> Result<Secret, crate::Error> {
        #[cfg(target_family = "wasm")]
        return Ok(Secret(wit::presign(&wit::PresignRequest {
            method: self.0.method,
            url: self.0.url,
            expires_s,
            credential: self.0.credential,
        })?));
        #[cfg(not(target_family = "wasm"))]
        Ok(crate::testing::presign(&self, expires_s))
    }
}

/// Sends all of them concurrently, within the connection's limits; results are in the order of the requests.
pub fn send_all(requests: Vec<Request>) -> Vec<Result<Response, crate::Error>> {
    #[cfg(target_family = "wasm")]
    {
        let requests: Vec<wit::Request> = requests.into_iter().map(|request| request.0).collect();
        wit::send_all(&requests)
            .into_iter()
            .map(|answer| answer.map_err(Into::into))
            .collect()
    }
    #[cfg(not(target_family = "wasm"))]
    requests.into_iter().map(Request::send).collect()
}

/// A response whose body is read piece by piece.
#[derive(Debug)]
pub struct Incoming(
    #[cfg(target_family = "wasm")] wit::Incoming,
    #[cfg(not(target_family = "wasm"))] crate::testing::Incoming,
);

/// Sends a request and returns as soon as the response head is there: for bodies too big to hold. In tests outside the
/// sandbox the vendor's function has answered whole, and the pieces are of that.
///
/// # Errors
/// As [`Request::send`].
pub fn open(request: Request) -> Result<Incoming, crate::Error> {
    #[cfg(target_family = "wasm")]
    return Ok(Incoming(wit::open(&request.0)?));
    #[cfg(not(target_family = "wasm"))]
    Ok(Incoming(crate::testing::open(&request)?))
}

impl Incoming {
    /// The response's status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status()
    }

    /// Its headers in wire order.
    #[must_use]
    pub fn headers(&self) -> super::Headers {
        self.0.headers()
    }

    /// At least one and at most `max` bytes; none at the end of the body.
    ///
    /// # Errors
    /// The connection broke, the time ran out or the body is over the cap.
    pub fn read(&self, max: u32) -> Result<Option<Vec<u8>>, crate::Error> {
        Ok(self.0.read(max)?)
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters, so that a text stays one segment of a path or one
/// value of a form. `.` and `..` are left as they are: they are no segment to make of somebody else's text.
///
/// ```
/// assert_eq!(sluice_sdk::http::encode("a/b c#d@e"), "a%2Fb%20c%23d%40e");
/// ```
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    push(&mut encoded, text);
    encoded
}

fn push(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing into a string can't fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}
