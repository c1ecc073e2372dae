//! Whether anything happens on a connection: the answer to peers that connect and then say nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Shared by a connection's task and its requests.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// A request's head has arrived.
    spoke: AtomicBool,
    requests: AtomicUsize,
    /// When the last request ended, in milliseconds since `began`.
    last_ms: AtomicU64,
}

/// Held while a request is served.
#[derive(Debug)]
pub(super) struct Serving(Activity);

impl Activity {
    pub(super) fn begin() -> Self {
        Self(Arc::new(Shared {
            began: Instant::now(),
            spoke: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
        }))
    }

    pub(super) fn serve(&self) -> Serving {
        self.0.spoke.store(true, Ordering::Relaxed);
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        Serving(self.clone())
    }

    /// Whether nothing has happened for too long. An answer that is still being written does not count as something:
    /// whoever reads it slower than the idle time is cut off too.
    pub(super) fn stale(&self, now: Instant, header: Duration, idle: Duration) -> bool {
        if self.0.requests.load(Ordering::Relaxed) > 0 {
            return false;
        }
        let age = now.saturating_duration_since(self.0.began);
        if !self.0.spoke.load(Ordering::Relaxed) {
            return age > header;
        }
        age.saturating_sub(Duration::from_millis(self.0.last_ms.load(Ordering::Relaxed))) > idle
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let shared = &self.0.0;
        let now = u64::try_from(shared.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        shared.last_ms.store(now, Ordering::Relaxed);
        shared.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_stale_and_work_is_not() {
        let (header, idle) = (Duration::from_secs(10), Duration::from_secs(60));
        let activity = Activity::begin();
        let after = |seconds| activity.stale(Instant::now() + Duration::from_secs(seconds), header, idle);
        assert!(!after(0) && after(11));
        let serving = activity.serve();
        assert!(!after(600));
        drop(serving);
        assert!(!after(11) && after(61));
    }
}
