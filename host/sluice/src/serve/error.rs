//! Why a server does not start, or stopped.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::ConfigError;
use crate::listen::{ListenError, TlsError};
use crate::master::MasterError;

/// The start or the end of a server went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Master(#[from] MasterError),
    #[error(transparent)]
    Open(#[from] sluice_store::OpenError),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
    #[error(transparent)]
    Broker(#[from] sluice_broker::ConfigError),
    #[error(transparent)]
    Runtime(#[from] sluice_runtime::StartError),
    #[error("start the work")]
    Work(#[from] sluice_service::StartError),
    #[error("write the first API key to {}", path.display())]
    KeyFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("make the directory {} for large webhooks", path.display())]
    Spool {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("make the first API key: the machine's random source does not answer")]
    Random,
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("start: a task panicked")]
    Panicked,
    #[error("the database failed and the server stops: {reason}")]
    StoreFailed { reason: Arc<str> },
    #[error("ended by a second signal before everything was done")]
    Aborted,
}

impl ServeError {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "internal",
        "server.key_file",
        "server.spool",
        "server.aborted",
        "store.failed",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Listen(error) => error.code(),
            Self::Tls(error) => error.code(),
            Self::Master(error) => error.code(),
            Self::Open(error) => error.code(),
            Self::Store(error) | Self::Work(sluice_service::StartError::Store(error)) => error.code(),
            Self::Broker(error) => error.code(),
            Self::Runtime(error) => error.code(),
            Self::KeyFile { .. } => "server.key_file",
            Self::Spool { .. } => "server.spool",
            Self::StoreFailed { .. } => "store.failed",
            Self::Aborted => "server.aborted",
            Self::Work(_) | Self::Random | Self::Signals(_) | Self::Panicked => "internal",
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Listen(error) => error.hint(),
            Self::Master(error) => error.hint(),
            Self::Open(error) => error.hint(),
            Self::Store(error) | Self::Work(sluice_service::StartError::Store(error)) => error.hint(),
            Self::Runtime(error) => error.hint(),
            Self::StoreFailed { .. } => Some(
                "look at the disk (space, errors), then start Sluice again: it recovers by itself".to_owned(),
            ),
            _ => None,
        }
    }
}
