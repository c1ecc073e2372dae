//! What crosses the guest boundary, in the house's own words. Plain data: a call can be moved to another process as a
//! message.

use sluice_model::Timestamp;
use sluice_model::record::{Change, Item};
use sluice_model::run::Window;

/// The connection that a call is made for, as the guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionView {
    /// `cnn_…`
    pub id: String,
    /// JSON text that has passed the manifest's `[config]` schema.
    pub config: String,
    /// The vendor's id of the account, once known.
    pub account: Option<String>,
}

/// Who a connection belongs to, as the vendor says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub name: String,
    pub scopes: Vec<String>,
}

/// Where a custom auth flow sends the browser, and what to keep until it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    pub url: String,
    /// JSON text.
    pub state: String,
}

/// A stream that the connector found at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    pub name: String,
    /// JSON Schema, as text.
    pub schema: String,
    pub primary_key: Vec<String>,
    pub cursor_version: u32,
}

/// Asks for one page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadRequest {
    pub stream: String,
    pub partition: Option<String>,
    /// What the last committed page returned.
    pub cursor: Option<String>,
    pub window: Option<Window>,
    /// How many records the host would like.
    pub page_hint: u32,
}

/// One answer of a stream. Ids and the cursor are within the bounds of [`sluice_model::record`]; whether `data` is JSON
/// and fits its schema is for the service to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub changes: Vec<Change>,
    /// None: the cursor stays as it was.
    pub cursor: Option<String>,
    pub more: bool,
    pub total_hint: Option<u64>,
}

/// A write to the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingWrite {
    pub op: WriteOp,
    pub idempotency_key: String,
    pub expect_revision: Option<String>,
}

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOp {
    /// JSON text.
    Create(String),
    Update(Item),
    /// By id.
    Delete(String),
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The record as the vendor has it now.
    Done(Item),
    /// The vendor has another revision.
    Conflict(Option<Item>),
    Failed(sluice_model::fault::Fault),
}

/// A subscription at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub id: String,
    pub expires: Option<Timestamp>,
    /// JSON text.
    pub state: String,
}

/// One webhook as it arrived and was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// `rcp_…`; empty where it is not kept yet.
    pub id: String,
    /// Which of the manifest's webhooks it came by.
    pub webhook: String,
    pub received: Timestamp,
    pub method: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Vec<u8>,
}

/// What a receipt means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    pub events: Vec<Event>,
    /// Stream name and change.
    pub changes: Vec<(String, Change)>,
    /// Streams to be synced.
    pub resync: Vec<String>,
    pub reply: Option<Reply>,
}

/// Something that happened at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: String,
    pub id: String,
    pub occurred: Option<Timestamp>,
    /// JSON text.
    pub data: String,
}

/// What the vendor is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// An action that the connector found at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionInfo {
    pub name: String,
    pub title: String,
    /// JSON Schemas, as text.
    pub input: String,
    pub output: String,
}
