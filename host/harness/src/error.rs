//! Why a connector cannot be rehearsed at all. What a rehearsal finds is in its report.

use std::path::PathBuf;

/// Why nothing was run, or what was run cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be read or written", .path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// `case.toml` is not one.
    #[error("{}: {reason}", .path.display())]
    Case { path: PathBuf, reason: String },
    /// A cassette is not one.
    #[error("{}: {reason}", .path.display())]
    Cassette { path: PathBuf, reason: String },
    /// There is nothing to play.
    #[error("{} has no cassette", .path.display())]
    NoCassette { path: PathBuf },
    /// The case's configuration breaks the manifest's schema, or does not fill the grant's patterns.
    #[error("the configuration of the case: {0}")]
    Config(String),
    /// The credential that the case needs was not given, or lacks a part.
    #[error("the credential `{scheme}` {lacks}")]
    Secret { scheme: String, lacks: String },
    /// What was recorded shows a secret in some form: it was not kept.
    #[error("what the vendor answered shows the secret `{name}`, so nothing was written")]
    Shown { name: String },
    #[error(transparent)]
    Load(#[from] sluice_runtime::LoadError),
    #[error(transparent)]
    Start(#[from] sluice_runtime::StartError),
    #[error(transparent)]
    Road(#[from] sluice_broker::ConfigError),
    #[error(transparent)]
    Schema(#[from] sluice_service::schema::SchemaError),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "test.file",
        "test.case",
        "test.cassette",
        "test.no_cassette",
        "test.config",
        "test.secret",
        "test.secret_shown",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "test.file",
            Self::Case { .. } => "test.case",
            Self::Cassette { .. } => "test.cassette",
            Self::NoCassette { .. } => "test.no_cassette",
            Self::Config(_) => "test.config",
            Self::Secret { .. } => "test.secret",
            Self::Shown { .. } => "test.secret_shown",
            Self::Load(error) => error.code(),
            Self::Start(error) => error.code(),
            Self::Road(error) => error.code(),
            Self::Schema(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Case { .. } => "correct the file; docs/author/test.md says what stands in it",
            Self::Cassette { .. } | Self::NoCassette { .. } => "record it: sluice connector test --record",
            Self::Config(_) => "correct `config` in case.toml",
            Self::Secret { .. } => {
                "set SLUICE_TEST_SECRET, or name a file with --secret-file; a JSON object names several parts"
            }
            Self::Shown { .. } => "record against an account whose answers do not repeat the credential",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
