//! What is sent for an event: made of it by the endpoint's rules, or why there is nothing to send.

use std::sync::Arc;

use sluice_model::event::CloudEvent;
use sluice_model::id::{EventId, OrgId};
use sluice_store::delivery::Delivery;
use sluice_store::event::Event;

use super::ready::{Ready, Shaped};

/// One thing to try.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) seq: u64,
    pub(super) event: EventId,
    pub(super) failures: u32,
    pub(super) body: String,
}

/// What became of an event that is to be tried.
pub(super) enum Made {
    Job(Job),
    Unwanted(u64),
    Refused(u64, &'static str, String),
}

/// The delivery of an event that is owed for the first time.
pub(super) fn new(event: &Event) -> Delivery {
    Delivery {
        seq: event.seq,
        event: event.id,
        kind: event.kind.clone(),
        state: sluice_model::endpoint::DeliveryState::Waiting,
        created: event.at,
        failures: 0,
        attempts: 0,
        due: None,
        status: None,
        error: None,
        delivered: None,
        redrives: 0,
        replay: None,
    }
}

/// Makes of each event what is sent; on a thread that may work, where there are rules.
pub(super) async fn shape(ready: &Arc<Ready>, events: Vec<(Delivery, Option<Event>)>) -> Vec<Made> {
    let work = {
        let ready = Arc::clone(ready);
        move || {
            events
                .into_iter()
                .map(|(delivery, event)| one(&ready, &delivery, event))
                .collect()
        }
    };
    if !ready.is_mapped() {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

fn one(ready: &Ready, delivery: &Delivery, event: Option<Event>) -> Made {
    let Some(event) = event else {
        let reason = "the event is no longer kept".to_owned();
        return Made::Refused(delivery.seq, "delivery.event_gone", reason);
    };
    let body = cloud_event(ready.org, &event);
    match ready.shape(&body) {
        Shaped::Body(body) => Made::Job(Job {
            seq: delivery.seq,
            event: delivery.event,
            failures: delivery.failures,
            body,
        }),
        Shaped::Unwanted => Made::Unwanted(delivery.seq),
        Shaped::Refused(code, reason) => Made::Refused(delivery.seq, code, reason),
    }
}

/// The event as it is sent.
fn cloud_event(org: OrgId, event: &Event) -> String {
    CloudEvent {
        org,
        id: event.id,
        seq: event.seq,
        kind: &event.kind,
        subject: &event.subject,
        source_id: event.source_id.as_deref(),
        time: event.occurred.unwrap_or(event.at),
        recorded: event.at,
        data: &event.data,
    }
    .text()
}
