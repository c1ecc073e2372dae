//! Why a call gave no answer, told from what the engine says.

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, ResourceTableError};

use crate::journal::clean;
use crate::limiter::Refused;
use crate::outcome::CallError;
use crate::state::{HANDLES, State};
use crate::stop::Stop;

/// Bytes of the engine's words that are passed on.
const MESSAGE_BYTES: usize = 512;

/// Bytes of one function's name.
const SYMBOL_BYTES: usize = 256;

/// The reason behind `error`, which ended the call that `state` belonged to.
pub(crate) fn classify(error: &wasmtime::Error, state: &State) -> CallError {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stopped(stop, state);
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return CallError::Saturated;
    }
    match error.downcast_ref::<ResourceTableError>() {
        Some(ResourceTableError::Full) => {
            return CallError::Budget {
                what: "resources of the host",
                limit: state.table.max_capacity() as u64,
            };
        }
        Some(_) => {
            return crash(
                "it used a resource of the host that it does not have",
                error,
                state,
            );
        }
        None => {}
    }
    // A guest that is refused memory mostly aborts a moment later; what it needed is the reason, not how it fell.
    match state.limiter.refused() {
        Some(Refused::Memory) => {
            return CallError::Memory {
                limit_bytes: state.limits.memory_bytes,
            };
        }
        Some(Refused::Table) => {
            return CallError::Budget {
                what: "table elements",
                limit: state.limits.table_elements,
            };
        }
        None => {}
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let words = trap.to_string();
        return crash(words.strip_prefix("wasm trap: ").unwrap_or(&words), error, state);
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return crash(&format!("it exited with status {status}"), error, state);
    }
    let words = error.root_cause().to_string();
    // The engine has no types for these two that could be asked for; the tests tell when its words change.
    if words.contains("fuel allocated for hostcalls") {
        return CallError::Budget {
            what: "bytes handed over at once",
            limit: state.crossing_bytes(),
        };
    }
    if words.contains("store handle limit exceeded") {
        return CallError::Budget {
            what: "handles",
            limit: HANDLES as u64,
        };
    }
    crash(&words, error, state)
}

/// The reason that the host gave itself.
pub(crate) fn stopped(stop: &Stop, state: &State) -> CallError {
    match stop {
        Stop::Deadline => deadline(state),
        Stop::Cancelled => CallError::Cancelled,
        Stop::Budget { what, limit } => CallError::Budget { what, limit: *limit },
        Stop::Fault(fault) => CallError::Host {
            reason: fault.to_string(),
        },
        Stop::Host(reason) => CallError::Host {
            reason: reason.clone(),
        },
    }
}

/// The wall clock ran out.
pub(crate) fn deadline(state: &State) -> CallError {
    CallError::Deadline {
        limit_ms: u64::try_from(state.limits.call_time.as_millis()).unwrap_or(u64::MAX),
    }
}

fn crash(words: &str, error: &wasmtime::Error, state: &State) -> CallError {
    let message = match state.journal.panic() {
        Some((place, why)) => clean(
            &format!("panicked at {}: {why}", by_its_author(&place)),
            MESSAGE_BYTES,
        ),
        None => without_places(words),
    };
    CallError::Trap {
        message,
        symbols: symbols(error),
    }
}

/// The author's own files are named from their package on; of others, which stand where they were built, the end says enough.
fn by_its_author(place: &str) -> String {
    if !place.starts_with('/') {
        return place.to_owned();
    }
    let segments: Vec<_> = place.split('/').collect();
    let from = segments.len().saturating_sub(KEPT_SEGMENTS);
    segments.get(from..).unwrap_or_default().join("/")
}

/// Of a path that is not the author's: the package, `src` and the file.
const KEPT_SEGMENTS: usize = 3;

/// Functions on the stack, innermost first, demangled. The engine prints one a line, as `  0: module!function`.
fn symbols(error: &wasmtime::Error) -> Vec<String> {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let text = trace.to_string();
    let frames = text
        .lines()
        .filter_map(|line| line.split_once(": ")?.1.split_once('!'));
    frames
        .map(|(_, function)| clean(function, SYMBOL_BYTES))
        .collect()
}

/// Addresses and paths of this machine are nobody's business.
fn without_places(words: &str) -> String {
    let mut out = String::new();
    for word in words.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        let bare = word.trim_start_matches(['(', '`', '"', '\'']);
        out.push_str(if bare.starts_with("0x") || bare.starts_with('/') {
            "…"
        } else {
            word
        });
    }
    clean(&out, MESSAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;
    use crate::outcome::{Level, Source};

    #[test]
    fn places_are_removed() {
        let check = |words: &str, expected: &str| assert_eq!(without_places(words), expected);
        check("fault at 0x7f00dead here", "fault at … here");
        check("open `/home/somebody/file`: no", "open … no");
        check("a\u{1b}[31m b\n c", "a b c");
    }

    #[test]
    fn a_panic_is_told_by_the_authors_file() {
        let check = |place: &str, expected: &str| assert_eq!(by_its_author(place), expected);
        check("src/lib.rs:31:9", "src/lib.rs:31:9");
        check(
            "/home/somebody/.cargo/registry/src/index-1/serde_json-1.0.0/src/de.rs:1:2",
            "serde_json-1.0.0/src/de.rs:1:2",
        );
        let journal = Journal::new(10_000);
        let say = |text: &str| journal.write(Level::Warn, Source::Stderr, text, None);
        say("nothing panicked at all");
        assert_eq!(journal.panic(), None);
        let found = |place: &str, why: &str| Some((place.to_owned(), why.to_owned()));
        for thread in ["thread '<unnamed>'", "thread '<unnamed>' (1)"] {
            say(&format!("{thread} panicked at src/lib.rs:31:9:"));
            assert_eq!(journal.panic(), found("src/lib.rs:31:9", ""));
            say("the moon is 7");
            say("note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace");
            assert_eq!(journal.panic(), found("src/lib.rs:31:9", "the moon is 7"));
        }
    }
}
