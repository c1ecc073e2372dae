//! The body of a request on the wire: counted, capped, with placeholders replaced, and never complete when it is not.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::credential::{Chunks, wire_bytes};
use crate::error::Error;
use crate::request::{BodyStream, Part};
use crate::splice::Splice;

/// What has gone out, and what was wrong with it. Shared with whoever waits for the answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    sent: Arc<AtomicU64>,
    fault: Arc<Mutex<Option<Error>>>,
}

impl Progress {
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Why the body was given up, if it was.
    pub(crate) fn take_fault(&self) -> Option<Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A body was given up; [`Progress::take_fault`] says why.
#[derive(Debug, thiserror::Error)]
#[error("the body was given up")]
pub(crate) struct Abandoned;

/// A body as hyper takes it.
pub(crate) struct Outgoing {
    progress: Progress,
    kind: Kind,
}

enum Kind {
    Whole(Option<Bytes>),
    Stream(Box<Streamed>),
}

struct Streamed {
    body: BodyStream,
    rules: Rules,
    /// Bytes as the caller counts them.
    given: u64,
    /// Bytes as they go on the wire.
    sent: u64,
    last: bool,
    ended: bool,
}

/// What becomes of a body on its way.
pub(crate) struct Rules {
    /// Bytes that the caller may give.
    pub(crate) cap: u64,
    pub(crate) bound: Splice,
    /// Placeholders that may not go to this origin, and the name of the first of their secrets.
    pub(crate) unbound: Splice,
    pub(crate) mismatch: Error,
    /// Signs what goes out, where the credential does that.
    pub(crate) chunks: Option<Chunks>,
}

impl Outgoing {
    pub(crate) fn whole(body: Bytes, progress: Progress) -> Self {
        Self {
            progress,
            kind: Kind::Whole(Some(body).filter(|body| !body.is_empty())),
        }
    }

    pub(crate) fn stream(body: BodyStream, rules: Rules, progress: Progress) -> Self {
        let streamed = Streamed {
            body,
            rules,
            given: 0,
            sent: 0,
            last: false,
            ended: false,
        };
        Self {
            progress,
            kind: Kind::Stream(Box::new(streamed)),
        }
    }
}

impl Streamed {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            if self.last {
                self.ended = true;
                let rest = self.rules.bound.finish();
                let rest = match &mut self.rules.chunks {
                    Some(chunks) => [chunks.feed(&rest), chunks.finish()].concat().into(),
                    None => rest,
                };
                if !rest.is_empty() {
                    return Poll::Ready(Ok(Some(self.send(rest))));
                }
                continue;
            }
            let early = || Error::BadRequest {
                reason: "its body ended before it was complete".into(),
            };
            let given = match ready!(self.body.parts.poll_recv(cx)) {
                None => return Poll::Ready(Err(early())),
                Some(Part::End) => {
                    if self.body.length.is_some_and(|length| length != self.given) {
                        return Poll::Ready(Err(early()));
                    }
                    self.last = true;
                    continue;
                }
                Some(Part::Chunk(chunk)) => chunk,
            };
            self.given = self.given.saturating_add(given.len() as u64);
            if self.given > self.rules.cap {
                return Poll::Ready(Err(Error::Budget {
                    what: "request_bytes",
                }));
            }
            if self.body.length.is_some_and(|length| self.given > length) {
                return Poll::Ready(Err(Error::BadRequest {
                    reason: "its body is longer than it said".into(),
                }));
            }
            self.rules.unbound.feed(given.clone());
            if self.rules.unbound.found() > 0 {
                return Poll::Ready(Err(self.rules.mismatch.clone()));
            }
            let mut out = self.rules.bound.feed(given);
            if let Some(chunks) = &mut self.rules.chunks {
                out = chunks.feed(&out);
            }
            if !out.is_empty() {
                return Poll::Ready(Ok(Some(self.send(out))));
            }
        }
    }

    fn send(&mut self, out: Bytes) -> Bytes {
        self.sent = self.sent.saturating_add(out.len() as u64);
        out
    }

    /// Bytes that are still to go out, where that is known.
    fn left(&self) -> Option<u64> {
        let length = self.body.length?;
        match &self.rules.chunks {
            Some(_) => Some(wire_bytes(length).saturating_sub(self.sent)),
            // Where placeholders are replaced the length on the wire is not the one that the caller gave.
            None => self
                .rules
                .bound
                .is_empty()
                .then(|| length.saturating_sub(self.sent)),
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Abandoned;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abandoned>>> {
        let this = &mut *self;
        let chunk = match &mut this.kind {
            Kind::Whole(body) => Ok(body.take()),
            Kind::Stream(streamed) => ready!(streamed.poll_chunk(cx)),
        };
        Poll::Ready(match chunk {
            Ok(None) => None,
            Ok(Some(chunk)) => {
                this.progress
                    .sent
                    .fetch_add(chunk.len() as u64, Ordering::Relaxed);
                Some(Ok(Frame::data(chunk)))
            }
            Err(error) => {
                *this.progress.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Some(Err(Abandoned))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(body) => body.is_none(),
            Kind::Stream(streamed) => streamed.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Kind::Stream(streamed) => streamed
                .left()
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
