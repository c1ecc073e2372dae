//! What is found about a connector: how grave, where, and what to do.

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable: one of [`CODES`](Self::CODES).
    pub code: &'static str,
    pub severity: Severity,
    /// What it is about: `capabilities.egress`, `streams.issues`; empty for the whole.
    pub path: String,
    /// Line and column of the manifest, from 1, where there is one.
    pub at: Option<(u32, u32)>,
    pub message: String,
    /// The one next step.
    pub hint: String,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Whoever installs it will ask about this.
    Warning,
    /// No server takes it like this.
    Error,
}

impl Severity {
    /// In lower case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Finding {
    /// Every code of a finding.
    pub const CODES: &[&str] = &[
        "check.manifest",
        "check.contract",
        "check.component",
        "check.stale",
        "check.size",
        "check.nothing",
        "check.wide_host",
        "check.wide_paths",
        "check.wide_methods",
        "check.plain_http",
        "check.no_reason",
        "check.most_there_is",
        "check.schema",
        "check.migration",
        "check.key",
        "check.hook",
        "check.missing_file",
    ];
}
