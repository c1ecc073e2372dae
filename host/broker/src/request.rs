//! A request as a caller asks for it. Nothing in it has been judged yet.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::credential::CredentialChoice;

/// One request.
#[derive(Debug)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// In wire order. Fields that are the broker's are refused, see [`header`](crate::header).
    pub headers: Vec<(String, String)>,
    pub body: Body,
    pub credential: CredentialChoice,
    /// Sent as `Idempotency-Key`; makes an unsafe method retryable.
    pub idempotency_key: Option<String>,
    /// Values of the JSON answer that are kept from the reader of the body.
    pub captures: Vec<Capture>,
    /// Total time, retries and redirects included; never more than the limit of the caller's rights.
    pub timeout: Option<Duration>,
    pub redirects: Redirects,
    /// Bytes that the answer's body may have, in the place of what the caller's rights say of a body that is held in memory: for who
    /// writes it down piece by piece, under a limit of its own.
    pub body_bytes: Option<u64>,
}

impl Request {
    /// A request without headers, body or captures, with the connection's own credential, following redirects.
    #[must_use]
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Body::Empty,
            credential: CredentialChoice::default(),
            idempotency_key: None,
            captures: Vec::new(),
            timeout: None,
            redirects: Redirects::Follow,
            body_bytes: None,
        }
    }
}

/// What becomes of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redirects {
    /// Followed, each hop under the whole policy, at most [`MAX_HOPS`](crate::redirect::MAX_HOPS).
    #[default]
    Follow,
    /// Given back as the response that it is.
    Return,
}

/// The body of a request.
#[derive(Debug, Default)]
pub enum Body {
    #[default]
    Empty,
    /// Held whole: it can be sent again.
    Bytes(Bytes),
    /// Sent as it comes: never sent again.
    Stream(BodyStream),
}

impl Body {
    /// A body that is written while it is sent. `length` goes on the wire as Content-Length and is then enforced;
    /// without it the body is chunked. At most eight chunks wait between the two ends.
    #[must_use]
    pub fn stream(length: Option<u64>) -> (BodyWriter, Self) {
        let (sender, receiver) = mpsc::channel(8);
        (
            BodyWriter { sender },
            Self::Stream(BodyStream {
                parts: receiver,
                length,
            }),
        )
    }
}

/// The reading end of [`Body::stream`].
pub struct BodyStream {
    pub(crate) parts: mpsc::Receiver<Part>,
    pub(crate) length: Option<u64>,
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

pub(crate) enum Part {
    Chunk(Bytes),
    End,
}

/// The writing end of [`Body::stream`]. Dropping it before [`finish`](Self::finish) aborts the request: a body that
/// ended early never looks complete.
#[derive(Debug)]
pub struct BodyWriter {
    sender: mpsc::Sender<Part>,
}

/// The request is over, nobody reads the body any more; its outcome is with whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write to a request that is over")]
pub struct BodyClosed;

impl BodyWriter {
    /// Adds `chunk`; waits while eight are on their way. Cancel-safe: a cancelled write wrote nothing.
    ///
    /// # Errors
    /// [`BodyClosed`] when the request is over.
    pub async fn write(&self, chunk: Bytes) -> Result<(), BodyClosed> {
        self.sender.send(Part::Chunk(chunk)).await.map_err(|_| BodyClosed)
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// [`BodyClosed`] when the request is over.
    pub async fn finish(self) -> Result<(), BodyClosed> {
        self.sender.send(Part::End).await.map_err(|_| BodyClosed)
    }
}

/// A value of the JSON answer that the broker keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// RFC 6901; a pointer that finds nothing captures nothing.
    pub pointer: String,
    pub into: CaptureInto,
}

/// What a captured value is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CaptureInto {
    /// A secret of the connection, by its name in the manifest.
    Secret(String),
    /// Lifetime of the captured credential in seconds.
    ExpiresIn,
    /// End of its life in seconds since the epoch.
    ExpiresAt,
    /// Granted scopes.
    Scopes,
    /// The vendor's account id.
    Account,
}

impl CaptureInto {
    /// What it is called in the text that stands in its place.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Secret(name) => name,
            Self::ExpiresIn => "expires-in",
            Self::ExpiresAt => "expires-at",
            Self::Scopes => "scopes",
            Self::Account => "account",
        }
    }
}
