//! The entry that one exchange will have in its trace: filled on the way, recorded when it is dropped, so that a
//! cancelled exchange is in the trace too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_model::clock::Timestamp;
use sluice_model::exchange::Exchange;
use tokio::time::Instant;

use crate::error::Error;
use crate::trace::Trace;
use crate::wire::Progress;

/// Bytes of a URL that a trace keeps.
const MAX_URL_BYTES: usize = 2 << 10;

pub(crate) struct Entry {
    trace: Trace,
    reflections: Arc<AtomicU64>,
    exchange: Exchange,
    progress: Progress,
    began: Instant,
    deadline: Instant,
    reflected: bool,
    recorded: bool,
}

impl Entry {
    pub(crate) fn new(
        trace: Trace,
        reflections: Arc<AtomicU64>,
        started: Timestamp,
        deadline: Instant,
        method: &str,
    ) -> Self {
        let exchange = Exchange {
            started,
            took: Duration::ZERO,
            method: method.chars().take(16).collect(),
            url: String::new(),
            credential: None,
            address: None,
            status: None,
            sent_bytes: 0,
            received_bytes: 0,
            attempts: 0,
            error: None,
        };
        Self {
            trace,
            reflections,
            exchange,
            progress: Progress::default(),
            began: Instant::now(),
            deadline,
            reflected: false,
            recorded: false,
        }
    }

    /// `url` is already redacted.
    pub(crate) fn url(&mut self, mut url: String) {
        if url.len() > MAX_URL_BYTES {
            let end = (0..=MAX_URL_BYTES)
                .rev()
                .find(|end| url.is_char_boundary(*end))
                .unwrap_or_default();
            url.truncate(end);
            url.push('…');
        }
        self.exchange.url = url;
    }

    pub(crate) fn credential(&mut self, name: String) {
        self.exchange.credential = Some(name);
    }

    pub(crate) fn address(&mut self, address: String) {
        self.exchange.address = Some(address);
    }

    pub(crate) fn attempt(&mut self) {
        self.exchange.attempts += 1;
        self.exchange.status = None;
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.exchange.attempts
    }

    pub(crate) fn status(&mut self, status: u16) {
        self.exchange.status = Some(status);
    }

    pub(crate) fn received(&mut self, bytes: usize) {
        self.exchange.received_bytes = self.exchange.received_bytes.saturating_add(bytes as u64);
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Notes, once, that the response had a known secret in it.
    pub(crate) fn reflects(&mut self, found: u64) {
        if found == 0 || std::mem::replace(&mut self.reflected, true) {
            return;
        }
        self.trace.reflected();
        self.reflections.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            code = "secret.reflected",
            url = self.exchange.url,
            "a response had a secret in it; it was redacted"
        );
    }

    pub(crate) fn fail(&mut self, error: &Error) {
        if self.exchange.error.is_none() {
            self.exchange.error = Some(error.code().to_owned());
        }
        self.finish();
    }

    pub(crate) fn finish(&mut self) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        self.exchange.took = self.began.elapsed();
        self.exchange.sent_bytes = self.progress.sent_bytes();
        let exchange = &self.exchange;
        tracing::debug!(
            method = exchange.method,
            url = exchange.url,
            status = exchange.status,
            error = exchange.error,
            took_ms = u64::try_from(exchange.took.as_millis()).unwrap_or(u64::MAX),
            "broker.send"
        );
        self.trace.record(exchange.clone());
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.recorded && self.exchange.status.is_none() && self.exchange.error.is_none() {
            let late = Instant::now() >= self.deadline;
            self.exchange.error = Some(
                if late {
                    "egress.timeout"
                } else {
                    "egress.cancelled"
                }
                .to_owned(),
            );
        }
        self.finish();
    }
}
