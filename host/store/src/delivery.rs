//! Deliveries: events that are owed to an endpoint, and the tries to bring them there. A delivery is known by its endpoint and its
//! event's number, so that an event is owed once, however often it is asked for.
//!
//! An endpoint's position and the deliveries that it led to are one commit: an event that was committed is owed, whatever happens.

mod word;

use std::ops::ControlFlow;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::endpoint::{DeliveryState, Status};
use sluice_model::id::{EndpointId, OrgId, ReplayId, kind};

use crate::due::{self, Work};
use crate::endpoint::{self, Endpoint, EndpointState, Known, require_state, set_due, wake_for_news};
use crate::event;
use crate::key::{Key, Parts, Span};
use crate::row::{cap, corrupt, from_json};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Listing, Page, Store};

use word::MAX_ATTEMPTS;
pub use word::{
    Attempt, CameTo, Delivery, LeasedEndpoint, MAX_ANSWER_BYTES, MAX_WAITING, Outcome, Owed, Step, Stepped,
};

impl Store {
    /// Leases up to `limit` endpoints that have something to deliver, one organization after the other; those that wait for new
    /// events are made due first, where there are some.
    pub async fn lease_due_endpoints(
        &self,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<LeasedEndpoint>, Error> {
        if !self.any_due(Work::Endpoints, now).await? {
            return Ok(Vec::new());
        }
        let (turn, until) = (self.turn(Work::Endpoints), now.after(lease_for));
        let leased = self
            .write(256, move |rows| {
                wake_for_news(rows, now)?;
                let due = due::take::<kind::Endpoint>(rows, Work::Endpoints, turn, now, limit)?;
                let found = due::load(rows, Work::Endpoints, due, |rows, org, id| {
                    endpoint::known(rows, org, id)
                })?;
                let mut leased = Vec::with_capacity(found.len());
                for (org, Known { endpoint, mut state }) in found {
                    let id = endpoint.id;
                    state.fencing += 1;
                    state.leased = true;
                    rows.delete(Table::IdleEndpoints, &Key::org(org).id(id))?;
                    due::move_to(rows, Work::Endpoints, org, id, Some(until))?;
                    endpoint::save(rows, org, id, &state)?;
                    let fencing = state.fencing;
                    leased.push(LeasedEndpoint {
                        org,
                        endpoint,
                        state,
                        fencing,
                    });
                }
                Ok(leased)
            })
            .await?;
        if let Some(last) = leased.last() {
            self.set_turn(Work::Endpoints, last.org);
        }
        Ok(leased)
    }

    /// Deliveries of an endpoint that wait, at most `limit`: those that are due by their time, or, where they are to be made in
    /// order, the oldest events first as long as none before is put off.
    pub async fn due_deliveries(
        &self,
        org: OrgId,
        endpoint: &Endpoint,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, Error> {
        let (id, ordered) = (endpoint.id, endpoint.ordered);
        self.read(move |rows| {
            let mut seqs = waiting(
                rows,
                org,
                id,
                (!ordered).then_some(now),
                if ordered { usize::MAX } else { limit },
            )?;
            if ordered {
                seqs.sort_unstable_by_key(|(_, seq)| *seq);
                let ready = seqs.iter().take_while(|(due, _)| *due <= now).count();
                seqs.truncate(ready.min(limit));
            }
            let mut found = Vec::with_capacity(seqs.len());
            for (_, seq) in seqs {
                found.extend(get(rows, org, id, seq)?);
            }
            Ok(found)
        })
        .await
    }

    /// Writes down what a worker did and found; all or nothing. [`Error::Fenced`] if it no longer has the endpoint.
    pub async fn step_endpoint(
        &self,
        org: OrgId,
        id: EndpointId,
        fencing: u64,
        step: Step,
    ) -> Result<Stepped, Error> {
        for outcome in &step.outcomes {
            if let CameTo::Delivered(attempt) | CameTo::Failed(attempt, _) = &outcome.came_to {
                cap("an answer", attempt.answer.len(), MAX_ANSWER_BYTES)?;
            }
        }
        let events = event::Encoded::prepare(step.events, step.now)?;
        let bytes = events.bytes() + step.outcomes.len() * 512 + step.owed.len() * 256;
        self.write(bytes, move |rows| {
            let state: Option<EndpointState> = rows.get_json(Table::EndpointStates, &Key::org(org).id(id))?;
            let state = state.filter(|state| state.leased && state.fencing == fencing);
            let mut state = state.ok_or(Error::Fenced {
                what: "the endpoint",
                given: fencing,
            })?;
            let mut known = Vec::with_capacity(step.outcomes.len());
            for outcome in step.outcomes {
                // It may have been removed meanwhile, by its age.
                if let Some(delivery) = get(rows, org, id, outcome.seq)? {
                    known.push((delivery, outcome.came_to));
                }
            }
            for (delivery, came_to) in known {
                settle(rows, org, id, &mut state, delivery, came_to, step.now)?;
            }
            for owed in step.owed {
                owe(rows, org, id, &mut state, owed, None, step.now)?;
            }
            state.position = state.position.max(step.position);
            state.health = step.health;
            state.hold = step.hold;
            if let (Some(reason), Status::Active) = (step.off, state.status) {
                state.status = Status::Off;
                state.off = Some((reason, step.now));
            }
            events.append(rows, org)?;
            state.leased = step.until.is_some();
            match step.until {
                Some(until) => due::move_to(rows, Work::Endpoints, org, id, Some(until))?,
                None => set_due(rows, org, id, &state, step.now)?,
            }
            endpoint::save(rows, org, id, &state)?;
            Ok(Stepped {
                status: state.status,
                waiting: state.waiting,
            })
        })
        .await
    }

    /// Has an event delivered to an endpoint, again if it was: with a try at once, and all tries before it. [`Error::Missing`] if
    /// there is no such endpoint or event.
    pub async fn redrive_delivery(
        &self,
        org: OrgId,
        id: EndpointId,
        seq: u64,
        now: Timestamp,
    ) -> Result<Delivery, Error> {
        self.write(256, move |rows| {
            let mut state = require_state(rows, org, id)?;
            let known = get(rows, org, id, seq)?;
            let event = event::get(rows, org, seq)?.ok_or(Error::Missing { what: "the event" })?;
            let owed = Owed {
                seq,
                event: event.id,
                kind: event.kind,
            };
            match known {
                Some(delivery) => rearm(rows, org, id, &mut state, delivery, now)?,
                None => owe(rows, org, id, &mut state, owed, None, now)?,
            }
            if !state.leased {
                state.hold = None;
                set_due(rows, org, id, &state, now)?;
            }
            endpoint::save(rows, org, id, &state)?;
            get(rows, org, id, seq)?.ok_or(Error::Broken("find a delivery that was just written"))
        })
        .await
    }

    /// One delivery.
    pub async fn get_delivery(
        &self,
        org: OrgId,
        endpoint: EndpointId,
        seq: u64,
    ) -> Result<Option<Delivery>, Error> {
        self.read_now(|rows| get(rows, org, endpoint, seq))
    }

    /// Deliveries of an endpoint, newest event first; only those in this state. Looks through at most 10,000 rows at a time, so
    /// a part may be empty and still have a next one.
    pub async fn list_deliveries(
        &self,
        org: OrgId,
        endpoint: EndpointId,
        state: Option<DeliveryState>,
        page: Page<u64>,
    ) -> Result<Listing<Delivery, u64>, Error> {
        self.read(move |rows| {
            let (place, limit) = (Key::org(org).id(endpoint), page.limit());
            let span = |place: &Key| match page.after {
                Some(after) => Span::prefix(place).before(place.clone().number(after)),
                None => Span::prefix(place),
            };
            if state == Some(DeliveryState::Dead) {
                let seqs =
                    rows.collect(Table::DeadDeliveries, &span(&place), true, limit + 1, |key, _| {
                        Ok(Parts::new(key.get(32..).unwrap_or_default()).number())
                    })?;
                let mut found = Vec::with_capacity(seqs.len());
                for seq in seqs {
                    found.extend(get(rows, org, endpoint, seq)?);
                }
                return Ok(Listing::cut(found, limit, |delivery| delivery.seq));
            }
            let (mut items, mut next, mut looked) = (Vec::new(), None, 0);
            let mut last = None;
            rows.scan(Table::Deliveries, &span(&place), true, |_, content| {
                if items.len() >= limit || looked >= MAX_LOOKED {
                    next = last;
                    return Ok(ControlFlow::Break(()));
                }
                let delivery: Delivery = from_json(Table::Deliveries, content)?;
                (looked, last) = (looked + 1, Some(delivery.seq));
                if state.is_none_or(|state| state == delivery.state) {
                    items.push(delivery);
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(Listing { items, next })
        })
        .await
    }

    /// The tries of a delivery that are kept, in order.
    pub async fn list_attempts(
        &self,
        org: OrgId,
        endpoint: EndpointId,
        seq: u64,
    ) -> Result<Vec<Attempt>, Error> {
        self.read(move |rows| {
            let span = Span::prefix(&Key::org(org).id(endpoint).number(seq));
            rows.collect(
                Table::Attempts,
                &span,
                false,
                MAX_ATTEMPTS as usize,
                |_, content| from_json(Table::Attempts, content).map(Some),
            )
        })
        .await
    }

    /// Has everything due at once that a worker of the process before had. Only for a start.
    pub(crate) async fn release_endpoints(&self, now: Timestamp) -> Result<(), Error> {
        let leased = self
            .read(|rows| {
                rows.collect(
                    Table::EndpointStates,
                    &Span::all(),
                    false,
                    usize::MAX,
                    |key, content| {
                        let state: EndpointState = match from_json(Table::EndpointStates, content) {
                            Ok(state) => state,
                            Err(error) => {
                                tracing::error!(code = error.code(), %error, "an endpoint is damaged");
                                return Ok(None);
                            }
                        };
                        let mut parts = Parts::new(key);
                        Ok(parts
                            .id()
                            .zip(parts.id::<kind::Endpoint>())
                            .filter(|_| state.leased))
                    },
                )
            })
            .await?;
        for part in leased.chunks(100) {
            let part = part.to_vec();
            self.write(64 * part.len(), move |rows| {
                for (org, id) in part {
                    let mut state = require_state(rows, org, id)?;
                    state.leased = false;
                    set_due(rows, org, id, &state, now)?;
                    endpoint::save(rows, org, id, &state)?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

/// Rows that one list looks through.
const MAX_LOOKED: usize = 10_000;

fn key(org: OrgId, endpoint: EndpointId, seq: u64) -> Key {
    Key::org(org).id(endpoint).number(seq)
}

fn due_key(org: OrgId, endpoint: EndpointId, due: Timestamp, seq: u64) -> Key {
    Key::org(org).id(endpoint).number(due.as_millis()).number(seq)
}

pub(crate) fn get(
    rows: &mut impl Rows,
    org: OrgId,
    endpoint: EndpointId,
    seq: u64,
) -> Result<Option<Delivery>, Error> {
    rows.get_json(Table::Deliveries, &key(org, endpoint, seq))
}

/// When the first delivery of an endpoint is due: of its oldest event, where they are made in order.
pub(crate) fn first_due(
    rows: &mut impl Rows,
    org: OrgId,
    id: EndpointId,
    ordered: bool,
) -> Result<Option<Timestamp>, Error> {
    let mut found = waiting(rows, org, id, None, if ordered { usize::MAX } else { 1 })?;
    if ordered {
        found.sort_unstable_by_key(|(_, seq)| *seq);
    }
    Ok(found.first().map(|(due, _)| *due))
}

/// What waits, by its time; only what is due by `until`.
fn waiting(
    rows: &mut impl Rows,
    org: OrgId,
    endpoint: EndpointId,
    until: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<(Timestamp, u64)>, Error> {
    let place = Key::org(org).id(endpoint);
    let mut span = Span::prefix(&place);
    if let Some(until) = until {
        span = span.before(place.number(until.as_millis().saturating_add(1)));
    }
    rows.collect(Table::DueDeliveries, &span, false, limit, |key, _| {
        let mut parts = Parts::new(key.get(32..).unwrap_or_default());
        let found = parts.number().zip(parts.number());
        let (due, seq) = found.ok_or_else(|| corrupt(Table::DueDeliveries, "a key is too short"))?;
        Ok(Some((Timestamp::from_millis(due), seq)))
    })
}

/// Owes an event, unless it is known already.
pub(crate) fn owe(
    rows: &mut Writer<'_>,
    org: OrgId,
    endpoint: EndpointId,
    state: &mut EndpointState,
    owed: Owed,
    replay: Option<ReplayId>,
    now: Timestamp,
) -> Result<(), Error> {
    let Owed { seq, event, kind } = owed;
    if rows.has(Table::Deliveries, &key(org, endpoint, seq))? {
        return Ok(());
    }
    let delivery = Delivery {
        seq,
        event,
        kind,
        state: DeliveryState::Waiting,
        created: now,
        failures: 0,
        attempts: 0,
        due: Some(now),
        status: None,
        error: None,
        delivered: None,
        redrives: 0,
        replay,
    };
    state.waiting += 1;
    rows.put(Table::DueDeliveries, &due_key(org, endpoint, now, seq), &[])?;
    rows.put_json(Table::Deliveries, &key(org, endpoint, seq), &delivery)
}

/// Has a delivery tried again as if it were new.
pub(crate) fn rearm(
    rows: &mut Writer<'_>,
    org: OrgId,
    endpoint: EndpointId,
    state: &mut EndpointState,
    mut delivery: Delivery,
    now: Timestamp,
) -> Result<(), Error> {
    leave(rows, org, endpoint, state, &delivery)?;
    delivery.state = DeliveryState::Waiting;
    delivery.failures = 0;
    delivery.redrives = delivery.redrives.saturating_add(1);
    delivery.due = Some(now);
    enter(rows, org, endpoint, state, &delivery)
}

fn settle(
    rows: &mut Writer<'_>,
    org: OrgId,
    endpoint: EndpointId,
    state: &mut EndpointState,
    mut delivery: Delivery,
    came_to: CameTo,
    now: Timestamp,
) -> Result<(), Error> {
    if delivery.state != DeliveryState::Waiting {
        return Ok(());
    }
    leave(rows, org, endpoint, state, &delivery)?;
    let attempt = match came_to {
        CameTo::Unwanted => return delete(rows, org, endpoint, &delivery),
        CameTo::PutOff(until) => {
            delivery.due = Some(until);
            return enter(rows, org, endpoint, state, &delivery);
        }
        CameTo::Delivered(attempt) => {
            delivery.state = DeliveryState::Delivered;
            delivery.due = None;
            delivery.delivered = Some(now);
            attempt
        }
        CameTo::Failed(attempt, next) => {
            delivery.state = if next.is_some() {
                DeliveryState::Waiting
            } else {
                DeliveryState::Dead
            };
            delivery.due = next;
            delivery.failures = delivery.failures.saturating_add(1);
            attempt
        }
    };
    delivery.attempts = delivery.attempts.saturating_add(1);
    delivery.status = attempt.status;
    delivery.error = attempt.code.clone();
    let number = delivery.attempts;
    let place = |number: u32| key(org, endpoint, delivery.seq).number(number.into());
    rows.put_json(Table::Attempts, &place(number), &Attempt { number, ..attempt })?;
    if let Some(old) = number.checked_sub(MAX_ATTEMPTS) {
        rows.delete(Table::Attempts, &place(old))?;
    }
    enter(rows, org, endpoint, state, &delivery)
}

/// Takes a delivery out of the counts and lists of its state.
fn leave(
    rows: &mut Writer<'_>,
    org: OrgId,
    endpoint: EndpointId,
    state: &mut EndpointState,
    delivery: &Delivery,
) -> Result<(), Error> {
    if let Some(due) = delivery.due {
        rows.delete(Table::DueDeliveries, &due_key(org, endpoint, due, delivery.seq))?;
    }
    if delivery.state == DeliveryState::Dead {
        rows.delete(Table::DeadDeliveries, &key(org, endpoint, delivery.seq))?;
    }
    let count = count(state, delivery.state);
    *count = count.saturating_sub(1);
    Ok(())
}

/// Puts it into those of its state, and keeps it.
fn enter(
    rows: &mut Writer<'_>,
    org: OrgId,
    endpoint: EndpointId,
    state: &mut EndpointState,
    delivery: &Delivery,
) -> Result<(), Error> {
    if let Some(due) = delivery.due {
        rows.put(
            Table::DueDeliveries,
            &due_key(org, endpoint, due, delivery.seq),
            &[],
        )?;
    }
    if delivery.state == DeliveryState::Dead {
        rows.put(Table::DeadDeliveries, &key(org, endpoint, delivery.seq), &[])?;
    }
    *count(state, delivery.state) += 1;
    rows.put_json(Table::Deliveries, &key(org, endpoint, delivery.seq), delivery)
}

const fn count(state: &mut EndpointState, of: DeliveryState) -> &mut u64 {
    match of {
        DeliveryState::Waiting => &mut state.waiting,
        DeliveryState::Delivered => &mut state.delivered,
        DeliveryState::Dead => &mut state.dead,
    }
}

fn delete(rows: &mut Writer<'_>, org: OrgId, endpoint: EndpointId, delivery: &Delivery) -> Result<(), Error> {
    let (place, mut all) = (key(org, endpoint, delivery.seq), usize::MAX);
    rows.delete_prefix(Table::Attempts, &place, &mut all)?;
    rows.delete(Table::Deliveries, &place)
}

/// Deletes deliveries of an endpoint that were owed before `before`, whatever became of them, up to `limit`. Whether there may be
/// more.
pub(crate) fn forget(
    rows: &mut Writer<'_>,
    org: OrgId,
    endpoint: EndpointId,
    before: Timestamp,
    limit: usize,
) -> Result<bool, Error> {
    let mut old = Vec::new();
    rows.scan(
        Table::Deliveries,
        &Span::prefix(&Key::org(org).id(endpoint)),
        false,
        |_, content| {
            let delivery: Delivery = from_json(Table::Deliveries, content)?;
            if delivery.created >= before || old.len() >= limit {
                return Ok(ControlFlow::Break(()));
            }
            old.push(delivery);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    if old.is_empty() {
        return Ok(false);
    }
    let mut state = require_state(rows, org, endpoint)?;
    for delivery in &old {
        leave(rows, org, endpoint, &mut state, delivery)?;
        delete(rows, org, endpoint, delivery)?;
    }
    endpoint::save(rows, org, endpoint, &state)?;
    Ok(old.len() >= limit)
}
