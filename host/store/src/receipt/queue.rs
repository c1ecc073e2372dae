//! Queues: receipts about the same, handled one after another. Of those in a queue one is due or with a worker, and the others wait
//! until it leaves.

use sluice_model::id::{HookId, OrgId, ReceiptId, kind};

use super::{Receipt, save};
use crate::Error;
use crate::due::{self, Work};
use crate::install::sha256;
use crate::key::{Key, Parts, Span};
use crate::table::{Rows, Table, Writer};

/// Puts a receipt in the queue of what it is about. Whether nobody is before it: else whoever is has it handled in the end.
pub(super) fn enter(
    rows: &mut Writer<'_>,
    org: OrgId,
    (hook, order): (HookId, &str),
    id: ReceiptId,
) -> Result<bool, Error> {
    let queue = queue_key(org, hook, order);
    let is_first = first_in(rows, &queue)?.is_none();
    rows.put(Table::Queues, &queue.id(id), &[])?;
    Ok(is_first)
}

/// Whether the receipt stands in its queue.
pub(super) fn has(
    rows: &mut Writer<'_>,
    org: OrgId,
    (hook, order): (HookId, &str),
    id: ReceiptId,
) -> Result<bool, Error> {
    rows.has(Table::Queues, &queue_key(org, hook, order).id(id))
}

/// Takes a receipt that is owed no more out of its queue, and has the next one handled.
pub(super) fn leave(rows: &mut Writer<'_>, org: OrgId, receipt: &Receipt) -> Result<(), Error> {
    let Some(order) = &receipt.order else {
        return Ok(());
    };
    let queue = queue_key(org, receipt.hook, order);
    rows.delete(Table::Queues, &queue.clone().id(receipt.id))?;
    let Some(next) = first_in(rows, &queue)? else {
        return Ok(());
    };
    let Some(mut next) = rows.get_json::<Receipt>(Table::Receipts, &Key::org(org).id(next))? else {
        return Ok(());
    };
    if next.due.is_none() && next.state.due() {
        next.due = Some(next.received);
        due::add(rows, Work::Receipts, org, next.due, next.id)?;
        save(rows, org, &next)?;
    }
    Ok(())
}

fn first_in(rows: &mut impl Rows, queue: &Key) -> Result<Option<ReceiptId>, Error> {
    let skip = queue.bytes().len();
    let first = rows.collect(Table::Queues, &Span::prefix(queue), false, 1, |key, _| {
        Ok(Parts::new(key.get(skip..).unwrap_or_default()).id::<kind::Receipt>())
    })?;
    Ok(first.first().copied())
}

fn queue_key(org: OrgId, hook: HookId, order: &str) -> Key {
    Key::org(org).id(hook).hash(&sha256(order.as_bytes()))
}
