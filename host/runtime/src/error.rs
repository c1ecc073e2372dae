//! Why the runtime did not start, and why a component was not taken.

/// The runtime cannot start on this machine with these settings.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine refused its settings or could not reserve its pools.
    #[error("set up the wasm engine: {reason}")]
    Engine { reason: String },
    /// The ticker thread could not be started.
    #[error("start the thread that interrupts guests")]
    Ticker(#[source] std::io::Error),
    /// The cache directory could not be made.
    #[error("make the directory of compiled connectors")]
    Cache(#[source] std::io::Error),
    /// The host functions could not be linked; a bug of this build.
    #[error("link the host functions: {reason}")]
    Link { reason: String },
}

impl StartError {
    /// Every code that [`code`](Self::code) can give.
    pub const CODES: &[&str] = &[
        "runtime.engine",
        "runtime.ticker",
        "runtime.cache",
        "runtime.link",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine { .. } => "runtime.engine",
            Self::Ticker(_) => "runtime.ticker",
            Self::Cache(_) => "runtime.cache",
            Self::Link { .. } => "runtime.link",
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine { .. } => Some(
                "lower the number of slots or the largest memory, or lift the process's address space limit"
                    .into(),
            ),
            Self::Cache(_) => Some("make the data directory writable for this user".into()),
            Self::Ticker(_) | Self::Link { .. } => None,
        }
    }
}

/// Why bytes were not taken as a connector. Nothing is kept of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("the component has {size} bytes, more than the {limit} that are allowed")]
    TooLarge { size: u64, limit: u64 },
    /// A core module, which has no typed interface.
    #[error("this is a core wasm module, not a component")]
    NotComponent,
    /// Not wasm at all, cut off or damaged.
    #[error("this is not a whole wasm component: {reason} (at byte {offset})")]
    Malformed { reason: String, offset: u64 },
    /// The bytes are not those that the digest names.
    #[error("the component's digest is {found}, expected {expected}")]
    Digest { expected: String, found: String },
    /// Everything that the component asks for and the host does not have; nothing is ever stubbed.
    #[error("the component imports what this host does not offer: {}", .names.join(", "))]
    ImportsRefused { names: Vec<String> },
    /// What the contract asks of a connector and the component lacks.
    #[error("the component does not export what a connector must: {}", .names.join(", "))]
    ExportsMissing { names: Vec<String> },
    /// The compiler refused it, or did not finish within its limits.
    #[error("the component could not be compiled: {reason}")]
    CompileFailed { reason: String },
}

impl LoadError {
    /// Every code that [`code`](Self::code) can give.
    pub const CODES: &[&str] = &[
        "package.too_large",
        "package.not_component",
        "package.malformed",
        "package.digest_mismatch",
        "package.imports_refused",
        "package.exports_missing",
        "package.compile_failed",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "package.too_large",
            Self::NotComponent => "package.not_component",
            Self::Malformed { .. } => "package.malformed",
            Self::Digest { .. } => "package.digest_mismatch",
            Self::ImportsRefused { .. } => "package.imports_refused",
            Self::ExportsMissing { .. } => "package.exports_missing",
            Self::CompileFailed { .. } => "package.compile_failed",
        }
    }

    /// What the connector's author can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotComponent => {
                "build for the target wasm32-wasip2, or turn the module into a component with `wasm-tools component new`"
            }
            Self::ImportsRefused { .. } => {
                "a connector may import `sluice:connector` 0.1 and WASI 0.2 (cli, clocks, filesystem, io, random, sockets, http outgoing)"
            }
            Self::ExportsMissing { .. } => {
                "implement the world `sluice:connector/connector@0.1.0`; the SDK's `export!` does it with defaults"
            }
            Self::Malformed { .. } | Self::Digest { .. } => "fetch or build the component again",
            Self::TooLarge { .. } => "strip debug information from the component",
            Self::CompileFailed { .. } => return None,
        };
        Some(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_listed() {
        let all = [
            LoadError::TooLarge { size: 2, limit: 1 },
            LoadError::NotComponent,
            LoadError::Malformed {
                reason: String::new(),
                offset: 0,
            },
            LoadError::Digest {
                expected: String::new(),
                found: String::new(),
            },
            LoadError::ImportsRefused { names: Vec::new() },
            LoadError::ExportsMissing { names: Vec::new() },
            LoadError::CompileFailed {
                reason: String::new(),
            },
        ];
        assert!(all.iter().all(|error| LoadError::CODES.contains(&error.code())));
        assert_eq!(all.len(), LoadError::CODES.len());
    }
}
