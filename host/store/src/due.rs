//! Due work: one index per kind of work, by organization and time, so that workers sleep until something is due and no
//! organization's heap hides another's one row. What is leased stands in it at the end of its lease.

use std::ops::ControlFlow;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, Id, Kind, OrgId, kind};

use crate::key::{Key, Parts, Span};
use crate::table::{Rows, Table, Writer};
use crate::{Error, MAX_LIMIT, Store};

/// What kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Runs,
    Receipts,
    /// Connections with a token to refresh.
    Credentials,
    /// Connections with a stream whose time has come.
    Schedules,
    /// Records on their way into destinations.
    Loads,
    /// Streams that are kept saying the same.
    Links,
    /// Hooks on whose behalf something is owed at the vendor.
    Chores,
    /// Endpoints with something to deliver.
    Endpoints,
    /// Replays that are under way.
    Replays,
}

impl Work {
    pub(crate) const fn table(self) -> Table {
        match self {
            Self::Runs => Table::DueRuns,
            Self::Receipts => Table::DueReceipts,
            Self::Credentials => Table::DueCredentials,
            Self::Schedules => Table::DueSchedules,
            Self::Loads => Table::DueLoads,
            Self::Links => Table::DueLinks,
            Self::Chores => Table::DueChores,
            Self::Endpoints => Table::DueEndpoints,
            Self::Replays => Table::DueReplays,
        }
    }

    /// Where the time is under which a thing stands in the index, for work that is a connection's or an endpoint's.
    const fn times(self) -> Option<Table> {
        match self {
            Self::Runs | Self::Receipts | Self::Loads | Self::Links | Self::Chores | Self::Replays => None,
            Self::Credentials => Some(Table::CredentialTimes),
            Self::Schedules => Some(Table::ScheduleTimes),
            Self::Endpoints => Some(Table::EndpointTimes),
        }
    }
}

