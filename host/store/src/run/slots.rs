//! Slots: how many runs may be under way at once for an organization, for a connector and for an app at a vendor.
//!
//! A run takes its slots in the commit that leases it and gives them back in the one that lets go of it, so the numbers are
//! what is so at every moment, also after the power was cut. A run that finds one taken holds none and is parked: nobody looks
//! at it until a slot of that kind is free. The commit that frees it hands it over to the run that has waited longest, which
//! then has it whatever becomes of that run: it takes the others it needs and is worked on, or hands it on. So a slot is free
//! only where nobody waits for it.

use sluice_model::Timestamp;
use sluice_model::id::{Id, OrgId, RunId, kind};

use super::{Run, save};
use crate::due::{self, Work};
use crate::key::{Key, Parts, Span};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store};

/// Runs under way at once, for one organization; 0: as many as there are workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    pub organization: u64,
    /// Of the connections of one connector.
    pub connector: u64,
    /// Of the connections that one app at a vendor serves.
    pub app: u64,
}

/// Where a run waits for a slot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Parked {
    /// Of what.
    slot: String,
    at: Timestamp,
}

/// Takes the slots that the run has not yet, or parks it. Answers whether it has them all.
pub(crate) fn take(
    rows: &mut Writer<'_>,
    org: OrgId,
    run: &mut Run,
    caps: Caps,
    now: Timestamp,
) -> Result<bool, Error> {
    let mut missing = wanted(rows, org, run, caps)?;
    missing.retain(|(slot, _)| !run.slots.contains(slot));
    for (slot, cap) in &missing {
        if rows.get_number(Table::TakenSlots, &taken(org, slot))? >= *cap {
            give_back(rows, org, run)?;
            // It keeps its place among those who wait.
            let at = run.due.take().unwrap_or(now);
            rows.put(Table::ParkedRuns, &parked(org, slot, at, run.id), &[])?;
            run.parked = Some(Parked {
                slot: slot.clone(),
                at,
            });
            save(rows, org, run)?;
            return Ok(false);
        }
    }
    for (slot, _) in missing {
        let key = taken(org, &slot);
        let number = rows.get_number(Table::TakenSlots, &key)?;
        rows.put_number(Table::TakenSlots, &key, number + 1)?;
        run.slots.push(slot);
    }
    Ok(true)
}

/// Gives back what the run has, or takes it from where it waits. Whoever calls it saves the run.
pub(crate) fn give_back(rows: &mut Writer<'_>, org: OrgId, run: &mut Run) -> Result<(), Error> {
    if let Some(Parked { slot, at }) = run.parked.take() {
        rows.delete(Table::ParkedRuns, &parked(org, &slot, at, run.id))?;
    }
    for slot in std::mem::take(&mut run.slots) {
        if let Some(mut next) = longest_parked(rows, org, &slot)? {
            next.slots.push(slot);
            unpark(rows, org, &mut next)?;
            continue;
        }
        let key = taken(org, &slot);
        match rows.get_number(Table::TakenSlots, &key)? {
            0 | 1 => rows.delete(Table::TakenSlots, &key)?,
            number => rows.put_number(Table::TakenSlots, &key, number - 1)?,
        }
    }
    Ok(())
}

/// The run that has waited longest for the slot. One whose row is damaged is told in the log and waits no more, so that it
/// does not hold up the others.
fn longest_parked(rows: &mut Writer<'_>, org: OrgId, slot: &str) -> Result<Option<Run>, Error> {
    let of_slot = Key::org(org).text(slot);
    loop {
        let first = rows.collect(Table::ParkedRuns, &Span::prefix(&of_slot), false, 1, |key, _| {
            let mut parts = Parts::new(key.get(of_slot.bytes().len()..).unwrap_or_default());
            Ok(parts.number().zip(parts.id::<kind::Run>()))
        })?;
        let Some((at, id)) = first.first().copied() else {
            return Ok(None);
        };
        let place = Parked {
            slot: slot.to_owned(),
            at: Timestamp::from_millis(at),
        };
        if let Some(run) = readable(rows, org, id)?.filter(|run| run.parked.as_ref() == Some(&place)) {
            return Ok(Some(run));
        }
        let at = place.at;
        rows.delete(Table::ParkedRuns, &parked(org, slot, at, id))?;
    }
}

/// The run, if its row can be read.
fn readable(rows: &mut Writer<'_>, org: OrgId, id: RunId) -> Result<Option<Run>, Error> {
    match super::load(rows, org, id) {
        Ok(run) => Ok(Some(run)),
        Err(error @ (Error::Missing { .. } | Error::Corrupt { .. })) => {
            tracing::error!(code = error.code(), run = %id, %error, "a run that waits for a slot can't be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn unpark(rows: &mut Writer<'_>, org: OrgId, run: &mut Run) -> Result<(), Error> {
    if let Some(Parked { slot, at }) = run.parked.take() {
        rows.delete(Table::ParkedRuns, &parked(org, &slot, at, run.id))?;
        run.due = Some(at);
        due::add(rows, Work::Runs, org, run.due, run.id)?;
        save(rows, org, run)?;
    }
    Ok(())
}

/// The slots that a run needs, each with how many there are.
fn wanted(rows: &mut Writer<'_>, org: OrgId, run: &Run, caps: Caps) -> Result<Vec<(String, u64)>, Error> {
    let mut wanted = Vec::new();
    if caps.organization > 0 {
        wanted.push(("organization".to_owned(), caps.organization));
    }
    if caps.connector == 0 && caps.app == 0 {
        return Ok(wanted);
    }
    let place = Key::org(org).id(run.connection);
    let found: Option<crate::connection::Connection> = rows.get_json(Table::Connections, &place)?;
    // Of one that is gone the run only has to be ended.
    let Some(connector) = found.map(|found| found.connector) else {
        return Ok(wanted);
    };
    if let Some(app) = run.app.as_ref().filter(|_| caps.app > 0) {
        wanted.push((format!("app {connector} {app}"), caps.app));
    }
    if caps.connector > 0 {
        wanted.push((format!("connector {connector}"), caps.connector));
    }
    Ok(wanted)
}

fn taken(org: OrgId, slot: &str) -> Key {
    Key::org(org).tail(slot)
}

fn parked(org: OrgId, slot: &str, at: Timestamp, run: RunId) -> Key {
    Key::org(org).text(slot).number(at.as_millis()).id(run)
}

impl Store {
    /// For a start, with which more may be allowed than before: whoever waits for a slot looks again.
    pub(crate) async fn release_slots(&self) -> Result<(), Error> {
        loop {
            let waiting = self.read(|rows| {
                rows.collect(Table::ParkedRuns, &Span::all(), false, STEP, |key, _| {
                    let org = Parts::new(key).id::<kind::Org>();
                    Ok(Some((Key::empty().tail(key), org.zip(last_id(key)))))
                })
            });
            let waiting = waiting.await?;
            if waiting.is_empty() {
                return Ok(());
            }
            self.write(64 * waiting.len(), move |rows| {
                for (key, run) in waiting {
                    if let Some((org, run)) = run
                        && let Some(mut run) = readable(rows, org, run)?
                    {
                        unpark(rows, org, &mut run)?;
                    }
                    rows.delete(Table::ParkedRuns, &key)?;
                }
                Ok(())
            })
            .await?;
        }
    }
}

/// The key's last part.
fn last_id(key: &[u8]) -> Option<RunId> {
    let bytes = key.last_chunk::<16>()?;
    Some(Id::from_bytes(*bytes))
}

/// Rows of one commit.
const STEP: usize = 100;
