//! The limits that a manifest, a ceiling or a config can declare. Every one of them bites: each has a guest in the test
//! suite that it stops.

use std::time::Duration;

/// What one call of a guest may use. A manifest asks, the operator's ceiling cuts, the runtime and the broker enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories of the call together.
    pub memory_bytes: u64,
    /// Elements of all tables of the call together.
    pub table_elements: u64,
    /// Wall-clock time of one call, waiting included.
    pub call_time: Duration,
    /// Calls of host functions.
    pub host_calls: u64,
    /// Bytes of log text; what exceeds it is dropped and counted.
    pub log_bytes: u64,
    /// Brokered requests.
    pub http_requests: u32,
    /// Requests under way at once.
    pub http_concurrency: u32,
    /// Bytes of one response's body after decompression.
    pub response_bytes: u64,
    /// Bytes of one request's body.
    pub request_bytes: u64,
    /// Total time of one brokered request, retries and redirects included.
    pub request_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            call_time: Duration::from_secs(60),
            host_calls: 100_000,
            log_bytes: 256 << 10,
            http_requests: 1_000,
            http_concurrency: 8,
            response_bytes: 32 << 20,
            request_bytes: 16 << 20,
            request_time: Duration::from_secs(30),
        }
    }
}
