//! What is wrong with a configuration, and where.

use std::path::PathBuf;

/// A configuration that is refused; nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file, or one that it names, cannot be read.
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The file says something that is not understood or not allowed.
    #[error("{}:{line}:{column}: {}{message}", path.display(), at(key))]
    File {
        path: PathBuf,
        line: usize,
        column: usize,
        key: String,
        message: String,
    },
    /// A variable of the environment does.
    #[error("environment variable {name}: {message}")]
    Env { name: String, message: String },
    /// A flag or a default does, or values contradict each other.
    #[error("`{key}`: {message}")]
    Value { key: String, message: String },
    /// Everybody could reach the API in clear text.
    #[error("{listen} is reachable from other machines and there is no TLS")]
    PlainPublic { listen: std::net::SocketAddr },
}

fn at(key: &str) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!("`{key}`: ")
    }
}

impl ConfigError {
    /// Every code of [`code`](Self::code).
    pub const CODES: &[&str] = &["config.unreadable", "config.invalid", "config.plain_public"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "config.unreadable",
            Self::File { .. } | Self::Env { .. } | Self::Value { .. } => "config.invalid",
            Self::PlainPublic { .. } => "config.plain_public",
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => "check the path and who may read it".to_owned(),
            Self::PlainPublic { .. } => {
                "set server.tls_cert_file and server.tls_key_file, or listen on 127.0.0.1; with a \
                proxy that speaks TLS in front, say so with --open or server.allow_plain_public = true"
                    .to_owned()
            }
            _ => "`sluice serve --print-config` shows every key with its default".to_owned(),
        })
    }
}
