//! An exchange: one brokered request and what came of it, redacted; a run's exchanges are its trace.

use std::time::Duration;

use crate::clock::Timestamp;

/// One request on its way through the broker, as the trace keeps it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exchange {
    /// When the request came to the broker.
    pub started: Timestamp,
    /// Until its answer was read to the end, or it was given up.
    pub took: Duration,
    /// As it was sent.
    pub method: String,
    /// Scheme, host, port and path; the values of the query are redacted where a credential is among them.
    pub url: String,
    /// The name of the credential that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The address that was dialled, once policy had passed on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The answer's status, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Bytes of the request's body.
    pub sent_bytes: u64,
    /// Bytes of the answer's body, as the code got it.
    pub received_bytes: u64,
    /// How often it was sent, redirects not counted.
    pub attempts: u32,
    /// The stable code of the error that ended it, e.g. `egress.denied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
