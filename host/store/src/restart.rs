//! What a start takes back: the leases of the process before it.

use sluice_model::Timestamp;
use sluice_model::id::{Id, OrgId, ReceiptId, RunId, kind};
use sluice_model::run::RunState;

use crate::due::{self, Work};
use crate::key::{Key, Parts, Span};
use crate::receipt::Receipt;
use crate::run::Run;
use crate::table::{Rows, Table, Writer};
use crate::{Error, MAX_LIMIT, Store};

impl Store {
    /// Makes everything that a worker had due at once. Only for a start: the database is held exclusively, so whoever
    /// had the leases is gone, and nobody has to wait for their ends. Fencing numbers rise with the next lease.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Failed`].
    pub async fn release_leases(&self, now: Timestamp) -> Result<(), Error> {
        self.release::<kind::Run>(Work::Runs, now, release_run).await?;
        self.release::<kind::Receipt>(Work::Receipts, now, release_receipt)
            .await
    }

    async fn release<K: 'static>(&self, work: Work, now: Timestamp, one: Release<K>) -> Result<(), Error> {
        let table = work.table();
        let mut span = Some(Span::all());
        while let Some(part) = span.take() {
            let due = self.read(move |rows| {
                rows.collect(table, &part, false, MAX_LIMIT, |key, _| {
                    let mut parts = Parts::new(key);
                    let (org, time, id) = (parts.id(), parts.number(), parts.id::<K>());
                    Ok(org.zip(time).zip(id).map(|((org, time), id)| (org, time, id)))
                })
            });
            let due = due.await?;
            if let Some((org, time, id)) = due.last().filter(|_| due.len() == MAX_LIMIT) {
                span = Some(Span::all().after(Key::org(*org).number(*time).id(*id)));
            }
            self.write(64 * due.len(), move |rows| {
                due.iter().try_for_each(|(org, _, id)| one(rows, *org, *id, now))
            })
            .await?;
        }
        Ok(())
    }
}

type Release<K> = fn(&mut Writer<'_>, OrgId, Id<K>, Timestamp) -> Result<(), Error>;

fn release_run(rows: &mut Writer<'_>, org: OrgId, id: RunId, now: Timestamp) -> Result<(), Error> {
    let key = Key::org(org).id(id);
    let Some(mut run) = rows.get_json::<Run>(Table::Runs, &key)? else {
        return Ok(());
    };
    if run.state != RunState::Running {
        return Ok(());
    }
    due::remove(rows, Work::Runs, org, run.due, id)?;
    run.due = Some(now);
    due::add(rows, Work::Runs, org, run.due, id)?;
    rows.put_json(Table::Runs, &key, &run)
}

fn release_receipt(rows: &mut Writer<'_>, org: OrgId, id: ReceiptId, now: Timestamp) -> Result<(), Error> {
    let key = Key::org(org).id(id);
    let Some(mut receipt) = rows.get_json::<Receipt>(Table::Receipts, &key)? else {
        return Ok(());
    };
    if receipt.worker.take().is_none() {
        return Ok(());
    }
    due::remove(rows, Work::Receipts, org, receipt.due, id)?;
    receipt.due = Some(now);
    due::add(rows, Work::Receipts, org, receipt.due, id)?;
    rows.put_json(Table::Receipts, &key, &receipt)
}
