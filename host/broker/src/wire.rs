//! The body of a request on the wire: counted, capped, with placeholders replaced, and never complete when it is not.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

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
    /// Bytes as the caller counts them.
    given: u64,
    cap: u64,
    bound: Splice,
    /// Placeholders that may not go to this origin, and the name of the first of their secrets.
    unbound: Splice,
    mismatch: Error,
    last: bool,
    ended: bool,
}

impl Outgoing {
    pub(crate) fn whole(body: Bytes, progress: Progress) -> Self {
        Self {
            progress,
            kind: Kind::Whole(Some(body).filter(|body| !body.is_empty())),
        }
    }

    pub(crate) fn stream(
        body: BodyStream,
        cap: u64,
        bound: Splice,
        unbound: Splice,
        mismatch: Error,
        progress: Progress,
    ) -> Self {
        let streamed = Streamed {
            body,
            given: 0,
            cap,
            bound,
            unbound,
            mismatch,
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
                let rest = self.bound.finish();
                if !rest.is_empty() {
                    return Poll::Ready(Ok(Some(rest)));
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
            if self.given > self.cap {
                return Poll::Ready(Err(Error::Budget {
                    what: "request_bytes",
                }));
            }
            if self.body.length.is_some_and(|length| self.given > length) {
                return Poll::Ready(Err(Error::BadRequest {
                    reason: "its body is longer than it said".into(),
                }));
            }
            self.unbound.feed(given.clone());
            if self.unbound.found() > 0 {
                return Poll::Ready(Err(self.mismatch.clone()));
            }
            let out = self.bound.feed(given);
            if !out.is_empty() {
                return Poll::Ready(Ok(Some(out)));
            }
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
            // Where placeholders are replaced the length on the wire is not the one that the caller gave.
            Kind::Stream(streamed) => match streamed.body.length {
                Some(length) if streamed.bound.is_empty() => {
                    SizeHint::with_exact(length.saturating_sub(streamed.given))
                }
                _ => SizeHint::default(),
            },
        }
    }
}
