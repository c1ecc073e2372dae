//! What went wrong with something durable, as it is kept beside it: a stable code and a sentence.

/// An error of a run, receipt or connection, in words that are safe to show to its owner.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// Stable, e.g. `sync.no_progress`; `sluice explain` knows it.
    pub code: String,
    pub message: String,
}

impl Problem {
    pub(crate) fn new(code: &str, message: impl ToString) -> Self {
        let mut message = message.to_string();
        if message.len() > MAX_MESSAGE_BYTES {
            let end = message.floor_char_boundary(MAX_MESSAGE_BYTES);
            message.truncate(end);
            message.push('…');
        }
        Self {
            code: code.to_owned(),
            message,
        }
    }
}

/// Longer messages are cut: they are for people, and rows are kept for long.
const MAX_MESSAGE_BYTES: usize = 1000;