impl Store {
    /// When the next row of this kind is due (a moment that has passed means now); `None` if nothing waits. The ends of
    /// leases count: whoever wakes then finds out whether the worker is still there.
    pub async fn next_due(&self, work: Work) -> Result<Option<Timestamp>, Error> {
        self.read_now(|rows| {
            let mut earliest = None;
            // New events are due at once: who wants them is found out by the lease.
            if work == Work::Endpoints
                && !rows
                    .collect(Table::News, &Span::all(), false, 1, |_, _| Ok(Some(())))?
                    .is_empty()
            {
                return Ok(Some(Timestamp::default()));
            }
            each_org(rows, work, OrgId::from_bytes([0; 16]), |_, _, time| {
                earliest = Some(earliest.map_or(time, |earlier: Timestamp| earlier.min(time)));
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(earliest)
        })
    }

    /// Connections that are due for this kind of work, each of which is due again when the lease ends.
    pub(crate) async fn lease_due_connections(
        &self,
        work: Work,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<(OrgId, ConnectionId)>, Error> {
        if !self.any_due(work, now).await? {
            return Ok(Vec::new());
        }
        let (turn, until) = (self.turn(work), now.after(lease_for));
        let leased = self
            .write(256, move |rows| {
                let due = take::<kind::Connection>(rows, work, turn, now, limit)?;
                let mut leased = Vec::with_capacity(due.len());
                for due in due {
                    move_connection(rows, work, due.org, due.id, Some(until))?;
                    leased.push((due.org, due.id));
                }
                Ok(leased)
            })
            .await?;
        if let Some((last, _)) = leased.last() {
            self.set_turn(work, *last);
        }
        Ok(leased)
    }

    /// Whether a lease would find anything; it spares an empty round through the writer.
    pub(crate) async fn any_due(&self, work: Work, now: Timestamp) -> Result<bool, Error> {
        Ok(self.next_due(work).await?.is_some_and(|due| due <= now))
    }
}

pub(crate) fn add<K>(
    rows: &mut Writer<'_>,
    work: Work,
    org: OrgId,
    at: Option<Timestamp>,
    id: Id<K>,
) -> Result<(), Error> {
    let Some(at) = at else { return Ok(()) };
    rows.wake();
    rows.put(work.table(), &Key::org(org).number(at.as_millis()).id(id), &[])
}

pub(crate) fn remove<K>(
    rows: &mut Writer<'_>,
    work: Work,
    org: OrgId,
    at: Option<Timestamp>,
    id: Id<K>,
) -> Result<(), Error> {
    let Some(at) = at else { return Ok(()) };
    rows.delete(work.table(), &Key::org(org).number(at.as_millis()).id(id))
}

/// Moves a connection in the index of this kind of work, or takes it out.
pub(crate) fn move_connection(
    rows: &mut Writer<'_>,
    work: Work,
    org: OrgId,
    connection: ConnectionId,
    at: Option<Timestamp>,
) -> Result<(), Error> {
    move_to(rows, work, org, connection, at)
}

/// Moves a thing in the index of this kind of work, or takes it out.
pub(crate) fn move_to<K>(
    rows: &mut Writer<'_>,
    work: Work,
    org: OrgId,
    id: Id<K>,
    at: Option<Timestamp>,
) -> Result<(), Error> {
    let times = work
        .times()
        .ok_or(Error::Broken("put a connection among other things"))?;
    let place = Key::org(org).id(id);
    if rows.has(times, &place)? {
        let old = Timestamp::from_millis(rows.get_number(times, &place)?);
        remove(rows, work, org, Some(old), id)?;
    }
    match at {
        Some(at) => rows.put_number(times, &place, at.as_millis())?,
        None => rows.delete(times, &place)?,
    }
    add(rows, work, org, at, id)
}

/// A thing that is due.
pub(crate) struct Due<K> {
    pub(crate) org: OrgId,
    pub(crate) at: Timestamp,
    pub(crate) id: Id<K>,
}

/// Reads the rows of what is due, before anything is written: a lease of many must not fail half-way for one. Where the
/// row is gone (its organization is being deleted) or damaged, the entry goes, so that it is not met again and again.
pub(crate) fn load<K: Kind, R>(
    rows: &mut Writer<'_>,
    work: Work,
    taken: Vec<Due<K>>,
    mut read: impl FnMut(&mut Writer<'_>, OrgId, Id<K>) -> Result<Option<R>, Error>,
) -> Result<Vec<(OrgId, R)>, Error> {
    let mut found = Vec::with_capacity(taken.len());
    let mut orphans = Vec::new();
    for due in taken {
        match read(rows, due.org, due.id) {
            Ok(Some(row)) => found.push((due.org, row)),
            Ok(None) => orphans.push(due),
            Err(error @ Error::Corrupt { .. }) => {
                tracing::error!(code = error.code(), %error, id = %due.id, "due work is damaged and is set aside");
                orphans.push(due);
            }
            Err(error) => return Err(error),
        }
    }
    for due in orphans {
        remove(rows, work, due.org, Some(due.at), due.id)?;
    }
    Ok(found)
}

/// Up to `limit` things that are due: one of each organization, beginning behind the one whose turn it was, then the
/// second of each, and so on.
pub(crate) fn take<K>(
    rows: &mut impl Rows,
    work: Work,
    turn: OrgId,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Due<K>>, Error> {
    let limit = limit.clamp(1, MAX_LIMIT);
    let mut orgs = Vec::new();
    each_org(rows, work, OrgId::from_bytes([0; 16]), |_, org, time| {
        if time <= now {
            orgs.push(org);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let served = orgs.iter().position(|org| *org > turn).unwrap_or(0);
    orgs.rotate_left(served);
    orgs.truncate(limit);
    let each = limit.div_ceil(orgs.len().max(1));
    let mut queues = Vec::with_capacity(orgs.len());
    for org in orgs {
        let behind = Key::org(org).number(now.as_millis().saturating_add(1));
        let span = Span::prefix(&Key::org(org)).before(behind);
        // More than its share is taken where the others have less.
        let most = if each == limit { limit } else { limit.min(each * 4) };
        let ids = rows.collect(work.table(), &span, false, most, |key, _| {
            let mut parts = Parts::new(key.get(16..).unwrap_or_default());
            Ok(parts.number().zip(parts.id::<K>()))
        })?;
        queues.push((org, ids.into_iter()));
    }
    let mut taken = Vec::new();
    while taken.len() < limit {
        let before = taken.len();
        for (org, queue) in &mut queues {
            if taken.len() < limit {
                taken.extend(queue.next().map(|(at, id)| Due {
                    org: *org,
                    at: Timestamp::from_millis(at),
                    id,
                }));
            }
        }
        if taken.len() == before {
            break;
        }
    }
    Ok(taken)
}

/// Hands each organization and the time of its first row to `see`.
fn each_org<R: Rows>(
    rows: &mut R,
    work: Work,
    from: OrgId,
    mut see: impl FnMut(&mut R, OrgId, Timestamp) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    let mut span = Span::all().from(Key::org(from));
    loop {
        let first = rows.collect(work.table(), &span, false, 1, |key, _| {
            let mut parts = Parts::new(key);
            Ok(parts.id().zip(parts.number()))
        })?;
        let Some((org, time)) = first.first().copied() else {
            return Ok(());
        };
        if see(rows, org, Timestamp::from_millis(time))?.is_break() {
            return Ok(());
        }
        span = Span::all().from(
            Key::org(org)
                .number(u64::MAX)
                .id(Id::<K0>::from_bytes([255; 16]))
                .tail([0]),
        );
    }
}

/// Stands for no kind of id in particular.
type K0 = kind::Org;
