//! The engine's clock: a thread of its own that moves the epoch on, so that guests are interrupted even when every
//! worker thread is busy running them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

/// One tick. A guest that never returns gives its worker thread back this often, and its deadline is looked at this
/// often: a hundred times a second costs nothing and is far below what a person or a vendor notices.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Stops its thread when dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let engine = engine.weak();
        let thread = thread::Builder::new()
            .name("sluice-ticker".into())
            .spawn(move || {
                while !seen.load(Ordering::Relaxed) {
                    thread::park_timeout(TICK);
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => break,
                    }
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread only sleeps and counts; it cannot have panicked in a way that matters here.
            let _ = thread.join();
        }
    }
}
