//! Events that are delivered again.

use std::ops::ControlFlow;

use sluice_model::Timestamp;
use sluice_model::endpoint::{DeliveryState, is_wanted};
use sluice_model::id::{EventId, OrgId};

use super::{Again, EventScope, Replay, ReplayOf, ReplayState, Scope, WAIT_MS};
use crate::Error;
use crate::delivery::{self, Delivery, MAX_WAITING, Owed};
use crate::endpoint::{self, set_due};
use crate::event;
use crate::key::{Key, Parts, Span};
use crate::row::from_json;
use crate::table::{Rows, Table, Writer};

/// Events that one step looks at.
const STEP: usize = 500;

/// Makes what the next events lead to due.
pub(super) fn advance(
    rows: &mut Writer<'_>,
    org: OrgId,
    replay: &mut Replay,
    mut scope: EventScope,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(known) = endpoint::known(rows, org, scope.endpoint)? else {
        replay.state = ReplayState::Cancelled;
        return Ok(());
    };
    let (endpoint, mut state) = (known.endpoint, known.state);
    let room = MAX_WAITING
        .saturating_sub(state.waiting)
        .min(replay.cap - replay.made);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if room == 0 {
        replay.state = if replay.made >= replay.cap {
            ReplayState::Capped
        } else {
            replay.due = Some(Timestamp::from_millis(now.as_millis().saturating_add(WAIT_MS)));
            ReplayState::Running
        };
        return Ok(());
    }
    let found = match replay.what {
        ReplayOf::Dead => dead(rows, org, &scope, STEP)?,
        ReplayOf::Missed | ReplayOf::All => event::heads(rows, org, (scope.place, scope.last), STEP)?,
    };
    let mut is_all = found.len() < STEP;
    let mut chosen = Vec::with_capacity(found.len());
    for (seq, event, kind) in found {
        if chosen.len() >= room {
            is_all = false;
            break;
        }
        scope.place = seq;
        replay.looked += 1;
        if !is_wanted(&endpoint.kinds, &kind) || !is_wanted(&scope.kinds, &kind) {
            continue;
        }
        let delivery = delivery::get(rows, org, endpoint.id, seq)?;
        let skipped = match delivery.as_ref().map(|delivery| delivery.state) {
            None => false,
            Some(DeliveryState::Dead) => false,
            Some(DeliveryState::Delivered) => replay.what != ReplayOf::All,
            Some(DeliveryState::Waiting) => true,
        };
        if !skipped {
            chosen.push((Owed { seq, event, kind }, delivery));
        }
    }
    for (owed, delivery) in chosen {
        replay.made += 1;
        let by = Some(replay.id);
        match delivery {
            Some(delivery) => {
                let delivery = Delivery {
                    replay: by,
                    ..delivery
                };
                delivery::rearm(rows, org, endpoint.id, &mut state, delivery, now)?;
            }
            None => delivery::owe(rows, org, endpoint.id, &mut state, owed, by, now)?,
        }
    }
    if !state.leased {
        set_due(rows, org, endpoint.id, &state, now)?;
    }
    endpoint::save(rows, org, endpoint.id, &state)?;
    replay.due = Some(now);
    if is_all {
        scope.place = scope.last;
        replay.state = ReplayState::Done;
    } else if replay.made >= replay.cap {
        replay.state = ReplayState::Capped;
    }
    replay.scope = Scope::Events(scope);
    Ok(())
}

/// What a replay has made due of the events behind this number, as far as one look goes.
pub(super) fn asked_for(
    rows: &mut impl Rows,
    org: OrgId,
    replay: &Replay,
    scope: &EventScope,
    after: u64,
) -> Result<Again, Error> {
    let place = Key::org(org).id(scope.endpoint);
    let after = after.max(scope.after);
    let span = Span::prefix(&place)
        .after(place.clone().number(after))
        .before(place.number(scope.place.saturating_add(1)));
    let mut again = Again {
        endpoint: scope.endpoint,
        seqs: Vec::new(),
        place: after,
        end: true,
    };
    let mut looked = 0;
    rows.scan(Table::Deliveries, &span, false, |_, content| {
        if looked >= STEP {
            again.end = false;
            return Ok(ControlFlow::Break(()));
        }
        looked += 1;
        let delivery: Delivery = from_json(Table::Deliveries, content)?;
        again.place = delivery.seq;
        if delivery.replay == Some(replay.id) {
            again.seqs.push(delivery.seq);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(again)
}

/// The next deliveries that are dead.
fn dead(
    rows: &mut impl Rows,
    org: OrgId,
    scope: &EventScope,
    limit: usize,
) -> Result<Vec<(u64, EventId, String)>, Error> {
    let place = Key::org(org).id(scope.endpoint);
    let span = Span::prefix(&place)
        .after(place.clone().number(scope.place))
        .before(place.number(scope.last.saturating_add(1)));
    let mut seqs = Vec::new();
    rows.scan(Table::DeadDeliveries, &span, false, |key, _| {
        if seqs.len() >= limit {
            return Ok(ControlFlow::Break(()));
        }
        seqs.extend(Parts::new(key.get(32..).unwrap_or_default()).number());
        Ok(ControlFlow::Continue(()))
    })?;
    let mut found = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let delivery = delivery::get(rows, org, scope.endpoint, seq)?;
        found.extend(delivery.map(|delivery| (seq, delivery.event, delivery.kind)));
    }
    Ok(found)
}
