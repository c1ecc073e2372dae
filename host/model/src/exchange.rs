//! An exchange: one brokered request and what came of it, redacted; a run's exchanges are its trace.

use std::time::Duration;

use crate::clock::Timestamp;

/// One request on its way through the broker, as the trace keeps it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exchange {
    pub started: Timestamp,
    pub took: Duration,
    pub method: String,
    /// Scheme, host, port and path; the values of the query are redacted where a credential is among them.
    pub url: String,
    /// The name of the credential that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The address that was dialled, once policy had passed on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// How often it was sent, redirects not counted.
    pub attempts: u32,
    /// The stable code of the error that ended it, e.g. `egress.denied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
