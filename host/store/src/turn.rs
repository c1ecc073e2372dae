//! Whose turn it is with a row of background work that never ends: leased, let go of, due again when there is more.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;
use sluice_model::id::{Id, Kind, OrgId};

use crate::due::{self, Work};
use crate::key::Key;
use crate::run::RunError;
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store};

/// When a row is worked on, by whom, and how that went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// When it is worked on next, or the lease's end; `None` where nothing is to be done.
    pub due: Option<Timestamp>,
    /// A worker has it.
    pub held: bool,
    /// The number of the last lease.
    pub fencing: u64,
    /// Tries in a row that failed, the last one's error and the first one's time.
    pub failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
}

impl Turn {
    /// It went well.
    pub(crate) fn went_well(&mut self) {
        (self.failures, self.error, self.failing_since) = (0, None, None);
    }

    /// It failed; when it is tried again.
    pub(crate) fn failed(&mut self, error: RunError, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
        self.failing_since.get_or_insert(now);
    }
}

/// A row that has turns.
pub(crate) trait Turned: Serialize + DeserializeOwned + Send + 'static {
    type Kind: Kind + 'static;
    const WORK: Work;
    const TABLE: Table;
    const WHAT: &'static str;
    fn id(&self) -> Id<Self::Kind>;
    fn turn(&mut self) -> &mut Turn;
}

impl Store {
    /// Leases up to `limit` due rows, one organization after the other.
    pub(crate) async fn lease_turns<R: Turned>(
        &self,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<(OrgId, R)>, Error> {
        if !self.any_due(R::WORK, now).await? {
            return Ok(Vec::new());
        }
        let (turn, until) = (self.turn(R::WORK), now.after(lease_for));
        let leases = self
            .write(256, move |rows| {
                let due = due::take::<R::Kind>(rows, R::WORK, turn, now, limit)?;
                let mut found = due::load(rows, R::WORK, due, |rows, org, id| {
                    rows.get_json::<R>(R::TABLE, &Key::org(org).id(id))
                })?;
                for (org, row) in &mut found {
                    row.turn().fencing += 1;
                    row.turn().held = true;
                    set_due(rows, *org, row, Some(until))?;
                    save(rows, *org, row)?;
                }
                Ok(found)
            })
            .await?;
        if let Some((last, _)) = leases.last() {
            self.set_turn(R::WORK, *last);
        }
        Ok(leases)
    }
}

/// The row, if this lease still holds it.
pub(crate) fn leased<R: Turned>(
    rows: &mut impl Rows,
    org: OrgId,
    id: Id<R::Kind>,
    fencing: u64,
) -> Result<R, Error> {
    let mut row: Option<R> = rows.get_json(R::TABLE, &Key::org(org).id(id))?;
    let is_ours = row.as_mut().is_some_and(|row| {
        let turn = row.turn();
        turn.held && turn.fencing == fencing
    });
    row.filter(|_| is_ours).ok_or(Error::Fenced {
        what: R::WHAT,
        given: fencing,
    })
}

/// The row.
pub(crate) fn get<R: Turned>(rows: &mut impl Rows, org: OrgId, id: Id<R::Kind>) -> Result<R, Error> {
    rows.get_json(R::TABLE, &Key::org(org).id(id))?
        .ok_or(Error::Missing { what: R::WHAT })
}

pub(crate) fn save<R: Turned>(rows: &mut Writer<'_>, org: OrgId, row: &R) -> Result<(), Error> {
    rows.put_json(R::TABLE, &Key::org(org).id(row.id()), row)
}

/// Moves the row among what is due; it is the caller's to save.
pub(crate) fn set_due<R: Turned>(
    rows: &mut Writer<'_>,
    org: OrgId,
    row: &mut R,
    at: Option<Timestamp>,
) -> Result<(), Error> {
    let id = row.id();
    due::remove(rows, R::WORK, org, row.turn().due, id)?;
    row.turn().due = at;
    due::add(rows, R::WORK, org, at, id)
}

/// Lets go of a row: after an error due again then, else when `again` says, if there is more.
pub(crate) fn release<R: Turned>(
    rows: &mut Writer<'_>,
    org: OrgId,
    row: &mut R,
    failed: Option<(RunError, Timestamp)>,
    (again, now): (Option<Timestamp>, Timestamp),
) -> Result<(), Error> {
    row.turn().held = false;
    let due = match failed {
        Some((error, retry_at)) => {
            row.turn().failed(error, now);
            Some(retry_at)
        }
        None => again,
    };
    set_due(rows, org, row, due)?;
    save(rows, org, row)
}

/// Takes a lease back at a start.
pub(crate) fn take_back<R: Turned>(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: Id<R::Kind>,
    now: Timestamp,
) -> Result<Option<(R, Option<Timestamp>)>, Error> {
    let Some(mut row) = rows.get_json::<R>(R::TABLE, &Key::org(org).id(id))? else {
        return Ok(None);
    };
    if !row.turn().held {
        return Ok(None);
    }
    row.turn().held = false;
    let was = row.turn().due.replace(now);
    Ok(Some((row, was)))
}
