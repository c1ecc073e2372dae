//! Panics: contained by the task they happen in, logged, and counted.

use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// From now on panics go to the log instead of raw standard error.
pub fn watch() {
    std::panic::set_hook(Box::new(|panic| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let said = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        tracing::error!(place, message = said.unwrap_or_default(), "a task panicked");
    }));
}

/// How many there were since the start.
#[must_use]
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}
