//! What is sent again: what came to nothing for sure, and what may safely happen twice.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use ring::rand::{SecureRandom, SystemRandom};
use sluice_model::schedule::Schedule;

use crate::error::{Error, ResolveError};

/// Three tries, about a quarter and half a second apart.
pub(crate) const SCHEDULE: Schedule = Schedule {
    first: Duration::from_millis(250),
    factor: 2.0,
    max: Duration::from_secs(5),
    tries: 3,
};

/// Why one try failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether it is certain that the peer saw nothing of the request.
    pub(crate) unsent: bool,
}

impl From<Error> for Failure {
    /// A failure before anything was sent.
    fn from(error: Error) -> Self {
        Self { error, unsent: true }
    }
}

/// Whether the request may happen twice (RFC 9110 §9.2.2).
pub(crate) fn is_repeatable(method: &Method, has_key: bool) -> bool {
    has_key
        || matches!(
            *method,
            Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS
        )
}

impl Failure {
    /// Whether trying again makes sense.
    pub(crate) fn is_retryable(&self, repeatable: bool) -> bool {
        let passes = match &self.error {
            Error::Unreachable { .. } => true,
            Error::Resolve { cause, .. } => matches!(cause, ResolveError::Failed(_) | ResolveError::Timeout),
            _ => false,
        };
        passes && (repeatable || self.unsent)
    }

    /// Whether the host is to blame.
    pub(crate) const fn is_the_hosts(&self) -> bool {
        matches!(
            self.error,
            Error::Unreachable { .. }
                | Error::Resolve { .. }
                | Error::Tls { .. }
                | Error::Protocol { .. }
                | Error::Timeout { .. }
        )
    }
}

/// Whether the answer says that it may be better later. A 403 does where it says when: so GitHub's secondary limits.
pub(crate) fn is_retryable_answer(status: StatusCode, headers: &HeaderMap) -> bool {
    match status.as_u16() {
        429 | 502 | 503 | 504 => true,
        403 => headers.contains_key(RETRY_AFTER),
        _ => false,
    }
}

/// Whether the status says that the host is not well.
pub(crate) const fn is_failure_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

/// From 0 to 1.
pub(crate) fn jitter() -> f64 {
    let mut byte = [0; 2];
    if SystemRandom::new().fill(&mut byte).is_err() {
        return 1.0;
    }
    f64::from(u16::from_be_bytes(byte)) / f64::from(u16::MAX)
}
