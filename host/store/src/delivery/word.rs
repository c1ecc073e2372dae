//! What is told of deliveries, and what is told to the store of them.

use sluice_model::Timestamp;
use sluice_model::endpoint::{DeliveryState, Health, OffReason, Status};
use sluice_model::event::NewEvent;
use sluice_model::id::{EventId, OrgId, ReplayId};

use crate::endpoint::{Endpoint, EndpointState};

/// One event owed to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Delivery {
    /// The event's number.
    pub seq: u64,
    /// The event's id, which is the `webhook-id` of every try.
    pub event: EventId,
    pub kind: String,
    pub state: DeliveryState,
    /// Since when it is owed.
    pub created: Timestamp,
    /// Tries that failed since it was owed, or since a person had it delivered again.
    pub failures: u32,
    /// All tries.
    pub attempts: u32,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// What the last one came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Timestamp>,
    /// How often it was asked for again.
    pub redrives: u32,
    /// The replay that asked for it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayId>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    pub at: Timestamp,
    pub took_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The stable code and the words of what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The beginning of the answer's body, at most [`MAX_ANSWER_BYTES`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

/// Bytes that are kept of an answer.
pub const MAX_ANSWER_BYTES: usize = 1024;
/// Tries of one delivery that are kept: the last ones.
pub(super) const MAX_ATTEMPTS: u32 = 50;
/// Deliveries of one endpoint that may wait. While there are so many, it is not looked for more: the events keep.
pub const MAX_WAITING: u64 = 10_000;

/// An endpoint that a worker has.
#[derive(Debug, Clone, PartialEq)]
pub struct LeasedEndpoint {
    pub org: OrgId,
    pub endpoint: Endpoint,
    pub state: EndpointState,
    pub fencing: u64,
}

/// What a worker has to write down of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The event's number.
    pub seq: u64,
    pub came_to: CameTo,
}

/// See [`Outcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameTo {
    /// A 2xx.
    Delivered(Attempt),
    /// To be tried again then; without a time it is dead.
    Failed(Attempt, Option<Timestamp>),
    /// There was no try; one is due then.
    PutOff(Timestamp),
    /// The endpoint does not want it after all.
    Unwanted,
}

/// An event that is owed from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub seq: u64,
    pub event: EventId,
    pub kind: String,
}

/// What a worker commits at once.
#[derive(Debug, Clone)]
pub struct Step {
    pub outcomes: Vec<Outcome>,
    pub owed: Vec<Owed>,
    /// Up to which event the endpoint was looked at; its deliveries are in `owed`.
    pub position: u64,
    pub health: Health,
    pub hold: Option<Timestamp>,
    /// Switches it off.
    pub off: Option<OffReason>,
    pub events: Vec<NewEvent>,
    pub now: Timestamp,
    /// Keeps the endpoint until then; gives it back without.
    pub until: Option<Timestamp>,
}

/// The endpoint as it is after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    pub status: Status,
    pub waiting: u64,
}
