//! The code of one install: loaded when it is first called, let go of when nobody calls it any more, and loaded again by the next call.
//! So what the server holds follows what is used, not what is installed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluice_runtime::Connector;

/// What is loaded of an install. Calls under way have a copy of their own, which is not taken from them.
#[derive(Debug)]
pub(super) struct Code<C = Connector> {
    loaded: Mutex<Option<C>>,
    /// Held by whoever loads, so that many callers load once.
    loading: tokio::sync::Mutex<()>,
    /// Somebody called since the last look.
    was_called: AtomicBool,
}

impl<C> Default for Code<C> {
    fn default() -> Self {
        Self {
            loaded: Mutex::new(None),
            loading: tokio::sync::Mutex::default(),
            was_called: AtomicBool::new(false),
        }
    }
}

impl<C: Clone> Code<C> {
    /// The code, loaded now where it is not. What fails is tried again by the next call. Cancel-safe.
    pub(super) async fn get<E>(&self, load: impl AsyncFnOnce() -> Result<C, E>) -> Result<C, E> {
        self.was_called.store(true, Ordering::Relaxed);
        if let Some(code) = &*self.look() {
            return Ok(code.clone());
        }
        let _turn = self.loading.lock().await;
        if let Some(code) = &*self.look() {
            return Ok(code.clone());
        }
        let code = load().await?;
        *self.look() = Some(code.clone());
        Ok(code)
    }

    /// Lets go of it where nobody called since this was asked before.
    pub(super) fn let_go_if_idle(&self) {
        if !self.was_called.swap(false, Ordering::Relaxed) {
            let idle = self.look().take();
            drop(idle);
        }
    }

    fn look(&self) -> MutexGuard<'_, Option<C>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test]
    async fn it_is_loaded_once_for_as_long_as_it_is_called() {
        let code = Arc::new(Code::<u32>::default());
        let loads = Arc::new(AtomicU32::new(0));
        let call = || {
            let (code, loads) = (Arc::clone(&code), Arc::clone(&loads));
            async move {
                let load = async || {
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(loads.fetch_add(1, Ordering::Relaxed))
                };
                code.get(load).await
            }
        };
        let (one, two) = tokio::join!(call(), call());
        assert_eq!((one, two), (Ok(0), Ok(0)));
        code.let_go_if_idle();
        assert_eq!(call().await, Ok(0), "it was called since");
        code.let_go_if_idle();
        code.let_go_if_idle();
        assert_eq!(call().await, Ok(1));
    }

    #[tokio::test]
    async fn what_fails_is_tried_again() {
        let code = Code::<u32>::default();
        assert_eq!(code.get(async || Err("no")).await, Err("no"));
        assert_eq!(code.get(async || Ok::<_, &str>(1)).await, Ok(1));
    }
}
