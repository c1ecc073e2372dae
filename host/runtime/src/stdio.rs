//! Stdout and stderr of a guest: lines of its log. Stdin is empty.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::journal::Lines;

/// How much a guest may hand over in one write, in bytes.
const WRITE_BYTES: usize = 64 << 10;

/// One of the two. A guest may open it many times; all streams write to the same lines.
#[derive(Debug, Clone)]
pub(crate) struct Mouth(Arc<Mutex<Lines>>);

impl Mouth {
    pub(crate) fn new(lines: Lines) -> Self {
        Self(Arc::new(Mutex::new(lines)))
    }
}

impl IsTerminal for Mouth {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Mouth {
    /// WASI 0.3 and 0.1 would ask for it; neither is linked.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Mouth {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Mouth {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}
