//! Replays: events of the store that are delivered to an endpoint again, or for the first time, as a job of bounded steps. Each step
//! is one commit of what was made due and how far the job is, so it goes on where it was after any end of the process.

use std::ops::ControlFlow;

use sluice_model::Timestamp;
use sluice_model::endpoint::{DeliveryState, is_wanted};
use sluice_model::event::NewEvent;
use sluice_model::id::{EndpointId, EventId, OrgId, ReplayId, kind};

use crate::delivery::{self, MAX_WAITING, Owed};
use crate::due::{self, Work};
use crate::endpoint::{self, require_state, set_due};
use crate::event;
use crate::key::{Key, Parts, Span};
use crate::row::{cap, from_json};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Listing, Page, Store};

/// A replay.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Replay {
    pub id: ReplayId,
    pub endpoint: EndpointId,
    pub what: ReplayOf,
    /// Only kinds of these patterns, of those that the endpoint wants.
    pub kinds: Vec<String>,
    /// Events behind this number…
    pub after: u64,
    /// …up to this one.
    pub last: u64,
    /// How far it is.
    pub place: u64,
    /// How many deliveries it may make at most.
    pub cap: u64,
    /// Events looked at, and deliveries made due.
    pub looked: u64,
    pub made: u64,
    pub state: ReplayState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    pub created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// Which of the events are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayOf {
    /// Those whose delivery is dead.
    Dead,
    /// Those that were never delivered: dead, or not owed at the time.
    Missed,
    /// All of them, also what was delivered.
    All,
}

impl ReplayOf {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Missed => "missed",
            Self::All => "all",
        }
    }
}

/// How a replay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayState {
    Running,
    /// Everything was looked at.
    Done,
    /// It made as many deliveries as it may.
    Capped,
    /// A person ended it, or the endpoint went.
    Cancelled,
}

impl ReplayState {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Capped => "capped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Replays of one organization that may run.
pub const MAX_RUNNING: usize = 20;
/// Events that one step looks at.
const STEP: usize = 500;
/// How long a replay waits for an endpoint that has its fill.
const WAIT_MS: u64 = 2_000;
/// Bytes of the patterns.
const MAX_KINDS_BYTES: usize = 64 << 10;

impl Store {
    /// Begins a replay, and tells of it. [`Error::Missing`] if the endpoint is gone, [`Error::State`] if too many run.
    pub async fn create_replay(
        &self,
        org: OrgId,
        replay: Replay,
        event: NewEvent,
        now: Timestamp,
    ) -> Result<(), Error> {
        cap(
            "a replay's kinds",
            replay.kinds.iter().map(String::len).sum(),
            MAX_KINDS_BYTES,
        )?;
        let events = event::Encoded::prepare(vec![event], now)?;
        self.write(events.bytes() + 512, move |rows| {
            require_state(rows, org, replay.endpoint)?;
            let span = Span::prefix(&Key::org(org));
            if rows
                .collect(Table::DueReplays, &span, false, MAX_RUNNING, |_, _| Ok(Some(())))?
                .len()
                >= MAX_RUNNING
            {
                return Err(Error::State {
                    what: "begin a replay",
                    state: "one of twenty that run",
                });
            }
            events.append(rows, org)?;
            due::add(rows, Work::Replays, org, replay.due, replay.id)?;
            save(rows, org, &replay)
        })
        .await
    }

    /// Replays that are due, at most `limit`.
    pub async fn due_replays(&self, now: Timestamp, limit: usize) -> Result<Vec<(OrgId, ReplayId)>, Error> {
        let turn = self.turn(Work::Replays);
        let due = self
            .read(move |rows| due::take::<kind::Replay>(rows, Work::Replays, turn, now, limit))
            .await?;
        if let Some(last) = due.last() {
            self.set_turn(Work::Replays, last.org);
        }
        Ok(due.into_iter().map(|due| (due.org, due.id)).collect())
    }

    /// Does one step of a replay that is due. Its end is told by an event with this id.
    pub async fn step_replay(
        &self,
        org: OrgId,
        id: ReplayId,
        told_as: EventId,
        now: Timestamp,
    ) -> Result<Option<Replay>, Error> {
        self.write(1024, move |rows| {
            let replay: Option<Replay> = rows.get_json(Table::Replays, &Key::org(org).id(id))?;
            let Some(mut replay) = replay.filter(|replay| replay.state == ReplayState::Running) else {
                return Ok(None);
            };
            let was = replay.due;
            match endpoint::known(rows, org, replay.endpoint)? {
                Some(known) => advance(rows, org, &mut replay, known, now)?,
                None => replay.state = ReplayState::Cancelled,
            }
            due::remove(rows, Work::Replays, org, was, id)?;
            settle(rows, org, &mut replay, told_as, now)?;
            Ok(Some(replay))
        })
        .await
    }

