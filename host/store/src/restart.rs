//! What a start takes back: the leases of the process before it.

use sluice_model::Timestamp;
use sluice_model::id::{HookId, Id, Kind, OrgId, ReceiptId, RunId, kind};

use crate::due::{self, Due, Work};
use crate::hook::Hook;
use crate::key::{Key, Parts, Span};
use crate::link::Link;
use crate::load::Load;
use crate::receipt::Receipt;
use crate::row::to_json;
use crate::run::Run;
use crate::table::{Rows, Table, Writer};
use crate::turn::{self, Turned};
use crate::{Error, Store, credential};

impl Store {
    /// Makes everything that a worker had due at once, and ends what readers must not see half done. Only for a start: the database is held exclusively, so whoever
    /// had the leases is gone, and nobody has to wait for their ends. Fencing numbers rise with the next lease.
    ///
    /// A row that is damaged is told in the log (`storage.corrupt` and its table) and left alone.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the list of what is due is itself damaged, [`Error::Failed`].
    pub async fn release_leases(&self, now: Timestamp) -> Result<(), Error> {
        self.end_foldings(now).await?;
        self.release_slots().await?;
        self.release::<kind::Run>(Work::Runs, now, release_run).await?;
        self.release::<kind::Receipt>(Work::Receipts, now, release_receipt)
            .await?;
        self.release::<kind::Load>(Work::Loads, now, release_turn::<Load>)
            .await?;
        self.release::<kind::Link>(Work::Links, now, release_turn::<Link>)
            .await?;
        self.release::<kind::Hook>(Work::Chores, now, release_chores)
            .await?;
        self.release_endpoints(now).await?;
        self.release_credentials(now).await
    }

    /// What is to be refreshed is due again when the credentials say, not when a lease would have ended.
    async fn release_credentials(&self, now: Timestamp) -> Result<(), Error> {
        let mut span = Some(Span::all());
        while let Some(part) = span.take() {
            let leased = self.read(move |rows| {
                rows.collect(Table::CredentialTimes, &part, false, STEP, |key, _| {
                    let mut parts = Parts::new(key);
                    Ok(parts.id().zip(parts.id::<kind::Connection>()))
                })
            });
            let leased = leased.await?;
            if let Some((org, id)) = leased.last().filter(|_| leased.len() == STEP) {
                span = Some(Span::all().after(Key::org(*org).id(*id)));
            }
            self.write(64 * leased.len(), move |rows| {
                for (org, id) in leased {
                    credential::set_due_anew(rows, org, id, now)?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn release<K: Kind + 'static>(
        &self,
        work: Work,
        now: Timestamp,
        one: Release<K>,
    ) -> Result<(), Error> {
        let table = work.table();
        let mut span = Some(Span::all());
        while let Some(part) = span.take() {
            let due = self.read(move |rows| {
                rows.collect(table, &part, false, STEP, |key, _| {
                    let mut parts = Parts::new(key);
                    let (org, time, id) = (parts.id(), parts.number(), parts.id::<K>());
                    Ok(org.zip(time).zip(id).map(|((org, at), id)| Due {
                        org,
                        at: Timestamp::from_millis(at),
                        id,
                    }))
                })
            });
            let due = due.await?;
            if let Some(last) = due.last().filter(|_| due.len() == STEP) {
                span = Some(Span::all().after(Key::org(last.org).number(last.at.as_millis()).id(last.id)));
            }
            self.write(64 * due.len(), move |rows| release_all(rows, work, due, now, one))
                .await?;
        }
        Ok(())
    }
}

/// Rows that are released in one operation: each is a few hundred bytes to read and to write, and whoever waits behind
/// the step waits for a few milliseconds.
const STEP: usize = 100;

/// Puts one thing that a worker had back among what is due; `None` if nobody had it. Decides before it writes.
type Release<K> = fn(&mut Writer<'_>, OrgId, Id<K>, Timestamp) -> Result<Option<Released>, Error>;

/// A row that is due again.
struct Released {
    table: Table,
    key: Key,
    row: Vec<u8>,
    /// When it was due before.
    was: Option<Timestamp>,
}

/// A damaged row is told and leaves what is due, so that it holds up neither this start nor the workers; its neighbours
/// are released all the same.
fn release_all<K: Kind>(
    rows: &mut Writer<'_>,
    work: Work,
    due: Vec<Due<K>>,
    now: Timestamp,
    one: Release<K>,
) -> Result<(), Error> {
    let held = due::load(rows, work, due, |rows, org, id| {
        one(rows, org, id, now).map(|released| Some((id, released)))
    })?;
    for (org, (id, released)) in held {
        let Some(Released { table, key, row, was }) = released else {
            continue;
        };
        due::remove(rows, work, org, was, id)?;
        due::add(rows, work, org, Some(now), id)?;
        rows.put(table, &key, &[&row])?;
    }
    Ok(())
}

fn release_turn<R: Turned>(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: Id<R::Kind>,
    now: Timestamp,
) -> Result<Option<Released>, Error> {
    let Some((row, was)) = turn::take_back::<R>(rows, org, id, now)? else {
        return Ok(None);
    };
    Ok(Some(Released {
        table: R::TABLE,
        key: Key::org(org).id(id),
        row: to_json(&row)?,
        was,
    }))
}

fn release_run(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: RunId,
    now: Timestamp,
) -> Result<Option<Released>, Error> {
    let key = Key::org(org).id(id);
    let Some(mut run) = rows.get_json::<Run>(Table::Runs, &key)? else {
        return Ok(None);
    };
    if !run.state.held() {
        return Ok(None);
    }
    let was = run.due.replace(now);
    let row = to_json(&run)?;
    Ok(Some(Released {
        table: Table::Runs,
        key,
        row,
        was,
    }))
}

fn release_receipt(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: ReceiptId,
    now: Timestamp,
) -> Result<Option<Released>, Error> {
    let key = Key::org(org).id(id);
    let Some(mut receipt) = rows.get_json::<Receipt>(Table::Receipts, &key)? else {
        return Ok(None);
    };
    if receipt.worker.take().is_none() {
        return Ok(None);
    }
    let was = receipt.due.replace(now);
    let row = to_json(&receipt)?;
    Ok(Some(Released {
        table: Table::Receipts,
        key,
        row,
        was,
    }))
}

fn release_chores(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: HookId,
    now: Timestamp,
) -> Result<Option<Released>, Error> {
    let key = Key::org(org).id(id);
    let Some(mut hook) = rows.get_json::<Hook>(Table::Hooks, &key)? else {
        return Ok(None);
    };
    if !std::mem::take(&mut hook.chores.leased) {
        return Ok(None);
    }
    let was = hook.chores.due.replace(now);
    let row = to_json(&hook)?;
    Ok(Some(Released {
        table: Table::Hooks,
        key,
        row,
        was,
    }))
}
