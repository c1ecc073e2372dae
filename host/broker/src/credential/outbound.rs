//! What a credential is put on: a request on its way out, with every other thing on it already.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use sluice_model::capability::Scheme;
use sluice_model::clock::Timestamp;

use super::sigv4::Chunks;
use crate::error::Error;
use crate::header::{self, refuse};
use crate::place::Place;
use crate::request::{Body, Request};

/// A request that is about to be sent.
pub(crate) struct Outbound<'a> {
    pub(crate) method: &'a Method,
    pub(crate) place: &'a mut Place,
    pub(crate) headers: &'a mut HeaderMap,
    pub(crate) content: Content<'a>,
    /// The broker's time, or the vendor's where that is known to differ.
    pub(crate) now: Timestamp,
}

/// Its body.
pub(crate) enum Content<'a> {
    Whole(&'a mut Bytes),
    /// Sent as it comes.
    Stream(&'a mut Streamed),
}

/// What is known beforehand of a body that is sent as it comes, and what becomes of it.
#[derive(Default)]
pub(crate) struct Streamed {
    /// In bytes, where the caller has said it and nothing in the body is replaced.
    pub(crate) length: Option<u64>,
    /// Signs it on its way, where the credential does that.
    pub(crate) chunks: Option<Chunks>,
}

/// A request that is held whole, see [`Credential::put_on`](super::Credential::put_on).
#[derive(Debug, Clone)]
pub struct Whole {
    pub(super) method: Method,
    pub(super) place: Place,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) now: Timestamp,
}

impl Whole {
    /// Reads a request as [`Broker::send`](crate::Broker::send) does; `now` is the time that signatures name.
    ///
    /// # Errors
    /// When it is malformed, or its body is sent as it comes.
    pub fn new(request: &Request, now: Timestamp) -> Result<Self, Error> {
        let body = match &request.body {
            Body::Empty => Bytes::new(),
            Body::Bytes(bytes) => bytes.clone(),
            Body::Stream(_) => return Err(refuse("its body is not held whole")),
        };
        Ok(Self {
            method: header::method(&request.method)?,
            place: Place::parse(&request.url).map_err(|error| refuse(&error.to_string()))?,
            headers: header::fields(&request.headers)?,
            body,
            now,
        })
    }

    /// The first field of this name, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The forms of bodies whose fields can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Form,
}

impl Outbound<'_> {
    /// What its Content-Type says.
    pub(super) fn format(&self) -> Option<Format> {
        let text = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = text.split(';').next()?.trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Some(Format::Form),
            "application/json" => Some(Format::Json),
            other if other.starts_with("application/") && other.ends_with("+json") => Some(Format::Json),
            _ => None,
        }
    }

    /// The body, where it is held whole.
    pub(super) fn whole(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Whole(bytes) => Some(bytes),
            Content::Stream(_) => None,
        }
    }

    /// Host, with a port that is not the scheme's own: as the Host field has it.
    pub(super) fn authority(&self) -> String {
        self.place
            .authority()
            .map_or_else(String::new, |authority| authority.as_str().to_owned())
    }

    pub(super) fn is_tls(&self) -> bool {
        self.place.scheme() == Scheme::Https
    }
}
