//! Receipts of a connection that goes, and keys that are old enough to be forgotten.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, kind};

use super::{Receipt, dedupe_key, once_key};
use crate::due::{self, Work};
use crate::key::{Key, Parts, Span};
use crate::table::{Rows, Table, Writer};
use crate::trace::TraceOwner;
use crate::{Error, hook};

/// Deletes receipts of a removed connection, with their requests, dedupe keys and traces, then its hooks' ids.
pub(crate) fn remove_rows(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    budget: &mut usize,
) -> Result<(), Error> {
    for hook in hook::ids(rows, org, connection)? {
        let of_hook = Key::org(org).id(hook);
        while *budget > 0 {
            let first = rows.collect(
                Table::ReceiptsByHook,
                &Span::prefix(&of_hook),
                false,
                1,
                |key, _| Ok(Parts::new(key.get(32..).unwrap_or_default()).id::<kind::Receipt>()),
            )?;
            let Some(id) = first.first().copied() else { break };
            crate::trace::remove_rows(rows, org, TraceOwner::Receipt(id), budget)?;
            if *budget == 0 {
                return Ok(());
            }
            let receipt: Option<Receipt> = rows.get_json(Table::Receipts, &Key::org(org).id(id))?;
            due::remove(
                rows,
                Work::Receipts,
                org,
                receipt.and_then(|receipt| receipt.due),
                id,
            )?;
            rows.delete(Table::Receipts, &Key::org(org).id(id))?;
            rows.delete(Table::Requests, &Key::org(org).id(id))?;
            rows.delete(Table::ReceiptsByHook, &of_hook.clone().id(id))?;
            *budget -= 1;
        }
        rows.delete_prefix(Table::Dedupe, &of_hook, budget)?;
        rows.delete_prefix(Table::Queues, &of_hook, budget)?;
        if *budget == 0 {
            return Ok(());
        }
        rows.delete(
            Table::HooksByConnection,
            &hook::by_connection(org, connection, hook),
        )?;
    }
    Ok(())
}

/// Forgets dedupe keys of receipts that came before `before`, up to `limit` of them. Whether there are more.
pub(crate) fn forget_keys(
    rows: &mut Writer<'_>,
    org: OrgId,
    before: Timestamp,
    limit: usize,
) -> Result<bool, Error> {
    let of_org = Key::org(org);
    let mut span = Span::prefix(&of_org);
    if let Some(swept) = rows.get_id::<kind::Receipt>(Table::Swept, &of_org)? {
        span = span.after(of_org.clone().id(swept));
    }
    let old = rows.collect(Table::Receipts, &span, false, limit, |_, content| {
        crate::row::from_json::<Receipt>(Table::Receipts, content).map(Some)
    })?;
    let mut last = None;
    let mut more = old.len() >= limit;
    for receipt in old {
        if receipt.received >= before {
            more = false;
            break;
        }
        let seen = dedupe_key(org, receipt.hook, &receipt.dedupe_key);
        let once = receipt
            .one_time
            .as_ref()
            .map(|token| once_key(org, receipt.hook, token));
        for seen in std::iter::once(seen).chain(once) {
            if rows.get_id(Table::Dedupe, &seen)? == Some(receipt.id) {
                rows.delete(Table::Dedupe, &seen)?;
            }
        }
        last = Some(receipt.id);
    }
    if let Some(last) = last {
        rows.put(Table::Swept, &of_org, &[last.as_bytes()])?;
    }
    Ok(more)
}
