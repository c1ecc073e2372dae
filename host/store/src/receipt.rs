//! Receipts: webhooks as they came in; durable before they are acknowledged, handled in the background.

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, HookId, OrgId, ReceiptId};
use sluice_model::receipt::ReceiptState;
use sluice_model::record::{Change, Counts};

use crate::storage::StorageWrites;
use crate::trace::LogLine;
use crate::{Error, Listing, Page, Store};

/// A webhook that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReceipt {
    pub id: ReceiptId,
    pub hook: HookId,
    /// The vendor's delivery id, or a hash of the body: the same key at the same hook is the same webhook.
    pub dedupe_key: String,
    pub method: String,
    /// Without the `?`.
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub received: Timestamp,
}

/// What came of accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable now.
    New(ReceiptId),
    /// It was durable before: this is the first one's id.
    Duplicate(ReceiptId),
}

/// A receipt without its body.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    pub id: ReceiptId,
    pub hook: HookId,
    pub connection: ConnectionId,
    pub dedupe_key: String,
    pub received: Timestamp,
    pub state: ReceiptState,
    pub body_bytes: u64,
    /// Tries that failed since it was accepted or replayed.
    pub failures: u32,
    /// When the next try is due; the lease's end while a worker has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The last failure's stable code and words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReceiptError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<Timestamp>,
    pub fencing: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// How often a person had it handled again.
    pub replays: u32,
    pub traced: u64,
    pub logged: u64,
}

/// Why a try failed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReceiptError {
    pub code: String,
    pub message: String,
}

/// A receipt's request, as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A receipt a worker has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedReceipt {
    pub org: OrgId,
    pub receipt: Receipt,
    pub request: Request,
    pub fencing: u64,
    pub failures: u32,
    pub until: Timestamp,
}

/// What handling a receipt led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptOutcome {
    pub events: Vec<NewEvent>,
    /// By stream.
    pub changes: Vec<(String, Change)>,
    pub storage: StorageWrites,
    pub exchanges: Vec<Exchange>,
    pub logs: Vec<LogLine>,
    pub now: Timestamp,
}

/// A failed try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptFailure {
    /// When to try again; `None` sets the receipt aside (`dead`).
    pub next: Option<Timestamp>,
    pub code: String,
    pub message: String,
    pub exchanges: Vec<Exchange>,
    pub logs: Vec<LogLine>,
}

/// A dedupe key is remembered at least this long: seven days, as long as vendors redeliver.
pub const DEDUPE_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

impl Store {
    /// Keeps a webhook, once per dedupe key and hook, also when the same one comes in on many connections at the same
    /// moment. [`Error::Missing`] if the hook is gone, [`Error::TooLarge`].
    pub async fn accept_receipt(&self, org: OrgId, new: NewReceipt) -> Result<Accepted, Error> {
        todo!()
    }

    /// Leases up to `limit` due receipts, one organization after the other, oldest first within each.
    pub async fn lease_due_receipts(
        &self,
        worker: &str,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<LeasedReceipt>, Error> {
        todo!()
    }

    /// Commits what handling led to, and that it is handled; all or nothing. [`Error::Fenced`], [`Error::Quota`],
    /// [`Error::StorageVersion`], [`Error::TooLarge`], [`Error::Missing`] if the connection is gone.
    pub async fn finish_receipt(
        &self,
        org: OrgId,
        receipt: ReceiptId,
        fencing: u64,
        outcome: ReceiptOutcome,
    ) -> Result<Counts, Error> {
        todo!()
    }

    /// Notes a failed try. [`Error::Fenced`].
    pub async fn fail_receipt(
        &self,
        org: OrgId,
        receipt: ReceiptId,
        fencing: u64,
        failure: ReceiptFailure,
    ) -> Result<Receipt, Error> {
        todo!()
    }

    /// Has a receipt handled again, whatever its state; dedupe is as before. [`Error::Missing`], [`Error::State`] while
    /// a worker has it.
    pub async fn replay_receipt(
        &self,
        org: OrgId,
        receipt: ReceiptId,
        now: Timestamp,
    ) -> Result<Receipt, Error> {
        todo!()
    }

    /// A hook's receipts, newest first.
    pub async fn list_receipts(
        &self,
        org: OrgId,
        hook: HookId,
        page: Page<ReceiptId>,
    ) -> Result<Listing<Receipt, ReceiptId>, Error> {
        todo!()
    }

    /// One receipt.
    pub async fn get_receipt(&self, org: OrgId, id: ReceiptId) -> Result<Option<Receipt>, Error> {
        todo!()
    }

    /// One receipt's request.
    pub async fn get_receipt_request(&self, org: OrgId, id: ReceiptId) -> Result<Option<Request>, Error> {
        todo!()
    }
}
