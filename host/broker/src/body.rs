//! The body of a response: decoded, capped, redacted, and read under the one deadline of its request.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::decode::{DecodeError, Decoder, STEP_BYTES};
use crate::entry::Entry;
use crate::error::Error;
use crate::permit::Permit;
use crate::pool::{Key, Link, Pool};
use crate::rate::Slot;
use crate::splice::Splice;

/// A body that is read piece by piece. Dropping it before its end closes the connection or, for HTTP/2, resets the
/// stream; what was half read is never used again.
pub struct ResponseBody(Box<Reading>);

/// Everything that stays taken until the body has been read or dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) _permit: Option<Permit>,
    pub(crate) _slot: Option<OwnedSemaphorePermit>,
    pub(crate) _rate: Option<Slot>,
}

/// Where the bytes come from.
pub(crate) struct Source {
    pub(crate) incoming: Incoming,
    pub(crate) link: Link,
    /// Where the connection goes when the body has been read; nowhere, if its request may still be under way.
    pub(crate) back: Option<(Pool, Key)>,
}

pub(crate) struct Reading {
    pub(crate) source: Option<Source>,
    pub(crate) held: Option<Held>,
    pub(crate) decoder: Decoder,
    pub(crate) redactor: Splice,
    pub(crate) entry: Entry,
    pub(crate) host: String,
    pub(crate) deadline: Instant,
    pub(crate) limit: Duration,
    /// Decoded bytes that may come.
    pub(crate) cap: u64,
    /// Decoded bytes so far.
    pub(crate) total: u64,
    /// Not decoded yet.
    pub(crate) pending: Bytes,
    /// Ready to be handed out.
    pub(crate) ready: Bytes,
    pub(crate) failed: Option<Error>,
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("ended", &self.0.source.is_none())
            .finish_non_exhaustive()
    }
}

impl ResponseBody {
    pub(crate) fn new(reading: Reading) -> Self {
        Self(Box::new(reading))
    }

    /// At least one and at most `max` bytes; `None` at the end of the body. `max` = 0 is read as 1. Cancel-safe.
    ///
    /// # Errors
    /// When the deadline of the request passes, the body is over its cap, or it ends early; then again at each call.
    pub async fn chunk(&mut self, max: usize) -> Result<Option<Bytes>, Error> {
        self.0.chunk(max).await
    }

    /// The whole rest of the body.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub async fn collect(mut self) -> Result<Bytes, Error> {
        self.0.rest().await
    }
}

impl Reading {
    async fn chunk(&mut self, max: usize) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(error) = &self.failed {
                return Err(error.clone());
            }
            if !self.ready.is_empty() {
                let most = max.clamp(1, self.ready.len());
                return Ok(Some(self.ready.split_to(most)));
            }
            if self.source.is_none() {
                return Ok(None);
            }
            let pulled = if Instant::now() >= self.deadline {
                // A peer that always has something ready must not keep the timer from being looked at.
                Err(Error::Timeout { limit: self.limit })
            } else {
                let deadline = self.deadline;
                let pulled = timeout_at(deadline, self.pull()).await;
                pulled.unwrap_or(Err(Error::Timeout { limit: self.limit }))
            };
            if let Err(error) = pulled {
                self.fail(error);
            }
        }
    }

    /// Everything that is left.
    pub(crate) async fn rest(&mut self) -> Result<Bytes, Error> {
        let Some(first) = self.chunk(usize::MAX).await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.chunk(usize::MAX).await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(next) = self.chunk(usize::MAX).await? {
            whole.extend_from_slice(&next);
        }
        Ok(whole.freeze())
    }

    fn fail(&mut self, error: Error) {
        self.source = None;
        self.held = None;
        self.entry.fail(&error);
        self.failed = Some(error);
    }

    /// Moves one step on: decodes a piece, or waits for the next one. The wait comes before any change.
    async fn pull(&mut self) -> Result<(), Error> {
        if !self.pending.is_empty() {
            let step = if self.decoder.is_plain() {
                self.pending.len()
            } else {
                STEP_BYTES.min(self.pending.len())
            };
            let piece = self.pending.split_to(step);
            let decoded = self
                .decoder
                .feed(piece)
                .map_err(|error| decode_error(error, &self.host, self.cap))?;
            return self.take(decoded);
        }
        let Some(source) = &mut self.source else {
            return Ok(());
        };
        match source.incoming.frame().await {
            Some(Ok(frame)) => {
                // Trailers concern nobody here.
                self.pending = frame.into_data().unwrap_or_default();
                self.entry.received(self.pending.len());
                Ok(())
            }
            Some(Err(error)) => Err(body_error(&error, &self.host)),
            None => self.end(),
        }
    }

    fn take(&mut self, decoded: Bytes) -> Result<(), Error> {
        self.total = self.total.saturating_add(decoded.len() as u64);
        if self.total > self.cap {
            return Err(Error::TooLarge { cap: self.cap });
        }
        self.ready = self.redactor.feed(decoded);
        self.entry.reflects(self.redactor.found());
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let rest = self
            .decoder
            .finish()
            .map_err(|error| decode_error(error, &self.host, self.cap))?;
        self.take(rest)?;
        let tail = self.redactor.finish();
        self.entry.reflects(self.redactor.found());
        if !tail.is_empty() {
            self.ready = [std::mem::take(&mut self.ready), tail].concat().into();
        }
        if let Some(source) = self.source.take() {
            source.give_back();
        }
        self.held = None;
        self.entry.finish();
        Ok(())
    }
}

impl Source {
    /// Gives the connection back; the body has been read to its end.
    fn give_back(self) {
        if let Some((pool, key)) = self.back {
            pool.checkin(&key, self.link);
        }
    }

    /// Gives the connection back, if there is no body; closes it otherwise.
    pub(crate) fn discard(self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        }
    }
}

fn decode_error(error: DecodeError, host: &str, cap: u64) -> Error {
    let host = host.to_owned();
    match error {
        DecodeError::TooLarge => Error::TooLarge { cap },
        DecodeError::Truncated => Error::Truncated { host },
        DecodeError::Corrupt => Error::Protocol {
            host,
            reason: "its body is not the gzip it says it is".into(),
        },
        DecodeError::Unknown => Error::Protocol {
            host,
            reason: "its body has a coding that was not asked for".into(),
        },
    }
}

pub(crate) fn body_error(error: &hyper::Error, host: &str) -> Error {
    let host = host.to_owned();
    let malformed = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|source| {
            matches!(
                source.kind(),
                std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData
            )
        });
    if malformed {
        return Error::Protocol {
            host,
            reason: "its body is not framed as HTTP frames it".into(),
        };
    }
    Error::Truncated { host }
}
