//! Numbers about the connector's own work; names are `[a-z][a-z0-9_]*` up to 64 bytes, at most 32 a call.

/// Adds to a counter that only grows.
///
/// ```
/// sluice_sdk::metrics::count("pull_requests_skipped", 3);
/// ```
pub fn count(name: &str, by: u64) {
    #[cfg(target_family = "wasm")]
    crate::wit::sluice::connector::metrics::count(name, by);
    #[cfg(not(target_family = "wasm"))]
    let _ = (name, by);
}

/// Sets a value that goes up and down.
pub fn gauge(name: &str, value: f64) {
    #[cfg(target_family = "wasm")]
    crate::wit::sluice::connector::metrics::gauge(name, value);
    #[cfg(not(target_family = "wasm"))]
    let _ = (name, value);
}
