//! What a call comes back with: a value, a guest's error, or the reason why there is neither; and what it wants done.

use std::collections::BTreeMap;

use sluice_broker::CaptureInto;
use sluice_model::exchange::Exchange;
use sluice_model::fault::Fault;
use sluice_model::secret::Secret;

use crate::keeping::FileWrite;
use crate::snapshot::StorageWrite;

/// The end of a call. The inner result is the guest's word; the outer one says whether the guest got to give it.
#[derive(Debug)]
pub struct Outcome<T> {
    pub result: Result<Result<T, Fault>, CallError>,
    pub effects: Effects,
}

impl<T> Outcome<T> {
    pub(crate) fn failed(error: CallError) -> Self {
        Self {
            result: Err(error),
            effects: Effects::default(),
        }
    }
}

/// What a call wants done, and what it did. The caller commits `storage`, `files` and `captured` together with the value, or
/// none of them. A call that did not return `Ok(Ok(_))` has no `storage` and no `files`; its logs, metrics and exchanges are kept, for
/// they tell why.
#[derive(Debug, Default)]
pub struct Effects {
    pub storage: Vec<StorageWrite>,
    /// At most one for each key.
    pub files: Vec<FileWrite>,
    /// Bytes of files that were downloaded, kept or not.
    pub downloaded: u64,
    pub logs: Vec<LogLine>,
    pub metrics: Metrics,
    /// Every brokered request, in the order in which they ended.
    pub exchanges: Vec<Exchange>,
    /// Exchanges that were too many to keep.
    pub exchanges_dropped: u64,
    /// What the connector's captures kept from it, in the order of the responses. Sealed and committed by the caller.
    pub captured: Vec<(CaptureInto, Secret)>,
    /// The placeholders that stand for presigned addresses, and these. Only the answer of an action that declares it may
    /// show them, and only to whoever ran it.
    pub presigned: Vec<(String, Secret)>,
    pub used: Used,
}

/// What a call used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// All linear memories together at the end, in bytes.
    pub memory_bytes: u64,
    /// Calls of host functions.
    pub host_calls: u64,
}

/// A line of the connector's log: no control characters, no escape sequences, at most 4 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    /// Where it came from.
    pub source: Source,
    pub message: String,
    /// A JSON object, as text.
    pub fields: Option<String>,
}

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The connector, by the contract's `log`.
    Log,
    Stdout,
    Stderr,
    /// The runtime, about the connector: lines that were dropped, sockets that were refused.
    Host,
}

/// The connector's own numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    pub counts: BTreeMap<String, u64>,
    pub gauges: BTreeMap<String, f64>,
    /// Numbers with a bad name or one name too many.
    pub dropped: u64,
}

/// Why a call gave no answer. The instance is gone; nothing of the call is durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The guest trapped: a panic, an impossible instruction, a stack overflow.
    #[error("the connector crashed: {message}")]
    Trap {
        /// The engine's words, without addresses and paths.
        message: String,
        /// Functions on the stack, innermost first, as the component names them.
        symbols: Vec<String>,
    },
    /// The wall clock of the call ran out.
    #[error("the connector took longer than its {limit_ms} ms")]
    Deadline { limit_ms: u64 },
    /// The guest failed after it was refused memory or table elements.
    #[error("the connector needs more memory than its {limit_bytes} bytes")]
    Memory { limit_bytes: u64 },
    /// A budget of the call is used up.
    #[error("the connector used up its {what}, which are limited to {limit}")]
    Budget { what: &'static str, limit: u64 },
    /// Whoever made the call gave it up.
    #[error("the call was cancelled")]
    Cancelled,
    /// No slot became free in time, for this organization or at all.
    #[error("too many connectors are running")]
    Saturated,
    /// The guest returned something that its contract rules out.
    #[error("the connector returned a bad value: {what}")]
    BadValue { what: String },
    /// The host could not serve the call: the component could not be instantiated, or a credential not be read.
    #[error("the host could not serve the connector: {reason}")]
    Host { reason: String },
}

impl CallError {
    /// Every code that [`code`](Self::code) can give.
    pub const CODES: &[&str] = &[
        "guest.trap",
        "guest.deadline",
        "guest.memory",
        "guest.budget",
        "guest.cancelled",
        "guest.saturated",
        "guest.bad_value",
        "guest.host",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "guest.trap",
            Self::Deadline { .. } => "guest.deadline",
            Self::Memory { .. } => "guest.memory",
            Self::Budget { .. } => "guest.budget",
            Self::Cancelled => "guest.cancelled",
            Self::Saturated => "guest.saturated",
            Self::BadValue { .. } => "guest.bad_value",
            Self::Host { .. } => "guest.host",
        }
    }

    /// Whether the same call may succeed later without anybody acting.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Saturated | Self::Cancelled | Self::Deadline { .. })
    }

    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Trap { .. } | Self::BadValue { .. } => {
                "report it to the connector's author, with the call's log"
            }
            Self::Deadline { .. } => {
                "raise `call_time_ms` in the grant if the vendor is slow, or ask for smaller pages"
            }
            Self::Memory { .. } => "raise `memory_bytes` in the grant, or ask for smaller pages",
            Self::Budget { .. } => "raise the limit in the grant, or report it to the connector's author",
            Self::Saturated => "raise `runtime.slots`, or spread the work",
            Self::Cancelled | Self::Host { .. } => return None,
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
            CallError::Trap {
                message: String::new(),
                symbols: Vec::new(),
            },
            CallError::Deadline { limit_ms: 1 },
            CallError::Memory { limit_bytes: 1 },
            CallError::Budget {
                what: "host calls",
                limit: 1,
            },
            CallError::Cancelled,
            CallError::Saturated,
            CallError::BadValue { what: String::new() },
            CallError::Host {
                reason: String::new(),
            },
        ];
        assert!(all.iter().all(|error| CallError::CODES.contains(&error.code())));
        assert_eq!(all.len(), CallError::CODES.len());
    }
}
