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
        Some(_) => return crash("it used a resource of the host that it does not have", error),
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
        return crash(words.strip_prefix("wasm trap: ").unwrap_or(&words), error);
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return crash(&format!("it exited with status {status}"), error);
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
    crash(&words, error)
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

fn crash(words: &str, error: &wasmtime::Error) -> CallError {
    CallError::Trap {
        message: without_places(words),
        symbols: symbols(error),
    }
}

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

    #[test]
    fn places_are_removed() {
        let check = |words: &str, expected: &str| assert_eq!(without_places(words), expected);
        check("fault at 0x7f00dead here", "fault at … here");
        check("open `/home/somebody/file`: no", "open … no");
        check("a\u{1b}[31m b\n c", "a b c");
    }
}