    /// Ends a replay; what it made due stays. [`Error::Missing`], [`Error::State`] if it has ended.
    pub async fn cancel_replay(
        &self,
        org: OrgId,
        id: ReplayId,
        told_as: EventId,
        now: Timestamp,
    ) -> Result<Replay, Error> {
        self.write(256, move |rows| {
            let replay: Option<Replay> = rows.get_json(Table::Replays, &Key::org(org).id(id))?;
            let mut replay = replay.ok_or(Error::Missing { what: "the replay" })?;
            if replay.state != ReplayState::Running {
                return Err(Error::State {
                    what: "cancel the replay",
                    state: replay.state.name(),
                });
            }
            due::remove(rows, Work::Replays, org, replay.due, id)?;
            replay.state = ReplayState::Cancelled;
            settle(rows, org, &mut replay, told_as, now)?;
            Ok(replay)
        })
        .await
    }

    /// One replay.
    pub async fn get_replay(&self, org: OrgId, id: ReplayId) -> Result<Option<Replay>, Error> {
        self.read_now(|rows| rows.get_json(Table::Replays, &Key::org(org).id(id)))
    }

    /// The organization's replays, newest first.
    pub async fn list_replays(
        &self,
        org: OrgId,
        page: Page<ReplayId>,
    ) -> Result<Listing<Replay, ReplayId>, Error> {
        self.read(move |rows| {
            let (of_org, limit) = (Key::org(org), page.limit());
            let mut span = Span::prefix(&of_org);
            if let Some(after) = page.after {
                span = span.before(of_org.id(after));
            }
            let found = rows.collect(Table::Replays, &span, true, limit + 1, |_, content| {
                from_json::<Replay>(Table::Replays, content).map(Some)
            })?;
            Ok(Listing::cut(found, limit, |replay| replay.id))
        })
        .await
    }
}

/// Makes what the next events lead to due.
fn advance(
    rows: &mut Writer<'_>,
    org: OrgId,
    replay: &mut Replay,
    known: endpoint::Known,
    now: Timestamp,
) -> Result<(), Error> {
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
        ReplayOf::Dead => dead(rows, org, replay, STEP)?,
        ReplayOf::Missed | ReplayOf::All => event::heads(rows, org, (replay.place, replay.last), STEP)?,
    };
    let mut is_all = found.len() < STEP;
    let mut chosen = Vec::with_capacity(found.len());
    for (seq, event, kind) in found {
        if chosen.len() >= room {
            is_all = false;
            break;
        }
        replay.place = seq;
        replay.looked += 1;
        if !is_wanted(&endpoint.kinds, &kind) || !is_wanted(&replay.kinds, &kind) {
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
        match delivery {
            Some(delivery) => delivery::rearm(rows, org, endpoint.id, &mut state, delivery, now)?,
            None => delivery::owe(rows, org, endpoint.id, &mut state, owed, now)?,
        }
    }
    if !state.leased {
        set_due(rows, org, endpoint.id, &state, now)?;
    }
    endpoint::save(rows, org, endpoint.id, &state)?;
    replay.due = Some(now);
    if is_all {
        replay.place = replay.last;
        replay.state = ReplayState::Done;
    } else if replay.made >= replay.cap {
        replay.state = ReplayState::Capped;
    }
    Ok(())
}

/// The next deliveries that are dead.
fn dead(
    rows: &mut impl Rows,
    org: OrgId,
    replay: &Replay,
    limit: usize,
) -> Result<Vec<(u64, EventId, String)>, Error> {
    let place = Key::org(org).id(replay.endpoint);
    let span = Span::prefix(&place)
        .after(place.clone().number(replay.place))
        .before(place.number(replay.last.saturating_add(1)));
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
        let delivery = delivery::get(rows, org, replay.endpoint, seq)?;
        found.extend(delivery.map(|delivery| (seq, delivery.event, delivery.kind)));
    }
    Ok(found)
}

/// Writes down how far a replay is, and tells of its end.
fn settle(
    rows: &mut Writer<'_>,
    org: OrgId,
    replay: &mut Replay,
    told_as: EventId,
    now: Timestamp,
) -> Result<(), Error> {
    if replay.state == ReplayState::Running {
        due::add(rows, Work::Replays, org, replay.due, replay.id)?;
        return save(rows, org, replay);
    }
    replay.due = None;
    replay.ended = Some(now);
    let data = serde_json::json!({
        "endpoint": replay.endpoint,
        "what": replay.what.name(),
        "state": replay.state.name(),
        "looked": replay.looked,
        "made": replay.made,
    });
    let event = NewEvent {
        id: told_as,
        kind: "sluice.replay.ended".to_owned(),
        subject: replay.id.to_string(),
        source_id: None,
        occurred: Some(now),
        data: data.to_string(),
    };
    event::Encoded::prepare(vec![event], now)?.append(rows, org)?;
    save(rows, org, replay)
}

fn save(rows: &mut Writer<'_>, org: OrgId, replay: &Replay) -> Result<(), Error> {
    rows.put_json(Table::Replays, &Key::org(org).id(replay.id), replay)
}
