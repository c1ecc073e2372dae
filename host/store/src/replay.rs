//! Replays: events of the store that are delivered to an endpoint again, or for the first time, and webhooks that their connector
//! handles again; as a job of bounded steps. Each step is one commit of what was made due and how far the job is, so it goes on where
//! it was after any end of the process.

mod events;
mod receipts;

use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::id::{EndpointId, EventId, HookId, InstallId, OrgId, ReceiptId, ReplayId, kind};

use crate::due::{self, Work};
use crate::endpoint::require_state;
use crate::event;
use crate::hook::require_hook;
use crate::key::{Key, Span};
use crate::row::{cap, from_json};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Listing, Page, Store};

/// A replay.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Replay {
    pub id: ReplayId,
    #[serde(flatten)]
    pub scope: Scope,
    pub what: ReplayOf,
    /// How many deliveries or receipts it may make due at most.
    pub cap: u64,
    /// Events or receipts looked at, and those of them that were made due.
    pub looked: u64,
    pub made: u64,
    pub state: ReplayState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    pub created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// What is looked through, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Scope {
    Events(EventScope),
    Receipts(ReceiptScope),
}

/// Events, for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EventScope {
    pub endpoint: EndpointId,
    /// Only kinds of these patterns, of those that the endpoint wants.
    pub kinds: Vec<String>,
    /// Events behind this number…
    pub after: u64,
    /// …up to this one.
    pub last: u64,
    /// The last one looked at.
    pub place: u64,
}

/// What came in at a hook, for its connector.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReceiptScope {
    pub hook: HookId,
    /// Received since…
    pub since: Timestamp,
    /// …and before.
    pub until: Timestamp,
    /// The install that handles them; without, the connection's own at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<InstallId>,
    /// The last one looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<ReceiptId>,
}

/// Which of the events are delivered, or which of the receipts are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayOf {
    /// Those whose delivery or whose receipt is dead.
    Dead,
    /// Those that were never delivered: dead, or not owed at the time. Receipts: those that failed, given up or not.
    Missed,
    /// All of them, also what was delivered or handled.
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

/// A part of what a replay has made due at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    pub endpoint: EndpointId,
    /// Numbers of events. One that another replay asked for since is that one's.
    pub seqs: Vec<u64>,
    /// How far was looked.
    pub place: u64,
    /// Whether that was all, up to now.
    pub end: bool,
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
    /// A person ended it, or the endpoint or the hook went.
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
/// How long a replay waits for whoever has their fill.
const WAIT_MS: u64 = 2_000;
/// Bytes of the patterns.
const MAX_KINDS_BYTES: usize = 64 << 10;

impl Store {
    /// Begins a replay, and tells of it. [`Error::Missing`] if the endpoint or the hook is gone, [`Error::State`] if too many run.
    pub async fn create_replay(
        &self,
        org: OrgId,
        replay: Replay,
        event: NewEvent,
        now: Timestamp,
    ) -> Result<(), Error> {
        if let Scope::Events(scope) = &replay.scope {
            let bytes = scope.kinds.iter().map(String::len).sum();
            cap("a replay's kinds", bytes, MAX_KINDS_BYTES)?;
        }
        let events = event::Encoded::prepare(vec![event], now)?;
        self.write(events.bytes() + 512, move |rows| {
            match &replay.scope {
                Scope::Events(scope) => require_state(rows, org, scope.endpoint).map(drop)?,
                Scope::Receipts(scope) => require_hook(rows, org, scope.hook).map(drop)?,
            }
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
        self.write_bulk(1024, move |rows| {
            let replay: Option<Replay> = rows.get_json(Table::Replays, &Key::org(org).id(id))?;
            let Some(mut replay) = replay.filter(|replay| replay.state == ReplayState::Running) else {
                return Ok(None);
            };
            let was = replay.due;
            match replay.scope.clone() {
                Scope::Events(scope) => events::advance(rows, org, &mut replay, scope, now)?,
                Scope::Receipts(scope) => receipts::advance(rows, org, &mut replay, scope, now)?,
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

    /// What a replay has made due of the events behind this number, as far as one look goes; nothing if there is no such replay, or it
    /// is one of receipts.
    pub async fn replayed(&self, org: OrgId, id: ReplayId, after: u64) -> Result<Option<Again>, Error> {
        self.read(move |rows| {
            let replay: Option<Replay> = rows.get_json(Table::Replays, &Key::org(org).id(id))?;
            match replay {
                Some(replay) => match &replay.scope {
                    Scope::Events(scope) => events::asked_for(rows, org, &replay, scope, after).map(Some),
                    Scope::Receipts(_) => Ok(None),
                },
                None => Ok(None),
            }
        })
        .await
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
    let (endpoint, hook) = match &replay.scope {
        Scope::Events(scope) => (Some(scope.endpoint), None),
        Scope::Receipts(scope) => (None, Some(scope.hook)),
    };
    let data = serde_json::json!({
        "endpoint": endpoint,
        "hook": hook,
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
