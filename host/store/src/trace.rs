//! Traces and logs: what a run's or a receipt's calls asked of the network, and what the guest said. Redacted by those
//! who made them; bounded per owner.

use sluice_model::Timestamp;
use sluice_model::exchange::Exchange;
use sluice_model::id::{OrgId, ReceiptId, RunId};

use crate::{Error, Listing, Page, Store};

/// A line of a guest's log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
}

/// Whose trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceOwner {
    Run(RunId),
    Receipt(ReceiptId),
}

/// At most this many exchanges, and as many log lines, are kept per owner; the first ones, since they say how it began.
pub const MAX_ROWS: u64 = 10_000;

impl Store {
    /// The exchanges in their order. The page's key is the number of the last one seen.
    pub async fn exchanges(
        &self,
        org: OrgId,
        owner: TraceOwner,
        page: Page<u64>,
    ) -> Result<Listing<(u64, Exchange), u64>, Error> {
        todo!()
    }

    /// The log lines in their order.
    pub async fn logs(
        &self,
        org: OrgId,
        owner: TraceOwner,
        page: Page<u64>,
    ) -> Result<Listing<(u64, LogLine), u64>, Error> {
        todo!()
    }
}
