//! Receipts that a person has handled again.

use sluice_model::Timestamp;
use sluice_model::id::{InstallId, OrgId, ReceiptId};
use sluice_model::receipt::ReceiptState;

use super::{Receipt, load, queue, save};
use crate::due::{self, Work};
use crate::table::Writer;
use crate::{Error, Store};

impl Store {
    /// Has a receipt handled again, whatever its state; dedupe is as before. [`Error::Missing`], [`Error::State`] while
    /// a worker has it.
    pub async fn replay_receipt(
        &self,
        org: OrgId,
        receipt: ReceiptId,
        now: Timestamp,
    ) -> Result<Receipt, Error> {
        self.write(64, move |rows| {
            let receipt = load(rows, org, receipt)?;
            if receipt.is_with_worker(now) {
                return Err(Error::State {
                    what: "replay the receipt",
                    state: "with a worker",
                });
            }
            rearm(rows, org, receipt, None, now)
        })
        .await
    }
}

impl Receipt {
    pub(crate) fn is_with_worker(&self, now: Timestamp) -> bool {
        self.worker.is_some() && self.due.is_some_and(|until| until > now)
    }
}

/// Has a receipt that no worker has handled again, by this install. Where it is about the same as others that are owed, it waits for
/// them like one that has just come in.
pub(crate) fn rearm(
    rows: &mut Writer<'_>,
    org: OrgId,
    mut receipt: Receipt,
    install: Option<InstallId>,
    now: Timestamp,
) -> Result<Receipt, Error> {
    let is_first = match &receipt.order {
        None => true,
        Some(order) => {
            let place = (receipt.hook, order.as_str());
            if queue::has(rows, org, place, receipt.id)? {
                // Of those in a queue only the one that is not waiting is due.
                receipt.due.is_some()
            } else {
                queue::enter(rows, org, place, receipt.id)?
            }
        }
    };
    due::remove(rows, Work::Receipts, org, receipt.due, receipt.id)?;
    receipt.due = is_first.then_some(now);
    receipt.state = ReceiptState::Accepted;
    receipt.failures = 0;
    receipt.replays = receipt.replays.saturating_add(1);
    receipt.install = install;
    receipt.worker = None;
    receipt.fencing += 1;
    due::add(rows, Work::Receipts, org, receipt.due, receipt.id)?;
    save(rows, org, &receipt)?;
    Ok(receipt)
}
